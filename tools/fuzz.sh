#!/bin/sh
# usage: fuzz.sh BUILD_DIR SECONDS [NAME]  Every fuzz target, or the one of that name, for so long.
# What they find lies in build/fuzz/found/; new seeds in build/fuzz/corpus/. Exits 1 when one failed.
set -u
cd "$(dirname "$0")/.."
b=$1
seconds=$2
only=${3:-}
bad=0
n=0
for t in "$b"/fuzz/fz_*; do
    name=$(basename "$t")
    case $name in *.d | *.o) continue ;; esac
    [ -z "$only" ] || [ "$name" = "$only" ] || [ "$name" = "fz_$only" ] || continue
    mkdir -p "$b/found" "$b/corpus/$name"
    "$t" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 \
        -artifact_prefix="$b/found/$name-" "$b/corpus/$name" "tests/fuzz/corpus/$name" >"$b/$name.log" 2>&1
    code=$?
    n=$((n + 1))
    echo "$name: $(grep -aoE 'number_of_executed_units: [0-9]+' "$b/$name.log" | grep -oE '[0-9]+') runs, status $code"
    [ $code = 0 ] || {
        bad=$((bad + 1))
        tail -n 30 "$b/$name.log"
    }
done
echo "$((n - bad)) passed, $bad failed"
[ "$bad" = 0 ] && [ "$n" -gt 0 ]
