#!/usr/bin/env bash
# Builds operator/target/mirror-operator-image.tar (docker-archive, name mirror-operator:VERSION):
#   base.sh -> Maven and jib -> a class archive (AppCDS) per role of hack/image/cds -> one more layer.
# Does nothing when no input changed since the last build. -f builds anyway.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
cache=${MIRROR_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mirror-operator}
target=operator/target
image=$target/mirror-operator-image.tar
export JAVA_HOME=${JAVA_HOME:-$(hack/find-jdk.sh)}
base=$(hack/image/base.sh)
say() { echo "image: $*"; }

inputs() {
  { find crds/src operator/src/main helm/mirror-operator hack/image pom.xml crds/pom.xml operator/pom.xml -type f | LC_ALL=C sort | xargs sha256sum
    echo "$base"; } | sha256sum | cut -c1-32
}
key=$(inputs)
if [ "${1:-}" != -f ] && [ -s "$image" ] && [ "$(cat "$image.inputs" 2>/dev/null)" = "$key" ]; then
  say "up to date: $image"; exit 0
fi

started=$SECONDS
mvn -q -Pimage -pl crds,operator -DskipTests -Dspotless.check.skip=true "-Dimage.base=$base" -Djib.disableUpdateChecks=true -Djib.console=plain \
  "-Djib.baseImageCache=$cache/jib" "-Djib.applicationCache=$root/$target/jib-cache" -Djib.allowInsecureRegistries=false \
  package 2>&1 | grep -vE "^.{0,8}WARNING|^.{0,12}$" || [ "${PIPESTATUS[0]}" = 0 ]
say "jar and layers in $((SECONDS - started)) s"

# --- class archives. They are made inside the image's own root, with its own Java: paths and times must be those of a pod.
shopt -s nullglob
lists=(hack/image/cds/*.lst)
work=$(mktemp -d "$root/$target/image.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/tar" "$work/root" "$work/layer/app"
tar -C "$work/tar" -xf $target/jib-image.tar
for layer in $(jq -r '.[0].Layers[]' "$work/tar/manifest.json"); do tar --warning=no-unknown-keyword -C "$work/root" -xzf "$work/tar/$layer"; done
# A JVM keeps the directory of every jar that it ever looked into: a role with a list of jars gets those only (the agent,
# on every node, is 5 MiB smaller). The others, and a role whose jars do not suffice for a start, get all.
for jars in hack/image/cds/*.jars; do
  tr : '\n' <"$work/root/app/jib-classpath-file" | grep -E -f "$jars" | paste -sd: >"$work/root/app/$(basename "$jars" .jars)-classpath-file"
done
if [ ${#lists[@]} -gt 0 ]; then
  mkdir -p "$work/root/proc"
  inside() { unshare -rm sh -c 'mount --rbind /proc "$0/proc" && exec chroot "$@"' "$work/root" "$work/root" /opt/java/bin/java "$@"; }
  if [ -e "$work/root/app/agent-classpath-file" ]; then
    echo '{"name": "proof", "hold": true}' >"$work/root/tmp/proof.json"
    inside -cp @/app/agent-classpath-file io.kubic.mirrors.Main agent --once --config /tmp/proof.json --host-root /tmp >"$work/agent.log" 2>&1 ||
      { say "the agent does not start with its own jars (it gets all):"; tail -n 5 "$work/agent.log"; cp "$work/root/app/jib-classpath-file" "$work/root/app/agent-classpath-file"; }
  fi
  for list in "${lists[@]}"; do
    role=$(basename "$list" .lst)
    classpath=/app/jib-classpath-file
    [ ! -e "$work/root/app/$role-classpath-file" ] || classpath=/app/$role-classpath-file
    cp "$list" "$work/root/tmp/$role.lst"
    # The collector and the heap's header are part of an archive; the other flags of the role are not.
    if ! inside \
        -XX:+UseSerialGC -Xmx256m -Xshare:dump -XX:SharedClassListFile=/tmp/$role.lst -XX:SharedArchiveFile=/tmp/$role.jsa \
        -Xlog:disable -Xlog:all=error:stderr -cp @$classpath >"$work/$role.log" 2>&1; then
      say "the class archive of $role was not made (it runs without):"; tail -n 5 "$work/$role.log"; continue
    fi
    mv "$work/root/tmp/$role.jsa" "$work/layer/app/$role.jsa"
    # Mapped at its own address, most of the archive stays clean pages of the file that all pods of a node share.
    { cat operator/src/main/image/app/$role.jvm
      printf '%s\n' -XX:+UnlockDiagnosticVMOptions -XX:ArchiveRelocationMode=0 -XX:SharedArchiveFile=/app/$role.jsa -Xshare:auto
    } >"$work/layer/app/$role.jvm"
    # Proof: with -Xshare:on a JVM whose archive does not fit its jars does not start.
    cp "$work/layer/app/$role".* "$work/root/app/"
    if ! inside @/app/$role.jvm -Xshare:on -cp @$classpath io.kubic.mirrors.Main $([ $role = agent ] && echo agent --help || echo --version) >"$work/$role.log" 2>&1; then
      say "the class archive of $role is not usable (it runs without):"; tail -n 5 "$work/$role.log"; rm "$work/layer/app/$role".*
    fi
  done
fi

for jars in hack/image/cds/*.jars; do cp "$work/root/app/$(basename "$jars" .jars)-classpath-file" "$work/layer/app/"; done

# --- one more layer, and the name
chmod 644 "$work"/layer/app/* 2>/dev/null || true
find "$work/layer" -exec touch -h -d @1 {} +
tar --sort=name --mtime=@1 --numeric-owner --owner=0 --group=0 --format=ustar -C "$work/layer" -cf "$work/cds.tar" .
diff=sha256:$(sha256sum "$work/cds.tar" | cut -d' ' -f1)
gzip -n -6 <"$work/cds.tar" >"$work/tar/cds.tar.gz"
config=$(jq -r '.[0].Config' "$work/tar/manifest.json")
jq -c --arg diff "$diff" '.rootfs.diff_ids += [$diff] | .history += [{created: "1970-01-01T00:00:00Z", created_by: "class archives"}]' \
  "$work/tar/$config" >"$work/config" && mv "$work/config" "$work/tar/$config"
jq -c '.[0].Layers += ["cds.tar.gz"]' "$work/tar/manifest.json" >"$work/manifest" && mv "$work/manifest" "$work/tar/manifest.json"
tar --sort=name --mtime=@1 --numeric-owner --owner=0 --group=0 --format=ustar -C "$work/tar" -cf "$image.tmp" $(ls "$work/tar")
mv "$image.tmp" "$image"
echo "$key" >"$image.inputs"
say "$image: $(($(stat -c %s "$image") / 1000000)) MB, $(jq -r '.[0].RepoTags[0]' "$work/tar/manifest.json"), ${#lists[@]} class archives, in $((SECONDS - started)) s"
