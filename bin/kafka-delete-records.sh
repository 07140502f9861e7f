#!/bin/sh
# Kafka's kafka-delete-records.sh, by Raftsman.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
. "$here/find-raftsman.sh"
exec "$RAFTSMAN" kafka-delete-records "$@"
