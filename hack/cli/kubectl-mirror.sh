#!/bin/sh
# kubectl-mirror: put this file (or a link to it) into PATH, and `kubectl mirror` works too.
self=$(readlink -f "$0")
lib=$self.lib
found=
for home in "${JAVA_HOME:-}" /usr/lib/jvm/*25* /opt/*jdk*25* "$HOME"/.sdkman/candidates/java/25* PATH; do
  if [ "$home" = PATH ]; then
    home=$(command -v java) || continue
    home=$(readlink -f "$home")
    home=${home%/bin/java}
  fi
  [ -x "$home/bin/java" ] && [ -r "$home/release" ] || continue
  home=$(readlink -f "$home")
  # As java --version says, without starting it.
  while IFS= read -r line; do
    case $line in 'JAVA_VERSION="25"' | 'JAVA_VERSION="25.'*) found=$home ;; esac
  done <"$home/release"
  [ -z "$found" ] || break
done
[ -n "$found" ] || { echo "kubectl-mirror: needs Java 25: install temurin-25-jre (https://adoptium.net) or set JAVA_HOME" >&2; exit 2; }
# The young generation has a fixed size: one that grows with the heap is no faster (docs/bench.md), and 40 MiB larger.
run() { # CLASSES...: how the JVM comes by its classes
  exec "$found/bin/java" "@$lib/java.options" -Xmn24m -XX:CompilerDirectivesFile="$lib/compiler.json" \
    -Xlog:cds*=off:stderr -Xlog:aot*=off:stderr "$@"
}
# Ours first: the JVM opens all jars before the one that has the main class.
for jars in "$lib"/mirror-operator-[0-9]*.jar; do :; done
jars="$jars:$lib/*"
# What the JVM learned in the training at build time (hack/cli/build.sh). It is good for the place, the jars and the JVM it
# was made with. A JVM of another build passes it over by itself, but not jars that changed (JDK-8377932) or moved.
place= jvm=
[ ! -r "$lib/app.aot.for" ] || { IFS= read -r place; IFS= read -r jvm; } <"$lib/app.aot.for"
for jar in "$lib"/*.jar; do [ "$lib/app.aot" -nt "$jar" ] || place=; done
[ "$place" != "$lib" ] || [ "$jvm" != "$found" ] || run "-XX:AOTCache=$lib/app.aot" -Dmirror.exit=now -cp "$jars" io.kubic.mirrors.Main "$@"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kubectl-mirror
mkdir -p "$cache" 2>/dev/null
# Else an archive of classes alone, which the first start writes at its end and the JVM renews by itself when a jar changed.
run -XX:+AutoCreateSharedArchive "-XX:SharedArchiveFile=$cache/classes.jsa" -cp "$jars" io.kubic.mirrors.Main "$@"
