#!/bin/sh
# Kafka's kafka-storage.sh, as far as it has a meaning here: Raftsman formats an empty directory at its first start and
# draws the cluster's id when the cluster forms, so that `format` has nothing to do.
case "${1:-}" in
random-uuid)
    # 16 random bytes in URL-safe base64 without padding; Kafka's never start with a dash.
    while :; do
        id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n')
        case $id in -*) ;; *) break ;; esac
    done
    echo "$id"
    ;;
format)
    echo "Nothing to format: the node does it by itself when it starts." >&2
    for argument in "$@"; do
        case $argument in
        -t | --cluster-id | --cluster-id=*)
            echo "The cluster id given here is not used: the cluster draws its own when it forms, see meta.properties afterwards." >&2
            ;;
        esac
    done
    ;;
*)
    echo "USAGE: $0 {random-uuid | format [...]}" >&2
    exit 1
    ;;
esac
