#include "engine/resize.h"

#include <math.h>

#include "common/base/assert.h"
#include "common/base/mem.h"

enum { FRACTION_BITS = 32 - 8 - 2, CHANNELS = 3 };

/* Reaches two places to each side. */
static const double support = 2;

static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

/* For each place of one side: where its window begins, how long it is, and its weights. */
struct windows {
    int n_max;
    int *first, *n;
    int32_t *weight; /* [places, n_max] */
};

static void drop_windows(struct windows *w) {
    mem_free(w->first);
    mem_free(w->n);
    mem_free(w->weight);
}

static int32_t to_fixed(double v) {
    return (int32_t)(v < 0 ? v * (1 << FRACTION_BITS) - 0.5 : v * (1 << FRACTION_BITS) + 0.5);
}

static void fill_window(struct windows *w, int at, int in_side, double scale, double *value) {
    double wide = scale < 1 ? 1 : scale, center = (at + 0.5) * scale, sum = 0;
    int first = (int)(center - support * wide + 0.5), last = (int)(center + support * wide + 0.5);
    if (first < 0) first = 0;
    if (last > in_side) last = in_side;
    w->first[at] = first;
    w->n[at] = last - first;
    for (int i = 0; i < last - first; i++) {
        value[i] = bicubic((i + first - center + 0.5) / wide);
        sum += value[i];
    }
    for (int i = 0; i < last - first; i++)
        w->weight[at * w->n_max + i] = to_fixed(sum != 0 ? value[i] / sum : value[i]);
}

static enum err make_windows(struct windows *w, int in_side, int out_side, struct fail *f) {
    double scale = (double)in_side / out_side;
    *w = (struct windows){.n_max = (int)ceil(support * (scale < 1 ? 1 : scale)) * 2 + 1};
    double *value = mem_take((size_t)w->n_max, sizeof *value);
    w->first = mem_take((size_t)out_side, sizeof *w->first);
    w->n = mem_take((size_t)out_side, sizeof *w->n);
    w->weight = mem_take((size_t)out_side * (size_t)w->n_max, sizeof *w->weight);
    bool is_made = value && w->first && w->n && w->weight;
    for (int i = 0; is_made && i < out_side; i++)
        fill_window(w, i, in_side, scale, value);
    mem_free(value);
    return is_made ? ERR_OK : FAIL(f, ERR_NOMEM, "no memory to resize a picture");
}

static uint8_t weigh(const uint8_t *in, int64_t stride, const int32_t *weight, int n) {
    int32_t sum = 1 << (FRACTION_BITS - 1);
    for (int i = 0; i < n; i++)
        sum += weight[i] * in[i * stride];
    sum >>= FRACTION_BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

static void resize_rows(uint8_t *out, int out_width, const uint8_t *in, struct resize_size size,
                        const struct windows *w) {
    for (int y = 0; y < size.height; y++)
        for (int x = 0; x < out_width; x++)
            for (int c = 0; c < CHANNELS; c++)
                *out++ = weigh(in + ((int64_t)y * size.width + w->first[x]) * CHANNELS + c,
                               CHANNELS, w->weight + x * w->n_max, w->n[x]);
}

static void resize_columns(uint8_t *out, struct resize_size size, const uint8_t *in,
                           const struct windows *w) {
    int64_t row = (int64_t)size.width * CHANNELS;
    for (int y = 0; y < size.height; y++)
        for (int64_t i = 0; i < row; i++)
            *out++ = weigh(in + w->first[y] * row + i, row, w->weight + y * w->n_max, w->n[y]);
}

static bool is_size(struct resize_size s) {
    return s.width >= 1 && s.height >= 1 && s.width <= RESIZE_SIDE_MAX &&
           s.height <= RESIZE_SIDE_MAX;
}

/* On which side is done first the result depends, by a rounding. This is the rule of Pillow 13,
 * found by trial (1500 pictures, no exception); older ones always did the rows first. */
static bool is_height_first(struct resize_size to, struct resize_size from) {
    int lost = from.height - to.height;
    return lost > 0 && lost > 2 * (from.width - to.width);
}

static enum err run_passes(uint8_t *out, struct resize_size to, const uint8_t *in,
                           struct resize_size from, const struct windows *across,
                           const struct windows *down, struct fail *f) {
    bool is_down_first = is_height_first(to, from);
    struct resize_size mid = {is_down_first ? from.width : to.width,
                              is_down_first ? to.height : from.height};
    uint8_t *between = mem_take((size_t)mid.width * (size_t)mid.height * CHANNELS, 1);
    if (!between) return FAIL(f, ERR_NOMEM, "no memory to resize a picture");
    if (is_down_first) {
        resize_columns(between, mid, in, down);
        resize_rows(out, to.width, between, mid, across);
    } else {
        resize_rows(between, to.width, in, from, across);
        resize_columns(out, to, between, down);
    }
    mem_free(between);
    return ERR_OK;
}

/* A side that keeps its length is read by windows of weight one: the same bytes come out. */
enum err resize_bicubic(uint8_t *out, struct resize_size to, const uint8_t *in,
                        struct resize_size from, struct fail *f) {
    enum err rc = ERR_OK;
    struct windows across = {0}, down = {0};
    if (!is_size(to) || !is_size(from))
        return FAIL(f, ERR_INPUT, "a picture of %d x %d cannot become %d x %d", from.width,
                    from.height, to.width, to.height);
    TRY(make_windows(&across, from.width, to.width, f));
    TRY(make_windows(&down, from.height, to.height, f));
    TRY(run_passes(out, to, in, from, &across, &down, f));
out:
    drop_windows(&across);
    drop_windows(&down);
    return rc;
}
