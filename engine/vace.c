#include "engine/vace.h"

#include <string.h>

#include "common/base/assert.h"

int64_t vace_channels(const struct vace_parts *p) {
    return 2 * p->C + (int64_t)p->s * p->s;
}

int64_t vace_source_frame(int64_t latent, int64_t T, int64_t L) {
    return (2 * latent + 1) * T / (2 * L);
}

static void keep_where(float *out, const float *video, const float *mask, int64_t n, bool made) {
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < 3; c++)
            out[3 * i + c] = (mask[i] > 0.5f) == made ? video[3 * i + c] : 0.0f;
}

void vace_inactive(float *out, const float *video, const float *mask, int64_t n) {
    keep_where(out, video, mask, n, false);
}

void vace_reactive(float *out, const float *video, const float *mask, int64_t n) {
    keep_where(out, video, mask, n, true);
}

/* The s x s pixels of one place, row by row. */
static void copy_mask(float *out, const struct vace_parts *p, int64_t frame, int64_t y, int64_t x) {
    int64_t width = p->w * p->s;
    const float *at = p->mask + (frame * p->h * p->s + y * p->s) * width + x * p->s;
    for (int row = 0; row < p->s; row++)
        memcpy(out + row * p->s, at + row * width, (size_t)p->s * sizeof *out);
}

static void fill_reference(float *out, const struct vace_parts *p, const float *reference) {
    int64_t n = vace_channels(p);
    memset(out, 0, (size_t)(p->h * p->w * n) * sizeof *out);
    for (int64_t i = 0; i < p->h * p->w; i++)
        memcpy(out + i * n, reference + i * p->C, (size_t)p->C * sizeof *out);
}

static void fill_frame(float *out, const struct vace_parts *p, int64_t latent) {
    int64_t frame = vace_source_frame(latent, p->T, p->L), C = p->C;
    for (int64_t y = 0; y < p->h; y++)
        for (int64_t x = 0; x < p->w; x++, out += vace_channels(p)) {
            int64_t at = ((latent * p->h + y) * p->w + x) * C;
            memcpy(out, p->inactive + at, (size_t)C * sizeof *out);
            memcpy(out + C, p->reactive + at, (size_t)C * sizeof *out);
            copy_mask(out + 2 * C, p, frame, y, x);
        }
}

void vace_control(float *out, const struct vace_parts *p) {
    int64_t frame = p->h * p->w * vace_channels(p);
    ASSERT(p->inactive && p->reactive && p->mask && p->L > 0 && p->T >= p->L);
    for (int i = 0; i < p->n_references; i++)
        fill_reference(out + i * frame, p, p->reference[p->n_references - 1 - i]);
    for (int64_t l = 0; l < p->L; l++)
        fill_frame(out + (p->n_references + l) * frame, p, l);
}

/* Two neighbours along one side and how much the second counts, as torch has it without aligned
 * corners. */
struct between {
    int64_t a, b;
    float share;
};

static struct between find_between(int at, int out_side, int in_side) {
    float scale = (float)in_side / (float)out_side;
    float place = ((float)at + 0.5f) * scale - 0.5f;
    if (place < 0) place = 0;
    int64_t a = (int64_t)place;
    return (struct between){a, a + 1 < in_side ? a + 1 : a, place - (float)a};
}

static float pixel(const struct vace_picture *p, int64_t y, int64_t x, int c) {
    return (float)p->rgb[(y * p->width + x) * 3 + c] / 255.0f * 2.0f - 1.0f;
}

static float mix(const struct vace_picture *p, struct between y, struct between x, int c) {
    float above = pixel(p, y.a, x.a, c) * (1 - x.share) + pixel(p, y.a, x.b, c) * x.share;
    float below = pixel(p, y.b, x.a, c) * (1 - x.share) + pixel(p, y.b, x.b, c) * x.share;
    return above * (1 - y.share) + below * y.share;
}

enum err vace_letterbox(float *canvas, int H, int W, const struct vace_picture *p, struct fail *f) {
    if (p->width < 1 || p->height < 1) return FAIL(f, ERR_INPUT, "a picture of no size");
    double tall = (double)H / p->height, wide = (double)W / p->width;
    double scale = tall < wide ? tall : wide;
    int h = (int)(p->height * scale), w = (int)(p->width * scale);
    if (h < 1 || w < 1)
        return FAIL(f, ERR_INPUT, "nothing is left of a picture of %d x %d at %d x %d", p->width,
                    p->height, W, H);
    for (int64_t i = 0; i < (int64_t)H * W * 3; i++)
        canvas[i] = 1.0f;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            struct between by = find_between(y, h, p->height), bx = find_between(x, w, p->width);
            float *to = canvas + ((int64_t)((H - h) / 2 + y) * W + (W - w) / 2 + x) * 3;
            for (int c = 0; c < 3; c++)
                to[c] = mix(p, by, bx, c);
        }
    return ERR_OK;
}
