#!/bin/sh
# usage: sanitize.sh BUILD_DIR  Unit and parity tests and short clips with the programs of a build
# with sanitizers; the last line says what was found. BUILD_DIR tells which they are.
set -u
cd "$(dirname "$0")/.."
b=$1
# Memory that nobody filled is filled with something, so that reading it shows.
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:max_malloc_fill_size=16777216:malloc_fill_byte=255 UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS="halt_on_error=0 second_deadlock_stack=1"
log=build/sanitize-$(basename "$b").log
clip=$(mktemp --suffix .mp4)
trap 'rm -f "$clip"' EXIT
bad=0
# One thread that counts for minutes: nothing to race with.
case $b in *tsan) export SKIP="test_caption test_parse test_world" ;; esac
tools/test_unit.sh "$b" >"$log" 2>&1 || bad=1
gen() {
    echo "== misora gen $*"
    "$b/misora" gen --model models/tiny --prompt "a red ball bounces" --steps 3 -o "$clip" "$@" || bad=1
}
gen --frames 5 --size 64x64 >>"$log" 2>&1
gen --frames 61 --size 64x64 --guidance 3 --threads 4 >>"$log" 2>&1
found=$(grep -cE '^(WARNING: ThreadSanitizer|==[0-9]+==ERROR|SUMMARY: [A-Za-z]*Sanitizer|.*: runtime error:)' "$log")
grep -E '^(SUMMARY: [A-Za-z]*Sanitizer|.*: runtime error:)' "$log" | sort | uniq -c
grep -E '^[0-9]+ passed, ' "$log" | tail -n 1
echo "$(basename "$b"): $found reports, full text in $log"
[ "$bad" = 0 ] && [ "$found" = 0 ]
