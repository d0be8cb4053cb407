#!/usr/bin/env bash
# Planning side by side with regsync check: the same tags of one registry compared with the same empty target, by turns.
# Prints requests per selected tag, taken from the registry's own log, and the time of each.
#   plan.sh            200 repositories with 20 tags each
#   FULL=1 plan.sh     2000, the size of the bar
# OURS=COMMAND (default operator/target/kubectl-mirror), ROUNDS=N. Exits non-zero only when it cannot measure.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
ours=${OURS:-$top/operator/target/kubectl-mirror}
repositories=${REPOSITORIES:-$([ -n "${FULL:-}" ] && echo 2000 || echo 200)}
tags=20
rounds=${ROUNDS:-3}
tools registry regsync
[ -n "${OURS:-}" ] || [ -x "$ours" ] || die "$ours is not built: make cli"
corpus small "$work/source" "$work/answer.json" -repositories "$repositories" -tags "$tags"
source_at=127.0.0.1:5601 target_at=127.0.0.1:5602
start_registry source "$source_at" "$work/source"
start_registry target "$target_at" "$store/target"
cat >"$work/list.yaml" <<EOF
apiVersion: mirrors.kubic.io/v1alpha1
kind: MirrorList
metadata: {name: bench}
spec:
  registryRef: {name: mirror}
  guard: {maxImages: 1000000}
  sources:
  - registry: "$source_at"
    repositories: {include: ["^bench/"]}
    tls: {plainHTTP: true}
EOF
{
  echo 'version: 1'
  echo 'creds:'
  for at in "$source_at" "$target_at"; do printf -- '- {registry: "%s", tls: disabled, reqConcurrent: 32}\n' "$at"; done
  echo "defaults: {parallel: 32, fastCheck: true, skipDockerConfig: true}"
  echo 'sync:'
  for r in $(seq 0 $((repositories - 1))); do
    name=$(printf 'bench/app%03d' "$r")
    printf -- '- {source: "%s/%s", target: "%s/%s", type: repository}\n' "$source_at" "$name" "$target_at" "$name"
  done
} >"$work/regsync.yaml"
export HOME=$work
mkdir -p "$results"
file=$results/plan.tsv
: >"$file"
counted() { # LABEL CMD...: measures it and appends what the source and the target were asked
  local label=$1 listing all there
  shift
  : >"$work/source.log"
  : >"$work/target.log"
  measure "$file" "$label" "$@"
  all=$(requests source)
  listing=$(grep -cE '"GET /v2/(_catalog|bench/app[0-9]+/tags)' "$work/source.log" || true)
  there=$(requests target)
  printf '%s\t%s\t%s\t%s\n' "$label" "$listing" "$((all - listing))" "$there" >>"$results/plan-requests.tsv"
}
: >"$results/plan-requests.tsv"
for _ in $(seq "$rounds"); do
  counted digests $ours plan -f "$work/list.yaml" --to "$target_at" --plain-http --sizes none -o json
  counted sizes $ours plan -f "$work/list.yaml" --to "$target_at" --plain-http -o json
  counted alone $ours plan -f "$work/list.yaml" -o json
  counted regsync "$bin/regsync" check -v error -c "$work/regsync.yaml"
done
total=$((repositories * tags))
echo "$repositories repositories, $total tags, $rounds rounds, medians"
printf '%-34s %8s %8s %9s %9s %7s %5s\n' what seconds listing 'per tag' 'target' 'MiB' exit
for label in digests sizes alone regsync; do
  case $label in
    digests) name='plan --to --sizes none' ;;
    sizes) name='plan --to' ;;
    alone) name='plan' ;;
    regsync) name='regsync check' ;;
  esac
  line=$(tail -n 1 <(grep "^$label	" "$results/plan-requests.tsv"))
  printf '%-34s %8.1f %8d %9.3f %9.3f %7.0f %5s\n' "$name" "$(of "$file" $label 2 | median)" \
    "$(cut -f2 <<<"$line")" "$(awk -F'\t' -v n="$total" '{printf "%.4f", $3 / n}' <<<"$line")" \
    "$(awk -F'\t' -v n="$total" '{printf "%.4f", $4 / n}' <<<"$line")" "$(of "$file" $label 4 | median)" \
    "$(of "$file" $label 5 | sort -u | tr '\n' ' ')"
done
