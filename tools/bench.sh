#!/bin/sh
# usage: bench.sh BUILD_DIR  Every benchmark; one JSON object a line.
set -u
cd "$(dirname "$0")/.."
b=$1
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
"$b/tests/parity/test_op_check" --bench

# The service without a model: requests a second at eight connections, every write synced.
MISORA_BUILD=$PWD/$b python3 tests/load/bench_http.py 4

# The embedded model as people meet it: prompt to mp4, median of three.
clip=$(mktemp --suffix .mp4)
trap 'rm -f "$clip" "$clip.s"' EXIT
for i in 1 2 3; do
    start=$(date +%s%N)
    "$b/misora" gen --model models/tiny --prompt "a red ball bounces in a green meadow" -o "$clip" >/dev/null 2>&1
    echo $(($(date +%s%N) - start)) >>"$clip.s"
done
sort -n "$clip.s" | sed -n 2p | awk '{ printf "{\"bench\":\"embedded_clip.seconds\",\"value\":%.2f,\"unit\":\"s\"}\n", $1 / 1e9 }'
