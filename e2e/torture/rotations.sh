#!/usr/bin/env bash
# Pulls from the mirror of a local cluster without pause (skopeo as a person with a password, crictl as the kubelet)
# while its certificates, CA, token keys and passwords are replaced, and counts the pulls that fail.
#   LAB=demo rotations.sh [LEAVES CAS KEYS PASSWORDS]        default: 3 1 1 1; the cluster comes from e2e/demo.sh up
# RATE, WORKERS and PATIENCE: see pulls.sh. Ends with 0 when it could measure, whatever the figures are.
set -euo pipefail
. "$(dirname "$0")/../cluster/lab.sh"
leaves=${1:-3} cas=${2:-1} keys=${3:-1} passwords=${4:-1}
ns=mirror-system registry=mirror
. "$(dirname "$0")/pulls.sh"
pulls_begin

# The kubelet looks for changed Secrets once a minute, or when a pod changes.
nudge=touch_pods
touch_pods() { k annotate pods -l app.kubernetes.io/name=mirror-registry --overwrite "torture=$(date +%s%N)" >/dev/null; }
ask() { sleep 2; k annotate mirrorregistry "$registry" --overwrite "mirrors.kubic.io/rotate-$1=$(date -u +%FT%TZ)" >/dev/null; }
one_root() { [ "$(field '{.status.trust.certificates[*].sha256}' | wc -w)" = 1 ]; }
one_password() { [ "$(member "$registry-registry-passwords" pull | jq length)" = 1 ]; }
newest_key() { member "$registry-registry-token-keys" 'keys\.json' | jq -r '.keys[0].kid'; }

k patch mirrorregistry "$registry" --type merge -p '{"spec":{"certificates":{"ca":{"overlap":"15s"}},"auth":{"passwordRotation":{"overlap":"60s"}}}}' >/dev/null
mark
for _ in $(seq "$keys"); do
  was=$(newest_key); ask token-keys; until_true 120 "a new token key" changed "$was" newest_key
done
row "token keys" "$keys"; mark
for _ in $(seq "$leaves"); do
  was=$(served -serial); ask certificate; until_true 180 "a new certificate on the socket" changed "$was" served -serial
done
row "certificates" "$leaves"; mark
for _ in $(seq "$cas"); do
  was=$(served -issuer); ask ca
  until_true 600 "the successor's certificate on the socket" changed "$was" served -issuer
  until_true 600 "the predecessor's end" one_root
done
row "CA" "$cas"; mark
for _ in $(seq "$passwords"); do
  was=$(member "$registry-registry-pull" password); ask passwords
  until_true 300 "a new password" changed "$was" member "$registry-registry-pull" password
  until_true 300 "the old password's end" one_password
done
row "passwords" "$passwords"
signs=$(in_lan curl -s --cacert "$work/certs/ca.crt" "$(cat "$work/url")/auth/token?service=x" | jq -r .token | cut -d. -f1 | tr '_-' '/+' | base64 -d 2>/dev/null | jq -r .kid 2>/dev/null || true)
[ "$signs" = "$(newest_key)" ] && echo "tokens are signed by the newest key" || echo "the newest key signs ten minutes after it was made: not yet"
pulls_end
