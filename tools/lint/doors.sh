#!/bin/sh
# Each foreign header has one door: header pattern, then the only files that may include it.
set -u
bad=0
door() {
    hits=$(git grep -lE "^[[:space:]]*#[[:space:]]*include <($1)" -- 'common/*.[ch]' 'server/*.[ch]' \
        'worker/*.[ch]' 'decode/*.[ch]' 'engine/*.[ch]' 'engine/*.cu' 'tools/*.[ch]' 'train/world/*.[ch]' 'eval/*.[ch]' | grep -vE "^($2)$" || true)
    [ -z "$hits" ] || {
        echo "<$1> may be included only by $2, not by:"
        echo "$hits"
        bad=1
    }
}
door 'microhttpd' 'server/http\.c'
door 'jansson' 'common/doc\.c'
door 'hiredis' 'common/redis\.c'
door 'uv\.h' 'worker/loop\.c'
door 'curl/' 'common/fetch\.c'
door 'libav|libsw' '(decode|worker/media)/[a-z_]+\.[ch]'
door 'cblas|openblas' 'engine/(backend_cpu|cpu/[a-z0-9_]+)\.c'
door 'cuda' 'engine/cuda/cuda_own\.h'
door 'cublas' 'engine/cuda/cuda_blas\.cu'
exit $bad
