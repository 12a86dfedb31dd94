/* Every entry of the op table on a CUDA device against the oracle, over odd shapes, in f32 and in
 * bf16. Without a device the kernels run in the emulator; without that the tests are skipped.
 *
 * The oracle gets the same numbers (rounded to bf16 where the device rounds them) and sums in
 * double. What may differ: the order of f32 sums, 4 eps sqrt(K) (1 + |want|); one rounding of a
 * result that is bf16, 2^-8, and before it of a bias or of what goes into an activation; weights of
 * attention in bf16. */
#include <math.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/half.h"
#include "engine/pool.h"
#include "tests/lib/check.h"
#include "tests/lib/cuda_device.h"
#include "tests/lib/tensors.h"

static struct device ref, dev;
static struct pool pool;

static bool open_cuda(enum precision precision) {
    const char *reason;
    struct fail f = {0};
    if (!cuda_device_find(&reason)) {
        test_skip(reason);
        return false;
    }
    CHECK_OK(device_open(&dev, "cuda", &(struct device_opts){.precision = precision}, &f), &f);
    CHECK_OK(device_open(&ref, "ref", &(struct device_opts){0}, &f), &f);
    pool_make(&pool, &dev, 1 << 20, (size_t)1 << 30);
    return true;
}

static void close_cuda(void) {
    struct fail f = {0};
    CHECK_OK(op_check(&dev, &f), &f);
    pool_free(&pool);
    device_close(&dev);
    device_close(&ref);
}

/* The same tensor in memory of the device. */
static struct tensor on(const struct tensor *host) {
    struct tensor t;
    struct fail f = {0};
    CHECK_OK(pool_take(&pool, &t, host->dtype, host->n_dims, host->dim, &f), &f);
    op_upload(&dev, &t, host->data);
    return t;
}

static struct tensor back(const struct tensor *t) {
    struct tensor host = *t;
    host.data = tensors_take(tensor_bytes(t));
    op_download(&dev, host.data, t);
    return host;
}

static void drop(void) {
    tensors_drop();
    pool_reset(&pool);
}

/* A weight as the device keeps it. */
static struct tensor packed_on(const struct tensor *w) {
    struct tensor p = tensor_of(NULL, DTYPE_F32, w->n_dims, w->dim), room;
    struct fail f = {0};
    int64_t K = tensor_count(w) / w->dim[0], bytes = (int64_t)op_packed(&dev, &p);
    CHECK_OK(pool_take(&pool, &room, DTYPE_U8, 1, &bytes, &f), &f);
    p.data = room.data;
    for (int64_t first = 0; first < w->dim[0]; first += OP_PACK_ROWS) {
        int64_t n = w->dim[0] - first < OP_PACK_ROWS ? w->dim[0] - first : OP_PACK_ROWS;
        op_pack(&dev, &p, (const float *)w->data + first * K, first, n);
    }
    return p;
}

static struct tensor random_of(enum dtype dtype, int n_dims, const int64_t *dims, double scale) {
    return tensors_random(dtype, n_dims, dims, scale);
}

static struct tensor random_2d(enum dtype dtype, int64_t rows, int64_t cols) {
    return tensors_random(dtype, 2, (int64_t[]){rows, cols}, 1);
}

static struct tensor random_1d(int64_t n) {
    return tensors_random(DTYPE_F32, 1, &n, 1);
}

/* Numbers that bf16 holds. */
static void round_to_bf16(struct tensor *t) {
    for (int64_t i = 0; t->dtype == DTYPE_F32 && i < tensor_count(t); i++)
        ((float *)t->data)[i] = half_bf16(half_to_bf16(tensors_get(t, i)));
}

/* `more` is allowed on top of the order of the sums. */
static void compare(const char *what, const struct tensor *got, const struct tensor *want,
                    int64_t K, double more) {
    double worst = 0, limit = 4 * 1.2e-7 * sqrt((double)K) + more;
    char shape[TENSOR_SHAPE_TEXT_MAX], name[64];
    struct tensor host = back(got);
    if (got->dtype == DTYPE_BF16) limit += 1.0 / 256;
    for (int64_t i = 0, n = tensor_count(want); i < n; i++) {
        double w = (double)tensors_get(want, i),
               e = fabs((double)tensors_get(&host, i) - w) / (1 + fabs(w));
        worst = e > worst || e != e ? e : worst;
    }
    snprintf(name, sizeof name, "%s%s", what, got->dtype == DTYPE_BF16 ? ", bf16 out" : "");
    printf("     %-28s %-20s error %.2e of %.2e\n", name, tensor_shape_text(want, shape), worst,
           limit);
    CHECK_NEAR(worst, 0, limit);
}

static void ok(enum err rc) {
    CHECK_INT(rc, ERR_OK);
}

static const enum precision precisions[] = {PRECISION_F32, PRECISION_BF16};

/* Poison: what nobody writes shows. */
static struct tensor poisoned(enum dtype dtype, const struct tensor *like) {
    struct tensor t = tensors_zero(dtype, like->n_dims, like->dim);
    memset(t.data, 0xff, tensor_bytes(&t));
    return t;
}

struct product_row {
    int64_t N, K, O;
};

static const struct product_row products[] = {{1, 1, 1},    {3, 5, 7},     {17, 33, 65},
                                              {40, 64, 96}, {130, 16, 24}, {2, 320, 200}};

static void check_linear(const struct product_row *r, enum dtype x_type, enum dtype out_type,
                         enum act act, bool has_bias) {
    struct tensor x = random_2d(x_type, r->N, r->K), b = random_1d(r->O);
    struct tensor w = random_of(DTYPE_F32, 2, (int64_t[]){r->O, r->K}, 1 / sqrt((double)r->K));
    struct tensor want = random_2d(DTYPE_F32, r->N, r->O), got = poisoned(out_type, &want);
    struct tensor wd = packed_on(&w), gd = on(&got), bd = on(&b);
    if (wd.dtype == DTYPE_BF16) round_to_bf16(&w), round_to_bf16(&x);
    struct tensor xd = on(&x);
    ok(op_linear(&dev, &gd, &xd, &wd, has_bias ? &bd : NULL, act, NULL));
    ok(op_linear(&ref, &want, &x, &w, has_bias ? &b : NULL, act, NULL));
    compare("linear", &gd, &want, r->K, out_type == DTYPE_BF16 ? 1.0 / 128 : 0);
    drop();
}

static void products_agree(void) {
    for (int p = 0; p < COUNT_OF(precisions); p++) {
        if (!open_cuda(precisions[p])) return;
        for (int i = 0; i < COUNT_OF(products); i++)
            for (int k = 0; k < 4; k++)
                for (int act = 0; act < ACT_COUNT; act++)
                    check_linear(&products[i], k & 1 ? DTYPE_BF16 : DTYPE_F32,
                                 k & 2 ? DTYPE_BF16 : DTYPE_F32, (enum act)act, (i + act) % 2);
        close_cuda();
    }
}

/* Rows as they lie in files: a mapped text encoder. */
static void products_with_rows_of_files_agree(void) {
    static const enum dtype types[] = {DTYPE_F32, DTYPE_BF16, DTYPE_F16};
    for (int p = 0; p < COUNT_OF(precisions); p++) {
        if (!open_cuda(precisions[p])) return;
        for (int i = 0; i < COUNT_OF(types); i++) {
            int64_t dims[] = {40, 32};
            struct tensor x = random_2d(DTYPE_F32, 9, 32), want = random_2d(DTYPE_F32, 9, 40);
            struct tensor w =
                random_of(types[i] == DTYPE_BF16 ? DTYPE_BF16 : DTYPE_F32, 2, dims, 0.2);
            if (types[i] == DTYPE_F16) { /* -1, 0.5, a subnormal and 3, by turns */
                static const uint16_t some[] = {0xbc00, 0x3800, 0x0101, 0x4200};
                w = tensors_zero(DTYPE_F16, 2, dims);
                for (int k = 0; k < 40 * 32; k++)
                    ((uint16_t *)w.data)[k] = some[k * 7 / 3 % 4];
            }
            if (types[i] == DTYPE_BF16 && dev.precision == PRECISION_BF16) round_to_bf16(&x);
            struct tensor xd = on(&x), wd = on(&w), gd = on(&want);
            ok(op_linear(&dev, &gd, &xd, &wd, NULL, ACT_NONE, NULL));
            ok(op_linear(&ref, &want, &x, &w, NULL, ACT_NONE, NULL));
            compare("linear, rows of files", &gd, &want, 32, 1e-6);
            drop();
        }
        close_cuda();
    }
}

/* A table [R,M,C] and an index of R sets. */
struct modulation {
    struct tensor table, index, table_d, index_d;
    struct mod_table host, device;
};

static void make_modulation(struct modulation *m, int64_t N, int64_t C, bool has_index) {
    m->table = random_of(DTYPE_F32, 3, (int64_t[]){3, 6, C}, 1);
    m->index = tensors_zero(DTYPE_I32, 1, &N);
    for (int64_t i = 0; i < N; i++)
        ((int32_t *)m->index.data)[i] = (int32_t)(i * 5 % 3);
    m->table_d = on(&m->table);
    m->index_d = on(&m->index);
    m->host = (struct mod_table){&m->table, has_index ? &m->index : NULL};
    m->device = (struct mod_table){&m->table_d, has_index ? &m->index_d : NULL};
}

static void check_add(const struct product_row *r, enum dtype x_type, bool has_gate,
                      bool has_index) {
    struct modulation m;
    struct tensor x = random_2d(x_type, r->N, r->K), b = random_1d(r->O);
    struct tensor w = random_of(DTYPE_F32, 2, (int64_t[]){r->O, r->K}, 1 / sqrt((double)r->K));
    struct tensor want = random_2d(DTYPE_F32, r->N, r->O);
    struct tensor wd = packed_on(&w), gd = on(&want), bd = on(&b);
    make_modulation(&m, r->N, r->O, has_index);
    if (wd.dtype == DTYPE_BF16) round_to_bf16(&w), round_to_bf16(&x);
    struct tensor xd = on(&x);
    ok(op_linear_add(&dev, &gd, &xd, &wd, &bd, has_gate ? &m.device : NULL, 4, NULL));
    ok(op_linear_add(&ref, &want, &x, &w, &b, has_gate ? &m.host : NULL, 4, NULL));
    compare("linear_add", &gd, &want, r->K, 0);
    drop();
}

static void products_that_are_added_agree(void) {
    static const struct product_row long_one = {4500, 8, 16};
    for (int p = 0; p < COUNT_OF(precisions); p++) {
        if (!open_cuda(precisions[p])) return;
        for (int i = 0; i < COUNT_OF(products); i++)
            for (int k = 0; k < 6; k++)
                check_add(&products[i], k & 1 ? DTYPE_BF16 : DTYPE_F32, k / 2 > 0, k / 2 == 2);
        check_add(&long_one, DTYPE_BF16, true, true);
        close_cuda();
    }
}

struct attention_row {
    int64_t nq, nk;
    int heads, D;
    bool has_key_bias, has_bias;
    float scale;
};

static const struct attention_row attentions[] = {
    {1, 1, 1, 32, false, false, 0},    {5, 9, 2, 32, true, false, 0},
    {130, 70, 2, 64, false, false, 0}, {64, 129, 1, 128, true, false, 0},
    {33, 64, 3, 80, false, false, 0},  {40, 200, 1, 64, true, false, 0.3f},
    {7, 11, 3, 16, false, false, 0},   {9, 12, 2, 24, true, true, 1},
    {20, 30, 1, 384, false, false, 0}, {6, 6, 4, 32, false, true, 1},
};

static void check_attention(const struct attention_row *r, enum dtype type) {
    int64_t C = (int64_t)r->heads * r->D;
    struct tensor q = random_2d(type, r->nq, C), k = random_2d(type, r->nk, C);
    struct tensor v = random_2d(type, r->nk, C), want = random_2d(DTYPE_F32, r->nq, C);
    struct tensor key_bias = random_1d(r->nk), got = poisoned(type, &want);
    struct tensor bias = random_of(DTYPE_F32, 3, (int64_t[]){r->heads, r->nq, r->nk}, 1);
    if (r->nk > 70) ((float *)key_bias.data)[3] = -INFINITY; /* a key that is out */
    struct tensor qd = on(&q), kd = on(&k), vd = on(&v), gd = on(&got);
    struct tensor key_bias_d = on(&key_bias), bias_d = on(&bias);
    struct attention_opts o = {.n_heads = r->heads, .scale = r->scale};
    if (r->has_key_bias) o.key_bias = &key_bias_d;
    if (r->has_bias) o.bias = &bias_d;
    ok(op_attention(&dev, &gd, &qd, &kd, &vd, &o, NULL));
    o.key_bias = r->has_key_bias ? &key_bias : NULL;
    o.bias = r->has_bias ? &bias : NULL;
    struct tensor wide[] = {q, k, v};
    for (int i = 0; i < 3 && type == DTYPE_BF16; i++) { /* the oracle wants one type for all */
        struct tensor t = tensors_zero(DTYPE_F32, 2, wide[i].dim);
        for (int64_t e = 0; e < tensor_count(&t); e++)
            ((float *)t.data)[e] = tensors_get(&wide[i], e);
        wide[i] = t;
    }
    ok(op_attention(&ref, &want, &wide[0], &wide[1], &wide[2], &o, NULL));
    compare("attention", &gd, &want, r->D, type == DTYPE_BF16 ? 1.0 / 256 : 2e-6);
    drop();
}

static void attention_agrees(void) {
    if (!open_cuda(PRECISION_BF16)) return;
    for (int i = 0; i < COUNT_OF(attentions); i++) {
        check_attention(&attentions[i], DTYPE_F32);
        check_attention(&attentions[i], DTYPE_BF16);
    }
    close_cuda();
}

/* Products of warpgroups; a real card of another kind runs its own kernel again. */
static void attention_agrees_on_hopper(void) {
    static const struct attention_row rows[] = {
        {1, 1, 1, 64, false, false, 0},    {130, 70, 2, 64, false, false, 0},
        {64, 129, 1, 128, true, false, 0}, {70, 200, 2, 128, false, false, 0.2f},
        {40, 256, 1, 64, true, false, 0},  {3, 192, 1, 128, false, false, 0},
    };
    cuda_device_play_hopper(true);
    if (open_cuda(PRECISION_BF16)) {
        for (int i = 0; i < COUNT_OF(rows); i++)
            check_attention(&rows[i], DTYPE_BF16);
        close_cuda();
    }
    cuda_device_play_hopper(false);
}

/* A whole tile of keys that are out, at the beginning and at the end. */
static void check_keys_out(void) {
    enum { N = 5, NK = 200, D = 64, FROM = 70, TO = 130 };
    if (!open_cuda(PRECISION_BF16)) return;
    struct tensor q = random_2d(DTYPE_BF16, N, D), k = random_2d(DTYPE_BF16, NK, D);
    struct tensor v = random_2d(DTYPE_BF16, NK, D), bias = random_1d(NK);
    for (int i = 0; i < NK; i++)
        ((float *)bias.data)[i] = i >= FROM && i < TO ? 0.5f : -INFINITY;
    struct tensor qd = on(&q), kd = on(&k), vd = on(&v), bias_d = on(&bias);
    struct tensor all = on(&q), some = on(&q);
    struct tensor k_some = tensor_rows(&kd, FROM, TO - FROM),
                  v_some = tensor_rows(&vd, FROM, TO - FROM);
    struct attention_opts o = {.n_heads = 1, .key_bias = &bias_d};
    ok(op_attention(&dev, &all, &qd, &kd, &vd, &o, NULL));
    o.key_bias = NULL;
    ok(op_attention(&dev, &some, &qd, &k_some, &v_some, &o, NULL));
    struct tensor want = back(&some);
    compare("attention, keys out", &all, &want, NK, 1.0 / 256);
    drop();
    close_cuda();
}

static void keys_that_are_out_weigh_nothing(void) {
    check_keys_out();
    cuda_device_play_hopper(true);
    check_keys_out();
    cuda_device_play_hopper(false);
}

static const int64_t row_sizes[][2] = {{1, 1},    {3, 7},    {9, 96},   {5, 130},
                                       {17, 384}, {4, 1030}, {3, 2500}, {2, 6000}};

static const enum dtype type_pairs[][2] = {{DTYPE_F32, DTYPE_F32},
                                           {DTYPE_F32, DTYPE_BF16},
                                           {DTYPE_BF16, DTYPE_BF16},
                                           {DTYPE_BF16, DTYPE_F32}};

static void check_norm(const int64_t size[2], const enum dtype types[2], int kind) {
    struct tensor x = random_2d(types[0], size[0], size[1]), w = random_1d(size[1]);
    struct tensor b = random_1d(size[1]), want = random_2d(DTYPE_F32, size[0], size[1]);
    struct tensor got = poisoned(types[1], &want);
    struct tensor xd = on(&x), wd = on(&w), bd = on(&b), gd = on(&got);
    struct norm_opts o = {.kind = (enum norm_kind)kind, .eps = 1e-5f, .act = (enum act)(kind % 2)};
    if (size[1] % 3) o.w = &wd;
    if (size[1] % 2) o.b = &bd;
    ok(op_norm(&dev, &gd, &xd, &o, NULL));
    if (o.w) o.w = &w;
    if (o.b) o.b = &b;
    ok(op_norm(&ref, &want, &x, &o, NULL));
    compare("norm", &gd, &want, size[1], 2e-6);
    drop();
}

static void check_norm_mod(const int64_t size[2], const enum dtype types[2], bool has_index) {
    struct modulation m;
    struct tensor x = random_2d(types[0], size[0], size[1]);
    struct tensor want = random_2d(DTYPE_F32, size[0], size[1]), got = poisoned(types[1], &want);
    struct tensor xd = on(&x), gd = on(&got);
    make_modulation(&m, size[0], size[1], has_index);
    ok(op_norm_mod(&dev, &gd, &xd, &m.device, 3, 1, 1e-6f, NULL));
    ok(op_norm_mod(&ref, &want, &x, &m.host, 3, 1, 1e-6f, NULL));
    compare("norm_mod", &gd, &want, size[1], 2e-6);
    ok(op_gate_add(&dev, &xd, &gd, &m.device, 2, NULL));
    struct tensor sum = tensors_zero(DTYPE_F32, 2, x.dim), y = back(&gd);
    for (int64_t i = 0; i < tensor_count(&x); i++)
        ((float *)sum.data)[i] = tensors_get(&x, i);
    ok(op_gate_add(&ref, &sum, &y, &m.host, 2, NULL));
    compare("gate_add", &xd, &sum, 1, 0);
    drop();
}

static void rows_agree(void) {
    if (!open_cuda(PRECISION_BF16)) return;
    for (int k = 0; k < COUNT_OF(type_pairs); k++)
        for (int i = 0; i < COUNT_OF(row_sizes); i++) {
            for (int kind = 0; kind < NORM_COUNT; kind++)
                check_norm(row_sizes[i], type_pairs[k], kind);
            check_norm_mod(row_sizes[i], type_pairs[k], (i + k) % 2);
        }
    close_cuda();
}

static void rotation_agrees(void) {
    if (!open_cuda(PRECISION_BF16)) return;
    for (int heads = 1; heads < 5; heads++)
        for (int t = 0; t < 2; t++) {
            int64_t N = 7 * heads, D = 2 + 10 * heads;
            struct tensor x = random_2d(t ? DTYPE_BF16 : DTYPE_F32, N, heads * D);
            struct tensor table = random_2d(DTYPE_F32, N, D);
            struct tensor want = tensors_zero(DTYPE_F32, 2, x.dim);
            for (int64_t i = 0; i < tensor_count(&x); i++)
                ((float *)want.data)[i] = tensors_get(&x, i);
            struct tensor xd = on(&x), table_d = on(&table);
            ok(op_rope(&dev, &xd, &table_d, heads, NULL));
            ok(op_rope(&ref, &want, &table, heads, NULL));
            compare("rope", &xd, &want, 2, 0);
            drop();
        }
    close_cuda();
}

static void check_elements(const enum dtype types[2], int64_t N, int64_t C) {
    struct tensor a = random_2d(types[0], N, C), b = random_2d(types[1], N, C);
    struct tensor scale = random_1d(C), shift = random_1d(C);
    struct tensor want = random_2d(DTYPE_F32, N, C), got = poisoned(types[1], &want);
    struct tensor ad = on(&a), bd = on(&b), gd = on(&got), sd = on(&scale), hd = on(&shift);
    for (int act = 0; act < ACT_COUNT; act++) {
        ok(op_act(&dev, &gd, &ad, (enum act)act, NULL));
        ok(op_act(&ref, &want, &a, (enum act)act, NULL));
        compare("act", &gd, &want, 16, 0);
    }
    ok(op_add_scaled(&dev, &gd, &ad, &bd, -0.7f, NULL));
    ok(op_add_scaled(&ref, &want, &a, &b, -0.7f, NULL));
    compare("add_scaled", &gd, &want, 2, 0);
    ok(op_mul(&dev, &gd, &ad, &bd, NULL));
    ok(op_mul(&ref, &want, &a, &b, NULL));
    compare("mul", &gd, &want, 1, 0);
    ok(op_affine(&dev, &gd, &ad, &sd, &hd, NULL));
    ok(op_affine(&ref, &want, &a, &scale, &shift, NULL));
    compare("affine", &gd, &want, 2, 0);
    op_fill(&dev, &gd, 0.375f);
    op_fill(&ref, &want, 0.375f);
    compare("fill", &gd, &want, 1, 0);
    drop();
}

static void elements_agree(void) {
    if (!open_cuda(PRECISION_BF16)) return;
    for (int k = 0; k < COUNT_OF(type_pairs); k++) {
        check_elements(type_pairs[k], 1, 1);
        check_elements(type_pairs[k], 37, 29);
    }
    close_cuda();
}

struct conv_row {
    int64_t T, H, W, C, O, kt, kh, kw;
    int cache, stride_t, stride_s;
    bool is_doubled, is_centred;
};

static const struct conv_row convs[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, false, false},
    {1, 5, 3, 2, 3, 3, 3, 3, 2, 1, 1, false, false},
    {4, 7, 9, 5, 12, 3, 3, 3, 2, 1, 1, false, false},
    {2, 6, 10, 16, 17, 3, 3, 3, 2, 1, 1, false, false},
    {1, 8, 13, 24, 48, 3, 3, 3, 2, 1, 1, false, false},
    {3, 8, 12, 6, 64, 1, 3, 3, 0, 1, 2, false, false},
    {4, 5, 6, 32, 32, 3, 1, 1, 1, 2, 1, false, false},
    {2, 4, 10, 33, 130, 3, 1, 1, 2, 1, 1, false, false},
    {1, 9, 16, 40, 96, 3, 3, 3, 2, 1, 1, false, false},
    {2, 10, 14, 20, 16, 1, 3, 3, 0, 1, 2, false, false},
    {1, 11, 13, 16, 3, 3, 3, 3, 2, 1, 1, false, false},
    {5, 3, 3, 4, 5, 3, 3, 3, 1, 1, 1, false, false},
    {2, 5, 7, 8, 9, 1, 3, 3, 0, 1, 1, true, false},
    {1, 3, 5, 3, 20, 3, 3, 3, 2, 1, 1, true, false},
    {2, 10, 14, 20, 16, 1, 3, 3, 0, 1, 2, false, true},
    {1, 1, 25, 7, 200, 1, 1, 1, 0, 1, 1, false, false},
};

struct form {
    enum dtype x, out, add;
    bool has_add, adds_to_itself;
};

static const struct form forms[] = {
    {DTYPE_F32, DTYPE_F32, DTYPE_F32, false, false},
    {DTYPE_BF16, DTYPE_BF16, DTYPE_BF16, true, true},
    {DTYPE_F32, DTYPE_F32, DTYPE_F32, true, true},
    {DTYPE_BF16, DTYPE_F32, DTYPE_BF16, true, false},
    {DTYPE_F32, DTYPE_BF16, DTYPE_F32, true, false},
};

static void check_conv(const struct conv_row *r, const struct form *m) {
    struct fail f = {0};
    int64_t K = r->kt * r->kh * r->kw * r->C, times = r->is_doubled ? 2 : 1;
    struct tensor x = random_of(m->x, 4, (int64_t[]){r->T, r->H, r->W, r->C}, 1);
    struct tensor cache = random_of(m->x, 4, (int64_t[]){r->cache, r->H, r->W, r->C}, 1);
    struct tensor w =
        random_of(DTYPE_F32, 5, (int64_t[]){r->O, r->kt, r->kh, r->kw, r->C}, 1 / sqrt((double)K));
    struct tensor b = random_1d(r->O);
    int64_t T = (r->cache + r->T - r->kt) / r->stride_t + 1;
    int64_t dims[] = {T, r->H * times / r->stride_s, r->W * times / r->stride_s, r->O};
    struct tensor add = random_of(m->adds_to_itself ? m->out : m->add, 4, dims, 1);
    struct tensor want = tensors_zero(DTYPE_F32, 4, dims), got = poisoned(m->out, &want);
    struct tensor wd = packed_on(&w);
    if (wd.dtype == DTYPE_BF16) round_to_bf16(&w), round_to_bf16(&x), round_to_bf16(&cache);
    struct tensor xd = on(&x), cache_d = on(&cache), bd = on(&b), add_d = on(&add);
    struct tensor gd = m->adds_to_itself ? add_d : on(&got);
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
    o.w = &wd, o.b = o.b ? &bd : NULL, o.cache = o.cache ? &cache_d : NULL;
    o.add = o.add ? &add_d : NULL;
    CHECK_OK(op_conv(&dev, &gd, &xd, &o, &f), &f);
    compare("conv", &gd, &want, K, 0);
    drop();
}

static void convolution_agrees(void) {
    for (int p = 0; p < COUNT_OF(precisions); p++) {
        if (!open_cuda(precisions[p])) return;
        for (int i = 0; i < COUNT_OF(convs); i++)
            for (int k = 0; k < COUNT_OF(forms); k++)
                if (!cuda_device_is_emulated() || (i + k) % 2 == 0)
                    check_conv(&convs[i], &forms[k]);
        close_cuda();
    }
}

static void check_volumes(enum dtype type) {
    struct tensor x = random_of(type, 4, (int64_t[]){3, 4, 6, 8}, 1), xd = on(&x);
    struct tensor w = random_of(DTYPE_F32, 3, (int64_t[]){8, 5, 3}, 0.2), wd = on(&w);
    struct tensor up = random_of(DTYPE_F32, 4, (int64_t[]){5, 8, 12, 4}, 1), up_d = on(&up);
    struct tensor down = random_of(DTYPE_F32, 4, (int64_t[]){2, 2, 3, 16}, 1), down_d = on(&down);
    struct tensor same = random_of(DTYPE_F32, 4, x.dim, 1), same_d = on(&same);
    struct tensor split = random_of(DTYPE_F32, 4, (int64_t[]){6, 4, 6, 4}, 1), split_d = on(&split);
    ok(op_dup_up_add(&dev, &up_d, &xd, 2, 2, 1, NULL));
    ok(op_dup_up_add(&ref, &up, &x, 2, 2, 1, NULL));
    compare("dup_up", &up_d, &up, 1, 0);
    ok(op_avg_down_add(&dev, &down_d, &xd, 2, 2, 1, NULL));
    ok(op_avg_down_add(&ref, &down, &x, 2, 2, 1, NULL));
    compare("avg_down", &down_d, &down, 4, 0);
    ok(op_depthwise(&dev, &same_d, &xd, &wd, NULL));
    ok(op_depthwise(&ref, &same, &x, &w, NULL));
    compare("depthwise", &same_d, &same, 15, 0);
    ok(op_time_split(&dev, &split_d, &xd, NULL));
    ok(op_time_split(&ref, &split, &x, NULL));
    compare("time_split", &split_d, &split, 1, 0);
    drop();
}

static void volumes_agree(void) {
    if (!open_cuda(PRECISION_BF16)) return;
    check_volumes(DTYPE_F32);
    check_volumes(DTYPE_BF16);
    for (int order = 0; order < PATCH_ORDER_COUNT; order++) {
        struct patch p = {.t = 1 + order % 2, .h = 2, .w = 3, .order = (enum patch_order)order};
        struct tensor x = random_of(DTYPE_F32, 4, (int64_t[]){4, 4, 6, 5}, 1), xd = on(&x);
        struct tensor cells = random_of(DTYPE_F32, 4, (int64_t[]){4 / p.t, 2, 2, 5 * p.t * 6}, 1);
        struct tensor got = poisoned(DTYPE_F32, &cells), gd = on(&got), bd = on(&x);
        ok(op_patchify(&dev, &gd, &xd, &p, NULL));
        ok(op_patchify(&ref, &cells, &x, &p, NULL));
        compare("patchify", &gd, &cells, 1, 0);
        ok(op_unpatchify(&dev, &bd, &gd, &p, NULL));
        compare("unpatchify", &bd, &x, 1, 0);
        drop();
    }
    close_cuda();
}

static void pixels_are_rounded_and_clamped(void) {
    static const float some[] = {-1, 1, 0, -5, 7, NAN, 0.5f, -0.5f, 0.1f};
    if (!open_cuda(PRECISION_BF16)) return;
    struct tensor x = tensors_zero(DTYPE_F32, 2, (int64_t[]){3, 3});
    memcpy(x.data, some, sizeof some);
    struct tensor want = tensors_zero(DTYPE_U8, 2, x.dim), xd = on(&x), gd = on(&want);
    ok(op_pack_rgb(&dev, &gd, &xd, NULL));
    ok(op_pack_rgb(&ref, &want, &x, NULL));
    struct tensor got = back(&gd);
    CHECK(memcmp(got.data, want.data, sizeof some / sizeof *some) == 0);
    drop();
    close_cuda();
}

/* More than both pinned buffers hold, and copies on the device. */
static void bytes_come_back_as_they_went(void) {
    enum { N = 5 << 20 };
    if (!open_cuda(PRECISION_BF16)) return;
    struct tensor x = random_1d(N), xd = on(&x), yd = on(&x);
    op_fill(&dev, &yd, 0);
    ok(op_copy(&dev, &yd, &xd, NULL));
    struct tensor y = back(&yd);
    CHECK(memcmp(x.data, y.data, tensor_bytes(&x)) == 0);
    drop();
    close_cuda();
}

static void what_does_not_fit_is_said_with_figures(void) {
    struct fail f = {0};
    struct tensor t;
    if (!open_cuda(PRECISION_BF16)) return;
    struct pool big;
    pool_make(&big, &dev, 1 << 20, (size_t)1 << 44);
    CHECK_INT(pool_take_1d(&big, &t, (int64_t)1 << 40, &f), ERR_NOMEM);
    CHECK_HAS(f.text, "MiB");
    CHECK_OK(op_check(&dev, &f), &f); /* and the device is as it was */
    pool_free(&big);
    close_cuda();
}

static void devices_are_called_by_number(void) {
    const char *reason;
    struct device d;
    struct fail f = {0};
    CHECK_INT(device_open(&d, "cuda:x", &(struct device_opts){0}, &f), ERR_INPUT);
    CHECK_INT(device_open(&d, "cpu:1", &(struct device_opts){0}, &f), ERR_INPUT);
    CHECK_INT(device_open(&d, "cuda:64", &(struct device_opts){0}, &f), ERR_INPUT);
    if (!cuda_device_find(&reason)) {
        CHECK_INT(device_open(&d, "cuda", &(struct device_opts){0}, &f), ERR_UNAVAILABLE);
        return;
    }
    CHECK_INT(device_open(&d, "cuda:63", &(struct device_opts){0}, &f), ERR_INPUT);
    CHECK_HAS(f.text, "there is no cuda:63");
    CHECK_OK(device_open(&d, "cuda:0", &(struct device_opts){0}, &f), &f);
    char line[160];
    device_report(&d, line, sizeof line);
    printf("     %s\n", line);
    CHECK(!device_is_host(&d));
    device_close(&d);
}

static const struct test tests[] = {
    TEST(devices_are_called_by_number),
    TEST(bytes_come_back_as_they_went),
    TEST(elements_agree),
    TEST(rows_agree),
    TEST(rotation_agrees),
    TEST(volumes_agree),
    TEST(pixels_are_rounded_and_clamped),
    TEST(products_agree),
    TEST(products_with_rows_of_files_agree),
    TEST(products_that_are_added_agree),
    TEST(attention_agrees),
    TEST(attention_agrees_on_hopper),
    TEST(keys_that_are_out_weigh_nothing),
    TEST(convolution_agrees),
    TEST(what_does_not_fit_is_said_with_figures),
};

TEST_MAIN(tests)
