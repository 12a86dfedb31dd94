#!/bin/sh
# usage: bench.sh BUILD_DIR  Every benchmark; one JSON object a line.
set -u
cd "$(dirname "$0")/.."
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
for t in "$1"/tests/parity/test_op_check; do
    [ -x "$t" ] && "$t" --bench
done
