# Common to the benches, to be sourced by bash: registries, networks, corpora, measuring. Whoever sources it gets a
# directory of its own, $work, and a trap that ends what was started here and removes what was made here.
#
#   network NAME DELAY_MS MBIT          a client and two servers in network namespaces, joined by links with a delay and a rate (kit/link.go);
#                                       0 0 for one namespace with a loopback only. Sets client, source_at, target_at
#   start_registry NAME ADDRESS ROOT [NETNS]    distribution on plain HTTP; its requests are logged in $work/NAME.log
#   stop_registry NAME                  by its pid; and stop_all for all of them, networks included
#   requests NAME [PATTERN]             how many requests it answered (of a method: 'HEAD ')
#   corpus SHAPE ROOT ANSWER [FLAGS]    writes a registry's storage, see kit/corpus.go
#   measure FILE LABEL CMD...           runs CMD, appends "LABEL wall cpu rss exit" (s, s, MiB); its output is in $work/LABEL.out
#   of FILE LABEL COLUMN                the values of a label: wall cpu rss exit requests...
#   median, ratio A B                   numbers from standard input; A/B with two digits
set -euo pipefail
bench=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$bench/../.." && pwd)
bin=$top/e2e/.run/bin
results=$top/e2e/.run/bench
work=$(mktemp -d "${BENCH_TMP:-/var/tmp}/mirror-bench.XXXXXX")
# Where registries keep what is written in a measurement: memory, so that the disk of the day is not what is measured.
fast=
[ -n "${BENCH_DISK:-}" ] || [ ! -w /dev/shm ] || fast=$(mktemp -d /dev/shm/mirror-bench.XXXXXX)
store=${fast:-$work}
namespaces=()
links=()
laid=
declare -A registry_pid=()

die() { echo "bench: $*" >&2; exit 2; }

tools() {
  mkdir -p "$results" "$bin"
  "$bench/../tools/build-own.sh" "$bench/kit" "$bin"
  "$top/e2e/tools/build.sh" "$bin" "$@"
}

network() {
  local name=$1 delay=$2 rate=$3 peer address
  [ "$(id -u)" = 0 ] || die "networks with a delay need root"
  # A namespace that was used goes slowly (its connections time out first), and hinders the next one: keep what fits.
  [ "$laid" != "$*" ] || return 0
  remove_networks
  laid=$*
  client=mb-$name-$$
  ip netns add "$client"
  namespaces+=("$client")
  ip -n "$client" link set lo up
  if [ "$delay" = 0 ] && [ "$rate" = 0 ]; then
    source_net=$client target_net=$client source_at=127.0.0.1:5001 target_at=127.0.0.1:5002
    return
  fi
  for peer in s t; do
    address=$([ $peer = s ] && echo 10.251.1 || echo 10.251.2)
    ip netns add "$client-$peer"
    namespaces+=("$client-$peer")
    ip -n "$client-$peer" link set lo up
    "$bin/kit" link -a "$client:to-$peer:$address.1/24" -b "$client-$peer:eth0:$address.2/24" \
      -delay "$(awk "BEGIN {print $delay * 500}")us" -mbit "$rate" >"$work/link-$peer.log" 2>&1 &
    links+=($!)
    for _ in $(seq 1200); do ! grep -qs up "$work/link-$peer.log" || break; sleep 0.1; done
    grep -q up "$work/link-$peer.log" || die "no delayed link: $(cat "$work/link-$peer.log")"
  done
  source_net=$client-s target_net=$client-t source_at=10.251.1.2:5001 target_at=10.251.2.2:5002
}

start_registry() {
  local name=$1 address=$2 root=$3 netns=${4:-}
  mkdir -p "$root"
  cat >"$work/$name.yml" <<EOF
version: 0.1
log: {level: error, accesslog: {disabled: false}}
storage: {filesystem: {rootdirectory: $root, maxthreads: 200}, delete: {enabled: true}}
http: {addr: "$address", relativeurls: true, secret: bench}
EOF
  local into=()
  [ -z "$netns" ] || into=(nsenter --net="/run/netns/$netns")
  OTEL_TRACES_EXPORTER=none "${into[@]}" "$bin/registry" serve "$work/$name.yml" >>"$work/$name.log" 2>"$work/$name.err" </dev/null &
  registry_pid[$name]=$!
  for _ in $(seq 100); do
    kill -0 "${registry_pid[$name]}" 2>/dev/null || break
    ! "${into[@]}" curl -sf --max-time 2 -o /dev/null "http://$address/v2/" || return 0
    sleep 0.1
  done
  head -n 5 "$work/$name.err" >&2
  die "registry $name did not start"
}

stop_registry() {
  local pid=${registry_pid[$1]:-}
  [ -n "$pid" ] || return 0
  unset "registry_pid[$1]"
  kill "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

remove_networks() {
  local netns pid
  for pid in "${links[@]}"; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  links=()
  laid=
  for netns in "${namespaces[@]}"; do ip netns del "$netns" 2>/dev/null || true; done
  namespaces=()
}

stop_all() {
  local name
  for name in "${!registry_pid[@]}"; do stop_registry "$name"; done
  remove_networks
}

leave() {
  local code=$?
  trap - EXIT
  [ -z "${measured_pid:-}" ] || kill "$measured_pid" 2>/dev/null || true
  stop_all
  if [ -n "${BENCH_KEEP:-}" ]; then echo "bench: kept $work $fast" >&2; else rm -rf "$work" $fast; fi
  exit $code
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

requests() { grep -cE "\"${2:-[A-Z]+ }" "$work/$1.log" || true; }

corpus() {
  local shape=$1 root=$2 answer=$3
  shift 3
  "$bin/kit" corpus -shape "$shape" -out "$root" -answer "$answer" "$@"
}

measure() {
  local file=$1 label=$2 line
  shift 2
  : >"$work/$label.out"
  "$bin/kit" run -o "$work/measured" -log "$work/$label.out" -timeout "${BENCH_TIMEOUT:-20m}" "$@" &
  measured_pid=$!
  wait "$measured_pid"
  measured_pid=
  line=$(tail -n 1 "$work/measured")
  printf '%s\t%s\n' "$label" "$line" >>"$file"
}

of() { # FILE LABEL COLUMN
  awk -F'\t' -v label="$2" -v column="$3" '$1 == label {print $column}' "$1"
}

median() { sort -g | awk '{v[NR] = $1} END {if (NR == 0) print "-"; else if (NR % 2) print v[(NR + 1) / 2]; else print (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

ratio() { awk -v a="$1" -v b="$2" 'BEGIN {if (a == "-" || b == "-" || b == 0) print "-"; else printf "%.2f\n", a / b}'; }
