#!/usr/bin/env bash
# Installs the clients of the compatibility tests below target/compat: unmodified, at pinned versions.
# usage: install.sh python | java | jdk | kcat | faults | docker | docker-stop    Prints nothing when all is there already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../target}/compat
mkdir -p "$target"
# Tests run side by side, and each asks: one installs, the others find it done.
exec 9>"$target/install.lock"
flock 9

apt_install() {
  if [ "$(id -u)" != 0 ]; then
    echo "$1 is missing and only root can install it: apt-get install $1" >&2
    exit 3
  fi
  apt-get install -y --no-install-recommends "$1" >"$target/apt.log" 2>&1 \
    || { apt-get update >"$target/apt.log" 2>&1 && apt-get install -y --no-install-recommends "$1" >>"$target/apt.log" 2>&1; } \
    || { echo "installing $1 failed, see $target/apt.log" >&2; exit 3; }
}

case $1 in
  python)
    stamp=$target/python-$(sha256sum <"$here/python/requirements.txt" | cut -c1-12)
    [ -e "$stamp" ] && exit 0
    command -v python3 >/dev/null || apt_install python3
    python3 -m venv "$target/venv" 2>/dev/null || { apt_install python3-venv; python3 -m venv "$target/venv"; }
    "$target/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/python/requirements.txt"
    touch "$stamp"
    ;;
  java)
    stamp=$target/java-$(sha256sum <"$here/java/pom.xml" | cut -c1-12)
    [ -e "$stamp" ] && exit 0
    command -v java >/dev/null || apt_install openjdk-17-jre-headless
    command -v mvn >/dev/null || apt_install maven
    mvn --quiet --batch-mode -f "$here/java/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
      -DoutputDirectory="$target/kafka-tools"
    touch "$stamp"
    ;;
  jdk)
    command -v javac >/dev/null || apt_install openjdk-17-jdk-headless
    command -v mvn >/dev/null || apt_install maven
    ;;
  kcat)
    command -v kcat >/dev/null || apt_install kcat
    ;;
  faults)
    # Networks that are cut, clocks that are moved, disks that lose their power.
    command -v ip >/dev/null || apt_install iproute2
    command -v iptables >/dev/null || apt_install iptables
    command -v mkfs.ext4 >/dev/null || apt_install e2fsprogs
    command -v faketime >/dev/null || apt_install faketime
    ;;
  docker)
    command -v dockerd >/dev/null || apt_install docker.io
    command -v docker-compose >/dev/null || apt_install docker-compose
    if ! docker info >/dev/null 2>&1; then
      [ "$(id -u)" = 0 ] || { echo "the docker daemon does not answer and only root can start it: start dockerd" >&2; exit 3; }
      dockerd --pidfile "$target/dockerd.pid" >"$target/dockerd.log" 2>&1 </dev/null 9>&- &
      for _ in $(seq 300); do
        docker info >/dev/null 2>&1 && exit 0
        read -r -t 0.1 <> <(:) || true
      done
      echo "dockerd does not start, see $target/dockerd.log" >&2
      exit 3
    fi
    ;;
  docker-stop)
    # Ends only a daemon that this script started.
    [ -e "$target/dockerd.pid" ] && kill "$(cat "$target/dockerd.pid")" || true
    ;;
  *)
    echo "install.sh: unknown client '$1': python, java, jdk, kcat, faults or docker" >&2
    exit 2
    ;;
esac
