/* Products with weights as they lie in a file: every kernel against the oracle, over odd shapes,
 * every type of weight, and everything that may follow a product. The oracle sees the numbers that
 * the kernel multiplies, so that only the order of sums differs. */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/half.h"
#include "engine/op.h"
#include "tests/lib/check.h"

static const char *const kernels[] = {"base", "avx2", "avx512", "avx512bf16"};

/* Values from -1 to 1 that are equal everywhere. */
static float value(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(*state >> 32) * 0x1p-31f;
}

static uint16_t to_f16(float v) { /* of normal numbers */
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, exponent = (bits >> 23 & 255) - 112;
    if ((int32_t)exponent <= 0) return (uint16_t)sign;
    return (uint16_t)(sign | exponent << 10 | (bits >> 13 & 1023));
}

static struct tensor make(enum dtype dtype, int64_t rows, int64_t cols, uint64_t seed) {
    struct tensor t = tensor_of(NULL, dtype, 2, (int64_t[]){rows, cols});
    int64_t n = rows * cols;
    t.data = mem_take_aligned((size_t)n * tensor_dtype_bytes(dtype));
    CHECK(t.data != NULL);
    for (int64_t i = 0; i < n && t.data; i++) {
        float v = value(&seed);
        if (dtype == DTYPE_F32) ((float *)t.data)[i] = v;
        if (dtype == DTYPE_BF16) ((uint16_t *)t.data)[i] = half_to_bf16(v);
        if (dtype == DTYPE_F16) ((uint16_t *)t.data)[i] = to_f16(v);
    }
    return t;
}

static double get(const struct tensor *t, int64_t i) {
    if (t->dtype == DTYPE_F32) return (double)((const float *)t->data)[i];
    uint16_t h = ((const uint16_t *)t->data)[i];
    return (double)(t->dtype == DTYPE_BF16 ? half_bf16(h) : half_f16(h));
}

/* What a kernel that multiplies bf16 makes of a tensor. */
static void round_off(struct tensor *t) {
    for (int64_t i = 0, n = tensor_count(t); i < n; i++) {
        float v = half_bf16(half_to_bf16((float)get(t, i)));
        if (t->dtype == DTYPE_F32) ((float *)t->data)[i] = v;
        if (t->dtype == DTYPE_F16) ((uint16_t *)t->data)[i] = to_f16(v);
    }
}

struct row {
    int64_t M, K, O;
    enum dtype x, w, out;
    bool has_bias, adds;
    enum act act;
};

static const struct row rows[] = {
    {1, 32, 4, DTYPE_F32, DTYPE_BF16, DTYPE_F32, false, false, ACT_NONE},
    {1, 1, 1, DTYPE_F32, DTYPE_BF16, DTYPE_F32, false, false, ACT_NONE},
    {2, 31, 5, DTYPE_F32, DTYPE_BF16, DTYPE_F32, true, false, ACT_NONE},
    {3, 64, 33, DTYPE_BF16, DTYPE_BF16, DTYPE_BF16, true, false, ACT_SILU},
    {5, 257, 70, DTYPE_F32, DTYPE_F16, DTYPE_F32, false, false, ACT_GELU_TANH},
    {6, 96, 31, DTYPE_BF16, DTYPE_BF16, DTYPE_F32, false, true, ACT_NONE},
    {7, 128, 64, DTYPE_F32, DTYPE_BF16, DTYPE_F32, true, true, ACT_NONE},
    {13, 160, 35, DTYPE_F32, DTYPE_F16, DTYPE_BF16, false, false, ACT_NONE},
    {30, 512, 100, DTYPE_F32, DTYPE_BF16, DTYPE_F32, false, false, ACT_GELU_TANH},
    {31, 1000, 40, DTYPE_F32, DTYPE_BF16, DTYPE_F32, false, false, ACT_NONE},
    {255, 64, 9, DTYPE_F32, DTYPE_BF16, DTYPE_F32, false, false, ACT_NONE},
    {257, 64, 32, DTYPE_F32, DTYPE_BF16, DTYPE_F32, true, true, ACT_SILU},
    {600, 33, 6, DTYPE_BF16, DTYPE_BF16, DTYPE_F32, false, false, ACT_NONE},
};

static enum err run(struct device *dev, const struct row *r, struct tensor *out,
                    const struct tensor *x, const struct tensor *w, const struct tensor *b,
                    struct fail *f) {
    const struct tensor *bias = r->has_bias ? b : NULL;
    if (r->adds) return op_linear_add(dev, out, x, w, bias, NULL, 0, f);
    return op_linear(dev, out, x, w, bias, r->act, f);
}

static void check_row(struct device *dev, struct device *ref, const struct row *r) {
    struct fail f = {0};
    struct tensor x = make(r->x, r->M, r->K, 1), w = make(r->w, r->O, r->K, 2);
    struct tensor b = make(DTYPE_F32, 1, r->O, 3);
    struct tensor got = make(r->out, r->M, r->O, 4), want = make(r->out, r->M, r->O, 4);
    double eps = r->out == DTYPE_BF16 ? 0x1p-8 : 0x1p-23 * 4 * sqrt((double)r->K);
    int n_bad = 0;
    CHECK_OK(run(dev, r, &got, &x, &w, &b, &f), &f);
    if (dev->precision == PRECISION_BF16) {
        round_off(&x);
        round_off(&w);
    }
    CHECK_OK(run(ref, r, &want, &x, &w, &b, &f), &f);
    for (int64_t i = 0; i < r->M * r->O; i++)
        n_bad += !(fabs(get(&got, i) - get(&want, i)) <= eps * (1 + fabs(get(&want, i))));
    if (n_bad) fprintf(stderr, "  row %d\n", (int)(r - rows));
    CHECK_INT(n_bad, 0);
    struct tensor *all[] = {&x, &w, &b, &got, &want};
    for (int i = 0; i < COUNT_OF(all); i++)
        mem_free_aligned(all[i]->data);
}

static void every_kernel_agrees_with_the_oracle(void) {
    struct fail f = {0};
    struct device ref;
    CHECK_OK(device_open(&ref, "ref", &(struct device_opts){0}, &f), &f);
    for (int k = 0; k < COUNT_OF(kernels); k++) {
        struct device dev;
        struct device_opts o = {.n_threads = 2, .precision = PRECISION_F32, .isa = kernels[k]};
        if (strcmp(kernels[k], "avx512bf16") == 0) o.precision = PRECISION_BF16;
        if (device_open(&dev, "cpu", &o, &f) != ERR_OK) {
            printf("  no %s here: %s\n", kernels[k], f.text);
            device_close(&dev);
            continue;
        }
        for (int i = 0; i < COUNT_OF(rows); i++)
            check_row(&dev, &ref, &rows[i]);
        device_close(&dev);
    }
    device_close(&ref);
}

static void bytes_are_the_same_for_any_number_of_threads(void) {
    static const struct row r = {.M = 30, .K = 1024, .O = 999, .w = DTYPE_BF16};
    struct fail f = {0};
    struct tensor x = make(DTYPE_F32, r.M, r.K, 1), w = make(DTYPE_BF16, r.O, r.K, 2);
    struct tensor out[2];
    for (int i = 0; i < 2; i++) {
        struct device dev;
        out[i] = make(DTYPE_F32, r.M, r.O, 3);
        CHECK_OK(device_open(&dev, "cpu", &(struct device_opts){.n_threads = 1 + 2 * i}, &f), &f);
        CHECK_OK(run(&dev, &r, &out[i], &x, &w, NULL, &f), &f);
        device_close(&dev);
    }
    CHECK(memcmp(out[0].data, out[1].data, tensor_bytes(&out[0])) == 0);
    struct tensor *all[] = {&x, &w, &out[0], &out[1]};
    for (int i = 0; i < COUNT_OF(all); i++)
        mem_free_aligned(all[i]->data);
}

static const struct test tests[] = {
    TEST(every_kernel_agrees_with_the_oracle),
    TEST(bytes_are_the_same_for_any_number_of_threads),
};
TEST_MAIN(tests)
