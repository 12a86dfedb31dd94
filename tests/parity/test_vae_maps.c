/* Which value goes where: the shortcuts of the 2.2 VAE and the patches of its pixels, against the
 * classes of diffusers on numbered volumes (train/dump_golden_vae.py). All values are sums of a few
 * small integers, so they must be equal but for one rounding. */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/pool.h"
#include "tests/lib/check.h"
#include "tests/lib/golden.h"

enum { T = 2, H = 4, W = 6 };

static const double tolerance = 1e-6;
static const char *const devices[] = {"ref", "cpu"};

struct fixture {
    const char *device;
    struct device dev;
    struct pool pool;
    struct safetensors golden;
    struct fail f;
};

struct row {
    const char *kind;
    int c_in, c_out, ft, fs;
};

static struct tensor take(struct fixture *x, int64_t t, int64_t h, int64_t w, int64_t c) {
    struct tensor out = {0};
    CHECK_OK(pool_take_4d(&x->pool, &out, t, h, w, c, &x->f), &x->f);
    op_fill(&x->dev, &out, 0.0f);
    return out;
}

static struct tensor numbered(struct fixture *x, int64_t frames, int64_t c) {
    struct tensor out = take(x, frames, H, W, c);
    int64_t n = tensor_count(&out);
    float *host = mem_take((size_t)n, sizeof *host);
    for (int64_t i = 0; i < n; i++)
        host[i] = (float)(i % 251);
    op_upload(&x->dev, &out, host);
    mem_free(host);
    return out;
}

static void check_row(struct fixture *x, const struct row *r, const struct tensor *got) {
    char name[64];
    int64_t n;
    snprintf(name, sizeof name, "%s_%d_%d_%d_%d", r->kind, r->c_in, r->c_out, r->ft, r->fs);
    float *want = golden_f32(&x->golden, name, &n);
    float *host = mem_take((size_t)tensor_count(got), sizeof *host);
    op_download(&x->dev, host, got);
    CHECK_INT(tensor_count(got), n);
    if (n == tensor_count(got))
        golden_check(name, x->device, golden_compare(host, want, n), tolerance);
    mem_free(host);
    mem_free(want);
    pool_reset(&x->pool);
}

/* "down" gets two frames, "down1" the single one of a first chunk. */
static void check_down(struct fixture *x, const struct row *r) {
    int64_t frames = r->kind[4] ? 1 : T;
    int n_zero = r->kind[4] ? r->ft - 1 : 0;
    struct tensor in = numbered(x, frames, r->c_in);
    struct tensor out = take(x, (frames + n_zero) / r->ft, H / r->fs, W / r->fs, r->c_out);
    CHECK_OK(op_avg_down_add(&x->dev, &out, &in, r->ft, r->fs, n_zero, &x->f), &x->f);
    check_row(x, r, &out);
}

/* "up1" is a first chunk: its first ft - 1 frames are dropped. */
static void check_up(struct fixture *x, const struct row *r) {
    int n_drop = r->kind[2] ? r->ft - 1 : 0;
    struct tensor in = numbered(x, T, r->c_in);
    struct tensor out = take(x, T * r->ft - n_drop, H * r->fs, W * r->fs, r->c_out);
    CHECK_OK(op_dup_up_add(&x->dev, &out, &in, r->ft, r->fs, n_drop, &x->f), &x->f);
    check_row(x, r, &out);
}

static void check_patch(struct fixture *x, const struct row *r) {
    struct patch p = {.t = 1, .h = r->fs, .w = r->fs, .order = PATCH_C_T_W_H};
    struct tensor in = numbered(x, T, r->c_in);
    bool is_back = r->kind[0] == 'u';
    struct tensor out = is_back ? take(x, T, H * r->fs, W * r->fs, r->c_out)
                                : take(x, T, H / r->fs, W / r->fs, r->c_out);
    CHECK_OK(is_back ? op_unpatchify(&x->dev, &out, &in, &p, &x->f)
                     : op_patchify(&x->dev, &out, &in, &p, &x->f),
             &x->f);
    check_row(x, r, &out);
}

static void for_rows(const struct row *rows, int n,
                     void (*check)(struct fixture *, const struct row *)) {
    for (int d = 0; d < COUNT_OF(devices); d++) {
        struct fixture x = {.device = devices[d]};
        CHECK_OK(device_open(&x.dev, devices[d],
                             &(struct device_opts){.n_threads = 2, .precision = PRECISION_F32},
                             &x.f),
                 &x.f);
        pool_make(&x.pool, &x.dev, 1 << 20, 1 << 26);
        CHECK_OK(safetensors_open_file(&x.golden, "tests/golden/vae_maps.safetensors", &x.f), &x.f);
        for (int i = 0; i < n; i++)
            check(&x, &rows[i]);
        safetensors_close(&x.golden);
        pool_free(&x.pool);
        device_close(&x.dev);
    }
}

static void averages_are_those_of_avg_down(void) {
    static const struct row rows[] = {
        {"down", 4, 8, 2, 2}, {"down1", 4, 8, 2, 2}, {"down", 4, 4, 2, 2}, {"down1", 4, 4, 2, 2},
        {"down", 6, 6, 1, 1}, {"down1", 6, 6, 1, 1}, {"down", 8, 4, 1, 2}, {"down1", 8, 4, 1, 2},
        {"down", 3, 6, 2, 1}, {"down1", 3, 6, 2, 1},
    };
    for_rows(rows, COUNT_OF(rows), check_down);
}

static void copies_are_those_of_dup_up(void) {
    static const struct row rows[] = {
        {"up", 4, 4, 2, 2}, {"up1", 4, 4, 2, 2}, {"up", 8, 4, 2, 2}, {"up1", 8, 4, 2, 2},
        {"up", 8, 2, 1, 2}, {"up1", 8, 2, 1, 2}, {"up", 4, 8, 2, 1}, {"up1", 4, 8, 2, 1},
        {"up", 6, 3, 2, 2}, {"up1", 6, 3, 2, 2},
    };
    for_rows(rows, COUNT_OF(rows), check_up);
}

static void patches_of_pixels_put_the_column_before_the_row(void) {
    static const struct row rows[] = {{"patch", 3, 12, 1, 2}, {"unpatch", 12, 3, 1, 2}};
    for_rows(rows, COUNT_OF(rows), check_patch);
}

static const struct test tests[] = {
    TEST(averages_are_those_of_avg_down),
    TEST(copies_are_those_of_dup_up),
    TEST(patches_of_pixels_put_the_column_before_the_row),
};
TEST_MAIN(tests)
