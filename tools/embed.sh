#!/bin/sh
# usage: embed.sh NAME FILE.. > NAME.c   Text files, one after the other, as C: const char NAME[], size_t NAME_size.
set -eu
name=$1
shift
printf '#include <stddef.h>\n\nextern const char %s[];\nextern const size_t %s_size;\n\nconst char %s[] = {\n' "$name" "$name" "$name"
od -An -v -tx1 "$@" | sed -E 's/ ([0-9a-f]{2})/0x\1,/g'
printf '0};\nconst size_t %s_size = sizeof(%s) - 1;\n' "$name" "$name"
