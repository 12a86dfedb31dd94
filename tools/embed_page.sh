#!/bin/sh
# usage: embed_page.sh FILE.. > page_files.c   The files of the page as C: one row each with its name,
# media type, bytes and SHA-256, ended by a row without a name (see server/page.h).
set -eu
printf '#include "server/page.h"\n\n'
n=0
for f; do
    printf 'static const unsigned char bytes_%d[] = {\n' $n
    od -An -v -tx1 "$f" | sed -E 's/ ([0-9a-f]{2})/0x\1,/g'
    printf '0};\n'
    n=$((n + 1))
done
printf '\nconst struct page_file page_files[] = {\n'
n=0
for f; do
    case $f in
    *.html) type='text/html; charset=utf-8' ;;
    *.css) type='text/css; charset=utf-8' ;;
    *.js) type='text/javascript; charset=utf-8' ;;
    *.svg) type='image/svg+xml' ;;
    *) echo "embed_page.sh: $f: no media type is known for it" >&2 && exit 1 ;;
    esac
    printf '    {"%s", "%s", "%s", bytes_%d, sizeof(bytes_%d) - 1},\n' "$(basename "$f")" "$type" \
        "$(sha256sum "$f" | cut -c 1-64)" $n $n
    n=$((n + 1))
done
printf '    {0},\n};\n'
