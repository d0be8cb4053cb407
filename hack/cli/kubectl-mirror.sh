#!/bin/sh
# kubectl-mirror: put this file (or a link to it) into PATH, and `kubectl mirror` works too.
self=$(readlink -f "$0")
lib=$self.lib
for home in "${JAVA_HOME:-}" /usr/lib/jvm/*25* /opt/*jdk*25* "$HOME"/.sdkman/candidates/java/25* ""; do
  java=${home:+$home/bin/}java
  [ -z "$home" ] || [ -x "$java" ] || continue
  case $("$java" --version 2>/dev/null) in *" 25"*) break ;; esac
  java=
done
[ -n "$java" ] || { echo "kubectl-mirror: needs Java 25: install temurin-25-jre (https://adoptium.net) or set JAVA_HOME" >&2; exit 2; }
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kubectl-mirror
mkdir -p "$cache" 2>/dev/null
# The class archive makes the second start twice as fast; the JVM renews it by itself when a jar changed.
exec "$java" -XX:+UseSerialGC -Xms32m -Xmx512m -XX:+UnlockDiagnosticVMOptions -XX:-DisplayVMOutput -XX:CompilerDirectivesFile="$lib/compiler.json" -XX:-UsePerfData -XX:+AutoCreateSharedArchive -XX:SharedArchiveFile="$cache/classes.jsa" \
  -Xlog:disable -Xlog:all=error:stderr -Xlog:cds*=off:stderr -cp "$lib/*" io.kubic.mirrors.Main "$@"
