#!/usr/bin/env bash
# One client of a mirror: pulls until WORK/stop is there, one pull each PERIOD seconds, and writes down what came of it.
#   puller.sh skopeo|crictl WORK NAME PERIOD IMAGE
# Started by pulls.sh: skopeo in the lab's LAN, crictl on a node.
kind=$1 work=$2 name=$3 period=$4 image=$5
pull_skopeo() { # as a person with a password
  rm -rf "$work/pull-$name"
  skopeo copy -q --authfile "$work/auth.json" --src-cert-dir "$work/certs" \
    "docker://$(sed 's,^https://,,' "$work/url")/registry.opensuse.org/$image" "dir:$work/pull-$name"
}
pull_crictl() { # as the kubelet
  crictl rmi "registry.opensuse.org/$image" >/dev/null 2>&1 || true
  crictl pull "registry.opensuse.org/$image"
}
until [ -e "$work/stop" ]; do
  begin=$EPOCHREALTIME
  if "pull_$kind" >"$work/out-$name" 2>&1; then echo "$kind ok" >>"$work/pulls.$name"
  else
    { date -u "+%T $name $image"; tail -n 3 "$work/out-$name"; } >>"$work/failures"
    echo "$kind failed" >>"$work/pulls.$name"
  fi
  rest=$(awk -v a="$begin" -v b="$EPOCHREALTIME" -v p="$period" 'BEGIN{d=p-(b-a); print (d > 0 ? d : 0)}')
  [ "${rest:-0}" = 0 ] || sleep "$rest"
done
