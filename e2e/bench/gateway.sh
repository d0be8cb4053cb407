#!/usr/bin/env bash
# The gateway beside bare distribution with TLS, interleaved on one machine: throughput, requests, CPU, tokens, and a crowd of idle and slow clients.
#   gateway.sh            sizes that take some minutes; REPEAT=5 for more rounds, CROWD=0 without the crowd
#   OURS=DIRECTORY        the jars of the built command line (make cli)
# Exits non-zero only when it cannot measure; the bars are told beside the figures.
. "$(dirname "$0")/lib.sh"
repeat=${REPEAT:-3}
size=$((${MIB:-512} << 20))
ours=${OURS:-$top/operator/target/kubectl-mirror.lib}
[ -d "$ours" ] || die "no $ours: make cli builds it"
tools registry
java=$("$top/hack/find-jdk.sh")/bin/java
kit=$bin/kit
"$kit" pki -out "$work"
mkdir -p "$work/tls" "$work/token-keys" "$work/users"
cp "$work/tls.crt" "$work/tls.key" "$work/tls/"
cp "$work/keys.json" "$work/token-keys/"
printf 'bench-password' >"$work/users/bench"

config() { # NAME ADDRESS TLS
  cat >"$work/$1.yml" <<EOF
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: "$store/$1"}, delete: {enabled: true}, redirect: {disable: true}}
http: {addr: "$2", relativeurls: true, secret: bench${3:+, tls: {certificate: "$work/tls.crt", key: "$work/tls.key"\}}}
validation: {manifests: {indexes: {platforms: none}}}
EOF
}
port() { "$kit" port; }
bare_port=$(port) behind_port=$(port) front_port=$(port) admin_port=$(port)
config bare "127.0.0.1:$bare_port" tls
config behind "127.0.0.1:$behind_port" ""
cat >"$work/gateway.json" <<EOF
{"listen": "127.0.0.1:$front_port", "admin": "127.0.0.1:$admin_port", "backend": "http://127.0.0.1:$behind_port",
 "service": "bench", "tlsDirectory": "$work/tls", "tokenKeysDirectory": "$work/token-keys", "usersDirectory": "$work/users",
 "lingerSeconds": 0, "users": [{"name": "bench", "role": "Admin", "passwordFiles": ["bench"]}]}
EOF
# The limit of the registry's container is 512 MiB, and the operator tells it so.
OTEL_TRACES_EXPORTER=none "$bin/registry" serve "$work/bare.yml" >"$work/bare.log" 2>&1 & registry_pid[bare]=$!
OTEL_TRACES_EXPORTER=none GOMEMLIMIT=400MiB "$bin/registry" serve "$work/behind.yml" >"$work/behind.log" 2>&1 & registry_pid[behind]=$!
MALLOC_ARENA_MAX=2 "$java" "@$top/operator/src/main/image/app/gateway.jvm" -cp "$ours/*" io.kubic.mirrors.Main gateway --config "$work/gateway.json" \
  >"$work/audit.log" 2>"$work/gateway.log" & registry_pid[gateway]=$!
for url in "https://127.0.0.1:$bare_port/v2/" "http://127.0.0.1:$admin_port/readyz"; do
  for i in $(seq 100); do
    curl -sf --cacert "$work/tls.crt" --max-time 2 -o /dev/null "$url" && break
    [ "$i" -lt 100 ] || { tail -n 5 "$work"/*.log >&2; die "$url does not answer"; }
    sleep 0.2
  done
done

cpu() { # PID... : seconds used so far
  local pid total=0
  for pid; do total=$((total + $(awk '{print $14 + $15}' "/proc/$pid/stat"))); done
  awk "BEGIN {print $total / $(getconf CLK_TCK)}"
}
peak() { awk '/VmHWM/ {print int($2 / 1024)}' "/proc/$1/status"; }
field() { tr ' ' '\n' <"$1" | awk -F= -v name="$2" '$1 == name {print $2}'; }
once() { # SIDE LABEL FIELD ARGS... : appends the field and CPU seconds to $work/figures
  local side=$1 label=$2 field=$3 pids before after
  shift 3
  if [ "$side" = bare ]; then
    pids=${registry_pid[bare]} where=(-base "https://127.0.0.1:$bare_port")
  else
    pids="${registry_pid[behind]} ${registry_pid[gateway]}" where=(-base "https://127.0.0.1:$front_port" -user bench:bench-password)
  fi
  before=$(cpu $pids)
  "$kit" load "${where[@]}" -ca "$work/tls.crt" "$@" >"$work/line" || die "$side $label: $(cat "$work/line")"
  after=$(cpu $pids)
  printf '%s\t%s\t%s\t%s\n' "$side" "$label" "$(field "$work/line" "$field")" "$(awk "BEGIN {print $after - $before}")" >>"$work/figures"
}
median_of() { awk -F'\t' -v s="$1" -v l="$2" -v c="$3" '$1 == s && $2 == l {print $c}' "$work/figures" | sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
share() { awk "BEGIN {printf \"%.2f\", ($2 > 0) ? $1 / $2 : 0}"; }

# A cold JVM is not what is measured.
for _ in 1 2; do once gateway warm mib_s -kind pull -size $((256 << 20)) -n 4 -conns 2; done
for _ in 1 2 3 4; do once gateway warm mib_s -kind push -size $((256 << 20)) -n 2; done
once gateway warm req_s -kind head -n 24000 -conns 8
once gateway warm req_s -kind token -n 6000 -conns 8
declare -A blob
for side in bare gateway; do
  once $side put digest -kind put -size "$size"
  blob[$side]=$(awk -F'\t' -v s=$side '$1 == s && $2 == "put" {print $3}' "$work/figures")
done
: >"$work/figures"
for _ in $(seq "$repeat"); do
  for side in bare gateway; do
    once $side pull mib_s -kind pull -digest "${blob[$side]}" -size "$size" -n 2
    once $side pull4 mib_s -kind pull -digest "${blob[$side]}" -size "$size" -n 4 -conns 4
    once $side push mib_s -kind push -size "$size" -n 2
    once $side head req_s -kind head -n 8000 -conns 8
  done
  "$kit" load -base "https://127.0.0.1:$front_port" -ca "$work/tls.crt" -kind token -n 20000 -conns 8 >"$work/line" || die "token: $(cat "$work/line")"
  printf 'gateway\ttoken\t%s\t%s\n' "$(field "$work/line" req_s)" "$(field "$work/line" p99_ms)" >>"$work/figures"
done
echo "gateway beside bare distribution with TLS, medians of $repeat rounds, $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg)"
printf '%-28s %10s %10s %7s   %s\n' what bare gateway ratio bar
for row in "pull:pull, MiB/s:>= 0.70" "pull4:4 pulls at once, MiB/s:>= 0.70" "push:push, MiB/s:>= 0.90" "head:HEAD manifest, requests/s:>= 0.65"; do
  IFS=: read -r label text bar <<<"$row"
  b=$(median_of bare "$label" 3) g=$(median_of gateway "$label" 3)
  printf '%-28s %10s %10s %7s   %s\n' "$text" "$b" "$g" "$(share "$g" "$b")" "$bar"
done
for label in pull push; do
  b=$(median_of bare $label 4) g=$(median_of gateway $label 4)
  per() { awk "BEGIN {printf \"%.2f\", $1 / ($2 * $size / 2^30)}"; }
  printf '%-28s %10s %10s %7s   %s\n' "$label, CPU s per GiB" "$(per "$b" 2)" "$(per "$g" 2)" "$(share "$g" "$b")" "<= 1.90"
done
printf '%-28s %10s %10s %7s   %s\n' "anonymous tokens/s" - "$(median_of gateway token 3)" - ">= 3000"
printf '%-28s %10s %10s %7s   %s\n' "  p99, ms" - "$(median_of gateway token 4)" - "< 10"
if [ "${CROWD:-1}" != 0 ]; then
  "$kit" load -base "https://127.0.0.1:$front_port" -user bench:bench-password -ca "$work/tls.crt" -kind crowd -size $((1 << 30)) -hold "${HOLD:-60s}" >"$work/line" 2>&1 || true
  echo "500 idle and 200 slow readers of 1 GiB: $(cat "$work/line")"
  printf '%-28s %10s %10s %7s   %s\n' "  gateway, peak MiB" - "$(peak "${registry_pid[gateway]}")" - "<= 260"
  printf '%-28s %10s %10s %7s   %s\n' "  registry, peak MiB" - "$(peak "${registry_pid[behind]}")" - "<= 512"
fi
mkdir -p "$results"
cp "$work/figures" "$results/gateway.tsv"
