#!/usr/bin/env bash
# Builds the bench's kit (e2e/bench/kit, no dependencies) into BIN_DIR unless its sources are unchanged.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${1:?usage: build-kit.sh BIN_DIR}
cache=${MIRROR_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mirror-operator}
version=$(cat "$here"/kit/*.go "$here/kit/go.mod" | sha256sum | cut -c1-16)
out=$cache/tools/kit/$version/kit
if [ ! -x "$out" ]; then
  command -v go >/dev/null || { echo "bench: go is not in PATH; install Go 1.26 or newer (https://go.dev/doc/install)" >&2; exit 2; }
  mkdir -p "$(dirname "$out")"
  (cd "$here/kit" && GOFLAGS=-buildvcs=false CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$out.tmp.$$" . && mv "$out.tmp.$$" "$out")
fi
mkdir -p "$bin"
ln -sfn "$out" "$bin/kit"
