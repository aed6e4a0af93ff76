#!/bin/sh
# Resolves envs/lock-py311.txt and lock-py312.txt anew from requirements.in. Needs uv.
# mediapipe's unused dependencies are overridden away; the GPU packages of torch are left to torch's own install.
set -eu
cd "$(dirname "$0")"
for version in 3.11 3.12; do
    lock=lock-py$(echo $version | tr -d .).txt
    echo "# Complete and pinned, for Python $version; resolved from requirements.in by resolve.sh." >"$lock.new"
    uv pip compile requirements.in --override overrides.txt --python-version $version --quiet \
        --no-emit-index-url --no-header --no-annotate | grep -v -E '^(nvidia-|cuda-)' >>"$lock.new"
    mv "$lock.new" "$lock"
done
