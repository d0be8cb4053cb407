#!/usr/bin/env bash
# Garbage collection and scrub in a running demo cluster (LAB=... e2e/demo.sh up first), with pulls all the time. Needs of
# it only the operator and the MirrorRegistry.
#   LAB=demo e2e/upkeep-lab.sh
#   REGISTRY=pair: another registry, as the one with two replicas on a bucket that e2e/torture/rollouts.sh leaves behind
# Prints a table; exits non-zero when a pull failed, no upload met the freeze, nothing was freed, or a run did not succeed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/cluster/lab.sh"
export KUBECONFIG=$run/kubeconfig PATH=$bin:$PATH
ns=mirror-system name=${REGISTRY:-mirror}
work=$(mktemp -d)
background=()
trap 'for p in "${background[@]}"; do kill "$p" 2>/dev/null || true; done; wait 2>/dev/null; rm -rf "$work"' EXIT
k() { kubectl -n "$ns" "$@"; }
field() { k get mirrorregistry "$name" -o "jsonpath={.status.$1}"; }

k get configmap "$name-registry-trust" -o jsonpath='{.data.ca\.crt}' >"$work/ca.crt"
host=$(field endpoint.url) host=${host#https://}
user=$(k get secret "$name-registry-admin" -o jsonpath='{.data.username}' | base64 -d)
(umask 077; printf 'user = "%s:%s"\n' "$user" "$(k get secret "$name-registry-admin" -o jsonpath='{.data.password}' | base64 -d)" >"$work/login")
ask() { in_lan curl -sS --cacert "$work/ca.crt" -K "$work/login" -o /dev/null -w '%{http_code}' "$@"; }

# 48 MiB that nothing will need.
blob() { # file
  local digest where
  digest=sha256:$(sha256sum "$1" | cut -d' ' -f1)
  where=$(in_lan curl -sS --cacert "$work/ca.crt" -K "$work/login" -X POST -D - -o /dev/null "https://$host/v2/junk/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
  [ "$(ask -X PUT --data-binary "@$1" -H 'Content-Type: application/octet-stream' "https://$host$where&digest=$digest")" = 201 ]
  printf '"digest":"%s","size":%d' "$digest" "$(stat -c %s "$1")"
}
echo "registry $host" >&2
head -c $((48 << 20)) /dev/urandom >"$work/layer"
echo '{}' >"$work/image-config"
layer=$(blob "$work/layer") config=$(blob "$work/image-config")
type=application/vnd.oci.image.manifest.v1+json
printf '{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"application/vnd.oci.image.config.v1+json",%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar",%s}]}' \
  "$type" "$config" "$layer" >"$work/manifest"
[ "$(ask -X PUT -H "Content-Type: $type" --data-binary "@$work/manifest" "https://$host/v2/junk/manifests/1")" = 201 ]
[ "$(ask -X DELETE "https://$host/v2/junk/manifests/1")" = 202 ]

# Somebody who pulls whole images without a pause, and somebody who wants to upload.
image=$host/kept/app:1
(umask 077; k get secret "$name-registry-admin" -o jsonpath='{.data.\.dockerconfigjson}' | base64 -d >"$work/config.json")
crane() { in_lan env SSL_CERT_FILE="$work/ca.crt" DOCKER_CONFIG="$work" crane "$@"; }
head -c $((8 << 20)) /dev/urandom >"$work/content"
tar -C "$work" -czf "$work/layer.tgz" content
crane append -f "$work/layer.tgz" -t "$image" >/dev/null
(while :; do
  if crane validate --remote "$image" >"$work/pull.out" 2>&1; then echo ok; else echo failed; cat "$work/pull.out" >>"$work/failed.out"; fi
done >"$work/pulls") &
background+=($!)
(while :; do ask -X POST "https://$host/v2/junk/blobs/uploads/"; echo; sleep 0.05; done >"$work/uploads") &
background+=($!)

wait_run() { # field before
  local end=$((SECONDS + 180))
  while [ "$(field "$1.lastRun")" = "$2" ]; do
    [ $SECONDS -lt $end ] || { k get jobs,pods; field conditions; echo "upkeep: no end of the run" >&2; return 1; }
    sleep 0.3
  done
}
bucket=$(k get mirrorregistry "$name" -o jsonpath='{.spec.storage.s3.bucket}')
if [ -n "$bucket" ]; then
  storage() { du -sk "$run/s3/root/$bucket/docker/registry/v2/blobs" | cut -f1; }
else
  volume=$(kubectl get pv "$(k get pvc "$name-registry" -o jsonpath='{.spec.volumeName}')" -o jsonpath='{.spec.hostPath.path}{.spec.local.path}')
  storage() { on_node 1 du -sk "$volume/docker/registry/v2/blobs" | cut -f1; }
fi

before=$(storage)
k patch mirrorregistry "$name" --type merge -p '{"spec":{"garbageCollection":{"gracePeriod":"0s"}}}' >/dev/null
last=$(field garbageCollection.lastRun) from=$SECONDS
k annotate mirrorregistry "$name" --overwrite "mirrors.kubic.io/collect-garbage=$(date -u +%FT%TZ)" >/dev/null
wait_run garbageCollection "$last"
took=$((SECONDS - from)) after=$(storage)
for i in $(seq 100); do [ "$(ask -X POST "https://$host/v2/junk/blobs/uploads/")" = 202 ] && break; sleep 0.2; done

if [ -z "$bucket" ]; then # the service of a bucket scrubs by itself
  last=$(field scrub.lastRun)
  k annotate mirrorregistry "$name" --overwrite "mirrors.kubic.io/scrub=$(date -u +%FT%TZ)" >/dev/null
  wait_run scrub "$last"
fi

pulls=$(grep -c ok "$work/pulls" || true) failed=$(grep -c failed "$work/pulls" || true) met=$(grep -c 405 "$work/uploads" || true)
printf '%-44s %s\n' \
  "collection" "$(field garbageCollection.lastResult): $(field garbageCollection.message), in $took s" \
  "freedBytes in the status" "$(field garbageCollection.freedBytes)" \
  "KiB of blobs on the node before, after" "$before, $after" \
  "whole pulls meanwhile, failed" "$pulls, $failed" \
  "uploads let in, refused by the freeze (405)" "$(grep -c 202 "$work/uploads" || true), $met" \
  "contents" "$(field contents)"
[ -n "$bucket" ] || printf '%-44s %s\n' \
  "scrub" "$(field scrub.lastResult): $(field scrub.message); $(field scrub.blobs) blobs, $(field scrub.bytes) bytes"
[ "$failed" = 0 ] && [ "$pulls" -gt 0 ] && [ "$met" -gt 0 ] && [ $((before - after)) -gt 40000 ] &&
  [ "$(field garbageCollection.freedBytes)" -gt 40000000 ] &&
  [ "$(field garbageCollection.lastResult)" = Succeeded ] && { [ -n "$bucket" ] || [ "$(field scrub.lastResult)" = Succeeded ]; }
