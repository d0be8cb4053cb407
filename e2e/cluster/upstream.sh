#!/usr/bin/env bash
# The upstream: a real registry that plays registry.opensuse.org over TLS with an authority of its own
# (e2e/.run/$LAB/pki/upstream-ca.crt). What it holds is in e2e/tools/lab/seed.go, and in upstream.json once started.
#   upstream.sh start | stop | status
# It lives in the LAN of the local cluster, under its name. With UPSTREAM_LISTEN=ADDRESS:PORT it listens there instead,
# on this machine, for a cluster that is somewhere else.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lab.sh"
state=$run/upstream
ca=$run/pki/upstream-ca.crt
if [ -n "${UPSTREAM_LISTEN:-}" ]; then
  listen=$UPSTREAM_LISTEN url=https://$UPSTREAM_LISTEN
  within() { "$@"; }
  start() { setsid "$@" >>"$run/log/upstream.log" 2>&1 </dev/null 9>&- & echo $! >"$state/pid"; }
else
  listen=$upstream_ip:443 url=https://registry.opensuse.org
  within() { in_lan "$@"; }
  start() { setsid nsenter --net="/run/netns/$lan" "$@" >>"$run/log/upstream.log" 2>&1 </dev/null 9>&- & echo $! >"$state/pid"; }
fi
reachable() { within curl -sf --max-time 2 --cacert "$ca" -o /dev/null "$url/v2/"; }
case ${1:-} in
  start)
    mkdir -p "$state" "$run/log" "$run/pki"
    if [ -n "${UPSTREAM_LISTEN:-}" ]; then
      "$here/../tools/build-own.sh" "$here/../tools/lab" "$bin"
      [ -e "$ca" ] || (cd "$run/pki"; authority upstream-ca "Upstream CA of the demo"
        certificate upstream-ca upstream /CN=registry.opensuse.org "DNS:registry.opensuse.org,IP:${listen%:*}")
    else
      [ -e "$run/up" ] || { echo "upstream: the cluster of lab '$LAB' is not up" >&2; exit 1; }
    fi
    if ! reachable; then
      cat >"$state/config.yml" <<EOF
version: 0.1
log: {level: info, accesslog: {disabled: false}}
storage:
  filesystem: {rootdirectory: $state/data}
http:
  addr: $listen
  relativeurls: true
  tls: {certificate: $run/pki/upstream.crt, key: $run/pki/upstream.key}
EOF
      OTEL_TRACES_EXPORTER=none start "$bin/registry" serve "$state/config.yml"
      for _ in $(seq 100); do reachable && break; sleep 0.1; done
      reachable || { tail -n 5 "$run/log/upstream.log" >&2; echo "upstream: did not start" >&2; exit 1; }
    fi
    if [ ! -e "$run/upstream.json" ]; then
      printf 'upstream: '
      within "$bin/lab" seed -to "$url" -ca "$ca" -busybox "$(command -v busybox)" -truth "$run/upstream.json"
    fi ;;
  stop)
    pid=$(cat "$state/pid" 2>/dev/null || true)
    if pid_alive "$pid" && grep -q "$state/config.yml" "/proc/$pid/cmdline"; then
      kill "$pid"; for _ in $(seq 50); do pid_alive "$pid" || break; sleep 0.1; done
    fi
    ! reachable 2>/dev/null || { echo "upstream: still answers" >&2; exit 1; }
    echo "upstream: stopped, nothing answers at $url" ;;
  status) if reachable; then echo running; else echo stopped; fi ;;
  *) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
