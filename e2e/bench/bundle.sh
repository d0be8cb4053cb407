#!/usr/bin/env bash
# Export, verify and import of a bundle, against cp and sha256sum of the same bytes on the same disk in the same run.
#
#   bundle.sh [MIB [ROUNDS]]     default 1024 MiB in 8 images, 3 rounds; BENCH_TMP says on which disk (default /var/tmp)
#
# Prints a table and writes it to e2e/.run/bench/bundle.txt. BENCH_DROP=1 drops the machine's page cache before every measurement.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
mib=${1:-1024}
rounds=${2:-3}
store=$work   # everything on one disk: that is what is compared
tools registry crane
cli=${OURS:-$top/operator/target/kubectl-mirror}
[ -x "$cli" ] || die "no $cli: make cli"

drop() { sync; [ -z "${BENCH_DROP:-}" ] || echo 3 >/proc/sys/vm/drop_caches; }
seconds() { # LABEL CMD...: appends "LABEL seconds"
  local label=$1 begin end; shift
  drop
  begin=$(date +%s.%N)
  "$@" >"$work/$label.out" 2>&1 || { tail -n 5 "$work/$label.out" >&2; die "$label failed"; }
  end=$(date +%s.%N)
  awk -v l="$label" -v a="$begin" -v b="$end" 'BEGIN { print l, b - a }' >>"$work/times"
}
copied() { cp -r "$work/reference" "$work/copy" && (cd "$work/copy" && sha256sum --strict -c --quiet SHA256SUMS); }
median_of() { awk -v l="$1" '$1 == l { print $2 }' "$work/times" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

start_registry source 127.0.0.1:5301 "$store/source"
each=$((mib / 8 / 2))
for i in $(seq 8); do
  mkdir -p "$work/layer$i"
  head -c "${each}M" /dev/urandom >"$work/layer$i/a"
  tar -C "$work/layer$i" -cf "$work/a.tar" a
  head -c "${each}M" /dev/urandom >"$work/layer$i/a"
  tar -C "$work/layer$i" -cf "$work/b.tar" a
  "$bin/crane" append --insecure --oci-empty-base -f "$work/a.tar,$work/b.tar" -t "127.0.0.1:5301/team/app$i:1" >/dev/null 2>&1 ||
    die "no image"
  rm -rf "$work/layer$i" "$work/a.tar" "$work/b.tar"
done
cat >"$work/list.yaml" <<YAML
apiVersion: mirrors.kubic.io/v1alpha1
kind: MirrorList
metadata: {name: bench}
spec:
  registryRef: {name: mirror}
  sources:
  - registry: 127.0.0.1:5301
    tls: {plainHTTP: true}
    repositories: {include: [".*"]}
YAML
"$cli" export -q -f "$work/list.yaml" --to "$work/reference" >/dev/null
bytes=$(du -sb "$work/reference" | cut -f1)
blobs=$(du -sb "$work/reference/blobs" | cut -f1)
for round in $(seq "$rounds"); do
  seconds cp copied
  rm -rf "$work/copy"
  seconds export "$cli" export -q -f "$work/list.yaml" --to "$work/bundle"
  seconds verify "$cli" verify "$work/bundle"
  start_registry "target$round" "127.0.0.1:$((5310 + round))" "$store/target$round"
  seconds import "$cli" import -q "$work/bundle" --to "127.0.0.1:$((5310 + round))" --plain-http --receipt "$work/receipt.json"
  seconds delta "$cli" export -q -f "$work/list.yaml" --to "$work/delta" --base "$work/receipt.json"
  delta=$(du -sb "$work/delta" | cut -f1)
  stop_registry "target$round"
  rm -rf "$work/bundle" "$work/delta" "$store/target$round"
done
base=$(median_of cp)
{
  echo "bundle of $((bytes >> 20)) MiB, median of $rounds"
  printf '%-22s %8s %8s %8s\n' what s MiB/s 'vs cp'
  for what in cp export verify import delta; do
    awk -v w="$what" -v t="$(median_of "$what")" -v base="$base" -v mib="$((bytes >> 20))" 'BEGIN {
      n = w == "cp" ? "cp + sha256sum" : w
      if (w == "delta") printf "%-22s %8.1f\n", "delta of nothing", t
      else printf "%-22s %8.1f %8.0f %8.2f\n", n, t, mib / t, base / t }'
  done
  awk -v b="$bytes" -v c="$blobs" 'BEGIN { printf "%-22s %8.4f\n", "bundle / blob bytes", b / c }'
  printf '%-22s %8d\n' 'delta bytes' "$delta"
} | tee "$results/bundle.txt"
