#!/bin/bash
# Ten minutes over all targets, or as many seconds as the first argument says. Keeps the corpus, shrunk; exits with 1 if
# anything was found, which then lies in fuzz/artifacts.
set -eu
cd "$(dirname "$0")/.."
total=${1:-600}
# Twice as fast where a log or a configuration is opened; the seeds bring the magic numbers that comparisons would teach.
how="--sanitizer none --no-trace-compares"
cargo run --quiet --package raftsman-fuzz --bin write_seeds -- fuzz/corpus
cargo +nightly fuzz build $how
targets=$(cargo +nightly fuzz list)
each=$((total / $(wc -w <<<"$targets")))
found=0
for target in $targets; do
  mkdir -p "fuzz/artifacts/$target"
  if ! cargo +nightly fuzz run $how "$target" -- -max_total_time="$each" -timeout=10 -rss_limit_mb=512 \
    -print_final_stats=1 >"fuzz/artifacts/$target.log" 2>&1; then
    echo "$target: found something, see fuzz/artifacts/$target.log"
    found=1
  fi
  grep -h number_of_executed_units "fuzz/artifacts/$target.log" | sed "s/^stat::/$target: /" || true
  cargo +nightly fuzz cmin $how "$target" >/dev/null 2>&1 || true
done
exit $found
