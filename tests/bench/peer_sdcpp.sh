#!/bin/sh
# usage: peer_sdcpp.sh FOLDER   stable-diffusion.cpp, in its strongest build, on a folder of the shape
# of Wan 2.1 (build/bench-models/wan2.1-t2v-1.3b): seconds of a step and of a decode at 256x256x17.
# Its source comes with the package stable-diffusion-cpp-python of PyPI and is built once, in
# build/peer. Without a text encoder it takes rows of zeros, which cost its transformer the same.
set -eu
cd "$(dirname "$0")/../.."
folder=$1
here=build/peer
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
mkdir -p $here
if [ ! -x $here/sd-cli ]; then
    [ -x $here/env/bin/pip ] || python3 -m venv $here/env
    $here/env/bin/pip install -q scikit-build-core
    $here/env/bin/pip download -q --no-deps --no-build-isolation --no-binary :all: -d $here stable-diffusion-cpp-python
    mkdir -p $here/source
    tar xzf $here/stable_diffusion_cpp_python-*.tar.gz -C $here/source --strip-components 1
    cmake -S $here/source/vendor/stable-diffusion.cpp -B $here/cmake -DCMAKE_BUILD_TYPE=Release -DGGML_LLAMAFILE=ON \
        -DGGML_NATIVE=ON -DSD_BUILD_EXAMPLES=ON >/dev/null
    cmake --build $here/cmake --target sd-cli -j "$(nproc)" >/dev/null
    cp $here/cmake/bin/sd-cli $here/sd-cli
fi
[ -f "$folder/original/vae.safetensors" ] || python3 tests/bench/original_names.py "$folder" "$folder/original"
$here/sd-cli -M vid_gen --diffusion-model "$folder/original/dit.safetensors" --vae "$folder/original/vae.safetensors" \
    -p "a red ball" -W 256 -H 256 --video-frames 17 --steps "${STEPS:-2}" --cfg-scale 1.0 --sampling-method euler \
    --diffusion-fa -t "$(nproc)" --flow-shift 3.0 -o $here/out.avi -v >$here/log 2>&1
grep -E 'sampling completed|decode_first_stage completed|s/it|generate_video completed|compute buffer size' $here/log
