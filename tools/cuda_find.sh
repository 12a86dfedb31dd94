#!/bin/sh
# usage: cuda_find.sh nvcc|include|lib   Where CUDA is, or nothing: the compiler, the folder of
# cublasLt.h, the folder of libcublasLt. Looks at $CUDA_HOME, PATH, the usual places, and the packages
# of the Python that holds PyTorch (nvidia-cuda-nvcc, nvidia-cublas).
set -eu
roots() {
    [ -z "${CUDA_HOME:-}" ] || echo "$CUDA_HOME"
    n=$(command -v nvcc 2>/dev/null || true)
    [ -z "$n" ] || dirname "$(dirname "$(readlink -f "$n")")"
    ls -d /usr/local/cuda /usr/local/cuda-* /opt/cuda /opt/cuda/nvidia/cu* /usr/lib/cuda 2>/dev/null || true
    for p in python3 /opt/train/bin/python; do
        command -v "$p" >/dev/null 2>&1 || continue
        "$p" - <<'P' 2>/dev/null || true
import glob, site, sysconfig
for d in {*site.getsitepackages(), sysconfig.get_paths()["purelib"]}:
    for r in sorted(glob.glob(d + "/nvidia/cu1[0-9]") + glob.glob(d + "/nvidia/cublas")):
        print(r)
P
    done
}
first() { # PATTERN...: the first file below a root
    roots | while read -r r; do
        for p; do
            for f in "$r"/$p; do
                [ ! -e "$f" ] || { echo "$f"; exit 0; }
            done
        done
    done
}
case $1 in
nvcc) first bin/nvcc ;;
include) f=$(first include/cublasLt.h targets/x86_64-linux/include/cublasLt.h) && [ -z "$f" ] || dirname "$f" ;;
lib)
    f=$(first 'lib64/libcublasLt.so*' 'lib/libcublasLt.so*' 'targets/x86_64-linux/lib/libcublasLt.so*')
    [ -z "$f" ] || dirname "$f"
    ;;
esac
