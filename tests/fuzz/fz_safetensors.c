#include "common/base/assert.h"
#include "engine/safetensors.h"
#include "tests/fuzz/fuzz.h"

static uint64_t header_bytes(const uint8_t *data) {
    uint64_t n = 0;
    for (int i = 8; i-- > 0;)
        n = n << 8 | data[i];
    return n;
}

/* What is accepted tiles the data: every tensor begins where the last one ended, the last one ends
 * with the file, and sizes are those of the shapes. */
static void check(const struct safetensors *s, const uint8_t *data, size_t size) {
    uint64_t at = 8 + header_bytes(data);
    for (int i = 0; i < s->n_entries; i++) {
        const struct safetensors_entry *e = &s->entry[i];
        struct tensor t = tensor_of(NULL, e->dtype, e->n_dims, e->dim);
        ASSERT(e->offset == at && e->name && e->name[0]);
        ASSERT(e->n_dims >= 0 && e->n_dims <= TENSOR_DIMS_MAX && tensor_bytes(&t) == e->bytes);
        at += e->bytes;
    }
    ASSERT(at == size);
}

void fz_safetensors(const uint8_t *data, size_t size) {
    struct safetensors s = {0};
    struct fail f = {0};
    enum err rc = safetensors_parse(&s, 0, data, size, "fuzz", &f);
    if (rc == ERR_OK)
        check(&s, data, size);
    else
        ASSERT(rc == ERR_CORRUPT && f.text[0]);
    safetensors_close(&s);
}
