#!/bin/sh
# usage: test.sh BUILD_DIR  Everything that CI runs; the last line counts all tests. Each stage's
# output goes to build/test-NAME.log and is shown when the stage fails.
set -u
cd "$(dirname "$0")/.."
b=$1
passed=0
failed=0
skipped=0
stage() {
    name=$1
    shift
    start=$(date +%s)
    "$@" >"build/test-$name.log" 2>&1
    code=$?
    line=$(grep -aE '[0-9]+ (passed|failed)' "build/test-$name.log" | tail -n 1)
    count() { echo "$line" | grep -oE "[0-9]+ $1" | grep -oE '^[0-9]+' || echo 0; }
    p=$(count passed)
    f=$(($(count failed) + $(count error)))
    s=$(count skipped)
    [ $code = 0 ] || [ "$f" -gt 0 ] || f=1
    [ -n "$line" ] || { [ $code = 0 ] && p=1; }
    [ $code = 0 ] || tail -n 60 "build/test-$name.log"
    echo "$name: $p passed, $f failed, $s skipped ($(($(date +%s) - start)) s)"
    grep -aE '^(skip |SKIPPED)' "build/test-$name.log"
    passed=$((passed + p))
    failed=$((failed + f))
    skipped=$((skipped + s))
}
stage lint tools/lint/all.sh "$b"
stage unit tools/test_unit.sh "$b"
stage world tools/world_bytes.sh
stage eval "$b/misora-eval" check
stage train tools/test_train.sh "$b"
stage sim python3 tests/sim/sim.py --seeds 50
stage mutate python3 tests/sim/mutate.py
stage crash python3 tests/sim/crash.py --kills 2 --cuts 3
stage integration tools/test_integration.sh "$b"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
