/* The transformer in bf16 against itself in f32 and against diffusers (f32), on mini folders and on
 * the model that comes with the source; and that no byte depends on the number of threads.
 *
 * Products of bf16 round every operand to 2^-9. Through two blocks of 32 channels and through eight
 * of 192, velocities come out 1.2e-3 and 3.2e-3 off (relative L2, measured), with cosines of
 * 0.999999 and 0.999995; 3e-3, 6e-3 and 1 - 5e-5 are allowed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/dit.h"
#include "engine/rng.h"
#include "tests/lib/check.h"
#include "tests/lib/golden.h"

enum { TEXT_ROWS = 512, SEED = 17 };

/* A transformer on one device, with one latent, one text and room for a velocity. */
struct fixture {
    struct device dev;
    struct pool weights, job, step;
    struct dit *dit;
    struct dit_text text;
    struct dit_shape shape;
    struct tensor latent, out;
    int64_t n;
    struct fail f;
};

static const struct folder {
    const char *transformer, *golden; /* without a golden, noise goes in */
    int64_t F, h, w, n_rows;
    double limit; /* relative L2 */
} folders[] = {
    {"tests/golden/dit_cells", "tests/golden/dit_cells/io.safetensors", 3, 4, 6, 7, 3e-3},
    {"tests/golden/dit_patch", "tests/golden/dit_patch/io.safetensors", 3, 4, 6, 7, 3e-3},
    {"models/tiny/transformer", NULL, 3, 10, 8, 9, 6e-3},
};

static float *input(const struct folder *at, const char *name, int64_t n) {
    struct safetensors io = {0};
    float *v = NULL;
    int64_t got = n;
    if (at->golden) {
        CHECK_INT(safetensors_open_file(&io, at->golden, NULL), ERR_OK);
        v = golden_f32(&io, name, &got);
        safetensors_close(&io);
    } else {
        v = mem_take((size_t)n, sizeof *v);
        rng_normal_fill(SEED, name[0], 0, v, n);
    }
    CHECK_INT(got, n);
    return v;
}

static enum err upload(struct fixture *x, struct tensor *t, const struct folder *at,
                       const char *name) {
    enum err rc = pool_take(&x->job, t, DTYPE_F32, t->n_dims, t->dim, &x->f);
    float *v = input(at, name, tensor_count(t));
    if (rc == ERR_OK && v) op_upload(&x->dev, t, v);
    mem_free(v);
    return rc;
}

static enum err open_fixture(struct fixture *x, const struct folder *at, enum precision precision,
                             int n_threads) {
    enum err rc = ERR_OK;
    struct device_opts o = {.n_threads = n_threads, .precision = precision};
    *x = (struct fixture){0};
    TRY(device_open(&x->dev, "cpu", &o, &x->f));
    pool_make(&x->weights, &x->dev, 1 << 20, 1 << 27);
    pool_make(&x->job, &x->dev, 1 << 20, 1 << 26);
    pool_make(&x->step, &x->dev, 1 << 20, 1 << 27);
    TRY(dit_open(&x->dit, &x->dev, &x->weights, at->transformer, NULL, &x->f));
    int64_t dims[] = {at->F, at->h, at->w, x->dit->config.in_channels};
    struct tensor rows =
        tensor_of(NULL, DTYPE_F32, 2, (int64_t[]){at->n_rows, x->dit->config.text_dim});
    x->latent = tensor_of(NULL, DTYPE_F32, 4, dims);
    x->n = tensor_count(&x->latent);
    TRY(upload(x, &x->latent, at, "latent"));
    TRY(upload(x, &rows, at, "rows"));
    TRY(pool_take(&x->job, &x->out, DTYPE_F32, 4, dims, &x->f));
    TRY(dit_shape_make(x->dit, &x->shape, at->F, at->h, at->w, &x->job, &x->f));
    TRY(dit_text_make(x->dit, &x->text, &rows, TEXT_ROWS, &x->job, &x->step, &x->f));
out:
    return rc;
}

static void close_fixture(struct fixture *x) {
    dit_close(x->dit);
    pool_free(&x->step);
    pool_free(&x->job);
    pool_free(&x->weights);
    device_close(&x->dev);
}

/* The velocity at timestep 500 in host memory, for mem_free(). */
static float *velocity(const struct folder *at, enum precision precision, int n_threads,
                       int64_t *n) {
    struct fixture x;
    struct dit_times t = {.n = 1, .value = {500}};
    enum err rc = open_fixture(&x, at, precision, n_threads);
    float *v = NULL;
    CHECK_OK(rc, &x.f);
    if (rc == ERR_OK) {
        struct dit_input in = {
            .latent = &x.latent, .times = &t, .text = &x.text, .shape = &x.shape};
        v = mem_take((size_t)x.n, sizeof *v);
        CHECK_OK(dit_forward(x.dit, &x.out, &in, &x.step, &x.f), &x.f);
        op_download(&x.dev, v, &x.out);
        *n = x.n;
    }
    close_fixture(&x);
    return v;
}

static double cosine(const float *a, const float *b, int64_t n) {
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return ab / sqrt(aa * bb);
}

static void compare(const struct folder *at, const char *what, const float *got, const float *want,
                    int64_t n) {
    struct golden_error e = golden_compare(got, want, n);
    double c = cosine(got, want, n);
    printf("  %-24s bf16 against %-10s cosine %.6f  relative %.2e of %.0e\n", at->transformer, what,
           c, e.rel_l2, at->limit);
    CHECK_NEAR(c, 1, 5e-5);
    CHECK_NEAR(e.rel_l2, 0, at->limit);
}

static void bf16_stays_close_to_f32_and_to_diffusers(void) {
    for (int i = 0; i < COUNT_OF(folders); i++) {
        const struct folder *at = &folders[i];
        int64_t n = 0;
        float *plain = velocity(at, PRECISION_F32, 2, &n);
        float *half = velocity(at, PRECISION_BF16, 2, &n);
        if (plain && half) compare(at, "f32", half, plain, n);
        float *golden = at->golden ? input(at, "out_500", n) : NULL;
        if (golden && half) compare(at, "diffusers", half, golden, n);
        mem_free(golden);
        mem_free(half);
        mem_free(plain);
    }
}

static void threads_do_not_change_a_byte(void) {
    static const enum precision ways[] = {PRECISION_F32, PRECISION_BF16};
    for (int i = 0; i < COUNT_OF(folders); i++)
        for (int p = 0; p < COUNT_OF(ways); p++) {
            int64_t n = 0, m = 0;
            float *one = velocity(&folders[i], ways[p], 1, &n);
            for (int threads = 2; threads <= 5; threads += 3) {
                float *many = velocity(&folders[i], ways[p], threads, &m);
                CHECK_INT(m, n);
                CHECK(one && many && memcmp(one, many, (size_t)n * sizeof *one) == 0);
                mem_free(many);
            }
            mem_free(one);
        }
}

static const struct test tests[] = {
    TEST(bf16_stays_close_to_f32_and_to_diffusers),
    TEST(threads_do_not_change_a_byte),
};

int main(int argc, char **argv) {
    return check_main(tests, COUNT_OF(tests), argc, argv);
}
