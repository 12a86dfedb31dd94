/* Products, volumes, pixels and noise: the cpu backend against the oracle, odd shapes. Attention
 * and the ops on rows are in test_op_attention.c, convolutions in test_op_conv.c. `--bench` times
 * products and convolutions instead, one JSON object a line. */
#include <stdlib.h>
#include <time.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/cpu/cpu_tile.h"
#include "engine/half.h"
#include "engine/op.h"
#include "engine/rng.h"
#include "tests/lib/check.h"

enum { BUFFERS_MAX = 16, SEED = 7 };

static struct device cpu, ref;
static void *held[BUFFERS_MAX];
static int n_held;
static uint64_t stream;

static float *take(int64_t n) {
    ASSERT(n_held < BUFFERS_MAX);
    float *p = mem_take_aligned((size_t)(n ? n : 1) * sizeof *p);
    ASSERT(p);
    held[n_held++] = p;
    return p;
}

static struct tensor random_nd(int n_dims, const int64_t *dims) {
    struct tensor t = tensor_of(NULL, DTYPE_F32, n_dims, dims);
    t.data = take(tensor_count(&t));
    rng_normal_fill(SEED, ++stream, 0, t.data, tensor_count(&t));
    return t;
}

static struct tensor random_2d(int64_t rows, int64_t cols) {
    return random_nd(2, (int64_t[]){rows, cols});
}

static struct tensor random_1d(int64_t n) {
    return random_nd(1, &n);
}

/* Weights of variance 1/K keep the sums near 1, as trained ones do. */
static struct tensor weight_nd(int n_dims, const int64_t *dims) {
    struct tensor t = random_nd(n_dims, dims);
    double K = (double)tensor_count(&t) / (double)(dims[0] ? dims[0] : 1);
    for (int64_t i = 0; i < tensor_count(&t); i++)
        ((float *)t.data)[i] *= (float)(1 / sqrt(K));
    return t;
}

static struct tensor copy_of(const struct tensor *t) {
    struct tensor c = *t;
    c.data = take(tensor_count(t));
    memcpy(c.data, t->data, tensor_bytes(t));
    return c;
}

static struct tensor like(const struct tensor *t) {
    struct tensor c = *t;
    c.data = take(tensor_count(t));
    return c;
}

static void drop_all(void) {
    while (n_held > 0)
        mem_free_aligned(held[--n_held]);
}

/* |got - want| <= 4 eps sqrt(K) (1 + |want|); K is the length of the sums. */
static void measure(const char *what, const struct tensor *got, const struct tensor *want,
                    int64_t K) {
    const float *g = got->data, *w = want->data;
    double worst = 0, limit = 4 * 1.2e-7 * sqrt((double)K);
    char shape[TENSOR_SHAPE_TEXT_MAX];
    for (int64_t i = 0, n = tensor_count(want); i < n; i++) {
        double e = fabs((double)g[i] - (double)w[i]) / (1 + fabs((double)w[i]));
        worst = e > worst || e != e ? e : worst;
    }
    printf("     %-28s %-20s error %.2e of %.2e\n", what, tensor_shape_text(want, shape), worst,
           limit);
    CHECK_NEAR(worst, 0, limit);
}

/* The last measure of a case: its tensors are gone afterwards. */
static void compare(const char *what, const struct tensor *got, const struct tensor *want,
                    int64_t K) {
    measure(what, got, want, K);
    drop_all();
}

static void ok(enum err rc) {
    CHECK_INT(rc, ERR_OK);
}

static const int64_t odd_rows[][3] = {{1, 1, 1},     {3, 5, 7},      {17, 33, 65},
                                      {100, 64, 96}, {257, 192, 48}, {2, 320, 2000}};

static const char *const act_names[ACT_COUNT] = {[ACT_NONE] = "linear",
                                                 [ACT_SILU] = "linear, silu",
                                                 [ACT_GELU_TANH] = "linear, gelu",
                                                 [ACT_GELU_ERF] = "linear, gelu erf",
                                                 [ACT_RELU] = "linear, relu"};

static void linear_agrees(void) {
    for (int i = 0; i < COUNT_OF(odd_rows); i++)
        for (int act = 0; act < ACT_COUNT; act++) {
            int64_t N = odd_rows[i][0], K = odd_rows[i][1], O = odd_rows[i][2];
            struct tensor x = random_2d(N, K), w = weight_nd(2, (int64_t[]){O, K});
            struct tensor b = random_1d(O);
            struct tensor got = random_2d(N, O), want = like(&got);
            const struct tensor *bias = act % 2 ? &b : NULL;
            ok(op_linear(&cpu, &got, &x, &w, bias, (enum act)act, NULL));
            ok(op_linear(&ref, &want, &x, &w, bias, (enum act)act, NULL));
            compare(act_names[act], &got, &want, K);
        }
}

static void volume_ops_agree(void) {
    struct tensor x = random_nd(4, (int64_t[]){3, 4, 6, 8});
    struct tensor a = random_nd(4, (int64_t[]){5, 8, 12, 4}), b = copy_of(&a);
    ok(op_dup_up_add(&cpu, &a, &x, 2, 2, 1, NULL));
    ok(op_dup_up_add(&ref, &b, &x, 2, 2, 1, NULL));
    compare("dup_up", &a, &b, 1);
    x = random_nd(4, (int64_t[]){3, 4, 6, 8});
    a = random_nd(4, (int64_t[]){2, 2, 3, 16}), b = copy_of(&a);
    ok(op_avg_down_add(&cpu, &a, &x, 2, 2, 1, NULL));
    ok(op_avg_down_add(&ref, &b, &x, 2, 2, 1, NULL));
    compare("avg_down", &a, &b, 4);
    x = random_nd(4, (int64_t[]){3, 4, 6, 8});
    a = random_nd(4, (int64_t[]){6, 4, 6, 4}), b = like(&a);
    ok(op_time_split(&cpu, &a, &x, NULL));
    ok(op_time_split(&ref, &b, &x, NULL));
    compare("time_split", &a, &b, 1);
}

/* By the sentence in models.md: channel = ((o*ft + t)*fs + h)*fs + w, repeated. */
static void patches_go_there_and_back(void) {
    for (int order = 0; order < PATCH_ORDER_COUNT; order++) {
        struct patch p = {.t = 1 + order % 2, .h = 2, .w = 3, .order = (enum patch_order)order};
        struct tensor x = random_nd(4, (int64_t[]){4, 4, 6, 5});
        struct tensor cells = random_nd(4, (int64_t[]){4 / p.t, 2, 2, 5 * p.t * 6}),
                      back = like(&x);
        ok(op_patchify(&cpu, &cells, &x, &p, NULL));
        ok(op_unpatchify(&cpu, &back, &cells, &p, NULL));
        compare("patchify, unpatchify", &back, &x, 1);
    }
}

/* The rule of the pipelines, and what is no number is black. */
static void pixels_are_rounded_and_clamped(void) {
    static const struct {
        float x;
        int want;
    } rows[] = {{-1, 0}, {1, 255}, {0, 128}, {-5, 0}, {7, 255}, {NAN, 0}, {0.5f, 191}, {-0.5f, 64}};
    for (int i = 0; i < COUNT_OF(rows); i++) {
        float x[3] = {rows[i].x, 0, 1};
        uint8_t rgb[3];
        struct tensor in = tensor_2d(x, 1, 3), out = tensor_of(rgb, DTYPE_U8, 2, in.dim);
        ok(op_pack_rgb(&cpu, &out, &in, NULL));
        CHECK_INT(rgb[0], rows[i].want);
        CHECK_INT(rgb[2], 255);
    }
}

static void halves_are_widened_exactly(void) {
    static const struct {
        uint16_t bits;
        enum dtype dtype;
        float want;
    } rows[] = {{0x3f80, DTYPE_BF16, 1.0f},    {0xc040, DTYPE_BF16, -3.0f},
                {0x3c00, DTYPE_F16, 1.0f},     {0xc200, DTYPE_F16, -3.0f},
                {0x0001, DTYPE_F16, 0x1p-24f}, {0x7bff, DTYPE_F16, 65504.0f},
                {0x8400, DTYPE_F16, -0x1p-14f}};
    for (int i = 0; i < COUNT_OF(rows); i++) {
        bool is_bf16 = rows[i].dtype == DTYPE_BF16;
        float got = is_bf16 ? half_bf16(rows[i].bits) : half_f16(rows[i].bits);
        CHECK_NEAR((double)got, (double)rows[i].want, 0);
    }
}

static void wrong_shapes_are_refused_in_words(void) {
    struct tensor x = random_2d(3, 4), w = random_2d(5, 6), out = random_2d(3, 5);
    struct fail f = {0};
    CHECK_INT(op_linear(&cpu, &out, &x, &w, NULL, ACT_NONE, &f), ERR_BUG);
    CHECK_STR(f.text, "linear: x and w: F32 [3,4] does not go with F32 [5,6]");
    drop_all();
}

static void noise_does_not_depend_on_how_it_is_asked(void) {
    float whole[257], part[100];
    rng_normal_fill(3, 9, 0, whole, 257);
    for (uint64_t first = 0; first < 157; first += 13) {
        rng_normal_fill(3, 9, first, part, 100);
        CHECK(memcmp(part, whole + first, sizeof part) == 0);
    }
    double sum = 0, square = 0;
    enum { MANY = 200000 };
    struct tensor t = random_1d(MANY);
    for (int i = 0; i < MANY; i++) {
        double v = (double)((float *)t.data)[i];
        sum += v;
        square += v * v;
    }
    CHECK_NEAR(sum / MANY, 0, 0.01);
    CHECK_NEAR(square / MANY, 1, 0.01);
    drop_all();
}

/* Known answers of Philox 4x32-10 (Random123, kat_vectors). */
static void philox_gives_the_published_numbers(void) {
    uint32_t out[4];
    rng_block(0, 0, 0, out);
    CHECK_INT(out[0], 0x6627e8d5);
    CHECK_INT(out[1], 0xe169c58d);
    CHECK_INT(out[2], 0xbc57ac4c);
    CHECK_INT(out[3], 0x9b00dbd8);
    rng_block(UINT64_MAX, UINT64_MAX, UINT64_MAX, out);
    CHECK_INT(out[0], 0x408f276d);
    CHECK_INT(out[1], 0x41c83b0e);
    CHECK_INT(out[2], 0xa20bc7c6);
    CHECK_INT(out[3], 0x6d5451fd);
}

/* main() sets OPENBLAS_CORETYPE to the slowest kernel before the device is opened. */
static void the_environment_does_not_choose_the_kernel(void) {
    char report[160];
    device_report(&cpu, report, sizeof report);
    printf("     %s\n", report);
    CHECK(strstr(report, "Prescott") == NULL);
    CHECK(getenv("OPENBLAS_CORETYPE") == NULL);
}

/* Benchmarks, one core. Other work on the machine makes wall time worthless, so processor time is
 * taken, in turns with a probe: the inner kernel on data that never leaves the first-level cache,
 * which is what the core can give at that moment. Best of several turns each. */
enum { TURNS = 9, PROBE_RUN = 64, PROBE_REPEATS = 4000 };

struct timed {
    struct tensor out, a, b, c;
    struct conv_opts conv;
    void (*call)(struct timed *t);
};

static void time_linear(struct timed *t) {
    ok(op_linear(&cpu, &t->out, &t->a, &t->b, NULL, ACT_NONE, NULL));
}

static void time_conv(struct timed *t) {
    ok(op_conv(&cpu, &t->out, &t->a, &t->conv, NULL));
}

static int64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* GF/s of one core. */
static double probe_once(void) {
    static uint32_t x[PROBE_RUN * CPU_TILE_PIXELS_MAX], w[PROBE_RUN * CPU_TILE_WIDE_MAX];
    float sum[CPU_TILE_PIXELS_MAX * CPU_TILE_WIDE_MAX];
    enum cpu_isa isa;
    ok(cpu_isa_find(&isa, NULL, NULL));
    const struct cpu_tile_kind *kind = cpu_tile_find(DTYPE_F32, isa);
    struct cpu_tile_tap tap = {x, w};
    struct cpu_tile t = {.tap = &tap,
                         .n_taps = 1,
                         .run = PROBE_RUN,
                         .stride = PROBE_RUN,
                         .sum = sum,
                         .is_first = true};
    int64_t start = cpu_ns();
    for (int i = 0; i < PROBE_REPEATS; i++)
        kind->run[0](&t, kind->n_pixels_max);
    double s = (double)(cpu_ns() - start) * 1e-9;
    return 2.0 * PROBE_REPEATS * kind->wide * kind->n_pixels_max * PROBE_RUN / s * 1e-9;
}

static void print_rate(const char *name, double flop, struct timed *t) {
    double best_s = 1e9, best_probe = 0;
    for (int i = 0; i < TURNS; i++) {
        double rate = probe_once();
        int64_t start = cpu_ns();
        t->call(t);
        double s = (double)(cpu_ns() - start) * 1e-9;
        best_s = s < best_s ? s : best_s;
        best_probe = rate > best_probe ? rate : best_probe;
    }
    double rate = flop / best_s * 1e-9;
    printf("{\"bench\":\"%s\",\"value\":%.1f,\"unit\":\"GF/s\",\"ms\":%.3f,"
           "\"baseline\":\"fma_probe\",\"baseline_value\":%.1f,\"ratio\":%.2f}\n",
           name, rate, best_s * 1e3, best_probe, rate / best_probe);
    drop_all();
}

static void bench_linear(int64_t N, int64_t K, int64_t O) {
    struct timed t = {.out = random_2d(N, O), .a = random_2d(N, K), .b = random_2d(O, K)};
    char name[64];
    t.call = time_linear;
    snprintf(name, sizeof name, "linear_%lldx%lldx%lld", (long long)N, (long long)K, (long long)O);
    print_rate(name, 2.0 * (double)(N * K * O), &t);
}

static void bench_conv(int64_t T, int64_t H, int64_t W, int64_t C, int64_t O) {
    struct tensor w = random_nd(5, (int64_t[]){O, 3, 3, 3, C});
    struct tensor cache = random_nd(4, (int64_t[]){2, H, W, C});
    struct timed t = {.out = random_nd(4, (int64_t[]){T, H, W, O}),
                      .a = random_nd(4, (int64_t[]){T, H, W, C}),
                      .conv = {.w = &w, .cache = &cache, .stride_t = 1, .stride_s = 1},
                      .call = time_conv};
    char name[64];
    snprintf(name, sizeof name, "conv_%lldx%lldx%lld_%lld_%lld", (long long)T, (long long)H,
             (long long)W, (long long)C, (long long)O);
    print_rate(name, 54.0 * (double)(T * H * W * C * O), &t);
}

static int bench_all(void) {
    char report[160];
    device_report(&cpu, report, sizeof report);
    printf("{\"bench\":\"device\",\"value\":\"%s\"}\n", report);
    bench_linear(520, 192, 192);
    bench_linear(520, 192, 768);
    bench_linear(520, 768, 192);
    bench_linear(1872, 320, 320);
    bench_linear(1872, 320, 1280);
    bench_linear(1872, 1280, 320);
    bench_linear(1755, 1536, 1536);
    bench_conv(4, 40, 64, 16, 16);
    bench_conv(4, 40, 64, 32, 32);
    bench_conv(2, 20, 32, 64, 64);
    bench_conv(4, 72, 128, 48, 48);
    bench_conv(5, 120, 68, 96, 96);
    bench_conv(5, 60, 34, 384, 384);
    return 0;
}

static const struct test tests[] = {
    TEST(linear_agrees),
    TEST(volume_ops_agree),
    TEST(patches_go_there_and_back),
    TEST(pixels_are_rounded_and_clamped),
    TEST(halves_are_widened_exactly),
    TEST(wrong_shapes_are_refused_in_words),
    TEST(noise_does_not_depend_on_how_it_is_asked),
    TEST(philox_gives_the_published_numbers),
    TEST(the_environment_does_not_choose_the_kernel),
};

int main(int argc, char **argv) {
    struct fail f = {0};
    int is_bench = argc > 1 && strcmp(argv[1], "--bench") == 0;
    struct device_opts on = {.n_threads = is_bench ? 1 : 0, .precision = PRECISION_F32};
    setenv("OPENBLAS_CORETYPE", "Prescott", 1);
    if (device_open(&cpu, "cpu", &on, &f) != ERR_OK ||
        device_open(&ref, "ref", &(struct device_opts){0}, &f) != ERR_OK) {
        fprintf(stderr, "%s\n", f.text);
        return 1;
    }
    int rc = is_bench ? bench_all() : check_main(tests, COUNT_OF(tests), argc, argv);
    device_close(&cpu);
    device_close(&ref);
    return rc;
}
