#!/usr/bin/env bash
# The upstream: a real registry in the cluster's LAN that plays registry.opensuse.org over TLS with an authority of its
# own (e2e/.run/$LAB/pki/upstream-ca.crt). What it holds is in e2e/tools/lab/seed.go, and in upstream.json once started.
#   upstream.sh start | stop | status
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lab.sh"
state=$run/upstream
url=https://registry.opensuse.org
reachable() { in_lan curl -sf --max-time 2 --cacert "$run/pki/upstream-ca.crt" -o /dev/null "$url/v2/"; }
case ${1:-} in
  start)
    [ -e "$run/up" ] || { echo "upstream: the cluster of lab '$LAB' is not up" >&2; exit 1; }
    mkdir -p "$state"
    if ! reachable; then
      cat >"$state/config.yml" <<EOF
version: 0.1
log: {level: info, accesslog: {disabled: false}}
storage:
  filesystem: {rootdirectory: $state/data}
http:
  addr: $upstream_ip:443
  relativeurls: true
  tls: {certificate: $run/pki/upstream.crt, key: $run/pki/upstream.key}
EOF
      OTEL_TRACES_EXPORTER=none setsid nsenter --net="/run/netns/$lan" "$bin/registry" serve "$state/config.yml" >>"$run/log/upstream.log" 2>&1 </dev/null 9>&- &
      echo $! >"$state/pid"
      for _ in $(seq 100); do reachable && break; sleep 0.1; done
      reachable || { tail -n 5 "$run/log/upstream.log" >&2; echo "upstream: did not start" >&2; exit 1; }
    fi
    if [ ! -e "$run/upstream.json" ]; then
      printf 'upstream: '
      in_lan "$bin/lab" seed -to $url -ca "$run/pki/upstream-ca.crt" -busybox "$(command -v busybox)" -truth "$run/upstream.json"
    fi ;;
  stop)
    pid=$(cat "$state/pid" 2>/dev/null || true)
    if pid_alive "$pid"; then kill "$pid"; for _ in $(seq 50); do pid_alive "$pid" || break; sleep 0.1; done; fi
    ! reachable 2>/dev/null || { echo "upstream: still answers" >&2; exit 1; }
    echo "upstream: stopped, nothing answers at $url" ;;
  status) if reachable; then echo running; else echo stopped; fi ;;
  *) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
