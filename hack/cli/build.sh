#!/usr/bin/env bash
# Builds operator/target/kubectl-mirror and, beside it, kubectl-mirror.lib with its jars and what the JVM learns from a
# training with them (app.aot, JEP 483, 514 and 515): half a second less in each start. NO_TRAINING=1 leaves it out.
set -euo pipefail
cd "$(dirname "$0")/../.."
export JAVA_HOME=${JAVA_HOME:-$(hack/find-jdk.sh)}
lib=$PWD/operator/target/kubectl-mirror.lib
rm -f "$lib"/app.aot*
mvn -q -Pcli -pl crds,operator -DskipTests -Dspotless.check.skip=true package 2>&1 | grep -vE "^.{0,8}WARNING|^.{0,12}$" || [ "${PIPESTATUS[0]}" = 0 ]
cp operator/target/mirror-operator-[0-9]*.jar "$lib/"
cp operator/src/main/image/app/compiler.json hack/cli/java.options "$lib/"
"$JAVA_HOME/bin/java" hack/cli/Lean.java "$lib"/picocli-*.jar "$lib"/mirror-operator-crds-*.jar
install -m 755 hack/cli/kubectl-mirror.sh operator/target/kubectl-mirror
if [ -z "${NO_TRAINING:-}" ]; then
  started=$SECONDS
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  # What is trained with the quick compiler alone is compiled by it again at once, without the counters that the other one
  # would need (CompilationPolicy::trained_transition in HotSpot), and stays so. What compiler.json keeps for the optimizing
  # compiler must not be trained, then.
  sed 's/c2: { Exclude: false }/Exclude: true/' "$lib/compiler.json" >"$work/compiler.json"
  ! cmp -s "$lib/compiler.json" "$work/compiler.json" || { echo "cli: compiler.json has another form than build.sh knows" >&2; exit 1; }
  printf '"%s"\n' -XX:+UnlockDiagnosticVMOptions -XX:TieredStopAtLevel=1 "-XX:CompilerDirectivesFile=$work/compiler.json" -Dmirror.exit=learn \
    "-XX:AOTCacheOutput=$lib/app.aot" >"$work/training.options"
  if (cd "$work" && "$JAVA_HOME/bin/java" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "$OLDPWD/hack/cli/Training.java" "$work" \
      "$JAVA_HOME/bin/java" "@$lib/java.options" -cp "$(echo "$lib"/mirror-operator-[0-9]*.jar):$lib/*" io.kubic.mirrors.Main) >"$work/log" 2>&1 &&
      [ -s "$lib/app.aot" ]; then
    printf '%s\n' "$lib" "$(readlink -f "$JAVA_HOME")" >"$lib/app.aot.for"
    echo "cli: trained in $((SECONDS - started)) s, app.aot has $(($(stat -c %s "$lib/app.aot") / 1000000)) MB"
  else
    rm -f "$lib"/app.aot*
    echo "cli: the training failed (it runs without, and starts slower):"
    tail -n 5 "$work/log"
  fi
fi
echo "cli: operator/target/kubectl-mirror ($(operator/target/kubectl-mirror --version))"
