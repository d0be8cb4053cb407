#!/usr/bin/env bash
# Everything that is measured: the copier side by side with its peers, and what other rooms measure of their own.
# FULL=1 for the sizes of the bars (most of an hour); else about ten minutes.
set -uo pipefail
cd "$(dirname "$0")"
failed=0
for part in copy gateway plan; do
  [ -x "./$part.sh" ] || continue
  echo "=== $part"
  "./$part.sh" || { failed=$?; echo "bench: $part.sh could not measure ($failed)" >&2; }
done
echo "figures of each round: e2e/.run/bench/*.tsv"
exit "$failed"
