#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "engine/engine_folder.h"
#include "engine/safetensors.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/temp.h"

static const char *const names[] = {"model_index.json", "transformer/config.json",
                                    "scheduler/scheduler_config.json", "m.safetensors.index.json"};

static void write_file(const char *folder, const char *name, const void *data, size_t n) {
    char path[512];
    snprintf(path, sizeof path, "%.300s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    ASSERT(file && fwrite(data, 1, n, file) == n && fclose(file) == 0);
}

/* A folder with the two shards that an index may name. */
static const char *make_folder(void) {
    static const char header[] =
        "\x3a\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}      x";
    const char *folder = temp_dir();
    char path[512];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, i ? "transformer" : "scheduler");
        ASSERT(mkdir(path, 0700) == 0);
    }
    write_file(folder, "one.safetensors", header, sizeof header - 1);
    write_file(folder, "two.safetensors", "\x02\0\0\0\0\0\0\0{}", 10);
    return folder;
}

static void check_index(const char *folder) {
    struct safetensors s = {0};
    struct fail f = {0};
    enum err rc = safetensors_open(&s, folder, "m", &f);
    if (rc == ERR_OK)
        ASSERT(s.n_shards >= 1 && s.n_shards <= SAFETENSORS_SHARDS_MAX);
    else
        ASSERT((rc == ERR_CORRUPT || rc == ERR_NOT_FOUND || rc == ERR_IO) && f.text[0]);
    safetensors_close(&s);
}

static void check_folder(const char *folder) {
    struct engine_folder m;
    struct fail f = {0};
    enum err rc = engine_folder_read(&m, folder, &f);
    if (rc == ERR_OK) {
        ASSERT(m.fps >= 1 && m.n_steps >= 1 && m.name[0]);
        ASSERT(memchr(m.name, '\0', sizeof m.name) && memchr(m.pipeline, '\0', sizeof m.pipeline));
        ASSERT(engine_folder_shift(&m) > 0);
    } else {
        ASSERT((rc == ERR_CORRUPT || rc == ERR_UNSUPPORTED) && f.text[0]);
    }
}

void fz_model_index(const uint8_t *data, size_t size) {
    static const char *folder;
    if (!folder) folder = make_folder();
    for (int i = 0; i < COUNT_OF(names); i++) {
        const uint8_t *end = size ? memchr(data, 0, size) : NULL;
        size_t n = end ? (size_t)(end - data) : size;
        write_file(folder, names[i], n ? (const void *)data : "{}", n ? n : 2);
        data += n + (end != NULL);
        size -= n + (end != NULL);
    }
    check_folder(folder);
    check_index(folder);
}
