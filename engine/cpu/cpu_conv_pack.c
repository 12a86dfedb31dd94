#include "engine/cpu/cpu_conv.h"

#include <string.h>

#include "common/base/assert.h"
#include "engine/half.h"

enum { PACK_WORDS = 32 };

/* Words of one kernel position. */
static int64_t words_of(const struct cpu_tile_kind *kind, int64_t C) {
    return kind->dtype == DTYPE_BF16 ? (C + 1) / 2 : C;
}

size_t cpu_conv_pack_bytes(const struct cpu_tile_kind *kind, const struct tensor *w) {
    int64_t K = w->dim[1] * w->dim[2] * w->dim[3] * words_of(kind, w->dim[4]);
    return (size_t)cpu_tile_words(kind, w->dim[0], K) * sizeof(uint32_t);
}

/* n words of a kernel position from word k on; from holds its C channels. */
static void take_words(uint32_t *to, const float *from, int64_t k, int64_t n, int64_t C,
                       enum dtype dtype) {
    if (dtype == DTYPE_F32) {
        memcpy(to, from + k, (size_t)n * sizeof *to);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t c = 2 * (k + i);
        uint32_t high = c + 1 < C ? half_to_bf16(from[c + 1]) : 0;
        to[i] = half_to_bf16(from[c]) | high << 16;
    }
}

/* One kernel position of one panel, in blocks that stay in the first-level cache while their
 * words change places. `rows` are n kernels of `size` floats. */
static void pack_position(uint32_t *to, const float *rows, int64_t size, int64_t n, int64_t width,
                          int64_t C, enum dtype dtype) {
    uint32_t block[CPU_TILE_WIDE_MAX][PACK_WORDS];
    int64_t words = dtype == DTYPE_BF16 ? (C + 1) / 2 : C;
    for (int64_t k = 0; k < words; k += PACK_WORDS) {
        int64_t m = words - k < PACK_WORDS ? words - k : PACK_WORDS;
        for (int64_t r = 0; r < n; r++)
            take_words(block[r], rows + r * size, k, m, C, dtype);
        for (int64_t i = 0; i < m; i++)
            for (int64_t r = 0; r < width; r++)
                to[(k + i) * width + r] = r < n ? block[r][i] : 0;
    }
}

void cpu_conv_pack_rows(const struct cpu_tile_kind *kind, struct tensor *w, const float *rows,
                        int64_t first, int64_t n) {
    int64_t O = w->dim[0], C = w->dim[4], positions = w->dim[1] * w->dim[2] * w->dim[3];
    int64_t words = words_of(kind, C);
    ASSERT(first % kind->wide == 0);
    for (int64_t r = 0; r < n; r += kind->wide) {
        int64_t panel = (first + r) / kind->wide, width = cpu_tile_panel(kind, O, panel);
        int64_t m = n - r < kind->wide ? n - r : kind->wide;
        uint32_t *to = (uint32_t *)w->data + panel * kind->wide * positions * words;
        for (int64_t p = 0; p < positions; p++)
            pack_position(to + p * words * width, rows + (r * positions + p) * C, positions * C, m,
                          width, C, kind->dtype);
    }
}
