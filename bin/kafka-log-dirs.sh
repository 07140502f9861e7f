#!/bin/sh
# Kafka's kafka-log-dirs.sh, by Raftsman.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
. "$here/find-raftsman.sh"
exec "$RAFTSMAN" kafka-log-dirs "$@"
