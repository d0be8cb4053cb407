#!/usr/bin/env bash
# PID 1 of a node: gives it a root file system of its own (an overlay over the machine's, gone when the node ends),
# then keeps containerd or CRI-O, kubelet and kube-proxy running. Started by cluster.sh inside new namespaces.
#   node.sh N RUN_DIR TOOLS_DIR BIN_DIR PREFIX
set -euo pipefail
n=$1 run=$2 tools=$3 bin=$4 prefix=$5
dir=$run/node$n root=$run/node$n/root

mount --make-rprivate /
mkdir -p "$dir/scratch" "$root"
mount -t tmpfs "$prefix-up" "$dir/scratch"          # an upper layer below / would overlap the lower one
mkdir "$dir/scratch/upper" "$dir/scratch/work"
mount -t overlay "$prefix-node$n" -o "lowerdir=/,upperdir=$dir/scratch/upper,workdir=$dir/scratch/work" "$root"
# Real disk for what is big, or what overlayfs cannot carry (snapshots of images).
for pair in containerd:/var/lib/containerd kubelet:/var/lib/kubelet podman:/var/lib/containers podlogs:/var/log/pods \
            volumes:/var/lib/lab-volumes; do
  mkdir -p "$dir/${pair%%:*}" "$root${pair#*:}"
  mount --bind "$dir/${pair%%:*}" "$root${pair#*:}"
done
# Other file systems of the machine do not show through the overlay: bring what is needed by its own path.
for path in "$run" "$tools" "$bin"; do
  mkdir -p "$root$path"
  mount --bind "$path" "$root$path"
done
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mkdir -p "$root/run/lock" "$root/run/netns" "$root/.old"
cd "$root"
pivot_root . .old
cd /
umount -l /.old

# kubelet writes three sysctls of the whole machine; here it finds them as it wants them.
for kv in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1; do
  f=/etc/lab-$(basename "${kv%=*}")
  echo "${kv#*=}" >"$f"
  mount --bind "$f" "/proc/sys/${kv%=*}"
done
mount --make-rshared /
hostname "node$n"
rm -f /etc/resolv.conf
cp "$run/resolv.conf" /etc/resolv.conf
printf '127.0.0.1 localhost\n10.89.0.1%s node%s\n' "$n" "$n" >/etc/hosts
rm -rf /etc/cni/net.d /etc/containerd /etc/containers/registries.conf.d
mkdir -p /etc/cni/net.d /etc/containers/registries.conf.d
cp "$dir/etc/10-lab.conflist" /etc/cni/net.d/
if [ -e "$dir/etc/10-crio.conf" ]; then
  runtime=crio
  mkdir -p /etc/crio/crio.conf.d
  cp "$dir/etc/10-crio.conf" /etc/crio/crio.conf.d/
else
  runtime=containerd
  mkdir -p /etc/containerd/certs.d
  cp "$dir/etc/config.toml" /etc/containerd/
fi
# A machine that trusts an authority of its own must not lend that trust to a node.
export PATH=$bin:$PATH HOME=/root

keep() { # name command... : restarts it when it ends; its pid is in /run/lab-NAME.pid
  local name=$1; shift
  while :; do
    "$@" >>"$run/log/node$n-$name.log" 2>&1 </dev/null &
    echo $! >"/run/lab-$name.pid"
    wait $! || true
    echo "-- $name ended, starting it again" >>"$run/log/node$n-$name.log"
    sleep 0.3
  done
}
after_api() { until [ -e "$run/api-ready" ]; do sleep 0.1; done; exec "$@"; }

keep $runtime $runtime --log-level info &
keep kubelet after_api kubelet --config="$dir/etc/kubelet.yaml" --kubeconfig="$dir/etc/kubelet.kubeconfig" \
  --hostname-override="node$n" --node-ip="10.89.0.1$n" --root-dir=/var/lib/kubelet &
keep kube-proxy after_api kube-proxy --config="$dir/etc/kube-proxy.yaml" &
while :; do sleep 3600 & wait $! || true; done
