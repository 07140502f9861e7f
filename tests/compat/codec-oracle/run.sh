#!/bin/sh
# Judges our codec by Kafka's own: fetches Kafka's classes through Maven, lets them write a corpus of every message
# and version, and runs the test that decodes and encodes each of its lines. Needs java, javac, mvn and cargo.
# usage: run.sh [--corpus-only]    The latter only writes the corpus and prints its path last.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
work="${CARGO_TARGET_DIR:-$root/target}/codec-oracle"
# 3.9.1 is the last release that knows every version down to 0.
releases="3.9.1 4.3.1 4.4.0"

fetch() { # <artifact> <directory>
    name=$(echo "$1" | cut -d: -f2)-$(echo "$1" | cut -d: -f3).jar
    [ -s "$2/$name" ] || mvn -q -B -Dstyle.color=never dependency:copy -Dartifact="$1" -DoutputDirectory="$2"
}

messages=$(sed -n 's/^\(request\|response\|data\) \([A-Za-z]*\) .*/\2/p' "$root"/crates/protocol/schema/*.txt)
mkdir -p "$work"
: > "$work/corpus.txt"
for release in $releases; do
    jars="$work/$release/jars"
    classes="$work/$release/classes"
    mkdir -p "$jars" "$classes"
    fetch "org.apache.kafka:kafka-clients:$release" "$jars"
    fetch "org.apache.kafka:kafka-group-coordinator:$release" "$jars"
    fetch "org.slf4j:slf4j-api:2.0.17" "$jars"
    javac -nowarn -cp "$jars/*" -d "$classes" "$here/Corpus.java"
    # shellcheck disable=SC2086 # the names are words
    java -Dslf4j.internal.verbosity=ERROR -cp "$classes:$jars/*" Corpus "$work/$release.txt" $messages
    cat "$work/$release.txt" >> "$work/corpus.txt"
    echo "Kafka $release wrote $(wc -l < "$work/$release.txt") bodies"
done

if [ "${1:-}" = --corpus-only ]; then
    echo "$work/corpus.txt"
    exit 0
fi
cd "$root"
RAFTSMAN_CODEC_CORPUS="$work/corpus.txt" CI=true cargo test --package raftsman-protocol --test codec corpus
