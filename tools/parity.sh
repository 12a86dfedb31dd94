#!/bin/sh
# usage: parity.sh BUILD_DIR  Runs the parity tests and prints one table of every golden and one of
# every operation, as Markdown. Exits 1 when a test failed.
set -u
cd "$(dirname "$0")/.."
b=$1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
bad=0
for t in sampling_golden sampling_tasks dit_cache text_golden dit_golden dit_variants clip_golden conditions_golden experts_golden adapters_golden vae_maps vae_golden vae_tile taehv pipeline_golden engine op_check op_linear op_attention op_conv; do
    "$b/tests/parity/test_$t" >>"$log" 2>&1 || bad=1
done
awk '
    # "  NAME  DEVICE max E  relative R  tolerance T"; "-" is arithmetic that needs no device.
    match($0, / (ref|cpu|-) +max /) {
        name = substr($0, 1, RSTART - 1); gsub(/^ +| +$/, "", name)
        split(substr($0, RSTART), a)
        if (!(name in tolerance)) order[++n] = name
        tolerance[name] = a[7]
        at = name SUBSEP (a[1] == "-" ? "ref" : a[1])
        if (!(at in worst) || a[3] + 0 > worst[at] + 0) worst[at] = a[3]
    }
    # "     OP  SHAPE  error E of LIMIT": the shape that comes nearest to its limit.
    match($0, / +error .* of /) {
        op = substr($0, 6, 28); gsub(/ +$/, "", op)
        split(substr($0, RSTART), a)
        if (!(op in cases)) ops[++m] = op
        cases[op]++
        if (!(op in share) || a[2] / a[4] > share[op]) {
            share[op] = a[2] / a[4]; error[op] = a[2]; limit[op] = a[4]
        }
    }
    /^skip/ { print "skipped: " $0 "\n" }
    END {
        print "| golden | ref, max error | cpu, max error | tolerance |\n|---|---|---|---|"
        for (i = 1; i <= n; i++)
            print "| " order[i] " | " worst[order[i], "ref"] " | " worst[order[i], "cpu"] " | " tolerance[order[i]] " |"
        print "\n| operation, cpu against ref | shapes | nearest to its limit | limit there |\n|---|---|---|---|"
        for (i = 1; i <= m; i++) print "| " ops[i] " | " cases[ops[i]] " | " error[ops[i]] " | " limit[ops[i]] " |"
    }' "$log"
[ $bad = 0 ] || { echo; grep -A3 '^FAIL' "$log" | head -40; }
exit $bad
