#!/usr/bin/env bash
# A million random tag sets through every property of LatestBuild, and through the comparison of MirrorRegistry14 with an
# independent port of the tool of 2019. Needs a JDK and Maven only.
#   selection.sh [ROUNDS]        default: 1000000; SEED=N repeats a run
# Prints one line a test class, and fails with the seed of the set that broke a property.
set -euo pipefail
cd "$(dirname "$0")/../.."
export JAVA_HOME=${JAVA_HOME:-$(hack/find-jdk.sh)}
rounds=${1:-1000000}
out=$(mktemp); trap 'rm -f "$out"' EXIT
code=0
mvn ${MVN_FLAGS:-} test -pl crds,operator -Dspotless.check.skip=true -Dtest='LatestBuildTest,MirrorRegistry14Test' \
  -Dsurefire.failIfNoSpecifiedTests=false -Dmirror.rounds="$rounds" ${SEED:+-Dmirror.seed="$SEED"} >"$out" 2>&1 || code=$?
echo "rounds: $rounds"
grep -E 'LatestBuild of|Tests run:.*(in|--) ' "$out" | sed 's/^\[[A-Z]*\] *//' || true
[ "$code" = 0 ] || grep -E 'mirror\.seed|ERROR' "$out" | head -20
exit "$code"
