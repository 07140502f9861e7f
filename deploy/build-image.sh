#!/usr/bin/env bash
# Makes the image of docker-compose.yml from a binary built on this machine, with no base image and no registry.
# usage: deploy/build-image.sh [NAME]    (default: raftsman:latest)
set -euo pipefail
cd "$(dirname "$0")/.."
name=${1:-raftsman:latest}
target=x86_64-unknown-linux-gnu

command -v docker >/dev/null || { echo "docker is missing: install it, or run the nodes with 'raftsman cluster'" >&2; exit 1; }
docker info >/dev/null 2>&1 || { echo "the docker daemon does not answer: start dockerd" >&2; exit 1; }

# Statically linked, so that the image needs nothing else.
RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --package raftsman-cli --target "$target"

image=$(mktemp -d)
trap 'rm -rf "$image"' EXIT
mkdir -p "$image/usr/local/bin" "$image/var/lib/raftsman" "$image/tmp"
cp "${CARGO_TARGET_DIR:-target}/$target/release/raftsman" "$image/usr/local/bin/"
tar -C "$image" --owner=0 --group=0 -c . | docker import \
  --change 'ENV KAFKA_LOG_DIRS=/var/lib/raftsman' \
  --change 'VOLUME /var/lib/raftsman' \
  --change 'EXPOSE 9092' \
  --change 'ENTRYPOINT ["/usr/local/bin/raftsman"]' \
  --change 'CMD ["server"]' \
  - "$name"
