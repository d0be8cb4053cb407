#!/usr/bin/env bash
# What nodes go through while the mirror hangs, dies and changes, on a lab where the demo is up:
#   LAB=name NODES=2 e2e/demo.sh up && LAB=name e2e/torture/nodes.sh [CHANGES]
# NODE=2, with a lab of CRIO=2, does it on a node of CRI-O.
# A mirror that hangs (its gateway is stopped, connections are accepted and never answered) and one that is gone: how
# soon it is withdrawn, what a pull takes then, how soon it is back. Then CHANGES (100) changes of mirrors and CA under
# pull loops of the node's runtime and podman, with the source stopped, so that every pull proves the mirror: no pull
# may fail, no runtime may restart.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../cluster/lab.sh"
export KUBECONFIG=$run/kubeconfig PATH=$bin:$PATH
changes=${1:-100}
node=${NODE:-1}
case $(kubectl get node "node$node" -o jsonpath='{.status.nodeInfo.containerRuntimeVersion}') in
  cri-o:*) runtime=crio certs=/etc/containers/certs.d hosts=/etc/containers/registries.conf.d/50-mirror-operator.conf ;;
  *) runtime=containerd certs=/etc/containerd/certs.d hosts=$certs/registry.opensuse.org/hosts.toml ;;
esac
socket=unix:///run/$runtime/$runtime.sock
image=registry.opensuse.org/opensuse/busybox:1.35
node() { "$here/../cluster/cluster.sh" node "$@"; }
out=$(mktemp -d)
failure=$out/failure failures=$out/failures
: >"$failures"
now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN{printf "%.1f", b-a}'; }
row() { printf '%-52s %8s s\n' "$1" "$2"; }
# The image need not be there.
forget() { node "$1" crictl --runtime-endpoint "$socket" rmi "$image" >/dev/null 2>&1 || true; }
pull() { # node
  forget "$1"
  local from; from=$(now)
  if node "$1" crictl --runtime-endpoint "$socket" pull "$image" >/dev/null 2>"$failure"; then since "$from"
  else { date -u +%T; cat "$failure"; } >>"$failures"; echo FAILED; fi
}
until_() { # limit, command...
  local from limit=$1; shift; from=$(now)
  until "$@" >/dev/null 2>&1; do
    awk -v a="$from" -v b="$(now)" -v l="$limit" 'BEGIN{exit !(b-a>l)}' && { echo ">$limit"; return; }
    sleep 0.2
  done
  since "$from"
}
gone() { ! node "$node" test -e $hosts; }
there() { node "$node" test -e $hosts; }

"$here/../cluster/upstream.sh" start >/dev/null
registry_node=$(kubectl -n mirror-system get pods -l app.kubernetes.io/name=mirror-registry -o jsonpath='{.items[0].spec.nodeName}')
at=${registry_node#node}
gateway() { node "$at" pkill "-$1" -f 'io.kubic.mirrors.Main gateway'; } # in the node's own PID namespace
trap 'gateway CONT || true' EXIT

# The upstream's own CA, as an administrator would have put it there: without it nobody could fall back to it.
for d in /etc/containerd/certs.d /etc/containers/certs.d; do
  node "$node" sh -c "mkdir -p $d/registry.opensuse.org && cat >$d/registry.opensuse.org/upstream.crt" <"$run/pki/upstream-ca.crt"
done
until_ 120 there >/dev/null
[ $runtime = crio ] || until_ 60 node "$node" grep -q upstream.crt $hosts >/dev/null
row "pull through the mirror" "$(pull "$node")"
gateway STOP
row "hanging: withdrawn after" "$(until_ 60 gone)"
row "hanging, withdrawn: pull" "$(pull "$node")"
gateway CONT
row "hanging: back after" "$(until_ 90 there)"

kubectl -n mirror-system patch mirrorregistry mirror --type merge -p '{"spec":{"suspend":true}}' >/dev/null
kubectl -n mirror-system scale deployment -l app.kubernetes.io/name=mirror-registry --replicas=0 >/dev/null
kubectl -n mirror-system wait --for=delete pod -l app.kubernetes.io/name=mirror-registry --timeout=120s >/dev/null || true
row "dead: pull at once, not withdrawn yet" "$(pull "$node")"
row "dead: withdrawn after" "$(until_ 60 gone)"
row "dead, withdrawn: pull" "$(pull "$node")"
kubectl -n mirror-system scale deployment -l app.kubernetes.io/name=mirror-registry --replicas=1 >/dev/null
kubectl -n mirror-system patch mirrorregistry mirror --type merge -p '{"spec":{"suspend":false}}' >/dev/null
kubectl -n mirror-system rollout status deployment -l app.kubernetes.io/name=mirror-registry --timeout=120s >/dev/null
row "dead: back after the registry is ready" "$(until_ 90 there)"
trap - EXIT

# --- changes under pull loops ---------------------------------------------------------------------------------------
url=$(kubectl -n mirror-system get mirrorregistry mirror -o 'jsonpath={.status.endpoint.url}')
until_ 90 node "$node" grep -q "${url#https://}" $hosts >/dev/null
"$here/../cluster/upstream.sh" stop
started() { node "$node" sh -c "pgrep -x $runtime | head -n 1"; }
before=$(started)
kubectl patch nrc mirror --type merge -p '{"spec":{"rollout":{"soak":"1s","maxUnavailable":2}}}' >/dev/null
kubectl create namespace torture --dry-run=client -o yaml | kubectl apply -f - >/dev/null
( while [ ! -e "$out/stop" ]; do echo "$(pull "$node")" >>"$out/runtime"; done ) &
loops=$!
( while [ ! -e "$out/stop" ]; do
    node "$node" sh -c "podman --storage-driver vfs --root /tmp/torture --runroot /tmp/torture-run rmi -f $image >/dev/null 2>&1; podman --storage-driver vfs --root /tmp/torture --runroot /tmp/torture-run pull -q $image" >>"$out/podman.log" 2>&1 \
      && echo ok >>"$out/podman" || echo FAILED >>"$out/podman"
  done ) &
loops="$loops $!"
for i in $(seq "$changes"); do
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj "/CN=torture $i" -days 1 -out "$out/ca.crt" 2>/dev/null
  kubectl -n torture create configmap extra-ca --from-file=ca.crt="$out/ca.crt" --dry-run=client -o yaml | kubectl apply -f - >/dev/null
  port=$((6000 + i))
  kubectl patch nrc mirror --type merge -p "{\"spec\":{\"blockedRegistries\":[\"blocked$i.example\"],\"trust\":{\"additionalCAs\":[{\"host\":\"extra.example:$port\",\"configMapRef\":{\"name\":\"extra-ca\",\"namespace\":\"torture\"}}]}}}" >/dev/null
  hash=
  for _ in $(seq 450); do
    node "$node" test -e "$certs/extra.example:$port/mirror-operator.crt" && { hash=1; break; }
    sleep 0.4
  done
  [ -n "$hash" ] || { echo "change $i did not arrive"; break; }
done
touch "$out/stop"
wait $loops || true
# Each went on as soon as this node had it; the last one reaches all.
everywhere() { local n; for n in $(nodes_of_lab); do node "$n" sh -c "ls /etc/contain*/certs.d/extra.example:$((6000 + i))/mirror-operator.crt" || return 1; done; }
row "the last change on all nodes after" "$(until_ 300 everywhere)"
kubectl patch nrc mirror --type json -p '[{"op":"remove","path":"/spec/blockedRegistries"},{"op":"remove","path":"/spec/trust"}]' >/dev/null
kubectl delete namespace torture --wait=false >/dev/null
left() { local n; for n in $(nodes_of_lab); do node "$n" find /etc/containerd /etc/containers -name 'extra.example*' -o -name 'blocked*.example'; done; }
nothing_left() { [ -z "$(left)" ]; }
row "the changes taken back on all nodes after" "$(until_ 300 nothing_left)"
left | head -n 5
# grep -c ends with 1 when it counts 0, which is what is hoped for.
printf '%-52s %8s\n' "changes of mirrors and CA" "$i" \
  "pulls by $runtime" "$(wc -l <"$out/runtime")" "  of them failed" "$(grep -c FAILED "$out/runtime" || true)" \
  "pulls by podman" "$(wc -l <"$out/podman")" "  of them failed" "$(grep -c FAILED "$out/podman" || true)" \
  "restarts of $runtime" "$([ "$before" = "$(started)" ] && echo 0 || echo 1)"
[ ! -s "$failures" ] || { echo "pulls by $runtime that failed:"; tail -n 20 "$failures"; }
grep -h Error "$out/podman.log" | sort | uniq -c | sort -rn | head -n 5 || true
rm -rf "$out"
