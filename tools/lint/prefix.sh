#!/bin/sh
# usage: prefix.sh FILE.o...  Every symbol that foo.c exports is foo or starts with foo_.
set -u
bad=0
for o; do
    m=$(basename "$o" .o)
    nm -g --defined-only "$o" | awk -v m="$m" -v o="$o" '
        $3 !~ "^" m "(_|$)" && $3 !~ /^(__|main$)/ && $2 != "V" { print o ": " $3 " (want " m "_...)"; bad = 1 }
        END { exit bad }' || bad=1
done
exit $bad
