#!/usr/bin/env bash
# Ends a sync by SIGKILL at random moments, each time into an empty real registry, and lets the next run finish it.
# Demanded each time: no tag that names what is not there, no finished blob fetched again, at most one blob in flight a
# worker repeated, and in the end every byte as at the source.
#   kill.sh [ROUNDS]        default: 200; SEED=N chooses other moments. Needs `make tools`.
set -euo pipefail
cd "$(dirname "$0")/../.."
export JAVA_HOME=${JAVA_HOME:-$(hack/find-jdk.sh)}
out=$(mktemp); trap 'rm -f "$out"' EXIT
code=0
mvn ${MVN_FLAGS:-} verify -pl crds,operator,e2e -DskipUnit=true -Dspotless.check.skip=true -Dmirror.noSkip=true \
  -Dit.test='RegistrySyncIT#aKilledRunIsFinishedByTheNextOne' -Dfailsafe.failIfNoSpecifiedTests=false \
  -Dmirror.rounds="${1:-200}" ${SEED:+-Dmirror.seed="$SEED"} >"$out" 2>&1 || code=$?
grep 'kill test:' "$out" || grep -E 'seed|ERROR' "$out" | head -20
exit "$code"
