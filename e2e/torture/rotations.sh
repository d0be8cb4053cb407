#!/usr/bin/env bash
# Pulls from the mirror of a local cluster without pause (skopeo as a person with a password, crictl as the kubelet)
# while its certificates, CA, token keys and passwords are replaced, and counts the pulls that fail.
#   LAB=demo rotations.sh [LEAVES CAS KEYS PASSWORDS]        default: 3 1 1 1; the cluster comes from e2e/demo.sh up
# Ends with 0 when it could measure, whatever the figures are.
set -euo pipefail
. "$(dirname "$0")/../cluster/lab.sh"
leaves=${1:-3} cas=${2:-1} keys=${3:-1} passwords=${4:-1}
ns=mirror-system registry=mirror image=registry.opensuse.org/kubic/demo:1.0
export KUBECONFIG=$run/kubeconfig PATH=$bin:$PATH
k() { kubectl -n "$ns" "$@"; }
field() { k get mirrorregistry "$registry" -o "jsonpath=$1"; }
member() { k get secret "$1" -o "jsonpath={.data.$2}" | base64 -d; }
url=$(field '{.status.endpoint.url}')
[ -n "$url" ] || { echo "rotations: no MirrorRegistry $registry in lab $LAB; run LAB=$LAB e2e/demo.sh up" >&2; exit 2; }
host=${url#https://}
work=$(mktemp -d)
pids=()
trap 'touch "$work/stop"; wait "${pids[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT

# What clients are given: as a mounted Secret and ConfigMap, a little late.
mkdir "$work/certs"
refresh() {
  member "$registry-registry-pull" '\.dockerconfigjson' >"$work/auth.new" && mv "$work/auth.new" "$work/auth.json"
  k get configmap "$registry-registry-trust" -o 'jsonpath={.data.ca\.crt}' >"$work/ca.new" && mv "$work/ca.new" "$work/certs/ca.crt"
}
refresh
refresher() { until [ -e "$work/stop" ]; do refresh || true; sleep 5; done; }
by_skopeo() { # number
  local target=$work/pull$1
  until [ -e "$work/stop" ]; do
    rm -rf "$target"
    if in_lan skopeo copy -q --authfile "$work/auth.json" --src-cert-dir "$work/certs" "docker://$host/$image" "dir:$target" >"$work/out$1" 2>&1
    then echo ok >>"$work/skopeo"; else { date -u +%T; cat "$work/out$1"; } >>"$work/failures"; echo failed >>"$work/skopeo"; fi
  done
}
by_crictl() {
  until [ -e "$work/stop" ]; do
    on_node 1 crictl rmi "$image" >/dev/null 2>&1 || true
    if on_node 1 crictl pull "$image" >"$work/out-crictl" 2>&1
    then echo ok >>"$work/crictl"; else { date -u +%T; cat "$work/out-crictl"; } >>"$work/failures"; echo failed >>"$work/crictl"; fi
    sleep 0.2
  done
}
count() { grep -c "^$2" "$work/$1" 2>/dev/null || true; }
touch "$work/skopeo" "$work/crictl" "$work/failures"
refresher & pids+=($!)
for n in 1 2; do by_skopeo "$n" & pids+=($!); done
by_crictl & pids+=($!)

served() { in_lan openssl s_client -connect "$host" </dev/null 2>/dev/null | openssl x509 -noout "$1" 2>/dev/null; }
# The kubelet looks for changed Secrets once a minute, or when a pod changes.
nudge() { k annotate pods -l app.kubernetes.io/name=mirror-registry --overwrite "torture=$(date +%s%N)" >/dev/null; }
ask() { sleep 2; k annotate mirrorregistry "$registry" --overwrite "mirrors.kubic.io/rotate-$1=$(date -u +%FT%TZ)" >/dev/null; }
until_true() { # seconds, what, command...
  local end=$((SECONDS + $1)) what=$2; shift 2
  until "$@"; do
    [ $SECONDS -lt $end ] || { echo "rotations: not in time: $what" >&2; tail -n 20 "$work/failures" >&2; exit 2; }
    nudge; sleep 2
  done
}
changed() { local was=$1 now; shift; now=$("$@" || true); [ -n "$now" ] && [ "$now" != "$was" ]; }
one_root() { [ "$(field '{.status.trust.certificates[*].sha256}' | wc -w)" = 1 ]; }
one_password() { [ "$(member "$registry-registry-passwords" pull | jq length)" = 1 ]; }
newest_key() { member "$registry-registry-token-keys" 'keys\.json' | jq -r '.keys[0].kid'; }
row() { printf '%-14s %5s   %6s s   skopeo %5d ok %3d failed   crictl %5d ok %3d failed\n' "$1" "$2" "$3" \
  "$(($(count skopeo ok) - s_ok))" "$(($(count skopeo failed) - s_bad))" "$(($(count crictl ok) - c_ok))" "$(($(count crictl failed) - c_bad))"; }
mark() { s_ok=$(count skopeo ok) s_bad=$(count skopeo failed) c_ok=$(count crictl ok) c_bad=$(count crictl failed) from=$SECONDS; }

k patch mirrorregistry "$registry" --type merge -p '{"spec":{"certificates":{"ca":{"overlap":"15s"}},"auth":{"passwordRotation":{"overlap":"60s"}}}}' >/dev/null
begin=$SECONDS
mark
for _ in $(seq "$keys"); do
  was=$(newest_key); ask token-keys; until_true 120 "a new token key" changed "$was" newest_key
done
row "token keys" "$keys" $((SECONDS - from)); mark
for _ in $(seq "$leaves"); do
  was=$(served -serial); ask certificate; until_true 180 "a new certificate on the socket" changed "$was" served -serial
done
row "certificates" "$leaves" $((SECONDS - from)); mark
for _ in $(seq "$cas"); do
  was=$(served -issuer); ask ca
  until_true 600 "the successor's certificate on the socket" changed "$was" served -issuer
  until_true 600 "the predecessor's end" one_root
done
row "CA" "$cas" $((SECONDS - from)); mark
for _ in $(seq "$passwords"); do
  was=$(member "$registry-registry-pull" password); ask passwords
  until_true 300 "a new password" changed "$was" member "$registry-registry-pull" password
  until_true 300 "the old password's end" one_password
done
row "passwords" "$passwords" $((SECONDS - from))
s_ok=0 s_bad=0 c_ok=0 c_bad=0
row "in all" "" $((SECONDS - begin))
signs=$(in_lan curl -s --cacert "$work/certs/ca.crt" "$url/auth/token?service=x" | jq -r .token | cut -d. -f1 | tr '_-' '/+' | base64 -d 2>/dev/null | jq -r .kid 2>/dev/null || true)
[ "$signs" = "$(newest_key)" ] && echo "tokens are signed by the newest key" || echo "the newest key signs ten minutes after it was made: not yet"
[ ! -s "$work/failures" ] || { echo "failures:"; head -n 40 "$work/failures" | cut -c1-300; }
