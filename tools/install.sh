#!/bin/sh
# usage: install.sh build|test|bench   Installs the Debian packages that are missing; needs root or
# sudo only when something is. `test` adds what the tests need and a private Python in build/pyenv,
# `bench` PyTorch and diffusers in build/benchenv, unless BENCH_PYTHON names a Python that has them.
set -eu
cd "$(dirname "$0")/.."
what=${1:-build}
packages="build-essential pkg-config libmicrohttpd-dev libjansson-dev libhiredis-dev libuv1-dev
    libcurl4-openssl-dev libavformat-dev libavcodec-dev libavutil-dev libswscale-dev
    libopenblas-dev redis-server curl"
[ "$what" = test ] && packages="$packages nginx-light ffmpeg strace python3 python3-venv universal-ctags nodejs chromium"
[ "$what" = bench ] && packages="$packages python3 python3-venv"

missing=
for p in $packages; do
    case $p in
    # Any package that brings the program will do.
    nginx-light) command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || missing="$missing $p" ;;
    nodejs) command -v node >/dev/null || missing="$missing nodejs npm" ;;
    python3) command -v python3 >/dev/null || missing="$missing $p" ;;
    *) dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p" ;;
    esac
done
if [ -n "$missing" ]; then
    echo "installing:$missing"
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    # A service that Debian would start at once is not ours to run.
    $sudo env RUNLEVEL=1 apt-get update -qq
    $sudo env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
if [ "$what" = bench ] && [ -z "${BENCH_PYTHON:-}" ] && [ ! -f build/benchenv/ready ]; then
    echo "installing PyTorch and diffusers into build/benchenv"
    mkdir -p build
    python3 -m venv build/benchenv
    build/benchenv/bin/pip install -q --disable-pip-version-check torch numpy diffusers transformers accelerate
    touch build/benchenv/ready
fi
[ "$what" = test ] || exit 0

if [ ! -x build/pyenv/bin/playwright ]; then
    echo "installing the Python test tools into build/pyenv"
    mkdir -p build
    python3 -m venv build/pyenv
    build/pyenv/bin/pip install -q --disable-pip-version-check pytest==9.* openai==3.* standardwebhooks \
        pillow "moto[server,s3]==5.*" playwright==1.* "schemathesis==4.*" requests
fi
if [ ! -d build/node/node_modules/axe-core ]; then
    echo "installing the Node test tools into build/node"
    mkdir -p build/node
    npm --prefix build/node install --silent --no-audit --no-fund openai@7 standardwebhooks@1 \
        @redocly/openapi-core@2 axe-core@4 >/dev/null
fi
