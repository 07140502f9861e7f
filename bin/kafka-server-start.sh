#!/bin/sh
# Kafka's kafka-server-start.sh, by Raftsman: [-daemon] server.properties [--override key=value]...
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
. "$here/find-raftsman.sh"
if [ "${1:-}" = "-daemon" ]; then
    shift
    log=${LOG_DIR:-$here/../logs}
    mkdir -p "$log" || exit 1
    nohup "$RAFTSMAN" server "$@" >>"$log/server.log" 2>&1 </dev/null &
    exit 0
fi
if [ $# -lt 1 ]; then
    echo "USAGE: $0 [-daemon] server.properties [--override property=value]*" >&2
    exit 1
fi
exec "$RAFTSMAN" server "$@"
