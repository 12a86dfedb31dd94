/* Attention and everything that goes over the numbers once (norms, modulation, rotation, sums):
 * every instruction set against the oracle, odd shapes, f32 and bf16. `--bench` times attention.
 *
 * The oracle gets the same numbers and computes in double. f32: 4 eps sqrt(K) (1 + |want|), K the
 * length of the sums. bf16: a result is at worst the neighbour of the right one, 2^-7, and all
 * numbers together are off by 1e-3, because few are (measured 3e-4); in attention, where weights
 * are rounded too, by 3e-3 (measured 2.1e-3, of which the result's own rounding is 1.7e-3). */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/assert.h"
#include "engine/cpu/cpu_attention_kind.h"
#include "engine/half.h"
#include "engine/op.h"
#include "tests/lib/check.h"
#include "tests/lib/tensors.h"

static struct device ref;

static const char *const isas[] = {"base", "avx2", "avx512", "avx512bf16"};

static struct tensor random_2d(enum dtype dtype, int64_t rows, int64_t cols) {
    return tensors_random(dtype, 2, (int64_t[]){rows, cols}, 1.0);
}

static struct tensor random_1d(int64_t n) {
    return tensors_random(DTYPE_F32, 1, &n, 1.0);
}

static struct tensor copy_of(const struct tensor *t) {
    struct tensor c = *t;
    c.data = tensors_take(tensor_bytes(t));
    memcpy(c.data, t->data, tensor_bytes(t));
    return c;
}

static bool open_isa(struct device *dev, const char *isa, int n_threads) {
    struct fail f = {0};
    struct device_opts o = {.n_threads = n_threads, .precision = PRECISION_F32, .isa = isa};
    if (device_open(dev, "cpu", &o, &f) == ERR_OK) return true;
    printf("     %s: %s\n", isa, f.text);
    return false;
}

/* `together` is the limit for all numbers of a bf16 result. */
static void compare(const char *what, const char *isa, const struct tensor *got,
                    const struct tensor *want, int64_t K, double together) {
    double worst = 0, error = 0, length = 0, limit = 4 * 1.2e-7 * sqrt((double)K);
    char shape[TENSOR_SHAPE_TEXT_MAX];
    bool is_half = got->dtype == DTYPE_BF16;
    if (is_half) limit += 1.0 / 128;
    for (int64_t i = 0, n = tensor_count(want); i < n; i++) {
        double w = (double)tensors_get(want, i), d = (double)tensors_get(got, i) - w,
               e = fabs(d) / (1 + fabs(w));
        worst = e > worst || e != e ? e : worst;
        error += d * d, length += w * w;
    }
    double relative = length > 0 ? sqrt(error / length) : 0;
    char name[48];
    snprintf(name, sizeof name, "%s%s", what, is_half ? ", bf16" : "");
    printf("     %-28s %-10s %-14s all %.2e error %.2e of %.2e\n", name, isa,
           tensor_shape_text(want, shape), relative, worst, limit);
    CHECK_NEAR(worst, 0, limit);
    if (is_half && tensor_count(want) > 256) CHECK_NEAR(relative, 0, together);
}

static void ok(enum err rc) {
    CHECK_INT(rc, ERR_OK);
}

struct row {
    int64_t nq, nk, heads, D;
};

static const struct row rows[] = {
    {1, 1, 1, 1},     {5, 3, 2, 4},     {130, 600, 3, 8}, {129, 1025, 1, 33}, {40, 77, 5, 64},
    {64, 513, 2, 96}, {25, 300, 2, 80}, {97, 31, 2, 128}, {13, 1040, 1, 256}, {193, 49, 3, 32}};

/* Biases: 0 none, 1 of keys, with one key that is out, 2 of all pairs, 3 both. */
static void check_attention(struct device *dev, const char *isa, const struct row *r,
                            enum dtype dtype, int bias) {
    static const char *const names[] = {"attention", "attention, keys", "attention, full",
                                        "attention, both"};
    int64_t C = r->heads * r->D;
    struct tensor q = random_2d(dtype, r->nq, C), k = random_2d(dtype, r->nk, C);
    struct tensor v = random_2d(dtype, r->nk, C), kb = random_1d(r->nk);
    struct tensor full = random_2d(DTYPE_F32, r->heads * r->nq, r->nk);
    struct tensor got = copy_of(&q), want = copy_of(&q);
    struct attention_opts o = {.n_heads = (int)r->heads,
                               .scale = bias == 3 ? 0.25f : 0.0f,
                               .key_bias = bias & 1 ? &kb : NULL,
                               .bias = bias & 2 ? &full : NULL};
    if (r->nk > 1) ((float *)kb.data)[r->nk / 2] = -INFINITY;
    ok(op_attention(dev, &got, &q, &k, &v, &o, NULL));
    ok(op_attention(&ref, &want, &q, &k, &v, &o, NULL));
    compare(names[bias], isa, &got, &want, r->D + r->nk, 3e-3);
    tensors_drop();
}

static void attention_agrees_on_every_instruction_set(void) {
    for (int v = 0; v < COUNT_OF(isas); v++) {
        struct device dev;
        if (!open_isa(&dev, isas[v], 3)) continue;
        for (int i = 0; i < COUNT_OF(rows); i++)
            for (int bias = 0; bias < 4; bias++) {
                check_attention(&dev, isas[v], &rows[i], DTYPE_F32, bias);
                check_attention(&dev, isas[v], &rows[i], DTYPE_BF16, bias);
            }
        device_close(&dev);
    }
}

/* A first block of keys that are all out must not spoil what follows. */
static void keys_that_are_out_weigh_nothing(void) {
    enum { N = 700, OUT = 600, D = 32 };
    for (int half = 0; half < 2; half++)
        for (int v = 0; v < COUNT_OF(isas); v++) {
            struct device dev;
            if (!open_isa(&dev, isas[v], 1)) continue;
            enum dtype dtype = half ? DTYPE_BF16 : DTYPE_F32;
            struct tensor q = random_2d(dtype, 20, D), k = random_2d(dtype, N, D);
            struct tensor x = random_2d(dtype, N, D), kb = random_1d(N);
            struct tensor got = copy_of(&q), want = copy_of(&q);
            for (int i = 0; i < N; i++)
                ((float *)kb.data)[i] = i < OUT ? -INFINITY : 0.0f;
            struct attention_opts o = {.n_heads = 1, .key_bias = &kb}, plain = {.n_heads = 1};
            struct tensor k_in = tensor_rows(&k, OUT, N - OUT),
                          x_in = tensor_rows(&x, OUT, N - OUT);
            ok(op_attention(&dev, &got, &q, &k, &x, &o, NULL));
            ok(op_attention(&dev, &want, &q, &k_in, &x_in, &plain, NULL));
            compare("keys that are out", isas[v], &got, &want, N, 3e-3);
            tensors_drop();
            device_close(&dev);
        }
}

/* Tiles move between threads, sums do not. */
static void threads_do_not_change_a_byte(void) {
    enum { N = 331, D = 192 };
    for (int half = 0; half < 2; half++) {
        enum dtype dtype = half ? DTYPE_BF16 : DTYPE_F32;
        struct tensor q = random_2d(dtype, N, D), k = random_2d(dtype, N, D);
        struct tensor v = random_2d(dtype, N, D), first = copy_of(&q), got = copy_of(&q);
        struct attention_opts o = {.n_heads = 3};
        for (int n = 1; n <= 5; n += 2) {
            struct device dev;
            if (!open_isa(&dev, NULL, n)) break;
            ok(op_attention(&dev, n == 1 ? &first : &got, &q, &k, &v, &o, NULL));
            CHECK(n == 1 || memcmp(got.data, first.data, tensor_bytes(&got)) == 0);
            device_close(&dev);
        }
        tensors_drop();
    }
}

/* One query of one channel and two keys whose logits lie `s` apart: exp(s) / (1 + exp(s)). */
static double weight_of(const struct device *dev, enum dtype dtype, double s) {
    float kv[4] = {0, 0, 1, 1}, q[2] = {1, 0}, out[2], bias[2] = {(float)s, 0};
    uint16_t hkv[4], hq[2] = {half_to_bf16(1), 0}, hout[2];
    bool is_half = dtype == DTYPE_BF16;
    for (int i = 0; i < 4; i++)
        hkv[i] = half_to_bf16(kv[i]);
    struct tensor tq = tensor_of(is_half ? (void *)hq : q, dtype, 2, (int64_t[]){1, 1});
    struct tensor k = tensor_of(is_half ? (void *)(hkv) : kv, dtype, 2, (int64_t[]){2, 1});
    struct tensor v = tensor_of(is_half ? (void *)(hkv + 1) : kv + 1, dtype, 2, (int64_t[]){2, 1});
    struct tensor to = tensor_of(is_half ? (void *)hout : out, dtype, 2, (int64_t[]){1, 1});
    struct tensor kb = tensor_of(bias, DTYPE_F32, 1, (int64_t[]){2});
    struct attention_opts o = {.n_heads = 1, .key_bias = &kb};
    ok(op_attention((struct device *)dev, &to, &tq, &k, &v, &o, NULL));
    return 1 - (double)tensors_get(&to, 0);
}

static void weights_are_exponentials_over_their_range(void) {
    for (int v = 0; v < COUNT_OF(isas); v++) {
        struct device dev;
        if (!open_isa(&dev, isas[v], 1)) continue;
        for (int half = 0; half < 2; half++) {
            double worst = 0;
            for (int i = -400; i <= 400; i++) {
                double s = i * 0.05, want = 1 / (1 + exp(-s));
                double e = fabs(weight_of(&dev, half ? DTYPE_BF16 : DTYPE_F32, s) - want);
                worst = e > worst ? e : worst;
            }
            printf("     weights %-10s %-4s off by %.2e\n", isas[v], half ? "bf16" : "f32", worst);
            CHECK_NEAR(worst, 0, half ? 3e-3 : 3e-7);
        }
        device_close(&dev);
    }
}

static const int64_t sizes[][2] = {{1, 1}, {3, 5}, {17, 33}, {100, 64}, {257, 192}, {2, 5000}};

static void check_norms(struct device *dev, const char *isa, int i, enum dtype in, enum dtype out) {
    static const char *const names[NORM_COUNT] = {
        [NORM_RMS] = "norm rms", [NORM_LAYER] = "norm layer", [NORM_L2] = "norm l2"};
    int64_t N = sizes[i][0], C = sizes[i][1];
    for (int kind = 0; kind < NORM_COUNT; kind++) {
        struct tensor x = random_2d(in, N, C), w = random_1d(C), b = random_1d(C);
        struct tensor got = random_2d(out, N, C), want = copy_of(&got);
        struct norm_opts o = {.kind = (enum norm_kind)kind,
                              .eps = kind == NORM_L2 ? 1e-12f : 1e-6f,
                              .w = i % 2 ? &w : NULL,
                              .b = i % 3 ? NULL : &b,
                              .act = i % 2 ? ACT_SILU : ACT_NONE};
        ok(op_norm(&ref, &want, &x, &o, NULL));
        if (in == out) got = copy_of(&x); /* in place */
        ok(op_norm(dev, &got, in == out ? &got : &x, &o, NULL));
        compare(names[kind], isa, &got, &want, C > 8 ? C : 64, 1e-3);
        tensors_drop();
    }
}

static void check_modulation(struct device *dev, const char *isa, int i, enum dtype in,
                             enum dtype out) {
    int64_t N = sizes[i][0], C = sizes[i][1] + 3;
    struct tensor x = random_2d(in, N, C),
                  table = tensors_random(DTYPE_F32, 3, (int64_t[]){3, 6, C}, 1.0);
    struct tensor index = tensor_of(tensors_take((size_t)N * 4), DTYPE_I32, 1, &N);
    for (int64_t t = 0; t < N; t++)
        ((int32_t *)index.data)[t] = (int32_t)(t % 3);
    struct mod_table m = {&table, i % 2 ? &index : NULL};
    struct tensor got = random_2d(out, N, C), want = copy_of(&got);
    ok(op_norm_mod(dev, &got, &x, &m, 0, 1, 1e-6f, NULL));
    ok(op_norm_mod(&ref, &want, &x, &m, 0, 1, 1e-6f, NULL));
    compare("norm_mod", isa, &got, &want, C > 8 ? C : 64, 1e-3);
    got = copy_of(&want);
    ok(op_gate_add(dev, &got, &x, &m, 5, NULL));
    ok(op_gate_add(&ref, &want, &x, &m, 5, NULL));
    compare("gate_add", isa, &got, &want, C > 8 ? C : 64, 1e-3);
    tensors_drop();
}

static void check_elements(struct device *dev, const char *isa, int i, enum dtype in,
                           enum dtype out) {
    int64_t N = sizes[i][0], C = sizes[i][1];
    struct tensor a = random_2d(in, N, C), b = random_2d(out, N, C), s = random_1d(C);
    struct tensor t = random_1d(C), got = random_2d(out, N, C), want = copy_of(&got);
    ok(op_add_scaled(dev, &got, &a, &b, -1.5f, NULL));
    ok(op_add_scaled(&ref, &want, &a, &b, -1.5f, NULL));
    compare("add_scaled", isa, &got, &want, 4, 1e-3);
    ok(op_mul(dev, &got, &a, &b, NULL));
    ok(op_mul(&ref, &want, &a, &b, NULL));
    compare("mul", isa, &got, &want, 4, 1e-3);
    ok(op_affine(dev, &got, &a, &s, &t, NULL));
    ok(op_affine(&ref, &want, &a, &s, &t, NULL));
    compare("affine", isa, &got, &want, 16, 1e-3);
    ok(op_act(dev, &got, &a, (enum act)(i % ACT_COUNT), NULL));
    ok(op_act(&ref, &want, &a, (enum act)(i % ACT_COUNT), NULL));
    compare("act", isa, &got, &want, 16, 1e-3);
    tensors_drop();
}

static void check_rope(struct device *dev, const char *isa, int heads, enum dtype dtype) {
    int64_t N = 7 * heads, D = 2 + 10 * heads;
    struct tensor got = random_2d(dtype, N, heads * D), want = copy_of(&got);
    struct tensor table = random_2d(DTYPE_F32, N, D);
    ok(op_rope(dev, &got, &table, heads, NULL));
    ok(op_rope(&ref, &want, &table, heads, NULL));
    compare("rope", isa, &got, &want, 2, 1e-3);
    tensors_drop();
}

static void rows_agree_on_every_instruction_set(void) {
    static const enum dtype types[][2] = {{DTYPE_F32, DTYPE_F32},
                                          {DTYPE_F32, DTYPE_BF16},
                                          {DTYPE_BF16, DTYPE_BF16},
                                          {DTYPE_BF16, DTYPE_F32}};
    for (int v = 0; v < COUNT_OF(isas); v++) {
        struct device dev;
        if (!open_isa(&dev, isas[v], 2)) continue;
        for (int k = 0; k < COUNT_OF(types); k++)
            for (int i = 0; i < COUNT_OF(sizes); i++) {
                check_norms(&dev, isas[v], i, types[k][0], types[k][1]);
                check_modulation(&dev, isas[v], i, types[k][0], types[k][1]);
                check_elements(&dev, isas[v], i, types[k][0], types[k][1]);
            }
        for (int heads = 1; heads < 6; heads++) {
            check_rope(&dev, isas[v], heads, DTYPE_F32);
            check_rope(&dev, isas[v], heads, DTYPE_BF16);
        }
        device_close(&dev);
    }
}

/* Benchmarks: one core, processor time, in turns with a probe: the inner product on numbers that
 * never leave the first-level cache. Best of several turns each. */
enum { TURNS = 7, PROBE_WORDS = 64, PROBE_REPEATS = 2000 };

static int64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* GF/s of one core. */
static double probe(const struct cpu_tile_kind *kind) {
    static uint32_t x[CPU_TILE_PIXELS_MAX * PROBE_WORDS], w[CPU_TILE_WIDE_MAX * PROBE_WORDS];
    float sum[CPU_TILE_PIXELS_MAX * CPU_TILE_WIDE_MAX];
    struct cpu_tile_tap tap = {x, w};
    struct cpu_tile t = {.tap = &tap,
                         .n_taps = 1,
                         .run = PROBE_WORDS,
                         .stride = PROBE_WORDS,
                         .sum = sum,
                         .is_first = true};
    int64_t start = cpu_ns();
    for (int i = 0; i < PROBE_REPEATS; i++)
        kind->run[0](&t, kind->n_pixels_max);
    double ns = (double)(cpu_ns() - start), group = kind->dtype == DTYPE_BF16 ? 2 : 1;
    return 2.0 * PROBE_REPEATS * kind->wide * kind->n_pixels_max * PROBE_WORDS * group / ns;
}

static void bench_attention(struct device *dev, const char *isa, enum dtype dtype,
                            const struct row *r) {
    enum cpu_isa most;
    ok(cpu_isa_find(&most, isa, NULL));
    const struct cpu_tile_kind *kind = cpu_tile_find(dtype, most);
    int64_t C = r->heads * r->D;
    struct tensor q = random_2d(dtype, r->nq, C), k = random_2d(dtype, r->nk, C);
    struct tensor v = random_2d(dtype, r->nk, C), out = copy_of(&q);
    struct attention_opts o = {.n_heads = (int)r->heads};
    double best_ns = 1e18, best_probe = 0;
    for (int i = 0; i < TURNS; i++) {
        double rate = probe(kind);
        int64_t start = cpu_ns();
        ok(op_attention(dev, &out, &q, &k, &v, &o, NULL));
        double ns = (double)(cpu_ns() - start);
        best_ns = ns < best_ns ? ns : best_ns;
        best_probe = rate > best_probe ? rate : best_probe;
    }
    double rate = 4.0 * (double)(r->nq * r->nk * C) / best_ns;
    printf("{\"bench\":\"attention_%s_%s_%lldx%lld_%lldx%lld\",\"value\":%.1f,\"unit\":\"GF/s\","
           "\"ms\":%.3f,\"baseline\":\"fma_probe\",\"baseline_value\":%.1f,\"ratio\":%.2f}\n",
           tensor_dtype_name(dtype), isa, (long long)r->nq, (long long)r->nk, (long long)r->heads,
           (long long)r->D, rate, best_ns * 1e-6, best_probe, rate / best_probe);
    tensors_drop();
}

static int bench_all(void) {
    static const struct row half[] = {
        {1280, 1280, 12, 128}, {4096, 4096, 3, 128}, {1755, 1755, 12, 64}, {4096, 4096, 3, 64},
        {520, 520, 3, 64},     {1872, 1872, 5, 64},  {1280, 31, 12, 128},  {1280, 513, 12, 128}};
    static const struct row plain = {1755, 1755, 3, 128}, small = {520, 520, 3, 64};
    for (int v = 1; v < COUNT_OF(isas); v++) {
        struct device dev;
        if (!open_isa(&dev, isas[v], 1)) continue;
        for (int i = 0; v == 3 && i < COUNT_OF(half); i++)
            bench_attention(&dev, isas[v], DTYPE_BF16, &half[i]);
        if (v < 3) bench_attention(&dev, isas[v], DTYPE_F32, &plain);
        if (v < 3) bench_attention(&dev, isas[v], DTYPE_F32, &small);
        device_close(&dev);
    }
    return 0;
}

static const struct test tests[] = {
    TEST(attention_agrees_on_every_instruction_set),
    TEST(keys_that_are_out_weigh_nothing),
    TEST(threads_do_not_change_a_byte),
    TEST(weights_are_exponentials_over_their_range),
    TEST(rows_agree_on_every_instruction_set),
};

int main(int argc, char **argv) {
    struct fail f = {0};
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) return bench_all();
    if (device_open(&ref, "ref", &(struct device_opts){0}, &f) != ERR_OK) return 1;
    int rc = check_main(tests, COUNT_OF(tests), argc, argv);
    device_close(&ref);
    return rc;
}
