#!/bin/sh
# usage: train/gpu.sh measure|vae|dit1|dit2|dit3|distill|smoke [arguments of gpu.py]
# One stage on one GPU, each at most nine and a half minutes. What a stage leaves in $OUT (default out/gpu), files of
# at most 15 MiB, is what the next one needs there or in $FROM. PYTHON names a Python with torch.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
out=${OUT:-out/gpu}
[ -x build/release/worldgen ] || make -j"$(nproc)" build/release/worldgen >/dev/null
export PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
stage=$1
shift
gpu() {
    name=$1
    shift
    timeout 570 "$python" train/gpu.py "$name" --out "$out" ${FROM:+--from "$FROM"} "$@"
}
case $stage in
measure) gpu measure "$@" ;;
vae) gpu vae --seconds 360 --decay 0.4 "$@" ;;
dit1) gpu dit --part 1 --seconds 480 --decay 0.05 "$@" ;;
dit2) gpu dit --part 2 --seconds 300 --decay 0.05 "$@" ;;
dit3) gpu dit --part 3 --seconds 200 --decay 0.6 --tokens 65536 "$@" ;;
distill) gpu distill --part 3 --seconds 180 --decay 0.3 "$@" ;;
smoke)
    for s in measure vae "dit --part 1" "dit --part 2" distill join; do
        # shellcheck disable=SC2086
        gpu $s --smoke "$@" || { echo "FAIL $s"; exit 1; }
    done
    ;;
*) sed -n 2,4p "$0"; exit 2 ;;
esac
