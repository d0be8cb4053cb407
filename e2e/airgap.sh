#!/usr/bin/env bash
# Across the air gap into a cluster that has nothing, with the five commands of README.md ("From nothing"), as they stand
# there: the first on the connected side, the others on a node of a cluster that reaches no registry at all.
#   airgap.sh up | down
# Needs what `make demo` needs. LAB (default "airgap") names the cluster; the media is a directory of this machine that
# both sides see as /media/disk. NO_BUILD=1 takes image and command line as they were built before.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export LAB=${LAB:-airgap}
. "$here/cluster/lab.sh"
cd "$lab_root"
near=$lab_root/e2e/.run/$LAB-near          # the connected side: a registry, a list, a key, and the disk
near_address=127.0.0.1:${NEAR_PORT:-5471}
version=$(sed -n 's:.*<version>\(.*\)</version>.*:\1:p' pom.xml | head -n 1)
begin=$SECONDS
names=() times=()
stage() { finish; name=$1 from=$SECONDS; echo "==> $name"; }
finish() { [ -z "${name:-}" ] || { names+=("$name"); times+=($((SECONDS - from))); name=; }; }
die() { echo "airgap: $*" >&2; exit 1; }

# The commands, from the README itself, so that neither can drift from the other.
commands() {
  awk '/^## /{on=0} /^### From nothing/{on=1} on && /^```/{code=!code; if (!code) exit; next} on && code && NF' README.md | sed 's/ *# .*$//'
}

explain() {
  local code=$?
  trap - ERR EXIT
  [ "$code" != 0 ] || return 0
  set +e
  echo "FAILED after $((SECONDS - begin)) s in: ${name:-the end}"
  export KUBECONFIG=$run/kubeconfig
  [ -e "$KUBECONFIG" ] || exit "$code"
  kubectl get mirrors,pods -A 2>&1 | sed 's/^/    | /'
  kubectl get events -A --sort-by=.lastTimestamp 2>/dev/null | grep Warning | tail -n 8 | cut -c1-240 | sed 's/^/    | /'
  local p
  for p in $(kubectl get pods -A -o json | jq -r '.items[] | .metadata.namespace + "/" + .metadata.name' | grep -v hello); do
    echo "  last lines of $p:"; kubectl -n "${p%/*}" logs "${p#*/}" --all-containers --tail=5 2>&1 | cut -c1-240 | sed 's/^/    | /'
  done
  exit "$code"
}

push() { skopeo copy -q --all --dest-tls-verify=false "$1" "docker://$near_address/$2"; }

near_side() {
  rm -rf --one-file-system "$near"; mkdir -p "$near/disk" "$near/registry"
  cat >"$near/registry.yml" <<YAML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $near/registry}}
http: {addr: "$near_address"}
YAML
  OTEL_TRACES_EXPORTER=none setsid "$bin/registry" serve "$near/registry.yml" >"$near/registry.log" 2>&1 </dev/null &
  echo $! >"$near/registry.pid"
  local i; for i in $(seq 100); do curl -sf -o /dev/null "http://$near_address/v2/" && break; sleep 0.1; done
  # One registry plays three: what is named after each of them lies in it under the path of the name.
  push "docker-archive:operator/target/mirror-operator-image.tar" "mirror-operator:$version"
  "$bin/lab" image -o "$near/distribution.tar" -name registry:3.1.1 -file "$bin/registry:/bin/registry" -env PATH=/bin \
    -file "$here/cluster/distribution.yml:/etc/distribution/config.yml:644" -entrypoint registry -cmd serve -cmd /etc/distribution/config.yml
  push "oci-archive:$near/distribution.tar" library/registry:3.1.1
  "$bin/lab" image -o "$near/demo.tar" -name demo:1.1 -file "$bin/lab:/lab" -entrypoint /lab -cmd pause
  push "oci-archive:$near/demo.tar" kubic/demo:1.1
  cat >"$near/list.yaml" <<YAML
apiVersion: mirrors.kubic.io/v1alpha1
kind: MirrorList
metadata: {name: kubic}
spec:
  registryRef: {name: mirror}
  sources:
  - {registry: registry.opensuse.org, endpoints: ["http://$near_address"], images: [kubic/demo]}
  - {registry: registry.example.com, endpoints: ["http://$near_address"], images: ["mirror-operator:$version"]}
  - {registry: docker.io, endpoints: ["http://$near_address"], images: ["library/registry:3.1.1"]}
YAML
  (cd "$near"
   openssl genpkey -algorithm ed25519 -out export.key 2>/dev/null
   openssl pkey -in export.key -pubout -out export.pub)
  ln -sf "$lab_root/operator/target/kubectl-mirror" "$near/kubectl-mirror"
}

# On the connected side, where the disk is mounted at /media/disk.
on_near() {
  unshare --mount bash -c 'mkdir -p /media/disk && mount --bind "$0/disk" /media/disk && cd "$0" && PATH="$0:$1:$PATH" exec bash -euc "$2"' "$near" "$bin" "$1"
}

# On a node of the far side, in one session, as a person logged in there.
on_far() {
  "$here/cluster/cluster.sh" node 1 bash -euo pipefail -c "export HOME=/root KUBECONFIG=/root/kubeconfig; cd \"\$(cat /root/at 2>/dev/null || echo /root)\"; $1
pwd >/root/at"
}

up() {
  trap explain ERR EXIT
  local lines; mapfile -t lines < <(commands)
  [ ${#lines[@]} = 5 ] || die "README.md tells it in ${#lines[@]} commands, not in five"
  stage "What both sides are made of"
  "$here/prerequisites.sh"
  export JAVA_HOME=${JAVA_HOME:-$(hack/find-jdk.sh)}
  "$here/tools/build.sh" "$bin"; "$here/tools/build-own.sh" "$here/tools/lab" "$bin"
  export PATH=$bin:$PATH
  [ -n "${NO_BUILD:-}" ] || { hack/image/build.sh; hack/cli/build.sh; }
  stage "The connected side: a registry"
  near_side
  stage "1. ${lines[0]}"
  on_near "${lines[0]}"
  kill "$(cat "$near/registry.pid")"
  du -sh "$near/disk" | sed 's/^/    /'
  stage "The far side: a cluster that has nothing, and nowhere to pull from"
  "$here/cluster/cluster.sh" up --nodes 1 | sed 's/^/    /'
  export KUBECONFIG=$run/kubeconfig
  # The lab's own copy of the registry goes away: what runs here comes from the disk.
  "$here/cluster/cluster.sh" node 1 sh -c "ctr -n k8s.io images rm $distribution_image >/dev/null; mkdir -p /media/disk"
  nsenter -t "$(node_pid 1)" --mount --pid mount --bind "$near/disk" /media/disk 2>/dev/null || die "the disk does not fit"
  on_far "cat >/root/kubeconfig" <"$run/kubeconfig.lan"
  on_far "cat >/root/export.pub" <"$near/export.pub"
  local far=$SECONDS i
  for i in 1 2 3 4; do
    stage "$((i + 1)). ${lines[$i]}"
    on_far "${lines[$i]}" 2>&1 | sed 's/^/    /'
  done
  stage "The registry, the list and the nodes become Ready"
  local limit=${AIRGAP_TIMEOUT:-300}
  for i in $(seq "$limit"); do
    [ "$(kubectl get mirrorregistries,mirrorlists,noderegistryconfigs -A -o json | jq '[.items[] | select((.status.conditions // []) | any(.type == "Ready" and .status == "True"))] | length')" = 3 ] && break
    [ "$i" != "$limit" ] || die "not all three are Ready after $limit s"
    sleep 1
  done
  kubectl get mirrors -A | sed 's/^/    /'
  kubectl -n mirror-system get mirrorlist kubic -o json | jq -c .status.bundle | sed 's/^/    /'
  stage "A pod, pulled from the mirror"
  kubectl apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata: {name: hello, namespace: default}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: hello, image: "registry.opensuse.org/kubic/demo:1.1", imagePullPolicy: Always}]
YAML
  kubectl -n default wait --for=condition=Ready pod/hello --timeout=90s
  finish
  trap - ERR EXIT
  echo
  for i in "${!names[@]}"; do printf '  %4d s  %s\n' "${times[$i]}" "${names[$i]}"; done
  printf '  %4d s  from the second command to the running pod\n  %4d s  in all\n' $((SECONDS - far)) $((SECONDS - begin))
}

down() {
  local pid; pid=$(cat "$near/registry.pid" 2>/dev/null || true)
  if pid_alive "$pid" && grep -q "$near/registry.yml" "/proc/$pid/cmdline"; then kill "$pid"; fi
  "$here/cluster/cluster.sh" down
  rm -rf --one-file-system "$near"
}

case ${1:-} in up) up ;; down) down ;; *) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2 ;; esac
