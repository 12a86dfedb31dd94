#!/bin/sh
# usage: embed.sh NAME FILE > NAME.c   Turns a text file into C: const char NAME[], size_t NAME_size.
set -eu
name=$1
file=$2
printf '#include <stddef.h>\n\nextern const char %s[];\nextern const size_t %s_size;\n\nconst char %s[] = {\n' "$name" "$name" "$name"
od -An -v -tx1 "$file" | sed -E 's/ ([0-9a-f]{2})/0x\1,/g'
printf '0};\nconst size_t %s_size = sizeof(%s) - 1;\n' "$name" "$name"
