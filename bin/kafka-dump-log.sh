#!/bin/sh
# Kafka's kafka-dump-log.sh, by Raftsman.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
. "$here/find-raftsman.sh"
exec "$RAFTSMAN" dump-log "$@"
