#!/usr/bin/env bash
# What a carrier and a power failure may do to a bundle, in the numbers of the bar:
#   5,000 mutations (flip, truncate, lengthen, drop, add, swap, replay, mix, links, traversal, case) are each refused before the first tag;
#   exports (whole and in volumes) and imports are cut at 500 random points each, and resumed end byte for byte as uncut ones.
#   bundle.sh [MUTATIONS]      MIRROR_SEED=N repeats a run
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export JAVA_HOME=${JAVA_HOME:-$(hack/find-jdk.sh)}
mvn -q test -pl crds,operator -Dspotless.check.skip=true -Dtest='BundleMutationTest,BundleInterruptionTest' -Dsurefire.failIfNoSpecifiedTests=false \
  "-Dmirror.rounds=${1:-5000}" ${MIRROR_SEED:+"-Dmirror.seed=$MIRROR_SEED"} | grep --line-buffered -E 'mutations|resumed|seed|ERROR|FAIL' || [ "${PIPESTATUS[0]}" = 0 ]
