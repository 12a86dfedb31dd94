#include "eval/lesson.h"

#include <string.h>

#include "common/base/mem.h"
#include "eval/draw.h"
#include "eval/sight.h"

static void put(uint8_t **p, uint64_t v, int n_bytes) {
    for (int i = 0; i < n_bytes; i++)
        *(*p)++ = (uint8_t)(v >> (8 * i));
}

static enum err write_scene(FILE *out, const struct scene *s, uint8_t *rgb, struct fail *f) {
    uint8_t head[24], *p = head + 4;
    struct label_set labels;
    size_t frame = (size_t)s->W * s->H * 3, n = frame * SIGHT_FRAMES;
    memcpy(head, "MLES", 4);
    put(&p, WORLD_VERSION, 4);
    put(&p, s->seed, 8);
    put(&p, s->W, 2);
    put(&p, s->H, 2);
    put(&p, SIGHT_FRAMES, 2);
    put(&p, LABEL_HEAD_COUNT, 2);
    label_of(s, &labels);
    for (int i = 0; i < SIGHT_FRAMES; i++)
        world_render(s, sight_frame(s->frames, i), rgb + (size_t)i * frame, NULL, NULL, NULL);
    if (fwrite(head, 1, sizeof head, out) != sizeof head ||
        fwrite(labels.value, 1, sizeof labels.value, out) != sizeof labels.value ||
        fwrite(rgb, 1, n, out) != n)
        return FAIL(f, ERR_IO, "the reader of the records is gone");
    return ERR_OK;
}

enum err lesson_write(FILE *out, uint64_t first_seed, int64_t first, int64_t count,
                      struct fail *f) {
    enum err rc = ERR_OK;
    uint8_t *rgb = mem_take((size_t)128 * 128, 3 * SIGHT_FRAMES); /* no side of the mix is longer */
    if (!rgb) return FAIL(f, ERR_NOMEM, "no memory for a clip");
    for (int64_t i = first; i < first + count; i++) {
        struct scene s;
        TRY(draw_mixed(&s, first_seed, i, f));
        TRY(write_scene(out, &s, rgb, f));
    }
    if (fflush(out) != 0) rc = FAIL(f, ERR_IO, "the reader of the records is gone");
out:
    mem_free(rgb);
    return rc;
}

void lesson_heads(FILE *out) {
    for (int h = 0; h < LABEL_HEAD_COUNT; h++) {
        fprintf(out, "%s\"%s\":[", h ? "," : "{", label_head_name((enum label_head)h));
        for (int v = 0; v < label_n_values((enum label_head)h); v++)
            fprintf(out, "%s\"%s\"", v ? "," : "", label_value_name((enum label_head)h, v));
        fprintf(out, "]");
    }
    fprintf(out, "}\n");
}
