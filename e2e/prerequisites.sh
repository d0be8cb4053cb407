#!/usr/bin/env bash
# Names what this machine lacks for the demo and the tests, with the command that installs it. As root on Debian or
# Ubuntu it installs the packages itself.
set -euo pipefail
say() { echo "prerequisites: $*"; }
missing() {
  local t
  for t in runc:runc nft:nftables iptables:iptables conntrack:conntrack ip:iproute2 busybox:busybox-static podman:podman skopeo:skopeo \
           openssl:openssl conmon:conmon gcc:gcc dnsmasq:dnsmasq-base jq:jq curl:curl objcopy:binutils nsenter:util-linux flock:util-linux make:make git:git; do
    command -v "${t%:*}" >/dev/null || echo "${t#*:}"
  done
  [ -e /usr/include/stdio.h ] || echo libc6-dev
  [ -x /usr/lib/cni/bridge ] || [ -x /opt/cni/bin/bridge ] || echo containernetworking-plugins
  # A busybox that needs libraries cannot run in an image that has none.
  ! command -v busybox >/dev/null || ! ldd "$(command -v busybox)" >/dev/null 2>&1 || echo busybox-static
}
[ "$(uname -s)" = Linux ] || { say "needs Linux" >&2; exit 2; }
problems=0
problem() { say "$*" >&2; problems=1; }
[ "$(id -u)" = 0 ] || problem "must run as root (network namespaces, mounts): sudo -E make ..."
[ -n "$("$(dirname "$0")/../hack/find-jdk.sh")" ] || problem "no JDK 25: install temurin-25-jdk (https://adoptium.net), or set JAVA_HOME"
command -v mvn >/dev/null || problem "no Maven: apt-get install -y maven"
if command -v go >/dev/null; then
  case $(go env GOVERSION) in go1.2[6-9]*|go1.[3-9][0-9]*|go[2-9]*) ;;
    *) [ "$(go env GOTOOLCHAIN)" = local ] && problem "Go is $(go env GOVERSION), 1.26 or newer is needed: https://go.dev/doc/install" ;; esac
else
  problem "no Go: install 1.26 or newer, https://go.dev/doc/install"
fi
lacking=$(missing | sort -u | tr '\n' ' ')
if [ -n "$lacking" ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing $lacking"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -qq --no-install-recommends $lacking >/dev/null 2>&1 \
      || { apt-get update -qq && apt-get install -y -qq --no-install-recommends $lacking >/dev/null; } \
      || problem "apt-get install -y $lacking failed"
    hash -r
    lacking=$(missing | sort -u | tr '\n' ' ')
  fi
  [ -z "$lacking" ] || problem "missing: apt-get install -y $lacking"
fi
exit $((problems * 2))
