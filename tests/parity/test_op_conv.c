/* Convolution: every instruction set against the oracle, over odd shapes, in f32 and in bf16; and
 * the ops that move numbers of volumes about, in bf16.
 *
 * The oracle gets the same numbers (rounded to bf16 where the device rounds them) and sums
 * in double, so what may differ is the order of f32 sums, 4 eps sqrt(K) (1 + |want|), and one
 * rounding of the result when that is bf16: half a unit of 2^-8. */
#include <math.h>
#include <string.h>

#include "common/base/assert.h"
#include "engine/half.h"
#include "engine/op.h"
#include "tests/lib/check.h"
#include "tests/lib/tensors.h"

static struct device ref;

/* What the kernels for bf16 make of f32. */
static void round_to_bf16(struct tensor *t) {
    for (int64_t i = 0; t->dtype == DTYPE_F32 && i < tensor_count(t); i++)
        ((float *)t->data)[i] = half_bf16(half_to_bf16(tensors_get(t, i)));
}

struct row {
    int64_t T, H, W, C, O, kt, kh, kw;
    int cache, stride_t, stride_s;
    bool is_doubled, is_centred;
};

static const struct row rows[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, false, false},
    {1, 5, 3, 2, 3, 3, 3, 3, 2, 1, 1, false, false},
    {4, 7, 9, 5, 12, 3, 3, 3, 2, 1, 1, false, false},
    {2, 6, 10, 16, 17, 3, 3, 3, 2, 1, 1, false, false},
    {1, 20, 33, 24, 48, 3, 3, 3, 2, 1, 1, false, false},
    {3, 8, 12, 6, 64, 1, 3, 3, 0, 1, 2, false, false},
    {4, 5, 6, 32, 32, 3, 1, 1, 1, 2, 1, false, false},
    {2, 4, 40, 33, 130, 3, 1, 1, 2, 1, 1, false, false},
    {1, 9, 16, 96, 96, 3, 3, 3, 2, 1, 1, false, false},
    {1, 2, 2, 40, 160, 1, 3, 3, 0, 1, 1, false, false},
    {2, 10, 14, 20, 16, 1, 3, 3, 0, 1, 2, false, false},
    {1, 11, 13, 16, 3, 3, 3, 3, 2, 1, 1, false, false},
    {5, 3, 3, 4, 5, 3, 3, 3, 1, 1, 1, false, false},
    {2, 5, 7, 6, 9, 1, 3, 3, 0, 1, 1, true, false},
    {1, 4, 30, 48, 80, 1, 3, 3, 0, 1, 1, true, false},
    {1, 3, 5, 3, 20, 3, 3, 3, 2, 1, 1, true, false},
    {2, 10, 14, 20, 16, 1, 3, 3, 0, 1, 2, false, true},
    {1, 6, 4, 9, 35, 1, 3, 3, 0, 1, 2, false, true},
    {1, 1, 25, 7, 40, 1, 1, 1, 0, 1, 1, false, false},
    {1, 3, 4, 520, 33, 3, 3, 3, 2, 1, 1, false, false},
};

/* What varies beside the shape. */
struct form {
    enum dtype x, out, add;
    bool is_packed, has_add, adds_to_itself;
};

static const struct form forms[] = {
    {DTYPE_F32, DTYPE_F32, DTYPE_F32, true, false, false},
    {DTYPE_F32, DTYPE_F32, DTYPE_F32, false, true, false},
    {DTYPE_F32, DTYPE_F32, DTYPE_F32, true, true, true},
    {DTYPE_BF16, DTYPE_BF16, DTYPE_BF16, true, true, false},
    {DTYPE_BF16, DTYPE_BF16, DTYPE_BF16, true, true, true},
    {DTYPE_BF16, DTYPE_F32, DTYPE_BF16, true, true, false},
    {DTYPE_F32, DTYPE_BF16, DTYPE_F32, true, true, false},
    {DTYPE_BF16, DTYPE_F32, DTYPE_F32, false, false, false},
};

static void compare(const char *what, const struct tensor *got, const struct tensor *want,
                    int64_t K) {
    double worst = 0, limit = 4 * 1.2e-7 * sqrt((double)K);
    char shape[TENSOR_SHAPE_TEXT_MAX];
    if (got->dtype == DTYPE_BF16) limit += 1.0 / 256;
    for (int64_t i = 0, n = tensor_count(want); i < n; i++) {
        double w = (double)tensors_get(want, i),
               e = fabs((double)tensors_get(got, i) - w) / (1 + fabs(w));
        worst = e > worst || e != e ? e : worst;
    }
    printf("     %-28s %-20s error %.2e of %.2e\n", what, tensor_shape_text(want, shape), worst,
           limit);
    CHECK_NEAR(worst, 0, limit);
}

static void check(struct device *dev, const char *isa, const struct row *r, const struct form *m) {
    struct fail f = {0};
    int64_t K = r->kt * r->kh * r->kw * r->C, times = r->is_doubled ? 2 : 1;
    struct tensor x = tensors_random(m->x, 4, (int64_t[]){r->T, r->H, r->W, r->C}, 1);
    struct tensor cache = tensors_random(m->x, 4, (int64_t[]){r->cache, r->H, r->W, r->C}, 1);
    struct tensor w = tensors_random(DTYPE_F32, 5, (int64_t[]){r->O, r->kt, r->kh, r->kw, r->C},
                                     1 / sqrt((double)K));
    struct tensor b = tensors_random(DTYPE_F32, 1, &r->O, 1);
    int64_t T = (r->cache + r->T - r->kt) / r->stride_t + 1;
    int64_t dims[] = {T, r->H * times / r->stride_s, r->W * times / r->stride_s, r->O};
    struct tensor add = tensors_random(m->adds_to_itself ? m->out : m->add, 4, dims, 1);
    struct tensor want = tensors_zero(DTYPE_F32, 4, dims);
    struct tensor packed = m->is_packed ? tensors_packed(dev, &w, DTYPE_F32) : w;
    if (packed.dtype == DTYPE_BF16) {
        round_to_bf16(&w);
        round_to_bf16(&x);
        round_to_bf16(&cache);
    }
    struct conv_opts o = {.w = &w,
                          .b = r->O % 2 ? NULL : &b,
                          .cache = r->cache ? &cache : NULL,
                          .oldest = r->cache > 1 ? (int)(r->W % r->cache) : 0,
                          .stride_t = r->stride_t,
                          .stride_s = r->stride_s,
                          .is_doubled = r->is_doubled,
                          .is_centred = r->is_centred,
                          .act = r->O % 3   ? ACT_NONE
                                 : r->W % 2 ? ACT_RELU
                                            : ACT_SILU,
                          .add = m->has_add ? &add : NULL};
    CHECK_OK(op_conv(&ref, &want, &x, &o, &f), &f);
    struct tensor got = m->adds_to_itself ? add : tensors_zero(m->out, 4, dims);
    o.w = &packed;
    CHECK_OK(op_conv(dev, &got, &x, &o, &f), &f);
    char what[64];
    snprintf(what, sizeof what, "conv, %s%s", isa, got.dtype == DTYPE_BF16 ? ", bf16 out" : "");
    compare(what, &got, &want, K);
    tensors_drop();
}

struct way {
    const char *isa;
    enum precision precision;
};

static const struct way ways[] = {{"base", PRECISION_F32},
                                  {"avx2", PRECISION_F32},
                                  {"avx512", PRECISION_F32},
                                  {"avx2", PRECISION_BF16},
                                  {NULL, PRECISION_BF16}};

static bool open_way(struct device *dev, const struct way *way, int n_threads) {
    struct fail f = {0};
    struct device_opts o = {.n_threads = n_threads, .precision = way->precision, .isa = way->isa};
    if (device_open(dev, "cpu", &o, &f) == ERR_OK) return true;
    printf("     %s: %s\n", way->isa ? way->isa : "all", f.text);
    return false;
}

static void convolution_agrees_on_every_instruction_set(void) {
    for (int v = 0; v < COUNT_OF(ways); v++) {
        struct device dev;
        char name[32];
        if (!open_way(&dev, &ways[v], 3)) continue;
        snprintf(name, sizeof name, "%s, %s", ways[v].isa ? ways[v].isa : "all",
                 device_precision_name(dev.precision));
        for (int i = 0; i < COUNT_OF(rows); i++)
            for (int k = 0; k < COUNT_OF(forms); k++)
                if ((i + k) % 3 == 0) check(&dev, name, &rows[i], &forms[k]);
        device_close(&dev);
    }
}

/* Tiles move between threads, sums do not. */
static void threads_do_not_change_a_byte(void) {
    int64_t xd[] = {2, 21, 37, 48}, wd[] = {80, 3, 3, 3, 48}, od[] = {2, 21, 37, 80};
    int64_t cd[] = {2, 21, 37, 48};
    struct tensor x = tensors_random(DTYPE_BF16, 4, xd, 1),
                  cache = tensors_random(DTYPE_BF16, 4, cd, 1);
    struct tensor w = tensors_random(DTYPE_F32, 5, wd, 0.03),
                  first = tensors_zero(DTYPE_F32, 4, od);
    for (int n = 1; n <= 5; n += 2) {
        struct device dev;
        struct fail f = {0};
        if (!open_way(&dev, &ways[4], n)) break;
        struct tensor packed = tensors_packed(&dev, &w, DTYPE_F32),
                      got = n == 1 ? first : tensors_zero(DTYPE_F32, 4, od);
        struct conv_opts o = {.w = &packed, .cache = &cache, .stride_t = 1, .stride_s = 1};
        CHECK_OK(op_conv(&dev, &got, &x, &o, &f), &f);
        CHECK(memcmp(got.data, first.data, tensor_bytes(&got)) == 0);
        device_close(&dev);
    }
    tensors_drop();
}

static void depthwise_agrees(void) {
    static const int64_t shapes[][5] = {{1, 5, 6, 3, 7}, {2, 9, 8, 40, 7}, {1, 1, 1, 33, 3}};
    struct device dev;
    struct fail f = {0};
    if (!open_way(&dev, &ways[4], 3)) return;
    for (int i = 0; i < COUNT_OF(shapes) * 2; i++) {
        const int64_t *d = shapes[i / 2];
        enum dtype type = i % 2 ? DTYPE_BF16 : DTYPE_F32;
        struct tensor x = tensors_random(type, 4, d, 1), got = tensors_zero(type, 4, d);
        struct tensor want = tensors_zero(DTYPE_F32, 4, d);
        struct tensor w = tensors_random(DTYPE_F32, 3, (int64_t[]){d[3], d[4], d[4]}, 0.2);
        CHECK_OK(op_depthwise(&dev, &got, &x, &w, &f), &f);
        CHECK_OK(op_depthwise(&ref, &want, &x, &w, &f), &f);
        compare("depthwise", &got, &want, d[4] * d[4]);
        tensors_drop();
    }
    device_close(&dev);
}

/* The same numbers for both; what comes out differs by one rounding at most. */
static void volumes_of_bf16_agree(void) {
    static const struct {
        int ft, fs, n;
        int64_t C, O;
    } ups[] = {{2, 2, 1, 8, 8}, {2, 2, 0, 8, 4}, {1, 2, 0, 8, 2}, {2, 1, 0, 4, 8}, {2, 2, 1, 6, 3}},
      downs[] = {{2, 2, 1, 4, 8}, {1, 2, 0, 8, 4}, {2, 1, 1, 3, 6}, {1, 1, 0, 6, 6}};
    struct device dev;
    struct fail f = {0};
    if (!open_way(&dev, &ways[4], 3)) return;
    for (int i = 0; i < COUNT_OF(ups); i++) {
        struct tensor x = tensors_random(DTYPE_BF16, 4, (int64_t[]){3, 4, 6, ups[i].C}, 1);
        int64_t dims[] = {3 * ups[i].ft - ups[i].n, 4 * ups[i].fs, 6 * ups[i].fs, ups[i].O};
        struct tensor got = tensors_random(DTYPE_BF16, 4, dims, 1),
                      want = tensors_zero(DTYPE_BF16, 4, dims);
        memcpy(want.data, got.data, tensor_bytes(&got));
        CHECK_OK(op_dup_up_add(&dev, &got, &x, ups[i].ft, ups[i].fs, ups[i].n, &f), &f);
        CHECK_OK(op_dup_up_add(&ref, &want, &x, ups[i].ft, ups[i].fs, ups[i].n, &f), &f);
        compare("dup_up, bf16", &got, &want, 1);
        tensors_drop();
    }
    for (int i = 0; i < COUNT_OF(downs); i++) {
        int64_t T = downs[i].n ? 3 : 4;
        struct tensor x = tensors_random(DTYPE_BF16, 4, (int64_t[]){T, 4, 6, downs[i].C}, 1);
        int64_t dims[] = {(T + downs[i].n) / downs[i].ft, 4 / downs[i].fs, 6 / downs[i].fs,
                          downs[i].O};
        struct tensor got = tensors_random(DTYPE_BF16, 4, dims, 1),
                      want = tensors_zero(DTYPE_BF16, 4, dims);
        memcpy(want.data, got.data, tensor_bytes(&got));
        CHECK_OK(op_avg_down_add(&dev, &got, &x, downs[i].ft, downs[i].fs, downs[i].n, &f), &f);
        CHECK_OK(op_avg_down_add(&ref, &want, &x, downs[i].ft, downs[i].fs, downs[i].n, &f), &f);
        compare("avg_down, bf16", &got, &want, 1);
        tensors_drop();
    }
    struct tensor x = tensors_random(DTYPE_BF16, 4, (int64_t[]){3, 4, 6, 8}, 1);
    struct tensor got = tensors_zero(DTYPE_BF16, 4, (int64_t[]){6, 4, 6, 4});
    struct tensor want = tensors_zero(DTYPE_BF16, 4, got.dim);
    CHECK_OK(op_time_split(&dev, &got, &x, &f), &f);
    CHECK_OK(op_time_split(&ref, &want, &x, &f), &f);
    CHECK(memcmp(got.data, want.data, tensor_bytes(&got)) == 0);
    tensors_drop();
    device_close(&dev);
}

static const struct test tests[] = {
    TEST(depthwise_agrees),
    TEST(volumes_of_bf16_agree),
    TEST(convolution_agrees_on_every_instruction_set),
    TEST(threads_do_not_change_a_byte),
};

int main(int argc, char **argv) {
    struct fail f = {0};
    if (device_open(&ref, "ref", &(struct device_opts){0}, &f) != ERR_OK) return 1;
    int rc = check_main(tests, COUNT_OF(tests), argc, argv);
    device_close(&ref);
    return rc;
}
