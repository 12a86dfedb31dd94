#!/bin/sh
# usage: train/smoke.sh [FOLDER]   The whole training on tiny networks, from rendered clips to frames of the engine:
# every loss must fall by 30 %, and the engine must show what PyTorch shows. PYTHON names a Python that has torch,
# numpy, sentencepiece and safetensors. One to two minutes on two cores.
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python3}
build=$(cd .. && pwd)/build/release
export WORLDGEN="${WORLDGEN:-$build/worldgen}" OMP_NUM_THREADS=1
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
if [ $# -gt 0 ]; then
    r=$1
    mkdir -p "$r"
else
    r=$(mktemp -d)
    trap 'rm -rf "$r"' EXIT INT TERM
fi
passed=0
step() {
    what=$1
    shift
    begin=$(date +%s)
    "$@" >"$r/$what.txt" 2>&1 || {
        tail -n 20 "$r/$what.txt"
        echo "FAIL $what"
        echo "$passed passed, 1 failed"
        exit 1
    }
    echo "$what ($(($(date +%s) - begin)) s): $(grep -E 'loss .* -> |off by' "$r/$what.txt" | tail -n 1)"
    passed=$((passed + 1))
}
step clips "$python" data.py --out "$r/pool" --size 48x32 --frames 9 --count 64 --seed 1
step words "$python" tokens.py --pools "$r/pool" --out "$r/tok"
step autoencoder "$python" train_vae.py --pools "$r/pool" --out "$r/vae" --smoke
step latents "$python" encode.py --vae "$r/vae/vae.pt" --out "$r/latents" --count 60 --shard 20 --kinds 48x32x9,32x48x17 --measure 8
step transformer "$python" train_dit.py --latents "$r/latents" --spiece "$r/tok/spiece.model" --out "$r/dit" --tokens 200 --lr 3e-3 --smoke
step distillation "$python" distill.py --teacher "$r/dit/dit.pt" --latents "$r/latents" --spiece "$r/tok/spiece.model" \
    --out "$r/four" --tokens 60 --own-after 20 --lr 1e-3 --guidance 4 --smoke
step export "$python" export.py --vae "$r/vae/vae.pt" --dit "$r/four/dit.pt" --latents "$r/latents" --spiece "$r/tok/spiece.model" --out "$r/model"
step engine "$python" compare.py --model "$r/model" --misora "$build/misora" --size 48x32 --frames 9
echo "$passed passed, 0 failed"
