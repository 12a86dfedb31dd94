#!/bin/sh
# usage: big_models.sh BUILD_DIR [MODEL..]  Text, image, extend and connect at 256x256 on folders of
# random weights in the shapes of the real models; a JSON line a task. Folders are made in
# build/bench-models (or BENCH_MODELS) when they are not there. SIZE, FRAMES and STEPS may be set.
set -eu
cd "$(dirname "$0")/../.."
b=$1
shift
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
[ $# -gt 0 ] || set -- wan2.1-t2v-1.3b vace-1.3b wan2.2-ti2v-5b
models=${BENCH_MODELS:-build/bench-models}
for name in "$@"; do
    [ -f "$models/$name/done" ] || {
        "${BENCH_PYTHON:-python3}" train/make_random.py --like "$name" "$models/$name"
        touch "$models/$name/done"
    }
    "$b/bench_tasks" --model "$models/$name" --size "${SIZE:-256x256}" --frames "${FRAMES:-17}" --steps "${STEPS:-2}"
done
