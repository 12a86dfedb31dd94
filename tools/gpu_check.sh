#!/bin/sh
# usage: gpu_check.sh [OUT_DIR]  All that must be known about the CUDA backend, on a machine with a GPU, nvcc, gcc and
# a Python with PyTorch and numpy; nothing is fetched. Under 9 minutes: builds for this card, runs every
# op and whole models against the oracle, a memory checker over the small cases, the embedded model and
# folders of random weights beside PyTorch. Prints one table, writes OUT_DIR/gpu_check.json and logs.
# ONLY="build ops models sanitize embedded dit decode" chooses, BUDGET_S is the time for all.
set -u
cd "$(dirname "$0")/.."
exec "${PYTHON:-python3}" tools/gpu_check.py --out "${1:-out/gpu_check}" --only "${ONLY:-}" --budget "${BUDGET_S:-520}"
