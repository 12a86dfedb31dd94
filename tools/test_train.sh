#!/bin/sh
# usage: test_train.sh BUILD_DIR  The training chain on tiny networks and the tests of its parts, with the Python that
# TRAIN_PYTHON names, or python3, if it has torch, sentencepiece and safetensors; without one all of it is skipped.
set -eu
cd "$(dirname "$0")/.."
python=${TRAIN_PYTHON:-python3}
"$python" -c 'import torch, sentencepiece, safetensors' 2>/dev/null || {
    echo "skip train: $python has no torch, sentencepiece and safetensors (TRAIN_PYTHON names another)"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}
PYTHON=$python WORLDGEN=$PWD/$1/worldgen train/smoke.sh
