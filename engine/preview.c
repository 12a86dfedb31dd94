#include "engine/preview.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "common/base/assert.h"

enum { FILE_BYTES_MAX = 1 << 16 };

#define LIST(key, member) \
    { key, JSON_FIELD_REALS, offsetof(struct preview, member), -1e3, 1e3 }

static const struct json_field fields[] = {
    LIST("red", colour[0]),
    LIST("green", colour[1]),
    LIST("blue", colour[2]),
    LIST("bias", bias),
};

enum err preview_read(struct preview *out, const char *folder, int z_dim, struct fail *f) {
    struct json j = {0};
    enum err rc = ERR_OK;
    char path[4096];

    *out = (struct preview){0};
    if (snprintf(path, sizeof path, "%s/preview.json", folder) >= (int)sizeof path)
        return FAIL(f, ERR_LIMIT, "the name of the model folder is too long");
    TRY(json_read_file(&j, path, FILE_BYTES_MAX, f));
    TRY(json_read_fields(&j, 0, out, fields, COUNT_OF(fields), f));
    for (int i = 0; i < 3; i++)
        if (out->colour[i].n != z_dim || out->bias.n != 3)
            TRY(FAIL(f, ERR_CORRUPT, "%s: %s has %d numbers and bias %d, %d and 3 are needed", path,
                     fields[i].key, out->colour[i].n, out->bias.n, z_dim));
out:
    json_free(&j);
    return rc;
}

void preview_make(const struct preview *p, uint8_t *rgb, const float *latent, int64_t n) {
    int z = p->colour[0].n;
    for (int64_t i = 0; i < n; i++, latent += z)
        for (int c = 0; c < 3; c++) {
            double v = p->bias.v[c];
            for (int k = 0; k < z; k++)
                v += (double)latent[k] * p->colour[c].v[k];
            v = v < -1 ? -1 : v > 1 ? 1 : v;
            *rgb++ = v == v ? (uint8_t)lrint((v + 1) * 127.5) : 0;
        }
}
