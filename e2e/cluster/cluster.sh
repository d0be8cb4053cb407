#!/usr/bin/env bash
# A real Kubernetes cluster in network namespaces of this machine; nothing of the machine itself is changed.
#   cluster.sh up [--nodes N] [--crio NODE]   start (2 nodes unless said; one of them may run CRI-O instead of containerd)
#   cluster.sh load TAR [NAME]    put an image archive on every node, under that name
#   cluster.sh lan CMD...         run a command in the cluster's LAN
#   cluster.sh node N CMD...      run a command on a node
#   cluster.sh status             what runs
#   cluster.sh down               stop everything and leave nothing behind; works after a crash as well
# LAB=name chooses one of several clusters. The kubeconfig is e2e/.run/$LAB/kubeconfig.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lab.sh"
say() { printf 'cluster: %5.1f s  %s\n' "$(awk -v a="$started" -v b="$EPOCHREALTIME" 'BEGIN{print b-a}')" "$*"; }
die() { echo "cluster: $*" >&2; exit 1; }
started=$EPOCHREALTIME

# --- certificates ---------------------------------------------------------------------------------------------------
kubeconfig() { # file server certificate-name
  { echo "apiVersion: v1"; echo "kind: Config"; echo "current-context: $prefix"
    echo "clusters: [{name: $prefix, cluster: {server: '$2', certificate-authority-data: $(base64 -w0 <"$run/pki/ca.crt")}}]"
    echo "users: [{name: $3, user: {client-certificate-data: $(base64 -w0 <"$run/pki/$3.crt"), client-key-data: $(base64 -w0 <"$run/pki/$3.key")}}]"
    echo "contexts: [{name: $prefix, context: {cluster: $prefix, user: $3}}]"; } >"$1"
  chmod 600 "$1"
}
make_pki() {
  mkdir -p "$run/pki"; cd "$run/pki"
  authority ca lab-ca; authority front-proxy-ca lab-front-proxy-ca; authority upstream-ca "Upstream CA of the demo"
  openssl genrsa -out sa.key 2048 2>/dev/null; openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
  certificate ca apiserver /CN=kube-apiserver "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:10.96.0.1,IP:$lan_ip"
  certificate ca admin /O=system:masters/CN=admin
  certificate ca kube-controller-manager /CN=system:kube-controller-manager
  certificate ca kube-scheduler /CN=system:kube-scheduler
  certificate ca kube-proxy /CN=system:kube-proxy
  certificate ca apiserver-kubelet-client /O=system:masters/CN=apiserver-kubelet-client
  certificate front-proxy-ca front-proxy-client /CN=front-proxy-client
  certificate upstream-ca upstream /CN=registry.opensuse.org "DNS:registry.opensuse.org,IP:$upstream_ip"
  local n; for n in $(seq "$1"); do certificate ca "node$n" "/O=system:nodes/CN=system:node:node$n" "DNS:node$n,IP:$(node_ip "$n")"; done
  cd - >/dev/null
}

# --- network --------------------------------------------------------------------------------------------------------
make_network() { # nodes
  local n m
  ip netns add "$lan"
  ip -n "$lan" link set lo up
  ip -n "$lan" link add br0 type bridge
  ip -n "$lan" addr add "$lan_ip/24" dev br0
  ip -n "$lan" addr add "$upstream_ip/24" dev br0
  ip -n "$lan" link set br0 up
  nsenter --net="/run/netns/$lan" sysctl -qw net.ipv4.ip_forward=1
  for n in $(seq "$1"); do
    ip netns add "$prefix-node$n"
    ip -n "$prefix-node$n" link set lo up
    # Both ends are made inside: no name of theirs is ever seen in the machine's own namespace.
    ip -n "$lan" link add "n$n" type veth peer name eth0 netns "$prefix-node$n"
    ip -n "$lan" link set "n$n" master br0 up
    ip -n "$prefix-node$n" addr add "$(node_ip "$n")/24" dev eth0
    ip -n "$prefix-node$n" link set eth0 up
    nsenter --net="/run/netns/$prefix-node$n" sysctl -qw net.ipv4.ip_forward=1
    ip -n "$lan" route add "10.244.$n.0/24" via "$(node_ip "$n")"
    # A process of the node itself needs a route to ClusterIPs before kube-proxy can rewrite them.
    ip -n "$prefix-node$n" route add 10.96.0.0/16 dev eth0
  done
  for n in $(seq "$1"); do for m in $(seq "$1"); do
    [ "$n" = "$m" ] || ip -n "$prefix-node$n" route add "10.244.$m.0/24" via "$(node_ip "$m")"
  done; done
  ip -n "$lan" route add 10.96.0.0/16 via "$(node_ip 1)"
  printf 'nameserver %s\noptions timeout:1 attempts:2\n' "$lan_ip" >"$run/resolv.conf"
}

make_cgroups() { # node
  local c d
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then       # one hierarchy (v2)
    for d in "/sys/fs/cgroup/$prefix" "/sys/fs/cgroup/$prefix/node$1"; do
      for c in cpuset cpu io memory pids; do echo "+$c" >"$(dirname "$d")/cgroup.subtree_control" 2>/dev/null || true; done
      mkdir -p "$d"
    done
    return
  fi
  for c in /sys/fs/cgroup/*/; do
    c=${c%/}; [ "${c##*/}" = unified ] && continue
    for d in "$c/$prefix" "$c/$prefix/node$1"; do
      mkdir -p "$d"
      [ -f "$d/cpuset.cpus" ] && { cat "$c/cpuset.cpus" >"$d/cpuset.cpus"; cat "$c/cpuset.mems" >"$d/cpuset.mems"; }
    done
  done
  return 0
}

# --- files of a node ------------------------------------------------------------------------------------------------
containerd_files() { # directory
  # restrict_oom_score_adj: without CAP_SYS_RESOURCE runc dies before it can say why.
  cat >"$1/config.toml" <<EOF
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = "localhost/pause:1"
  [plugins.'io.containerd.cri.v1.images'.registry]
    config_path = "/etc/containerd/certs.d"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["/usr/lib/cni", "/opt/cni/bin"]
    conf_dir = "/etc/cni/net.d"
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = "runc"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        BinaryName = "$(command -v runc)"
        SystemdCgroup = false
EOF
}

crio_files() { # directory
  # What containerd leaves out where it cannot be done: an oom_score_adj below our own (restrict_oom_score_adj), and
  # limits of huge pages without a hierarchy for them.
  cat >"$1/runc" <<'EOF'
#!/usr/bin/env bash
bundle= before=
for argument; do [ "$before" = --bundle ] && bundle=$argument; before=$argument; done
if [ -n "$bundle" ]; then
  config=$(jq -c --argjson least "$(cat /proc/self/oom_score_adj)" '.process.oomScoreAdj |= ([. // 0, $least] | max)
    | del(.linux.resources.hugepageLimits)' "$bundle/config.json")
  printf '%s' "$config" >"$bundle/config.json"
fi
exec runc "$@"
EOF
  chmod +x "$1/runc"
  cat >"$1/10-crio.conf" <<EOF
[crio]
storage_driver = "overlay"
[crio.runtime]
default_runtime = "runc"
cgroup_manager = "cgroupfs"
conmon_cgroup = "pod"
pinns_path = "$bin/pinns"
hooks_dir = []
disable_hostport_mapping = true
[crio.runtime.runtimes.runc]
runtime_path = "$1/runc"
runtime_root = "/run/runc"
[crio.image]
pause_image = "localhost/pause:1"
auto_reload_registries = true
[crio.network]
plugin_dirs = ["/usr/lib/cni", "/opt/cni/bin"]
[crio.nri]
enable_nri = false
EOF
}

make_node_files() { # node runtime
  local n=$1 etc=$run/node$1/etc p i socket=/run/containerd/containerd.sock
  mkdir -p "$etc" "$run/node$n/volumes"
  for i in 1 2 3 4; do mkdir -p "$run/node$n/volumes/$i"; done
  kubeconfig "$etc/kubelet.kubeconfig" "https://$lan_ip:6443" "node$n"
  kubeconfig "$etc/kube-proxy.kubeconfig" "https://$lan_ip:6443" kube-proxy
  if [ "$2" = crio ]; then
    socket=/run/crio/crio.sock
    crio_files "$etc"
  else
    containerd_files "$etc"
  fi
  cat >"$etc/10-lab.conflist" <<EOF
{"cniVersion":"1.0.0","name":"lab","plugins":[
 {"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":false,"hairpinMode":true,
  "ipam":{"type":"host-local","ranges":[[{"subnet":"10.244.$n.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}},
 {"type":"portmap","capabilities":{"portMappings":true}}]}
EOF
  p=$run/pki
  cat >"$etc/kubelet.yaml" <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$prefix/node$n
containerRuntimeEndpoint: unix://$socket
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $p/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $p/node$n.crt
tlsPrivateKeyFile: $p/node$n.key
clusterDomain: cluster.local
clusterDNS: [$lan_ip]
resolvConf: /etc/resolv.conf
failSwapOn: false
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 0%}
syncFrequency: 10s
fileCheckFrequency: 0s
httpCheckFrequency: 0s
EOF
  cat >"$etc/kube-proxy.yaml" <<EOF
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: $etc/kube-proxy.kubeconfig}
clusterCIDR: 10.244.0.0/16
hostnameOverride: node$n
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
EOF
}

# --- images of the lab itself, built once ---------------------------------------------------------------------------
lab_images() {
  local key dir
  key=$({ cat "$lab_root"/e2e/tools/lab/*.go "$here/distribution.yml"; readlink -f "$bin/registry"; } | sha256sum | cut -c1-16)
  dir=$cache/lab-images/$key
  if [ ! -e "$dir/done" ]; then
    rm -rf "$dir"; mkdir -p "$dir"
    "$bin/lab" image -o "$dir/pause.tar" -name localhost/pause:1 -file "$bin/lab:/lab" -entrypoint /lab -cmd pause
    "$bin/lab" image -o "$dir/distribution.tar" -name "$distribution_image" -file "$bin/registry:/bin/registry" -env PATH=/bin \
      -file "$here/distribution.yml:/etc/distribution/config.yml:644" -entrypoint registry -cmd serve -cmd /etc/distribution/config.yml
    touch "$dir/done"
  fi
  echo "$dir"
}

import() { # node archive [name] : waits for the runtime; the archive's only image gets that name
  local i found=${3:-}
  if [ -e "$run/node$1/etc/10-crio.conf" ]; then
    local form=docker-archive index
    if index=$(tar -xOf "$2" index.json 2>/dev/null); then
      form=oci-archive
      found=${found:-$(jq -r '.manifests[0].annotations["io.containerd.image.name"]' <<<"$index")}
    fi
    # Not from a pipe: skopeo goes to and fro in an archive.
    on_node "$1" sh -c 'cat >/tmp/import.tar && skopeo --insecure-policy copy -q "$0:/tmp/import.tar" "containers-storage:$1" && rm /tmp/import.tar' \
      $form "$found" <"$2" >"$run/log/node$1-import.log" 2>&1 || { tail -n 3 "$run/log/node$1-import.log" >&2; die "node$1 did not take $2"; }
    return
  fi
  for i in $(seq 100); do on_node "$1" ctr version >/dev/null 2>&1 && break; sleep 0.1; done
  # Through a pipe: the node's root is an overlay, which does not see that a file below it was replaced.
  on_node "$1" ctr -n k8s.io images import --digests=false - <"$2" >"$run/log/node$1-import.log" 2>&1 \
    || { tail -n 3 "$run/log/node$1-import.log" >&2; die "node$1 did not take $2"; }
  [ -z "$found" ] && return
  found=$(tar -xOf "$2" manifest.json | jq -r '.[0].RepoTags[0]')
  case $found in */*) ;; *) found=docker.io/library/$found ;; esac
  on_node "$1" ctr -n k8s.io images tag --force "$found" "$3" >/dev/null 2>&1
}

daemon() { # name netns command... : in the background, its output in log/NAME.log
  local name=$1 ns=$2; shift 2
  setsid nsenter --net="/run/netns/$ns" "$@" >>"$run/log/$name.log" 2>&1 </dev/null 9>&- &
}

api() { curl -sf --max-time 2 --cacert "$run/pki/ca.crt" --cert "$run/pki/admin.crt" --key "$run/pki/admin.key" "https://$(cat "$run/address")$1"; }
wait_for() { # seconds what command...
  local i limit=$1 what=$2; shift 2
  for i in $(seq $((limit * 10))); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
  die "$what did not happen in $limit s; logs are in $run/log"
}

preflight() {
  [ "$(id -u)" = 0 ] || die "needs root (namespaces, mounts): sudo -E $0 up"
  local t missing=
  for t in ip:iproute2 nsenter:util-linux openssl:openssl runc:runc nft:nftables iptables:iptables conntrack:conntrack dnsmasq:dnsmasq-base jq:jq curl:curl busybox:busybox-static; do
    command -v "${t%:*}" >/dev/null || missing+=" ${t#*:}"
  done
  [ -x /usr/lib/cni/bridge ] || [ -x /opt/cni/bin/bridge ] || missing+=" containernetworking-plugins"
  [ -z "$missing" ] || die "missing:$missing (Debian: apt-get install -y$missing)"
  for t in etcd kube-apiserver kube-controller-manager kube-scheduler kubectl kubelet kube-proxy containerd containerd-shim-runc-v2 ctr registry \
           ${crio:+crio pinns}; do
    [ -x "$bin/$t" ] || die "$bin/$t is missing: make tools"
  done
}

up() {
  local nodes=2 n crio=
  while [ $# -gt 0 ]; do case $1 in --nodes) nodes=$2; shift 2 ;; --crio) crio=$2; shift 2 ;; *) die "up: unknown option $1" ;; esac; done
  preflight
  if [ -e "$run/up" ] && api /readyz >/dev/null 2>&1; then say "already up"; return; fi
  quiet_down
  mkdir -p "$run/log"
  "$here/../tools/build-own.sh" "$here/../tools/lab" "$bin"
  make_network "$nodes"
  local images; images=$(lab_images)
  make_pki "$nodes"
  say "network, certificates and images ready"

  # Names of the LAN: the upstream, and an Ingress. Every other name does not exist, at once.
  daemon dnsmasq "$lan" dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --pid-file= --no-hosts --no-resolv --bind-interfaces \
    --listen-address="$lan_ip" --address="/registry.opensuse.org/$upstream_ip" --address="/ingress.lan/$ingress_ip" --address=/#/ --log-facility=-
  daemon etcd "$lan" "$bin/etcd" --name=lab --data-dir="$run/etcd" --unsafe-no-fsync --log-level=warn --listen-client-urls=http://127.0.0.1:2379 \
    --advertise-client-urls=http://127.0.0.1:2379 --listen-peer-urls=http://127.0.0.1:2380 \
    --initial-advertise-peer-urls=http://127.0.0.1:2380 --initial-cluster=lab=http://127.0.0.1:2380
  local p=$run/pki
  daemon kube-apiserver "$lan" "$bin/kube-apiserver" --advertise-address="$lan_ip" --secure-port=6443 --etcd-servers=http://127.0.0.1:2379 \
    --client-ca-file="$p/ca.crt" --tls-cert-file="$p/apiserver.crt" --tls-private-key-file="$p/apiserver.key" \
    --kubelet-client-certificate="$p/apiserver-kubelet-client.crt" --kubelet-client-key="$p/apiserver-kubelet-client.key" \
    --kubelet-certificate-authority="$p/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file="$p/sa.pub" --service-account-signing-key-file="$p/sa.key" \
    --requestheader-client-ca-file="$p/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group \
    --requestheader-username-headers=X-Remote-User --proxy-client-cert-file="$p/front-proxy-client.crt" \
    --proxy-client-key-file="$p/front-proxy-client.key" --enable-aggregator-routing=true \
    --service-cluster-ip-range=10.96.0.0/16 --authorization-mode=Node,RBAC \
    --enable-admission-plugins=NodeRestriction --allow-privileged=true \
    --audit-policy-file="$here/audit-policy.yaml" --audit-log-path="$run/log/audit.log"
  setsid "$bin/lab" forward -netns "/run/netns/$lan" -to "$lan_ip:6443" -address-file "$run/address" >>"$run/log/forward.log" 2>&1 </dev/null 9>&- &
  for n in $(seq "$nodes"); do
    make_cgroups "$n"; make_node_files "$n" "$([ "$n" = "$crio" ] && echo crio || echo containerd)"
    setsid nsenter --net="/run/netns/$prefix-node$n" unshare --mount --uts --ipc --pid --fork --kill-child \
      "$here/node.sh" "$n" "$run" "$cache/tools" "$bin" "$prefix" >>"$run/log/node$n.log" 2>&1 </dev/null 9>&- &
    echo $! >"$run/node$n.pid"
  done
  local importers=()
  for n in $(seq "$nodes"); do
    { import "$n" "$images/pause.tar"; import "$n" "$images/distribution.tar"; } & importers+=($!)
  done
  wait_for 10 "the way to the API server" test -s "$run/address"
  kubeconfig "$run/kubeconfig" "https://$(cat "$run/address")" admin
  kubeconfig "$run/kubeconfig.lan" "https://$lan_ip:6443" admin
  for n in kube-controller-manager kube-scheduler; do kubeconfig "$run/pki/$n.kubeconfig" "https://$lan_ip:6443" $n; done
  wait_for 60 "the API server's readiness" api /readyz
  say "API server ready"

  # Not before: both exit when the bootstrap roles do not exist yet.
  daemon kube-controller-manager "$lan" "$bin/kube-controller-manager" --kubeconfig="$p/kube-controller-manager.kubeconfig" \
    --authentication-kubeconfig="$p/kube-controller-manager.kubeconfig" --authorization-kubeconfig="$p/kube-controller-manager.kubeconfig" \
    --bind-address=127.0.0.1 --root-ca-file="$p/ca.crt" --service-account-private-key-file="$p/sa.key" --use-service-account-credentials=true \
    --cluster-signing-cert-file="$p/ca.crt" --cluster-signing-key-file="$p/ca.key" --leader-elect=false --node-monitor-grace-period=20s
  daemon kube-scheduler "$lan" "$bin/kube-scheduler" --kubeconfig="$p/kube-scheduler.kubeconfig" --authentication-kubeconfig="$p/kube-scheduler.kubeconfig" \
    --authorization-kubeconfig="$p/kube-scheduler.kubeconfig" --bind-address=127.0.0.1 --leader-elect=false
  for n in "${importers[@]}"; do wait "$n" || die "an image was not loaded; see $run/log"; done
  touch "$run/api-ready"
  volumes "$nodes" | KUBECONFIG=$run/kubeconfig "$bin/kubectl" apply -f - >/dev/null
  local k="$bin/kubectl --kubeconfig=$run/kubeconfig"
  for n in $(seq "$nodes"); do wait_for 60 "registration of node$n" $k get node "node$n"; done
  $k wait --for=condition=Ready nodes --all --timeout=60s >/dev/null || die "the nodes are not Ready; see $run/log/node*-kubelet.log"
  say "$nodes node(s) Ready"
  wait_for 30 "the default ServiceAccount" $k -n default get serviceaccount default
  touch "$run/up"
  say "up: export KUBECONFIG=$run/kubeconfig"
}

# The default class, and volumes on the nodes' disks: fsGroup works on "local" volumes, not on hostPath ones.
volumes() {
  cat <<EOF
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
reclaimPolicy: Retain
EOF
  local n i
  for n in $(seq "$1"); do for i in 1 2 3 4; do cat <<EOF
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: node$n-$i}
spec:
  capacity: {storage: 100Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: local
  local: {path: /var/lib/lab-volumes/$i}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [node$n]}]}]}}
EOF
  done; done
}

# Everything that runs in a lab runs in one of its network namespaces, or (pods) in a pid namespace that ends with one
# of those processes. So nothing needs to have been written down for this to be complete.
namespaces() { ip netns list 2>/dev/null | awk -v p="^$prefix-(lan|node[0-9]+)$" '$1 ~ p {print $1}'; }
pids() { local ns; for ns in $(namespaces); do ip netns pids "$ns" 2>/dev/null || true; done; }

quiet_down() {
  local i ns left self=" $$ $PPID "
  for i in $(seq 100); do
    left=
    for ns in $(pids); do [[ $self == *" $ns "* ]] || left+=" $ns"; done
    [ -n "$left" ] || break
    kill -KILL $left 2>/dev/null || true
    sleep 0.1
  done
  [ -z "$left" ] || die "these processes do not end:$left"
  # Processes of pods end with their pid namespace; their cgroups can go when the last one is gone.
  for i in $(seq 100); do
    find /sys/fs/cgroup -depth -type d -path "/sys/fs/cgroup*/$prefix*" -exec rmdir {} + 2>/dev/null || true
    [ -n "$(find /sys/fs/cgroup -maxdepth 2 -type d -name "$prefix" 2>/dev/null)" ] || break
    sleep 0.1
  done
  for ns in $(namespaces); do ip netns del "$ns"; done
  # ip leaves a mount of its own directory.
  if mountpoint -q /run/netns && [ -z "$(ls -A /run/netns)" ]; then umount /run/netns || true; fi
  if [ -d "$run" ]; then
    ! grep -q " $run/" /proc/self/mounts || die "something is still mounted below $run"
    rm -rf --one-file-system "$run"
  fi
}

case ${1:-} in
  up) shift; up "$@" ;;
  down)
    [ "$(id -u)" = 0 ] || die "needs root"
    quiet_down
    say "down: no process, mount, namespace or cgroup of lab '$LAB' is left" ;;
  load)
    [ -e "$run/up" ] || die "not up"
    loads=(); for n in $(nodes_of_lab); do import "$n" "$(readlink -f "$2")" "${3:-}" & loads+=($!); done
    for n in "${loads[@]}"; do wait "$n"; done
    say "loaded ${3:-$2} on $(nodes_of_lab | wc -l) node(s)" ;;
  lan) shift; in_lan "$@" ;;
  node) shift; on_node "$@" ;;
  status)
    [ -n "$(namespaces)" ] || { echo "lab '$LAB' is down"; exit 0; }
    for ns in $(namespaces); do
      echo "$ns:"
      for pid in $(ip netns pids "$ns"); do printf '  %7d %7d KiB  %s\n' "$pid" "$(awk '/VmRSS/{print $2}' "/proc/$pid/status" 2>/dev/null || echo 0)" "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c1-60)"; done
    done
    "$bin/kubectl" --kubeconfig="$run/kubeconfig" get nodes -o wide 2>/dev/null || true ;;
  *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
