#!/usr/bin/env bash
# Prints the home of a JDK 25, or nothing. JAVA_HOME wins if it is one.
for home in "${JAVA_HOME:-}" /usr/lib/jvm/*25* /opt/*jdk*25* "$HOME"/.sdkman/candidates/java/25*; do
  [ -x "$home/bin/javac" ] || continue
  case $("$home/bin/javac" -version 2>&1) in "javac 25"*) echo "$home"; exit 0 ;; esac
done
home=$(command -v javac) && case $(javac -version 2>&1) in
  "javac 25"*) dirname "$(dirname "$(readlink -f "$home")")" ;;
esac
exit 0
