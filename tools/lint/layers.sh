#!/bin/sh
# Which folder may include which (our headers only). The graph has no cycles.
set -u
bad=0
check() {
    dir=$1
    allow=$2
    [ -d "$dir" ] || return 0
    hits=$(grep -rnE '^[[:space:]]*#[[:space:]]*include "' "$dir" --include='*.[ch]' --include='*.cu' |
        grep -vE "include \"($allow)/[^\"]*\"" || true)
    [ -z "$hits" ] || {
        echo "$dir may include only: $allow"
        echo "$hits"
        bad=1
    }
}
check common/base 'common/base'
check engine 'engine|engine/cpu|engine/cuda|common/base'
check common/words 'common/words|common/base'
check train/world 'train/world|common/words|common/base'
check decode 'decode|common/base'
check server 'server|common|common/words|common/base'
check eval 'eval|engine|train/world|common|common/words|common/base|worker/media'
check worker 'worker|worker/media|engine|common|common/base'
hits=$(grep -rnE '^[[:space:]]*#[[:space:]]*include "(decode|engine|eval|server|worker|train|tools)/' common --include='*.[ch]' || true)
[ -z "$hits" ] || { echo "common knows no program:"; echo "$hits"; bad=1; }
hits=$(grep -rnw 'JOB_[A-Z]*' engine --include='*.[ch]' --include='*.cu' || true)
[ -z "$hits" ] || { echo "the engine has never heard of jobs:"; echo "$hits"; bad=1; }
exit $bad
