#!/usr/bin/env bash
# Builds operator/target/kubectl-mirror and, beside it, kubectl-mirror.lib with its jars.
set -euo pipefail
cd "$(dirname "$0")/../.."
export JAVA_HOME=${JAVA_HOME:-$(hack/find-jdk.sh)}
mvn -q -Pcli -pl crds,operator -DskipTests -Dspotless.check.skip=true package 2>&1 | grep -vE "^.{0,8}WARNING|^.{0,12}$" || [ "${PIPESTATUS[0]}" = 0 ]
cp operator/target/mirror-operator-[0-9]*.jar operator/target/kubectl-mirror.lib/
cp operator/src/main/image/app/compiler.json operator/target/kubectl-mirror.lib/
install -m 755 hack/cli/kubectl-mirror.sh operator/target/kubectl-mirror
echo "cli: operator/target/kubectl-mirror ($(operator/target/kubectl-mirror --version))"
