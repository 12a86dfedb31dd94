#!/bin/sh
# usage: demo.sh BUILD_DIR PROMPT OUT  One prompt through the whole service to an mp4. SIZE and SEED may
# be set; the seed is fixed so that two demos of one prompt are equal.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "$(dirname "$3")"
start=$(date +%s)
tools/stack.sh "$1" "$1/misora" job submit --prompt "$2" --seconds 4 --seed "${SEED:-3}" --size "${SIZE:-640x400}" --output "$3"
echo "$3: $(wc -c <"$3") bytes after $(($(date +%s) - start)) s"
