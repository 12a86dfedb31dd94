#include "engine/extra.h"

#include <string.h>

#include "common/base/assert.h"

void extra_fill(float *out, const struct extra_parts *p) {
    int64_t n_places = p->h * p->w;
    ASSERT(p->L > 0 && p->factor_t > 0 && p->is_known && p->picture);
    for (int64_t l = 0; l < p->L; l++)
        for (int64_t i = 0; i < n_places; i++) {
            for (int k = 0; k < p->factor_t; k++) {
                int64_t frame = l == 0 ? 0 : p->factor_t * (l - 1) + 1 + k;
                *out++ = p->is_known[frame] ? 1.0f : 0.0f;
            }
            memcpy(out, p->picture + (l * n_places + i) * p->C, (size_t)p->C * sizeof *out);
            out += p->C;
        }
}

void extra_grey(float *pixels, int64_t n) {
    memset(pixels, 0, (size_t)(3 * n) * sizeof *pixels);
}
