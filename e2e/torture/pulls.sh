# Sourced: pulls from the mirror of a lab without pause, by skopeo as a person with a password and by crictl as the
# kubelet, at a rate that is held and printed. Needs e2e/cluster/lab.sh, $ns and $registry (a MirrorRegistry).
#   RATE=10     pulls a second wanted: 6 of 10 by skopeo, the rest by crictl, spread over the nodes
#   WORKERS=6   skopeos at once; on each node there are two crictls
#   PATIENCE=1  waits this many times as long, on a machine that is busy with other things
export KUBECONFIG=$run/kubeconfig PATH=$bin:$PATH
rate=${RATE:-10} workers=${WORKERS:-6} patience=${PATIENCE:-1}
images=(kubic/demo:1.0 opensuse/busybox:1.35 kubic/coredns:0.10.0 kubic/pause:3.1 kubic/demo:1.1 kubic/flannel:0.11.0)
k() { kubectl -n "$ns" "$@"; }
field() { k get mirrorregistry "$registry" -o "jsonpath=$1"; }
member() { k get secret "$1" -o "jsonpath={.data.$2}" | base64 -d; }
count() { cat "$work"/pulls.* | grep -c "^$1 $2" || true; }

# What clients are given: as a mounted Secret and ConfigMap, a little late.
refresh() {
  member "$registry-registry-pull" '\.dockerconfigjson' >"$work/auth.new" && [ -s "$work/auth.new" ] && mv "$work/auth.new" "$work/auth.json"
  k get configmap "$registry-registry-trust" -o 'jsonpath={.data.ca\.crt}' >"$work/ca.new" && [ -s "$work/ca.new" ] && mv "$work/ca.new" "$work/certs/ca.crt"
  field '{.status.endpoint.url}' >"$work/url.new" && [ -s "$work/url.new" ] && mv "$work/url.new" "$work/url"
}
refresher() { until [ -e "$work/stop" ]; do refresh || true; sleep 3; done; }

pulls_begin() {
  # Below $run: that is the one directory that nodes see as well.
  work=$run/torture
  rm -rf "$work"; mkdir -p "$work/certs"
  cp "$(dirname "${BASH_SOURCE[0]}")/puller.sh" "$work/"
  touch "$work/failures" "$work/pulls.none"
  pids=()
  trap 'touch "$work/stop"; wait "${pids[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT
  refresh
  [ -s "$work/url" ] || { echo "torture: MirrorRegistry $registry in lab $LAB is not Ready; run LAB=$LAB e2e/demo.sh up" >&2; exit 2; }
  refresher 2>/dev/null & pids+=($!)
  local n node nodes=(); for node in $(nodes_of_lab); do nodes+=("$node"); done
  for n in $(seq "$workers"); do
    in_lan bash "$work/puller.sh" skopeo "$work" "s$n" "$(awk -v n="$workers" -v r="$rate" 'BEGIN{print n / (r * 0.6)}')" \
      "${images[$((n % ${#images[@]}))]}" & pids+=($!)
  done
  for node in "${nodes[@]}"; do for n in 1 2; do
    on_node "$node" bash "$work/puller.sh" crictl "$work" "c$node$n" "$(awk -v n="$((2 * ${#nodes[@]}))" -v r="$rate" 'BEGIN{print n / (r * 0.4)}')" \
      "${images[$n]}" & pids+=($!)
  done; done
  began=$EPOCHREALTIME
  s_ok=0 s_bad=0 c_ok=0 c_bad=0 from=$began
}
mark() { s_ok=$(count skopeo ok) s_bad=$(count skopeo failed) c_ok=$(count crictl ok) c_bad=$(count crictl failed) from=$EPOCHREALTIME; }
row() { # what, how often : what came of the pulls since the last mark
  local a b c d
  a=$(count skopeo ok) b=$(count skopeo failed) c=$(count crictl ok) d=$(count crictl failed)
  awk -v what="$1" -v n="$2" -v a="$((a - s_ok))" -v b="$((b - s_bad))" -v c="$((c - c_ok))" -v d="$((d - c_bad))" -v from="$from" -v to="$EPOCHREALTIME" \
    'BEGIN{t = to - from; printf "%-44s %3s  %6.1f s  %5.1f pulls/s   skopeo %5d ok %3d failed   crictl %5d ok %3d failed\n", what, n, t, (a+b+c+d)/t, a, b, c, d}'
}
pulls_end() { # the sum, and what failed
  touch "$work/stop"; wait "${pids[@]}" 2>/dev/null || true
  s_ok=0 s_bad=0 c_ok=0 c_bad=0 from=$began
  row "in all" ""
  [ ! -s "$work/failures" ] || { echo "failures:"; head -n "${1:-40}" "$work/failures" | cut -c1-300; }
}
until_true() { # seconds, what, command...
  local end=$((SECONDS + $1 * patience)) what=$2; shift 2
  until "$@"; do
    [ $SECONDS -lt $end ] || { echo "torture: not in time: $what" >&2; tail -n 20 "$work/failures" >&2; exit 2; }
    [ -z "${nudge:-}" ] || "$nudge"
    sleep 2
  done
}
changed() { local was=$1 now; shift; now=$("$@" || true); [ -n "$now" ] && [ "$now" != "$was" ]; }
certificate_at() { # URL, option of openssl x509...
  local at=${1#https://}; shift
  case $at in *:*) ;; *) at=$at:443 ;; esac # s_client knows no port of https
  in_lan openssl s_client -connect "$at" </dev/null 2>/dev/null | openssl x509 -noout "$@" 2>/dev/null
}
served() { certificate_at "$(cat "$work/url")" "$@"; }
