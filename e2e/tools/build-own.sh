#!/usr/bin/env bash
# Builds a Go program of this tree that has no dependencies, named like its directory, into BIN_DIR unless its sources are unchanged.
#   build-own.sh SOURCE_DIR BIN_DIR
set -euo pipefail
source=$(cd "${1:?usage: build-own.sh SOURCE_DIR BIN_DIR}" && pwd)
bin=${2:?usage: build-own.sh SOURCE_DIR BIN_DIR}
name=$(basename "$source")
cache=${MIRROR_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mirror-operator}
version=$(cat "$source"/*.go "$source/go.mod" | sha256sum | cut -c1-16)
out=$cache/tools/$name/$version/$name
if [ ! -x "$out" ]; then
  command -v go >/dev/null || { echo "tools: go is not in PATH; install Go 1.26 or newer (https://go.dev/doc/install)" >&2; exit 2; }
  mkdir -p "$(dirname "$out")"
  (cd "$source" && GOFLAGS=-buildvcs=false CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$out.tmp.$$" . && mv "$out.tmp.$$" "$out")
fi
mkdir -p "$bin"
ln -sfn "$out" "$bin/$name"
