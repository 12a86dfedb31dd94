#!/bin/sh
# usage: test_integration.sh BUILD_DIR [EXPRESSION]  pytest over tests/integration,
# tests/contract and tests/web with the programs in BUILD_DIR.
set -u
cd "$(dirname "$0")/.."
MISORA_BUILD=$PWD/$1
export MISORA_BUILD
NODE_PATH=$PWD/build/node/node_modules
export NODE_PATH
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
exec build/pyenv/bin/pytest -q -p no:cacheprovider -W ignore::DeprecationWarning -rs tests/integration tests/contract tests/web ${2:+-k "$2"}
