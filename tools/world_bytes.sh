#!/bin/sh
# usage: world_bytes.sh  The world's bytes are the same whatever compiles it: every compiler that is
# installed renders the goldens of tests/unit/test_world.c, unoptimised and optimised.
set -eu
cd "$(dirname "$0")/.."
out=build/world-bytes
mkdir -p "$out"
passed=0
failed=0
skipped=0
for cc in gcc clang; do
    command -v "$cc" >/dev/null || {
        echo "skip $cc is not installed"
        skipped=$((skipped + 2))
        continue
    }
    for level in -O0 -O3; do
        # shellcheck disable=SC2046
        "$cc" -std=c11 -D_GNU_SOURCE "$level" -ffp-contract=off -fno-math-errno -fno-trapping-math \
            -fno-signed-zeros -I. \
            -o "$out/$cc$level" $(find train/world -name '*.c' ! -name main.c) common/words/*.c common/base/*.c \
            tests/lib/check.c tests/unit/test_world.c -lm -pthread
        if "$out/$cc$level" bytes_are_the_golden_ones_on_every_compiler; then
            passed=$((passed + 1))
        else
            echo "FAIL $cc $level"
            failed=$((failed + 1))
        fi
    done
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
