#!/usr/bin/env bash
# Pulls from a registry of a local cluster without pause while its pods are replaced: a change of configuration, of the
# image, a broken image, a drained node; and changes that must replace nothing. First with two replicas on a bucket of
# an S3 server in the LAN, then with one on a claim. Figures are printed; a rule that is broken is a line with FAILED.
#   LAB=demo NODES=2 e2e/demo.sh up && LAB=demo rollouts.sh
# RATE, WORKERS and PATIENCE: see pulls.sh.
set -euo pipefail
. "$(dirname "$0")/../cluster/lab.sh"
here=$(cd "$(dirname "$0")" && pwd)
ns=mirror-system registry=pair
. "$here/pulls.sh"
failed=0
rule() { local what=$1; shift; if "$@"; then echo "  holds   $what"; else echo "  FAILED  $what"; failed=1; fi; }
selector() { echo "app.kubernetes.io/name=mirror-registry,app.kubernetes.io/instance=$registry"; }
pods() { k get pods -l "$(selector)" -o 'jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[*].restartCount} {.status.initContainerStatuses[*].restartCount}{"\n"}{end}' | sort; }
condition() { field "{.status.conditions[?(@.type=='$1')].status}"; }
is() { [ "$(condition "$1")" = "$2" ]; }
hash_of() { k get deployment "$registry-registry" -o "jsonpath={.spec.template.$1}"; }
settled() { # the Deployment is what it should be, and nothing of before is left
  k rollout status deployment "$registry-registry" --timeout=$((180 * patience))s >/dev/null
  until_true 120 "the end of the old pods" sh -c "[ \$(kubectl -n $ns get pods -l '$(selector)' --no-headers | wc -l) = $1 ]"
}
patch() { k patch mirrorregistry "$registry" --type merge -p "$1" >/dev/null; }
failures() { echo $(($(count skopeo failed) + $(count crictl failed))); }
none_failed() { [ "$(failures)" = "$before" ]; }
ready() { is Ready True; }

# A second name for the same image: an update as good as any.
for n in $(nodes_of_lab); do on_node "$n" ctr -n k8s.io images tag --force "$distribution_image" "$distribution_image-new" >/dev/null; done

rollouts() { # replicas
  before=$(failures); mark
  local was; was=$(hash_of 'metadata.annotations')
  patch '{"spec":{"sparseIndexes":false}}'
  until_true 60 "the new configuration" changed "$was" hash_of metadata.annotations
  settled "$1"; row "configuration, $1 replica(s)" 1
  rule "no pull failed" none_failed

  before=$(failures); mark
  was=$(hash_of 'spec.initContainers[0].image')
  patch "{\"spec\":{\"image\":\"$distribution_image-new\"}}"
  until_true 60 "the new image" changed "$was" hash_of 'spec.initContainers[0].image'
  settled "$1"; row "image, $1 replica(s)" 1
  rule "no pull failed" none_failed

  before=$(failures); mark
  local serving; serving=$(pods)
  patch '{"spec":{"image":"localhost/there-is-none:1"}}'
  until_true 120 "Degraded" is Degraded True
  sleep 10
  rule "a broken image leaves the old pods serving" sh -c "kubectl -n $ns get pods -l '$(selector)' --no-headers | grep -c ' 2/2  *Running' | grep -qx $1"
  rule "and the registry is Ready" ready
  echo "          $(field "{.status.conditions[?(@.type=='Degraded')].reason}"): $(field "{.status.conditions[?(@.type=='Degraded')].message}" | cut -c1-150)"
  patch "{\"spec\":{\"image\":\"$distribution_image-new\"}}"
  until_true 60 "the end of Degraded" is Degraded False
  settled "$1"; row "broken image and back, $1 replica(s)" 1
  rule "the very same pods serve" [ "$serving" = "$(pods)" ]
  rule "no pull failed" none_failed

  before=$(failures); mark
  serving=$(pods)
  local was_serial; was_serial=$(served -serial)
  for what in certificate token-keys passwords; do
    k annotate mirrorregistry "$registry" --overwrite "mirrors.kubic.io/rotate-$what=$(date -u +%FT%TZ)" >/dev/null
  done
  k create secret generic alice --from-literal=password=wonderland --dry-run=client -o yaml | k apply -f - >/dev/null
  patch '{"spec":{"auth":{"users":[{"name":"alice","role":"Push","passwordSecretRef":{"name":"alice"}}],"acl":[{"account":"alice","name":"home/alice/*","actions":["push","pull"]}]}}}'
  nudge=touch_pods; until_true 180 "the new certificate on the socket" changed "$was_serial" served -serial
  until_true 180 "the new user's login" alice; nudge=
  row "certificate, keys, passwords, user, rule" 5
  rule "nothing restarted" [ "$serving" = "$(pods)" ]
  rule "no pull failed" none_failed
  patch '{"spec":{"auth":{"users":null,"acl":null}}}'
}
alice() { [ "$(in_lan curl -s -o /dev/null -w '%{http_code}' --cacert "$work/certs/ca.crt" -u alice:wonderland "$(cat "$work/url")/auth/token?service=x&account=alice")" = 200 ]; }
touch_pods() { k annotate pods -l "$(selector)" --overwrite "torture=$(date +%s%N)" >/dev/null; }
drain() { kubectl drain "$1" --ignore-daemonsets --delete-emptydir-data --force --timeout=$((180 * patience))s >"$work/drain.log" 2>&1; }
evict() { kubectl create --raw "/api/v1/namespaces/$ns/pods/$1/eviction" -f - <<<"{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":\"$1\",\"namespace\":\"$ns\"}}" 2>&1; }

# --- an S3 server in the LAN, a registry on it, its content ---
s3_server images
"$here/../cluster/upstream.sh" start >/dev/null
k create secret generic bucket --from-literal=accessKey=lab --from-literal=secretKey=lab-secret --dry-run=client -o yaml | k apply -f - >/dev/null
k apply -f - >/dev/null <<EOF
apiVersion: mirrors.kubic.io/v1alpha1
kind: MirrorRegistry
metadata: {name: pair}
spec:
  replicas: 2
  storage: {s3: {bucket: images, endpoint: "http://$lan_ip:7070", forcePathStyle: true, credentialsSecretRef: {name: bucket}}}
EOF
k get mirrorlist kubic -o json | jq 'del(.metadata, .status) | .metadata.name = "pair" | .spec.registryRef.name = "pair"' | k apply -f - >/dev/null
k wait --for=condition=Ready mirrorregistry/pair mirrorlist/pair --timeout=$((300 * patience))s >/dev/null || { k get mirrorregistry,mirrorlist,pods -o wide; exit 2; }
# That nodes turn to the upstream from a mirror that does not answer is measured by nodes.sh; here it would hide when a
# registry did not.
move() { # nodes pull from that registry
  kubectl patch noderegistryconfig mirror --type merge -p "{\"spec\":{\"registryRef\":{\"name\":\"$1\"},\"health\":{\"withdraw\":false}}}" >/dev/null
  local at; at=$(k get mirrorregistry "$1" -o 'jsonpath={.status.endpoint.url}')
  for n in $(nodes_of_lab); do until_true 240 "node$n pulls from $1" on_node "$n" grep -qF "$at" /etc/containerd/certs.d/registry.opensuse.org/hosts.toml; done
}
work=$run/torture; mkdir -p "$work"; touch "$work/failures"
move pair
"$here/../cluster/upstream.sh" stop >/dev/null

echo "== two replicas on a bucket"
pulls_begin
sleep 5; rollouts 2
before=$(failures); mark
first=$(pods | sed -n '1s/ .*//p') second=$(pods | sed -n '2s/ .*//p')
one=$(evict "$first") || true; two=$(evict "$second") || true
one_refused() { [ "$(printf '%s\n' "$one" "$two" | grep -c 'disruption budget')" = 1 ]; }
rule "of two evictions at once the PodDisruptionBudget lets one pass" one_refused
settled 2; row "eviction, 2 replicas" 1
rule "no pull failed" none_failed
for node in $(kubectl get nodes -o name | cut -d/ -f2); do
  before=$(failures); mark
  drain "$node" || { tail -n 3 "$work/drain.log"; failed=1; }
  settled 2; row "drain of $node, 2 replicas" 1
  rule "no pull failed" none_failed
  kubectl uncordon "$node" >/dev/null
done
pulls_end

echo "== one replica on a claim"
registry=mirror
move mirror
pulls_begin
sleep 5; rollouts 1
before=$(failures); mark
node=$(k get pods -l "$(selector)" -o 'jsonpath={.items[0].spec.nodeName}')
other=$(kubectl get nodes -o name | cut -d/ -f2 | grep -vx "$node" | head -n 1)
drain "$node" & drained=$!
sleep 5
# The claim is on that node's disk: until it is back nobody serves. The kubelet asks again by itself.
kubectl -n default delete pod patient --ignore-not-found --grace-period=1 >/dev/null
kubectl -n default run patient --image=registry.opensuse.org/opensuse/nginx:1.17 --image-pull-policy=Always --restart=Never \
  --overrides="{\"spec\":{\"nodeName\":\"$other\",\"terminationGracePeriodSeconds\":1}}" >/dev/null
sleep 10
wait "$drained" || { tail -n 3 "$work/drain.log"; failed=1; }
kubectl uncordon "$node" >/dev/null
settled 1
rule "a pod created meanwhile runs without anybody's help" kubectl -n default wait --for=condition=Ready pod/patient --timeout=$((180 * patience))s
row "drain of $node, its only replica on it" 1
kubectl -n default delete pod patient --grace-period=1 >/dev/null
pulls_end 12
exit $failed
