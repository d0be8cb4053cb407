#!/usr/bin/env bash
# The resident memory of an agent after a day of looks, in minutes: the agent of the image, in the image's own root and
# with its own flags, looks at many mirrors every second, each time with a new TLS handshake, until it has made as many
# looks as a day has (8,640 at the default interval) for each of MIRRORS mirrors of a node.
#   make image && e2e/bench/agent-memory.sh [MIRRORS [IMAGE.tar | DIRECTORY with the unpacked image]]
set -euo pipefail
cd "$(dirname "$0")/../.."
mirrors=${1:-1} image=${2:-operator/target/mirror-operator-image.tar}
looks=${LOOKS:-$((8640 * mirrors))} servers=8
[ -e "$image" ] || { echo "agent-memory: $image is missing: make image" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "agent-memory: needs root (chroot)" >&2; exit 2; }
# A network of its own: connections are counted there.
[ -n "${ALONE:-}" ] || ALONE=1 exec unshare -n sh -c 'ip link set lo up; exec "$0" "$@"' "$PWD/e2e/bench/agent-memory.sh" "$mirrors" "$(realpath "$image")"
work=$(mktemp -d "${TMPDIR:-/tmp}/agent-memory.XXXXXX")
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
mkdir -p "$work/tar" "$work/root"
if [ -d "$image" ]; then cp -a "$image/." "$work/root/"; else
tar -C "$work/tar" -xf "$image"
for layer in $(jq -r '.[0].Layers[]' "$work/tar/manifest.json"); do tar --warning=no-unknown-keyword -C "$work/root" -xzf "$work/tar/$layer"; done
fi
rm -rf "$work/tar"
root=$work/root

# --- mirrors: TLS, an answer, and the end of the connection
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/key" -out "$work/ca.crt" -days 2 \
  -subj /CN=mirror -addext subjectAltName=IP:127.0.0.1 2>/dev/null
pem=$(awk '{printf "%s\\n", $0}' "$work/ca.crt")
first=$((20000 + RANDOM % 20000)) sources= authorities=
for i in $(seq 0 $((servers - 1))); do
  port=$((first + i))
  openssl s_server -quiet -accept "127.0.0.1:$port" -cert "$work/ca.crt" -key "$work/key" -www >/dev/null 2>&1 &
  pids+=($!)
  sources+="${sources:+,}{\"source\": \"r$i.example\", \"endpoints\": [{\"location\": \"127.0.0.1:$port/r$i\"}]}"
  authorities+="${authorities:+,}\"127.0.0.1:$port\": \"$pem\""
done

# --- a node
mkdir -p "$root"/{proc,host/etc/containerd/certs.d,host/etc/containers/registries.conf.d,host/etc/containers/certs.d,host/var/lib/mirror-operator}
printf '%s\n' "version = 3" "[plugins.'io.containerd.cri.v1.images'.registry]" "config_path = '/etc/containerd/certs.d'" >"$root/host/etc/containerd/config.toml"
echo '{}' >"$root/host/etc/containers/policy.json"
echo "{\"name\": \"day\", \"health\": {\"interval\": \"1s\"}, \"sources\": [$sources], \"authorities\": {$authorities}}" >"$root/nodeconfig.json"
port=$((first + servers))
classpath=/app/jib-classpath-file; [ -e "$root/app/agent-classpath-file" ] && classpath=/app/agent-classpath-file
MALLOC_ARENA_MAX=1 unshare -m sh -c 'mount --rbind /proc "$0/proc" && exec chroot "$@"' "$root" "$root" \
  /opt/java/bin/java @/app/agent.jvm -cp "@$classpath" io.kubic.mirrors.Main agent --config /nodeconfig.json --host-root /host \
  --listen "127.0.0.1:$port" --node-name day >"$work/log" 2>&1 &
agent=$!; pids+=("$agent")
rss() { awk '/VmRSS/{printf "%.1f", $2 / 1024}' "/proc/$agent/status"; }
ready() { # without curl: what a kubelet's probe asks
  exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
  printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3; local line; read -r line <&3; exec 3>&-; case $line in *" 200 "*) ;; *) return 1 ;; esac
}
for _ in $(seq 300); do ready 2>/dev/null && break; kill -0 $agent || { cat "$work/log" >&2; exit 2; }; sleep 1; done
ready || { tail -n 3 "$work/log" >&2; exit 2; }

echo "looks       RSS, MiB"
printf '%-10s %9s\n' 0 "$(rss)"
start=$SECONDS most=0
opened() { awk '/^Tcp:/ && $6 ~ /^[0-9]+$/ {print $6}' /proc/net/snmp; } # ActiveOpens; a few are the probes below
before=$(opened); made() { echo $(($(opened) - before)); }
next=$((looks / 8)) step=$((looks / 8))
while :; do
  sleep 2; ready || true # asked as a kubelet asks, for the memory it takes; rss ends the loop when the agent is gone
  now=$(rss); most=$(printf '%s\n' "$most" "$now" | sort -g | tail -n 1)
  cpu=$(awk '{print $14 + $15}' "/proc/$agent/stat")
  done=$(made)
  if [ "$done" -ge "$next" ]; then printf '%-10s %9s\n' "$done" "$now"; next=$((next + step)); fi
  [ "$done" -ge "$looks" ] && break
  kill -0 $agent || { cat "$work/log" >&2; exit 2; }
done
echo "after a day's looks at $mirrors mirror(s) in $((SECONDS - start)) s: RSS $now MiB, most $most MiB, CPU $(awk -v c="$cpu" -v h="$(getconf CLK_TCK)" 'BEGIN{printf "%.0f", c / h}') s"
