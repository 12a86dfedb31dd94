#include "worker/seam.h"

#include <string.h>

#include "common/base/mem.h"

enum err seam_make(struct seam *s, size_t n_bytes, struct fail *f) {
    *s = (struct seam){.n_bytes = n_bytes};
    s->first = mem_take(1, n_bytes);
    s->last = mem_take(1, n_bytes);
    if (s->first && s->last) return ERR_OK;
    seam_free(s);
    return FAIL(f, ERR_NOMEM, "no memory to measure a seam");
}

static double difference(const struct seam *s, const uint8_t *a, const uint8_t *b) {
    uint64_t sum = 0;
    for (size_t i = 0; i < s->n_bytes; i++)
        sum += (uint64_t)(a[i] > b[i] ? a[i] - b[i] : b[i] - a[i]);
    return (double)sum / (double)s->n_bytes / 255;
}

void seam_frame(struct seam *s, const uint8_t *rgb) {
    if (!s->first) return;
    if (s->n_frames == 0)
        memcpy(s->first, rgb, s->n_bytes);
    else
        s->sum += difference(s, s->last, rgb);
    memcpy(s->last, rgb, s->n_bytes);
    s->n_frames++;
}

struct seam_result seam_end(const struct seam *s) {
    if (s->n_frames < 2) return (struct seam_result){0, 0};
    return (struct seam_result){difference(s, s->last, s->first), s->sum / (s->n_frames - 1)};
}

void seam_free(struct seam *s) {
    mem_free(s->first);
    mem_free(s->last);
    *s = (struct seam){0};
}
