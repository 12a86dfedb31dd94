#!/bin/sh
# usage: test_unit.sh BUILD_DIR [NAME]  Runs the unit and parity tests, one process a file; the last
# line counts them. A file that dies counts as one failure. Files named in SKIP are left out.
set -u
cd "$(dirname "$0")/.."
b=$1
name=${2:-}
log=$(mktemp)
trap 'rm -f "$log" "$log.one"' EXIT
for t in "$b"/tests/unit/test_* "$b"/tests/parity/test_* "$b"/tests/eval/test_*; do
    case $t in *.o | *.d) continue ;; esac
    [ -x "$t" ] || continue
    [ -f "${t#"$b"/}.c" ] || continue
    case $(basename "$t") in *"$name"*) ;; *) continue ;; esac
    case " ${SKIP:-} " in *" $(basename "$t") "*) continue ;; esac
    echo "== ${t#"$b"/}"
    "$t" >"$log.one" 2>&1
    code=$?
    cat "$log.one"
    if tail -n 1 "$log.one" | grep -qE '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$'; then
        tail -n 1 "$log.one" >>"$log"
    else
        echo "died with status $code"
        echo "0 passed, 1 failed, 0 skipped" >>"$log"
    fi
done
awk '{ p += $1; f += $3; s += $5 } END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 }' "$log"
