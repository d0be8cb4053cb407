#!/usr/bin/env bash
# Syncs 10,000 repositories of 2 tags, and 1,000 of the 100,000 tags of one repository, with the heap that a Job has, and fails when
# the process gets larger than 256 MiB. The registries are played by the test.
#   large.sh [REPOSITORIES]        default: 10000
set -euo pipefail
cd "$(dirname "$0")/../.."
export JAVA_HOME=${JAVA_HOME:-$(hack/find-jdk.sh)}
out=$(mktemp); trap 'rm -f "$out"' EXIT
code=0
mvn ${MVN_FLAGS:-} verify -pl crds,operator,e2e -DskipUnit=true -Dspotless.check.skip=true -Dmirror.noSkip=true \
  -Dit.test=LargeListIT -Dfailsafe.failIfNoSpecifiedTests=false -Dmirror.rounds="${1:-10000}" >"$out" 2>&1 || code=$?
grep 'MiB resident' "$out" || true
[ "$code" = 0 ] || grep -E 'ERROR' "$out" | head -20
exit "$code"
