#!/bin/sh
# usage: bench.sh BUILD_DIR [ROW..]  Every benchmark, or the rows named; one JSON object a line.
# `ops` and `http` are rows too, the rest is tests/bench/bench.py.
set -u
cd "$(dirname "$0")/.."
b=$1
shift
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
[ $# -gt 0 ] || set -- ops http $(python3 tests/bench/bench.py --list)
rows=
for row in "$@"; do
    case $row in
    ops)
        "$b/tests/parity/test_op_check" --bench
        "$b/tests/parity/test_op_attention" --bench
        "$b/tests/parity/test_op_linear" --bench
        ;;
    # The service without a model: requests a second at eight connections, every write synced.
    http) MISORA_BUILD=$PWD/$b python3 tests/load/bench_http.py 4 ;;
    *) rows="$rows $row" ;;
    esac
done
[ -z "$rows" ] || python3 tests/bench/bench.py "$b" $rows
