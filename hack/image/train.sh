#!/usr/bin/env bash
# Writes hack/image/cds/ROLE.lst, the classes that each role loads, from the JVMs of a running lab (make demo first; by
# hand, when dependencies change). A list that misses new classes costs a few milliseconds, nothing else. A role that
# does not run now keeps its list.
set -euo pipefail
cd "$(dirname "$0")/../.."
. e2e/cluster/lab.sh
jdk=${JAVA_HOME:-$(hack/find-jdk.sh)}
names() { # the names of ordinary classes: what is made at run time cannot be in an archive
  sed -nE 's/^[| -]*([A-Za-z_][A-Za-z0-9_.$]*)\/(null|0x[0-9a-f]+).*$/\1/p' | grep -vE 'Lambda|\$Proxy|LambdaForm|BytecodeWrapper|GeneratedSerial' | tr . / | LC_ALL=C sort -u
}
for role in operator gateway agent; do
  pid=
  for p in /proc/[0-9]*; do
    tr '\0' ' ' 2>/dev/null <"$p/cmdline" | grep -q "^/opt/java/bin/java @/app/$role.jvm" && pid=${p#/proc/} && break
  done
  [ -n "$pid" ] || { echo "train: $role does not run"; continue; }
  if "$jdk/bin/jcmd" "$pid" VM.class_hierarchy 2>/dev/null | names >"hack/image/cds/$role.tmp" && [ "$(wc -l <"hack/image/cds/$role.tmp")" -gt 500 ]; then
    mv "hack/image/cds/$role.tmp" "hack/image/cds/$role.lst"
    echo "train: $role: $(wc -l <"hack/image/cds/$role.lst") classes, resident $(awk '/VmRSS/{print int($2/1024)}' "/proc/$pid/status") MiB"
  else
    rm -f "hack/image/cds/$role.tmp"; echo "train: $role: jcmd got no answer"
  fi
done
# A sync ends too soon to be asked: the same engine on this machine's Java, against the lab's upstream.
if [ -d operator/target/kubectl-mirror.lib ] && [ -e "$run/up" ]; then
  list=$(mktemp)
  in_lan "$jdk/bin/java" -XX:+UseSerialGC -Xshare:off -XX:DumpLoadedClassList="$list" -cp "operator/target/kubectl-mirror.lib/*" io.kubic.mirrors.Main \
    plan -f config/samples/02-mirrorlist.yaml --source-ca "$run/pki/upstream-ca.crt" >/dev/null || true
  grep -vE '^(#|@)|Lambda|\$Proxy|LambdaForm' "$list" | sed 's/ .*//' | LC_ALL=C sort -u >hack/image/cds/sync.lst
  rm -f "$list"
  echo "train: sync: $(wc -l <hack/image/cds/sync.lst) classes"
fi
