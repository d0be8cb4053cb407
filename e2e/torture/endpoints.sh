#!/usr/bin/env bash
# Pulls from the mirror of a local cluster without pause while its endpoint moves: from the ClusterIP to a LoadBalancer,
# to an Ingress, to a NodePort, and back. The balancer's address is given to the Service by this script, as a cloud's
# controller would, and routed to a node, where kube-proxy takes it; the Ingress controller is e2e/tools/ingress.
#   LAB=demo NODES=2 e2e/demo.sh up && LAB=demo endpoints.sh
# REGISTRY chooses another than mirror; RATE, WORKERS and PATIENCE: see pulls.sh. A rule that is broken is a line with FAILED, and the end is not 0.
set -euo pipefail
. "$(dirname "$0")/../cluster/lab.sh"
here=$(cd "$(dirname "$0")" && pwd)
ns=mirror-system registry=${REGISTRY:-mirror} balancer_ip=10.89.0.50
. "$here/pulls.sh"
failed=0
rule() { local what=$1; shift; if "$@"; then echo "  holds   $what"; else echo "  FAILED  $what"; failed=1; fi; }
patch() { k patch mirrorregistry "$registry" --type merge -p "$1" >/dev/null; }
url() { field '{.status.endpoint.url}'; }
is_url() { [ "$(url)" = "$1" ]; }
failures() { echo $(($(count skopeo failed) + $(count crictl failed))); }
none_failed() { [ "$(failures)" = "$before" ]; }
shows() { certificate_at "$1" -ext subjectAltName | grep -qF "$2"; }
answers() { [ "$(in_lan curl -s -o /dev/null -w '%{http_code}' --max-time 3 --cacert "$work/certs/ca.crt" "$1/v2/")" = 401 ]; }
silent() { ! answers "$1"; }
node_uses() { on_node "$1" grep -qF "\"$2/" /etc/containerd/certs.d/registry.opensuse.org/hosts.toml; }
on_old() { local n; for n in $(nodes_of_lab); do node_uses "$n" "$1" || return 1; done; }
one_by_one() { # what, new URL, its name in the certificate: how the move goes, from the old URL in $old
  until_true 240 "$2 announced" is_url "$2"
  rule "the old address shows $3 by the time it is announced" shows "$old" "$3"
  rule "the new one answers" answers "$2"
  local n
  for n in $(nodes_of_lab); do until_true 240 "node$n pulls from $2" node_uses "$n" "$2"; done
  rule "the old address answers when all nodes have moved" answers "$old"
  row "$1" 1
  rule "no pull failed" none_failed
}
nudge=touch_pods
touch_pods() { k annotate pods -l app.kubernetes.io/name=mirror-registry --overwrite "torture=$(date +%s%N)" >/dev/null; }

"$here/../tools/build-own.sh" "$here/../tools/ingress" "$bin"
ip -n "$lan" addr replace "$ingress_ip/24" dev br0
ip -n "$lan" route replace "$balancer_ip/32" via "$(node_ip 1)"
setsid nsenter --net="/run/netns/$lan" "$bin/ingress" -server "https://$lan_ip:6443" -ca "$run/pki/ca.crt" -cert "$run/pki/admin.crt" -key "$run/pki/admin.key" \
  -listen "$ingress_ip:443" >>"$run/log/ingress.log" 2>&1 </dev/null &
controller=$!
# See rollouts.sh: here the endpoint alone is judged.
kubectl patch noderegistryconfig mirror --type merge -p '{"spec":{"health":{"withdraw":false}}}' >/dev/null
pulls_begin
trap 'touch "$work/stop"; wait "${pids[@]}" 2>/dev/null || true; rm -rf "$work"; kill "$controller" 2>/dev/null || true' EXIT
patch '{"spec":{"certificates":{"ca":{"overlap":"30s"}}}}'
sleep 5

before=$(failures); mark; old=$(url); first=$old
patch '{"spec":{"endpoint":{"type":"LoadBalancer","port":5000}}}'
balanced() { [ "$(k get service "$registry-registry" -o 'jsonpath={.spec.type}')" = LoadBalancer ]; }
until_true 60 "a Service with a balancer" balanced
sleep 5
rule "the registry says that it waits for the balancer" sh -c "kubectl -n $ns get mirrorregistry $registry -o yaml | grep -q EndpointPending"
rule "without an address the old one stays" is_url "$old"
rule "and nodes pull from it" on_old "$old"
k patch service "$registry-registry" --subresource=status --type merge -p "{\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"$balancer_ip\"}]}}}" >/dev/null
one_by_one "to a LoadBalancer" "https://$balancer_ip:5000" "$balancer_ip"

before=$(failures); mark; old=$(url)
patch '{"spec":{"endpoint":{"type":"Ingress","hostname":"ingress.lan"}}}'
one_by_one "to an Ingress" https://ingress.lan ingress.lan

before=$(failures); mark
nothing_before() { [ -z "$(field '{.status.endpoint.previous}')" ]; }
until_true 240 "the end of the balancer" nothing_before
type() { [ "$(k get service "$registry-registry" -o 'jsonpath={.spec.type}')" = "$1" ]; }
until_true 60 "a Service without a balancer" type ClusterIP
row "the old addresses end" 2
rule "no pull failed" none_failed

before=$(failures); mark; old=$(url)
patch "{\"spec\":{\"endpoint\":{\"type\":\"NodePort\",\"hostname\":\"$(node_ip 2)\"}}}"
until_true 60 "a Service with a port of the nodes" type NodePort
one_by_one "to a NodePort" "https://$(node_ip 2):$(k get service "$registry-registry" -o 'jsonpath={.spec.ports[0].nodePort}')" "$(node_ip 2)"
until_true 240 "the end of the Ingress" nothing_before

before=$(failures); mark; old=$(url)
patch '{"spec":{"endpoint":{"type":"ClusterIP","hostname":null}}}'
one_by_one "back to the ClusterIP" "$first" "$(sed -E 's,https://(.*):.*,\1,' <<<"$first")"
until_true 240 "the end of the NodePort" nothing_before
until_true 60 "a Service without a port of the nodes" type ClusterIP
pulls_end
exit $failed
