#!/usr/bin/env bash
# Bundles by Jobs in a running demo cluster (LAB=... e2e/demo.sh up first): exports to a claim and to a bucket, imports of
# both into a registry that is empty, the receipt that comes back, and the delta that it makes; then the same digests by
# skopeo on both sides.
#   LAB=demo e2e/bundle-lab.sh
# Prints a table; exits non-zero when a step did not become Ready or a digest differs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/cluster/lab.sh"
export KUBECONFIG=$run/kubeconfig PATH=$bin:$PATH
ns=mirror-system patience=${PATIENCE:-1}
work=$(mktemp -d)
k() { kubectl -n "$ns" "$@"; }
leave() {
  k delete mirrorlist bundle-claim bundle-bucket far-claim far-bucket --ignore-not-found >/dev/null 2>&1
  k delete mirrorregistry far-claim far-bucket --ignore-not-found >/dev/null 2>&1
  k delete pvc disk --ignore-not-found --wait=false >/dev/null 2>&1
  rm -rf "$work"
}
trap leave EXIT
failed=0
ready() { # KIND/NAME: waits, and tells what stands in the way
  k wait --for=condition=Ready "$1" --timeout=$((180 * patience))s >/dev/null && return 0
  k get "$1" -o jsonpath='{range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{"\n"}{end}'
  k get pods; return 1
}
status() { k get mirrorlist "$1" -o jsonpath="{.status.$2}"; }

"$here/cluster/upstream.sh" start >/dev/null
openssl genpkey -algorithm ed25519 -out "$work/tls.key" && openssl pkey -in "$work/tls.key" -pubout -out "$work/tls.pub"
k create secret generic export-key --from-file="$work/tls.key" --from-file="$work/tls.pub" --dry-run=client -o yaml | k apply -f - >/dev/null
k create secret generic bucket --from-literal=accessKey=lab --from-literal=secretKey=lab-secret --dry-run=client -o yaml | k apply -f - >/dev/null
s3_server carried
k apply -f - >/dev/null <<YAML
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: disk}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
YAML
s3='{bucket: carried, endpoint: "http://'$lan_ip':7070", forcePathStyle: true, credentialsSecretRef: {name: bucket}'
export_to() { # NAME TARGET [MORE]
  { k get mirrorlist kubic -o json | jq --arg name "$1" '{apiVersion, kind, metadata: {name: $name}, spec: {sources: .spec.sources}}' | k create --dry-run=client -o yaml -f -
    printf '  export:\n    target: %s\n    signingKeySecretRef: {name: export-key}\n%s' "$2" "${3:-}"; } >"$work/$1.yaml"
  local from=$SECONDS
  k apply -f "$work/$1.yaml" >/dev/null
  ready "mirrorlist/$1"
  printf '%-46s %4d s  %s images, %s bytes, signed %s, progress %s\n' "export: $1" $((SECONDS - from)) \
    "$(status "$1" images)" "$(status "$1" bundle.bytes)" "$(status "$1" bundle.signed)" "$(status "$1" progress)"
}
import_from() { # NAME SOURCE
  k apply -f - >/dev/null <<YAML
apiVersion: mirrors.kubic.io/v1alpha1
kind: MirrorRegistry
metadata: {name: $1}
spec: {storage: {emptyDir: {}}}
---
apiVersion: mirrors.kubic.io/v1alpha1
kind: MirrorList
metadata: {name: $1}
spec:
  registryRef: {name: $1}
  import:
    source: $2
    verification: {mode: Require, publicKeySecretRef: {name: export-key}}
YAML
  local from=$SECONDS
  ready "mirrorregistry/$1"
  ready "mirrorlist/$1"
  printf '%-46s %4d s  bundle %s of %s, receipt %s\n' "import: $1" $((SECONDS - from)) \
    "$(status "$1" bundle.sequence)" "$(status "$1" bundle.id | cut -c1-19)" "$(k get configmap "$1-receipt" -o name)"
}
digests() { # REGISTRY: what it holds, by name
  local host
  host=$(k get mirrorregistry "$1" -o jsonpath='{.status.endpoint.url}') host=${host#https://}
  mkdir -p "$work/$1"
  k get configmap "$1-registry-trust" -o jsonpath='{.data.ca\.crt}' >"$work/$1/ca.crt"
  (umask 077; k get secret "$1-registry-pull" -o jsonpath='{.data.\.dockerconfigjson}' | base64 -d >"$work/$1.json")
  for image in kubic/demo:1.0 opensuse/busybox:1.35 kubic/pause:3.1 kubic/flannel:0.11.0; do
    echo "$image $(in_lan skopeo inspect --no-tags --authfile "$work/$1.json" --cert-dir "$work/$1" --format '{{.Digest}}' "docker://$host/registry.opensuse.org/$image")"
  done
}

export_to bundle-claim '{persistentVolumeClaim: {claimName: disk, path: bundles}}'
import_from far-claim "{persistentVolumeClaim: {claimName: disk, path: \"bundles/$(status bundle-claim bundle.ref | sed 's:.*/::')\"}}"
export_to bundle-bucket "{s3: $s3}}"
import_from far-bucket "{s3: $s3, rootDirectory: \"$(status bundle-bucket bundle.ref | sed 's:.*/carried/::')\"}}"
digests mirror >"$work/near.txt"
for far in far-claim far-bucket; do
  digests "$far" >"$work/$far.txt"
  if diff "$work/near.txt" "$work/$far.txt"; then echo "$far: the same digests, by skopeo"; else failed=1; fi
done
from=$SECONDS
k patch mirrorlist bundle-claim --type merge -p '{"spec":{"export":{"mode":"Delta","baseReceiptRef":{"name":"far-claim-receipt"}}}}' >/dev/null
until [ -n "$(status bundle-claim bundle.base)" ]; do
  [ $((SECONDS - from)) -lt $((180 * patience)) ] || { ready mirrorlist/bundle-claim; echo "bundle: no delta was exported" >&2; exit 1; }
  sleep 1
done
bytes=$(status bundle-claim bundle.bytes)
printf '%-46s %4d s  %s bytes, base %s\n' "delta of nothing by the far side's receipt" $((SECONDS - from)) "$bytes" "$(status bundle-claim bundle.base | cut -c1-19)"
[ "$bytes" -lt $((1 << 20)) ] || failed=1
exit $failed
