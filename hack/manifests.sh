#!/usr/bin/env bash
# Writes what is derived: the CRDs from the Java records, config/default and config/prometheus from the chart.
#   manifests.sh [--check]    with --check nothing is written, and a difference is an error
set -euo pipefail
cd "$(dirname "$0")/.."
bin=e2e/.run/bin
e2e/tools/build.sh "$bin" helm
new=$(mktemp)
trap 'rm -f "$new"' EXIT
if [ "${1:-}" != --check ]; then
  mvn -q -pl crds test -Dtest=ManifestsTest -Dmanifests.update=true
fi
derive() { # FILE HELM_FLAGS...
  local out=$1
  shift
  {
    echo "# Generated from helm/mirror-operator by 'make manifests'; do not edit."
    "$bin/helm" template mirror-operator helm/mirror-operator --namespace mirror-system --set crds.install=false "$@" |
      grep -v -e '^# Source:' -e 'managed-by: Helm' -e 'helm.sh/chart:'
  } >"$new"
  if [ -n "$check" ]; then
    diff -u "$out" "$new" || { echo "manifests: $out is not what the chart gives; run 'make manifests'" >&2; exit 1; }
  else
    cp "$new" "$out" && chmod 644 "$out"
  fi
}
check=
[ "${1:-}" != --check ] || check=1
derive config/default/operator.yaml
derive config/prometheus/monitoring.yaml --set metrics.podMonitor.enabled=true --set metrics.rules.enabled=true \
  --show-only templates/monitoring.yaml
