#!/bin/sh
# usage: all.sh BUILD_DIR  Every lint; exits 1 when one has something to say.
set -u
cd "$(dirname "$0")/../.."
b=$1
here=tools/lint
product=$(git ls-files 'common/*.[ch]' 'decode/*.[ch]' 'engine/*.[ch]' 'server/*.[ch]' 'worker/*.[ch]' 'tools/*.[ch]' 'train/world/*.[ch]' 'eval/*.[ch]')
sources=$(echo "$product" | grep '\.c$')
objects=$(for s in $sources; do o=$b/${s%.c}.o; case $s in */main.c | *_main.c) ;; *) [ -f "$o" ] && echo "$o" ;; esac; done)
bad=0
run() {
    name=$1
    shift
    if "$@"; then echo "lint $name ok"; else
        echo "lint $name FAILED"
        bad=1
    fi
}
run layers $here/layers.sh
run doors $here/doors.sh
run prefix $here/prefix.sh $objects
run sizes $here/sizes.sh 70 800 $product
run banned $here/banned.sh $product
exit $bad
