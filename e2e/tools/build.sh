#!/usr/bin/env bash
# Builds the tools of tools.tsv once per version into the cache and links them into a directory.
#   build.sh BIN_DIR [NAME...]     without names: all of them
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${1:?usage: build.sh BIN_DIR [NAME...]}
shift
wanted=" $* "
cache=${MIRROR_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mirror-operator}
mkdir -p "$bin" "$cache/tools"

# One builder at a time: two checkouts on one machine share the cache.
exec 9>"$cache/tools/.lock"
flock 9

source_of() { go mod download -json "$1@$2" | jq -re .Dir; } # module version

build() { # name version how package destination
  local name=$1 version=$2 how=$3 package=$4 out=$5
  command -v go >/dev/null || { echo "tools: go is not in PATH; install Go 1.26 or newer (https://go.dev/doc/install)" >&2; exit 2; }
  # No fall-back to version control hosts: a module the proxy does not have should fail at once.
  local proxy
  proxy=$(go env GOPROXY)
  export GOPROXY=${proxy%,direct} CGO_ENABLED=0 GOFLAGS=-buildvcs=false
  local ldflags="-s -w"
  case $how in
    install)
      [ "$name" = registry ] && ldflags+=" -X github.com/distribution/distribution/v3/version.version=$version"
      GOBIN=$out go install -trimpath -ldflags "$ldflags" "$package@$version" ;;
    # Sources of a Go module, built where they lie: go install also asks which versions there are, and a proxy may not say.
    source:*)
      # Without what would need C libraries: GPG signatures, and file systems that no lab has.
      local tags=containers_image_openpgp,containers_image_ostree_stub,exclude_graphdriver_btrfs,btrfs_noversion
      (cd "$(source_of "$package" "$version")" && go build -mod=readonly -trimpath -tags "$tags" -ldflags "$ldflags" -o "$out/$name" "./${how#source:}") ;;
    gcc:*)
      gcc -std=c99 -Os -static -s -o "$out/$name" "$(source_of "$package" "$version")/${how#gcc:}"/*.c ;;
    module:*)
      if [ "$how" = module:kubernetes ]; then
        local minor=${version#v1.}
        ldflags+=" -X k8s.io/component-base/version.gitVersion=$version"
        ldflags+=" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=${minor%%.*}"
      fi
      (cd "$here/${how#module:}" && go build -mod=readonly -trimpath -ldflags "$ldflags" -o "$out/$name" "$package") ;;
    *) echo "tools: $name: unknown way to build '$how' in tools.tsv" >&2; exit 2 ;;
  esac
}

while IFS=$'\t' read -r name version how package _; do
  case $name in ''|'#'*) continue ;; esac
  [ "$wanted" = "  " ] || [[ $wanted == *" $name "* ]] || continue
  dir=$cache/tools/$name/$version
  if [ ! -x "$dir/$name" ]; then
    start=$SECONDS
    echo "tools: building $name $version"
    rm -rf "$dir.tmp" && mkdir -p "$dir.tmp"
    build "$name" "$version" "$how" "$package" "$dir.tmp" >"$dir.log" 2>&1 \
      || { tail -n 20 "$dir.log" >&2; echo "tools: $name $version did not build; the whole log is $dir.log" >&2; exit 1; }
    mkdir -p "$(dirname "$dir")" && rm -rf "$dir" && mv "$dir.tmp" "$dir"
    echo "tools: $name $version built in $((SECONDS - start)) s"
  fi
  ln -sfn "$dir/$name" "$bin/$name"
done < "$here/tools.tsv"
