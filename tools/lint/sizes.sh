#!/bin/sh
# usage: sizes.sh FUNCTION_LINES FILE_LINES FILE...  The walls, unless sizes.allow names a reason
# ("path:function  reason" or "path  reason").
set -u
max=$1
file_max=$2
shift 2
allow=$(dirname "$0")/sizes.allow
bad=0
ctags --fields=+ne --kinds-c=f -f - "$@" | awk -F'\t' -v max="$max" -v allow="$allow" '
    BEGIN { while ((getline l < allow) > 0) { split(l, a, " "); ok[a[1]] = 1 } }
    { s = e = 0
      for (i = 4; i <= NF; i++) { if ($i ~ /^line:/) s = substr($i, 6); if ($i ~ /^end:/) e = substr($i, 5) }
      n = e - s + 1
      if (n > max && !($2 ":" $1 in ok)) { print $2 ": " $1 " has " n " lines (wall " max ")"; bad = 1 } }
    END { exit bad }' || bad=1
wc -l "$@" | awk -v max="$file_max" -v allow="$allow" '
    BEGIN { while ((getline l < allow) > 0) { split(l, a, " "); ok[a[1]] = 1 } }
    $2 != "total" && $1 > max && !($2 in ok) { print $2 " has " $1 " lines (wall " max ")"; bad = 1 }
    END { exit bad }' || bad=1
exit $bad
