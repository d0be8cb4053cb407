#!/usr/bin/env bash
# Side by side: our sync, regsync, crane, skopeo, and a floor that knows the answer. See docs/bench.md.
#   copy.sh [SCENARIO...]    cold noop delta delta-shared loop unshared big; all of them by default (and small)
# "ledger" is ours with compare: Ledger, in noop and the deltas.
# FULL=1 for the sizes of the bars; ROUNDS=N, PEERS="ours regsync crane skopeo floor", DELAY=40 MBIT=1000, and the
# sizes below by environment.
. "$(dirname "$0")/lib.sh"
full=${FULL:-}
scenarios=${*:-cold noop delta delta-shared loop unshared big}
peers=${PEERS:-ours regsync crane floor}
rounds=${ROUNDS:-$([ -n "$full" ] && echo 5 || echo 3)}
delay=${DELAY:-40} rate=${MBIT:-1000}
repositories=${REPOSITORIES:-30} tags=${TAGS:-4}
small_repositories=${SMALL_REPOSITORIES:-$([ -n "$full" ] && echo 50 || echo 20)} small_tags=100
unshared_repositories=${UNSHARED:-$([ -n "$full" ] && echo 120 || echo 20)} unshared_size=${UNSHARED_SIZE:-$([ -n "$full" ] && echo 4 || echo 1)}
shared_size=${SHARED_SIZE:-1}
big=${BIG_GIB:-$([ -n "$full" ] && echo 8 || echo 1)}
parallel=${PARALLEL:-32} # of the peers: where more did not make them faster
small_parallel=${OURS_PARALLEL:-128} # limits.maxConcurrent of our list, where tiny requests wait for the link; elsewhere its default
ours_parallel=
ours=${OURS:-$top/operator/target/kubectl-mirror}
tools registry crane regsync
[ -x "$ours" ] || die "no $ours: make cli"
# Nobody's logins.
export HOME=$work XDG_CACHE_HOME=$work/cache DOCKER_CONFIG=$work/docker
unset XDG_RUNTIME_DIR REGISTRY_AUTH_FILE
mkdir -p "$DOCKER_CONFIG"
echo '{}' >"$DOCKER_CONFIG/config.json"

# What each is given: the same repositories, all tags.
lists() { # ANSWER
  local answer=$1 repository
  {
    echo "apiVersion: mirrors.kubic.io/v1alpha1"
    echo "kind: MirrorList"
    echo "metadata: {name: bench, namespace: bench}"
    echo "spec:"
    echo "  registryRef: {name: bench}"
    echo "  layout: Flat"
    [ -z "${OURS_SPEC:-}" ] || echo "  $OURS_SPEC"
    echo "  sources:"
    echo "  - registry: $source_at"
    echo "    tls: {plainHTTP: true}"
    [ -z "$ours_parallel" ] || echo "    limits: {maxConcurrent: $ours_parallel}"
    echo "    images:"
    "$bin/kit" list -answer "$answer" | sed 's/^/    - /'
  } >"$work/list.yaml"
  # As many requests at once in all: only the source is asked.
  sed "s/^spec:\$/spec:\n  compare: Ledger/; s/maxConcurrent: .*}/maxConcurrent: $((2 * ours_parallel))}/" "$work/list.yaml" >"$work/ledger.yaml"
  {
    echo "version: 1"
    echo "creds:"
    echo "- {registry: \"$source_at\", tls: disabled, reqConcurrent: $parallel}"
    echo "- {registry: \"$target_at\", tls: disabled, reqConcurrent: $parallel}"
    echo "defaults: {parallel: $parallel, fastCheck: true, skipDockerConfig: true}"
    echo "sync:"
    "$bin/kit" list -answer "$answer" | while read -r repository; do
      echo "- {source: \"$source_at/$repository\", target: \"$target_at/$repository\", type: repository}"
    done
  } >"$work/regsync.yaml"
  "$bin/kit" list -answer "$answer" >"$work/repositories"
  local jobs=$((parallel / 4))
  {
    echo "#!/bin/sh"
    echo "exec xargs -P $jobs -I R '$bin/crane' copy -a -j 4 --insecure $source_at/R $target_at/R <'$work/repositories'"
  } >"$work/crane.sh"
  # skopeo copies one image after the other: as many of it as help.
  {
    echo "#!/bin/sh"
    echo "exec xargs -P $jobs -I R skopeo sync --all --src docker --dest docker --src-tls-verify=false --dest-tls-verify=false" \
      "$source_at/R $target_at/bench <'$work/repositories'"
  } >"$work/skopeo.sh"
  chmod +x "$work"/*.sh
}

peer() { # PEER: the command, in the array command.
  case $1 in
    ours) command=("$ours" sync -q -f "$work/list.yaml" --to "$target_at" --plain-http) ;;
    ledger) command=("$ours" sync -q -f "$work/ledger.yaml" --to "$target_at" --plain-http) ;;
    regsync) command=("$bin/regsync" once -v error -c "$work/regsync.yaml") ;;
    crane) command=("$work/crane.sh") ;;
    skopeo) command=("$work/skopeo.sh") ;;
    floor) command=("$bin/kit" floor -source "http://$source_at" -target "http://$target_at" -answer "$answer" -n "$parallel" ${floor_flags:-}) ;;
    *) die "no peer $1" ;;
  esac
}

# One scenario: every peer in turn, the order moving on by one each round; the target as it was each time.
race() { # SCENARIO FILLED: directory with what the target has at the start, or nothing
  local scenario=$1 filled=$2 round name order file=$results/$1.tsv
  read -ra order <<<"$peers"
  # Ours once more, believing its ledger, where there is one.
  [ -z "$filled" ] || case " $peers " in *" ours "*) order+=(ledger) ;; esac
  rm -f "$file" "$work/measured"
  # The first start of a JVM may write its class archive, which is not measured: who synchronises does so every hour.
  for round in $(seq 0 "$rounds"); do
    for name in "${order[@]}"; do
      [ "$round" != 0 ] || [ "$name" = ours ] || continue
      rm -rf "$store/target"
      if [ -n "$filled" ]; then cp -a "$filled" "$store/target"; else mkdir "$store/target"; fi
      rm -f "$work/source.log" "$work/target.log"
      start_registry source "$source_at" "$store/source" "$source_net"
      start_registry target "$target_at" "$store/target" "$target_net"
      peer "$name"
      measure "$work/raw" "$name" nsenter --net="/run/netns/$client" "${command[@]}"
      local line code heads
      line=$(tail -n 1 "$work/raw")
      code=${line##*$'\t'}
      stop_registry source
      stop_registry target
      [ "$code" = 0 ] || { tail -n 5 "$work/$name.out" >&2; echo "bench: $name ended with $code in $scenario" >&2; }
      if [ "$name" != floor ] || [ "$scenario" != noop ]; then
        "$bin/kit" verify -root "$store/target" -answer "$answer" 2>"$work/verify" || { cat "$work/verify" >&2; code=wrong; }
      fi
      [ "$round" = 0 ] || printf '%s\t%s\t%s\t%s\n' "${line%$'\t'*}" "$code" "$(($(requests source) - 1))" "$(($(requests target) - 1))" >>"$file"
      [ "$round" = 0 ] || [ -z "${VERBOSE:-}" ] || tail -n 1 "$file"
    done
    order=("${order[@]:1}" "${order[0]}")
  done
  table "$scenario" "$file"
}

table() { # SCENARIO FILE
  local name wall best=- thrift=- floor us cpu
  printf '%-9s %9s %9s %9s %9s %9s %10s\n' "" "wall s" "cpu s" "rss MiB" "at source" "at target" verified
  for name in $peers ledger; do
    [ -n "$(of "$2" "$name" 2)" ] || continue
    wall=$(of "$2" "$name" 2 | median) cpu=$(of "$2" "$name" 3 | median)
    printf '%-9s %9.2f %9.2f %9.0f %9.0f %9.0f %10s\n' "$name" "$wall" "$cpu" "$(of "$2" "$name" 4 | sort -g | tail -n 1)" \
      "$(of "$2" "$name" 6 | median)" "$(of "$2" "$name" 7 | median)" "$(of "$2" "$name" 5 | grep -qv '^0$' && echo NO || echo yes)"
    case $name in ours | ledger | floor) continue ;; esac
    best=$(printf '%s\n' "$best" "$wall" | grep -v '^-$' | sort -g | head -n 1)
    thrift=$(printf '%s\n' "$thrift" "$cpu" | grep -v '^-$' | sort -g | head -n 1)
  done
  us=$(of "$2" ours 2 | median) floor=$(of "$2" floor 2 | median)
  printf '  faster than the best peer: %sx   of the floor: %sx   CPU of the thriftiest peer: %sx\n' \
    "$(ratio "$best" "$us")" "$(ratio "$us" "$floor")" "$(ratio "$(of "$2" ours 3 | median)" "$thrift")"
  wall=$(of "$2" ledger 2 | median)
  [ "$wall" = - ] || printf '  with compare: Ledger faster than the best peer: %sx\n' "$(ratio "$best" "$wall")"
  echo
}

# Our first run into a registry that somebody else filled notes what it found there, which is not measured either.
settle() { # FILLED
  start_registry source "$source_at" "$store/source" "$source_net"
  start_registry target "$target_at" "$1" "$target_net"
  peer ours
  nsenter --net="/run/netns/$client" "${command[@]}" >"$work/settle.out" 2>&1 || die "the first run: $(tail -n 3 "$work/settle.out")"
  stop_registry source
  stop_registry target
}

# Reads everything once, so that the first peer does not wait for the disk alone.
warm() { find "$store/source" -name data -exec cat {} + >/dev/null; }

make_source() { # SHAPE [FLAGS]
  local shape=$1
  shift
  rm -rf "$store/source"
  answer=$work/answer.json
  corpus "$shape" "$store/source" "$answer" "$@"
  lists "$answer"
  warm
}

cores=$(nproc)
echo "$cores cores, registry $(basename "$(dirname "$(readlink -f "$bin/registry")")"), medians of $rounds, peers with $parallel at once"
for scenario in $scenarios; do
  floor_flags= ours_parallel=
  case $scenario in noop | delta) ours_parallel=$small_parallel ;; esac
  case $scenario in
    cold | delta | delta-shared | noop) network delay "$delay" "$rate"; where="$delay ms, $rate Mbit/s" ;;
    *) network loop 0 0; where="loopback" ;;
  esac
  echo "== $scenario: $where"
  case $scenario in
    cold | loop)
      make_source shared -repositories "$repositories" -tags "$tags" -size "$shared_size"
      race "$scenario" "" ;;
    delta | delta-shared)
      shape=(small -repositories "$small_repositories" -tags "$small_tags")
      [ "$scenario" = delta ] || shape=(shared -repositories "$repositories" -tags "$tags")
      make_source "${shape[@]}"
      cp -a "$store/source" "$store/before"
      cp "$answer" "$work/before.json"
      settle "$store/before"
      make_source "${shape[@]}" -moved 5
      floor_flags="-before $work/before.json"
      race "$scenario" "$store/before" ;;
    noop)
      make_source small -repositories "$small_repositories" -tags "$small_tags"
      cp -a "$store/source" "$store/before"
      settle "$store/before"
      floor_flags=-check
      race "$scenario" "$store/before" ;;
    unshared)
      make_source unshared -repositories "$unshared_repositories" -tags 1 -size "$unshared_size"
      race "$scenario" "" ;;
    small)
      make_source small -repositories "$small_repositories" -tags "$small_tags"
      race "$scenario" "" ;;
    big)
      make_source big -repositories 1 -tags 1 -size "$big"
      race "$scenario" "" ;;
    *) die "no scenario $scenario" ;;
  esac
  rm -rf "$store/source" "$store/target" "$store/before"
done
