#!/usr/bin/env bash
# Writes what is derived: the CRDs from the Java records, config/default from the chart.
#   manifests.sh [--check]    with --check nothing is written, and a difference is an error
set -euo pipefail
cd "$(dirname "$0")/.."
bin=e2e/.run/bin
e2e/tools/build.sh "$bin" helm
out=config/default/operator.yaml
new=$(mktemp)
trap 'rm -f "$new"' EXIT
if [ "${1:-}" != --check ]; then
  mvn -q -pl crds test -Dtest=ManifestsTest -Dmanifests.update=true
fi
{
  echo "# Generated from helm/mirror-operator by 'make manifests'; do not edit."
  "$bin/helm" template mirror-operator helm/mirror-operator --namespace mirror-system --set crds.install=false |
    grep -v -e '^# Source:' -e 'managed-by: Helm' -e 'helm.sh/chart:'
} >"$new"
if [ "${1:-}" = --check ]; then
  diff -u "$out" "$new" || { echo "manifests: $out is not what the chart gives; run 'make manifests'" >&2; exit 1; }
else
  cp "$new" "$out" && chmod 644 "$out"
fi
