#!/bin/sh
# usage: eval.sh BUILD_DIR MODEL SET [TEACHER]  Judges a model and writes build/eval/HASH-SET/; the
# embedded model also gets report.json, sheet.png (SET full) and floors.json beside its weights.
set -eu
cd "$(dirname "$0")/.."
b=$1
model=$2
set=$3
teacher=${4:-}
set -- --model "$model" --set "$set"
[ -z "$teacher" ] || set -- "$@" --teacher "$teacher"
[ "$model" != models/tiny ] || set -- "$@" --copy models/tiny
exec "$b/misora-eval" run "$@" ${EVAL_FLAGS:-}
