#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "engine/lora.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/temp.h"

void fz_lora(const uint8_t *data, size_t size) {
    static char path[512];
    struct lora_source source;
    struct lora *l = NULL;
    struct fail f = {0};
    char room[512];
    if (!path[0]) snprintf(path, sizeof path, "%s/x.safetensors", temp_dir());
    FILE *file = fopen(path, "wb");
    ASSERT(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
    ASSERT(lora_source_parse(&source, room, path, &f) == ERR_OK);
    enum err rc = lora_open(&l, &source, 1, &f);
    ASSERT(rc == ERR_OK || ((rc == ERR_CORRUPT || rc == ERR_UNSUPPORTED) && f.text[0] && !l));
    lora_close(l);
}
