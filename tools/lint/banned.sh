#!/bin/sh
# usage: banned.sh FILE...  Calls that have a better word in common/base, and words that promise work.
set -u
bad=0
grep -nE '(^|[^a-z_])(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|atof|strtod|gets|system|popen|alloca|rand|srand|localtime|gmtime|strncpy|setjmp)\(' "$@" && bad=1
grep -nE '(^|[^a-z_>.])(malloc|calloc|realloc|free|strdup|aligned_alloc|posix_memalign)\(' "$@" |
    grep -vE '^common/base/mem\.c|^engine/backend_' && bad=1
grep -nwE 'TODO|FIXME|XXX|HACK' "$@" && bad=1
exit $bad
