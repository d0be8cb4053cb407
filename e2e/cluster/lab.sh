# Sourced by the scripts of the local cluster: names and places of one lab.
# LAB (default "demo") is part of every name, so several labs can run on one machine.
lab_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LAB=${LAB:-demo}
case $LAB in ''|*[!a-z0-9]*) echo "cluster: LAB must be lower-case letters and digits, not '$LAB'" >&2; exit 2 ;; esac
prefix=mo-$LAB
run=${MIRROR_OPERATOR_RUN:-$lab_root/e2e/.run}/$LAB
bin=${MIRROR_OPERATOR_RUN:-$lab_root/e2e/.run}/bin
cache=${MIRROR_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mirror-operator}
lan=$prefix-lan
lan_ip=10.89.0.1          # API server, DNS
upstream_ip=10.89.0.2     # registry.opensuse.org
ingress_ip=10.89.0.3      # ingress.lan, when e2e/torture/endpoints.sh runs
node_ip() { echo "10.89.0.1$1"; }
distribution_image=localhost/distribution:3.1.2

nodes_of_lab() { local n; for n in "$run"/node[0-9]*; do [ -d "$n" ] && echo "${n##*/node}"; done; }
pid_alive() { [ -n "${1:-}" ] && kill -0 "$1" 2>/dev/null; }

# Runs a command in the LAN: it reaches API server, ClusterIPs, pods and the upstream, and resolves names there.
in_lan() {
  nsenter --net="/run/netns/$lan" unshare --mount sh -c 'mount --bind "$0" /etc/resolv.conf && exec "$@"' "$run/resolv.conf" "$@"
}

# An S3 server in the LAN, at http://$lan_ip:7070, with an empty or older bucket; keys lab and lab-secret.
s3_server() { # BUCKET
  mkdir -p "$run/s3/root/$1" "$run/s3-attributes"
  if ! in_lan curl -s -o /dev/null --max-time 2 "http://$lan_ip:7070/"; then
    ROOT_ACCESS_KEY=lab ROOT_SECRET_KEY=lab-secret setsid nsenter --net="/run/netns/$lan" "$bin/versitygw" --quiet --port "$lan_ip:7070" \
      posix --sidecar "$run/s3-attributes" "$run/s3/root" >>"$run/log/s3.log" 2>&1 </dev/null &
  fi
}

# PID 1 of node N: the child of the unshare that started it.
node_pid() {
  local starter; starter=$(cat "$run/node$1.pid" 2>/dev/null) || return 1
  cat "/proc/$starter/task/$starter/children" 2>/dev/null | tr -d ' '
}

# Runs a command on node N as if logged in there.
on_node() {
  local pid; pid=$(node_pid "$1") || { echo "cluster: node$1 does not run" >&2; return 1; }
  shift
  nsenter -t "$pid" --mount --uts --ipc --net --pid --root env --chdir=/ PATH="$bin:$PATH" "$@"
}

# --- certificates, in the current directory ---
authority() { # name common-name
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.crt" -days 3650 -subj "/CN=$2" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
}
certificate() { # authority name subject [subject-alternative-names]
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$2.key" -out "$2.csr" -subj "$3" 2>/dev/null
  { echo "basicConstraints=critical,CA:FALSE"; echo "keyUsage=critical,digitalSignature"; echo "extendedKeyUsage=serverAuth,clientAuth"
    [ -z "${4:-}" ] || echo "subjectAltName=$4"; } >"$2.ext"
  openssl x509 -req -in "$2.csr" -CA "$1.crt" -CAkey "$1.key" -set_serial "0x$(openssl rand -hex 12)" -days 3650 -extfile "$2.ext" -out "$2.crt" 2>/dev/null
  rm "$2.csr" "$2.ext"
}
