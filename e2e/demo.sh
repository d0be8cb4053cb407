#!/usr/bin/env bash
# The whole story, once, for real. `make demo` and `make demo-down` call this.
#   demo.sh up | down
# CLUSTER=external with KUBECONFIG and IMAGE (a name under which that cluster can pull our image) uses a cluster that
# exists; the upstream then listens on this machine (UPSTREAM_LISTEN=ADDRESS:PORT, by default the address that
# reaches the API server, port 5443). With NODES=2, CRIO=2 lets node 2 run CRI-O instead of containerd.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/cluster/lab.sh"
cd "$lab_root"
CLUSTER=${CLUSTER:-local}
nodes=${NODES:-1}
ns=mirror-system                     # operator, registry and list
version=$(sed -n 's:.*<version>\(.*\)</version>.*:\1:p' pom.xml | head -n 1)
pod_image=registry.opensuse.org/kubic/demo:1.1
begin=$SECONDS
bold=; plain=; [ -t 1 ] && { bold=$'\e[1m'; plain=$'\e[0m'; }

names=() times=()
stage() { finish; name=$1; from=$SECONDS; printf '%s==> %s%s\n' "$bold" "$name" "$plain"; }
finish() { [ -z "${name:-}" ] || { names+=("$name"); times+=($((SECONDS - from))); name=; }; }
note() { printf '    %s\n' "$*"; }
k() { kubectl "$@"; }

# --- what went wrong, in the lines that tell ----------------------------------------------------------------------
lines() { sed 's/^/    | /' | cut -c1-240; }
explain() {
  local code=$?
  trap - ERR EXIT
  [ "$code" != 0 ] || return 0
  set +e
  echo "${bold}FAILED after $((SECONDS - begin)) s in: ${name:-the end}${plain}"
  [ -z "${KUBECONFIG:-}" ] && exit "$code"
  echo "  not ready:"
  k get mirrorregistries,mirrorlists,noderegistryconfigs -A -o json 2>/dev/null | jq -r '.items[] | . as $o | (.status.conditions // [])[]
      | select((.type == "Ready" and .status != "True") or (.type == "Stalled" and .status == "True"))
      | "\($o.kind)/\($o.metadata.name): \(.type)=\(.status) \(.reason): \(.message)"' | lines
  k get pods -A --no-headers 2>/dev/null | awk '{split($3,r,"/"); if (r[1] != r[2] && $4 != "Completed") print}' | head -n 10 | lines
  k get events -A --sort-by=.lastTimestamp -o json 2>/dev/null | jq -r '.items[] | select(.type == "Warning") | "\(.involvedObject.kind)/\(.involvedObject.name): \(.reason): \(.message)"' | tail -n 6 | lines
  local p
  for p in $(k get pods -A -o json 2>/dev/null | jq -r '.items[] | select(.spec.containers | any(.image | test("mirror-operator|distribution"))) | .metadata.namespace + "/" + .metadata.name'); do
    echo "  last lines of pod $p:"
    k -n "${p%/*}" logs "${p#*/}" --all-containers --tail=6 2>&1 | lines
  done
  if [ "$CLUSTER" = local ]; then
    echo "  containerd's last complaints:"
    grep -hE 'level=(error|fatal)' "$run"/log/node*-containerd.log 2>/dev/null | tail -n 4 | lines
    echo "  all logs: $run/log; the cluster still runs: KUBECONFIG=$KUBECONFIG; stop it with make demo-down"
  fi
  exit "$code"
}

# --- pieces ---------------------------------------------------------------------------------------------------------
upstream() { "$here/cluster/upstream.sh" "$@" | sed 's/^/    /'; }

# The samples as they are, but told how the stand-in of registry.opensuse.org is reached and trusted.
samples() {
  local f
  for f in config/samples/*.yaml; do
    [ "$(basename "$f")" = kustomization.yaml ] && continue
    k create --dry-run=client --validate=false -o json -f "$f"
  done | jq -c --arg ns "$ns" --arg endpoint "${endpoint:-}" '
    (if .kind == "List" then .items[] else . end)
    | if .kind == "NodeRegistryConfig" then . else .metadata.namespace = $ns end
    | if .kind == "MirrorList" then
        .spec.sources[] |= (.tls.caBundleRef = {name: "upstream-ca"} | if $endpoint == "" then . else .endpoints = [$endpoint] end)
      else . end'
}

# One line per object: what is True, why not, how far.
state() {
  k get mirrorregistries,mirrorlists,noderegistryconfigs -A -o json | jq -r '[.items[] | . as $o
    | ((.status.conditions // []) | map(select(.type == "Ready"))[0]) as $ready
    | "\(.kind)/\(.metadata.name) " + (if $ready == null then "new" elif $ready.status == "True" then "Ready" else "waits (\($ready.reason))" end)
      + (if .status.progress.total then " \(.status.progress.completed // 0)/\(.status.progress.total)" else "" end)] | join(", ")'
}
wait_ready() { # seconds
  local limit=$((SECONDS + $1)) last= now
  while :; do
    now=$(state 2>/dev/null || true)
    [ "$now" = "$last" ] || { note "$((SECONDS - from)) s: $now"; last=$now; }
    [ "$(k get mirrorregistries,mirrorlists,noderegistryconfigs -A -o json 2>/dev/null | jq '[.items[] | select((.status.conditions // []) | any(.type == "Ready" and .status == "True"))] | length')" = 3 ] && return
    [ $SECONDS -lt $limit ] || { echo "    not all three are Ready after $1 s" >&2; return 1; }
    sleep 1
  done
}

up() {
  trap explain ERR EXIT
  stage "Prerequisites and tools"
  "$here/prerequisites.sh"
  export JAVA_HOME=${JAVA_HOME:-$(hack/find-jdk.sh)}
  "$here/tools/build.sh" "$bin"
  export PATH=$bin:$PATH

  stage "The operator's jar and image"
  hack/image/build.sh | sed 's/^/    /'

  local image registry_image
  if [ "$CLUSTER" = external ]; then
    stage "A cluster of yours"
    [ -n "${KUBECONFIG:-}" ] || { echo "    CLUSTER=external needs KUBECONFIG" >&2; exit 2; }
    [ -n "${IMAGE:-}" ] || { echo "    CLUSTER=external needs IMAGE: push the image where the cluster can pull it, for example
      skopeo copy docker-archive:operator/target/mirror-operator-image.tar docker://registry.example/mirror-operator:$version
    and say IMAGE=registry.example/mirror-operator:$version" >&2; exit 2; }
    image=$IMAGE registry_image=${REGISTRY_IMAGE:-}
    k get nodes | sed 's/^/    /'
    note "its nodes get files below /etc/containerd/certs.d and /etc/containers; make demo-down takes them back"
    local server; server=$(k config view --minify -o jsonpath='{.clusters[0].cluster.server}' | sed -E 's#^https://([^:/]+).*#\1#')
    export UPSTREAM_LISTEN=${UPSTREAM_LISTEN:-$(ip route get "$(getent ahostsv4 "$server" | awk 'NR==1{print $1}')" | sed -n 's/.* src \([0-9.]*\).*/\1/p'):5443}
    endpoint=https://$UPSTREAM_LISTEN
  else
    stage "Kubernetes with $nodes node(s)"
    "$here/cluster/cluster.sh" up --nodes "$nodes" ${CRIO:+--crio "$CRIO"} | sed 's/^/    /'
    export KUBECONFIG=$run/kubeconfig
    image=localhost/mirror-operator:$version registry_image=$distribution_image
    "$here/cluster/cluster.sh" load operator/target/mirror-operator-image.tar "$image" 2>&1 | sed 's/^/    /'
  fi

  stage "The upstream: a registry that plays registry.opensuse.org"
  upstream start

  stage "The operator, by its chart"
  helm upgrade --install mirror-operator helm/mirror-operator --namespace "$ns" --create-namespace \
    --set "image.repository=${image%:*}" --set "image.tag=${image##*:}" ${registry_image:+--set "registryImage=$registry_image"} \
    --wait --timeout 3m >"$run/log/helm.log" 2>&1 || { tail -n 5 "$run/log/helm.log" >&2; false; }
  k wait --for=condition=Established crd/mirrorregistries.mirrors.kubic.io crd/mirrorlists.mirrors.kubic.io crd/noderegistryconfigs.mirrors.kubic.io --timeout=30s >/dev/null
  k -n "$ns" get pods --no-headers | sed 's/^/    /'

  stage "The three resources of the how-to (config/samples)"
  k -n "$ns" create configmap upstream-ca --from-file=ca.crt="$run/pki/upstream-ca.crt" --dry-run=client -o yaml | k apply -f - >/dev/null
  samples | k apply -f - | sed 's/^/    /'
  wait_ready "${DEMO_TIMEOUT:-300}"

  stage "A pod, with the upstream gone"
  upstream stop
  k -n default delete pod hello --ignore-not-found --grace-period=1 >/dev/null
  k -n default apply -f - >/dev/null <<EOF
apiVersion: v1
kind: Pod
metadata: {name: hello}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: hello, image: "$pod_image", imagePullPolicy: Always}
EOF
  k -n default wait --for=condition=Ready pod/hello --timeout=90s >/dev/null || { k -n default get events --field-selector involvedObject.name=hello | tail -n 5 | sed 's/^/    /'; false; }
  local id want repo tag
  repo=${pod_image#*/} tag=${repo##*:} repo=${repo%:*}
  id=$(k -n default get pod hello -o jsonpath='{.status.containerStatuses[0].imageID}')
  want=$(jq -r --arg r "$repo" --arg t "$tag" '.[] | select(.repository == $r and .tag == $t) | ([.digest] + [.platforms[]])[]' "$run/upstream.json")
  grep -qx "${id##*@}" <<<"$want" || { echo "    the pod runs $id, the upstream had $want" >&2; false; }
  note "$pod_image runs on $(k -n default get pod hello -o jsonpath='{.spec.nodeName}')"
  note "imageID $id, as the upstream had it"
  note "it says: $(k -n default logs hello | head -n 1)"
  finish
  trap - ERR EXIT

  echo; k get mirrors -A; echo
  local i
  for i in "${!names[@]}"; do printf '  %4d s  %s\n' "${times[$i]}" "${names[$i]}"; done
  printf '  %4d s  in all\n\n' $((SECONDS - begin))
  cat <<EOF
Try next:
  export KUBECONFIG=$KUBECONFIG PATH=$bin:\$PATH
  kubectl -n $ns get mirrorlist -o yaml          # what was copied, when it runs again
  kubectl -n $ns get events                      # what happened
  kubectl run more --image=registry.opensuse.org/opensuse/busybox:1.35
EOF
  [ "$CLUSTER" = external ] || cat <<EOF
  e2e/cluster/cluster.sh node 1 find /etc/containerd/certs.d -type f     # what the agent wrote
  e2e/cluster/upstream.sh start                  # the upstream is back
EOF
  echo "Stop:  make demo-down"
}

down() {
  if [ "$CLUSTER" = external ]; then
    export PATH=$bin:$PATH
    [ -n "${KUBECONFIG:-}" ] || { echo "demo: CLUSTER=external needs KUBECONFIG" >&2; exit 2; }
    k -n default delete pod hello --ignore-not-found --grace-period=1
    # The nodes first: the operator gives them back their files.
    k delete noderegistryconfigs --all --timeout=120s || true
    k -n "$ns" delete mirrorlists,mirrorregistries --all --timeout=120s || true
    helm uninstall mirror-operator --namespace "$ns" --wait || true
    k delete namespace "$ns" --ignore-not-found
    UPSTREAM_LISTEN=${UPSTREAM_LISTEN:-$(sed -n 's/^  addr: //p' "$run/upstream/config.yml" 2>/dev/null)} "$here/cluster/upstream.sh" stop || true
    rm -rf "$run"
  else
    "$here/cluster/cluster.sh" down
  fi
}

case ${1:-} in up) up ;; down) down ;; *) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2 ;; esac
