#!/usr/bin/env bash
# Prints the path of the image's base: a docker-archive with Debian's C library and a jlinked Java runtime, nothing
# else. It is built once per set of inputs (this directory, the JDK, the machine's architecture) into the cache.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${MIRROR_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mirror-operator}
jdk=${JAVA_HOME:?JAVA_HOME must be a JDK 25}
say() { echo "image: $*" >&2; }
for tool in dpkg-deb apt-get jq objcopy; do
  command -v $tool >/dev/null || { say "$tool is missing: apt-get install -y dpkg apt jq binutils"; exit 2; }
done

arch=$(dpkg --print-architecture)
key=$({ cat "$here/base.sh" "$here/CaCerts.java" "$jdk/release"; echo "$arch"; } | sha256sum | cut -c1-16)
out=$cache/image-base/$key/base.tar
[ -s "$out" ] && { echo "$out"; exit 0; }
mkdir -p "$(dirname "$out")"
exec 9>"$(dirname "$out")/.lock"; flock 9
[ -s "$out" ] && { echo "$out"; exit 0; }

started=$SECONDS
say "building the base (Java runtime and C library)"
work=$(mktemp -d "$(dirname "$out")/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

# --- layer 1: the files of Debian packages that a JVM needs, chroot, and the accounts
packages=(libc6 libc-bin libgcc-s1 ca-certificates coreutils)
mkdir -p "$work/debs" "$work/pkg" "$work/os"
fetch() { (cd "$work/debs" && apt-get -qq download "${packages[@]}" 2>"$work/apt.log"); }
fetch || { apt-get -qq update >>"$work/apt.log" 2>&1 && fetch; } || { cat "$work/apt.log" >&2; say "apt-get download ${packages[*]} failed"; exit 1; }
for deb in "$work"/debs/*.deb; do
  name=$(dpkg-deb -f "$deb" Package)
  dpkg-deb -x "$deb" "$work/pkg"
  mkdir -p "$work/os/var/lib/dpkg/status.d" "$work/os/usr/share/doc/$name"
  dpkg-deb -f "$deb" >"$work/os/var/lib/dpkg/status.d/$name"      # what a vulnerability scanner reads
  cp "$work/pkg/usr/share/doc/$name/copyright" "$work/os/usr/share/doc/$name/" 2>/dev/null || true
done
cd "$work/pkg"
find . \( -name 'ld-linux*' -o -name libc.so.6 -o -name libm.so.6 -o -name libdl.so.2 -o -name libpthread.so.0 \
  -o -name librt.so.1 -o -name libresolv.so.2 -o -name libnss_dns.so.2 -o -name libnss_files.so.2 \
  -o -name libgcc_s.so.1 \) -exec cp -a --parents -t "$work/os" {} +
# With which an agent runs the node's own programs, where a NodeRegistryConfig asks for it.
mkdir -p "$work/os/usr/sbin" && cp -a usr/sbin/chroot "$work/os/usr/sbin/"
mkdir -p "$work/os/usr/lib/locale" && cp -a usr/lib/locale/C.utf8 "$work/os/usr/lib/locale/"
mkdir -p "$work/os/etc/ssl/certs" "$work/os/tmp" "$work/os/home/nonroot" "$work/os/root"
find usr/share/ca-certificates -name '*.crt' | LC_ALL=C sort | xargs cat >"$work/os/etc/ssl/certs/ca-certificates.crt"
cd "$work"
printf 'root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' >os/etc/passwd
printf 'root:x:0:\nnogroup:x:65534:\nnonroot:x:65532:\n' >os/etc/group
printf 'hosts: files dns\n' >os/etc/nsswitch.conf
cp /etc/os-release os/etc/os-release
find os -type d -exec chmod 755 {} + && chmod 1777 os/tmp && chmod 700 os/root

# --- layer 2: the Java runtime
mkdir -p jre/opt
"$jdk/bin/jlink" --output jre/opt/java --compress=zip-0 --strip-native-debug-symbols=exclude-debuginfo-files \
  --no-header-files --no-man-pages \
  --add-modules java.base,java.logging,java.management,java.naming,java.net.http,java.xml,jdk.httpserver,jdk.unsupported >&2
# Providers that this runtime does not hold would be looked for through every jar at each start.
sed -i -E '/^security\.provider\.[0-9]+=(SunJGSS|SunSASL|XMLDSig|SunPCSC|JdkLDAP|JdkSASL|SunPKCS11)$/d' jre/opt/java/conf/security/java.security
rm -f jre/opt/java/lib/security/cacerts
"$jdk/bin/java" "$here/CaCerts.java" pkg/usr/share/ca-certificates jre/opt/java/lib/security/cacerts

# --- the archive; every time stamp and owner is fixed
find os jre -exec touch -h -d @1 {} +
layer() { # directory -> layer.tar, its digest
  tar --sort=name --mtime=@1 --numeric-owner --owner=0 --group=0 --format=posix \
    --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime -C "$1" -cf "$1.tar" .
  sha256sum "$1.tar" | cut -d' ' -f1
}
os=$(layer os); jre=$(layer jre)
gzip -n os.tar jre.tar
jq -cn --arg os "$os" --arg jre "$jre" --arg arch "$arch" '{
  architecture: $arch, os: "linux", created: "1970-01-01T00:00:01Z",
  config: {User: "65532:65532", Env: ["PATH=/opt/java/bin:/usr/bin:/bin", "JAVA_HOME=/opt/java", "LANG=C.UTF-8"]},
  rootfs: {type: "layers", diff_ids: ["sha256:" + $os, "sha256:" + $jre]},
  history: [{created: "1970-01-01T00:00:01Z", created_by: "Debian C library and certificates"},
            {created: "1970-01-01T00:00:01Z", created_by: "jlink"}]}' >config.json
echo '[{"Config":"config.json","RepoTags":null,"Layers":["os.tar.gz","jre.tar.gz"]}]' >manifest.json
tar --mtime=@1 --owner=0 --group=0 --numeric-owner --format=ustar -cf base.tar.tmp manifest.json config.json os.tar.gz jre.tar.gz
mv base.tar.tmp "$out"
say "base built in $((SECONDS - started)) s ($(($(stat -c %s "$out") / 1000000)) MB)"
echo "$out"
