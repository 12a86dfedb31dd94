/* The transformer against diffusers' WanTransformer3DModel on mini folders
 * (train/dump_golden.py), on both backends, and what must hold whatever the weights are.
 *
 * Tolerance: f32 on both sides, two blocks over 32 channels; velocities are of size 1.5. What
 * remains is the sinusoid of the timestep, which diffusers computes in f32 (up to 4e-5). */
#include <stdlib.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/denoise.h"
#include "engine/rng.h"
#include "tests/lib/check.h"
#include "tests/lib/golden.h"

enum { TEXT_ROWS = 512, F = 3, H = 4, W = 6 };
static const double tolerance = 5e-5;
static const double loop_tolerance = 1e-4; /* four steps of it, each fed by the one before */

static const char *const folders[] = {"tests/golden/dit_cells", "tests/golden/dit_patch"};
static const char *const devices[] = {"ref", "cpu"};

struct fixture {
    const char *label, *device;
    struct device dev;
    struct pool weights, job, step;
    struct dit *dit;
    struct safetensors io;
    struct dit_text text;
    struct dit_shape shape;
    struct tensor latent, out, index;
    int64_t n_values;
    struct fail f;
};

static enum err upload(struct fixture *x, struct tensor *t, const char *name, int n_dims,
                       const int64_t *dims) {
    int64_t n;
    float *host = golden_f32(&x->io, name, &n);
    enum err rc = pool_take(&x->job, t, DTYPE_F32, n_dims, dims, &x->f);
    if (rc == ERR_OK && host && n == tensor_count(t)) op_upload(&x->dev, t, host);
    mem_free(host);
    return rc;
}

static enum err open_fixture(struct fixture *x, const char *device, const char *folder) {
    enum err rc = ERR_OK;
    char path[128];
    struct tensor rows;
    *x = (struct fixture){.label = folder + 13, .device = device};
    snprintf(path, sizeof path, "%s/io.safetensors", folder);
    TRY(device_open(&x->dev, device,
                    &(struct device_opts){.n_threads = 2, .precision = PRECISION_F32}, &x->f));
    pool_make(&x->weights, &x->dev, 1 << 20, 1 << 26);
    pool_make(&x->job, &x->dev, 1 << 20, 1 << 26);
    pool_make(&x->step, &x->dev, 1 << 20, 1 << 26);
    TRY(dit_open(&x->dit, &x->dev, &x->weights, folder, NULL, &x->f));
    TRY(safetensors_open_file(&x->io, path, &x->f));
    int64_t dims[] = {F, H, W, x->dit->config.in_channels};
    x->n_values = F * H * W * dims[3];
    TRY(upload(x, &x->latent, "latent", 4, dims));
    TRY(upload(x, &rows, "rows", 2, (int64_t[]){7, x->dit->config.text_dim}));
    TRY(pool_take(&x->job, &x->out, DTYPE_F32, 4, dims, &x->f));
    TRY(dit_shape_make(x->dit, &x->shape, F, H, W, &x->job, &x->f));
    TRY(dit_text_make(x->dit, &x->text, &rows, TEXT_ROWS, &x->job, &x->step, &x->f));
    TRY(pool_take(&x->job, &x->index, DTYPE_I32, 1,
                  &(int64_t){x->shape.T * x->shape.H * x->shape.W}, &x->f));
out:
    return rc;
}

static void close_fixture(struct fixture *x) {
    safetensors_close(&x->io);
    dit_close(x->dit);
    pool_free(&x->step);
    pool_free(&x->job);
    pool_free(&x->weights);
    device_close(&x->dev);
}

static void for_all(void (*check)(struct fixture *x)) {
    for (int d = 0; d < COUNT_OF(devices); d++)
        for (int k = 0; k < COUNT_OF(folders); k++) {
            struct fixture x;
            enum err rc = open_fixture(&x, devices[d], folders[k]);
            CHECK_OK(rc, &x.f);
            if (rc == ERR_OK) check(&x);
            close_fixture(&x);
        }
}

static void compare(struct fixture *x, const char *golden, const float *got, double allowed) {
    int64_t n;
    char label[64];
    float *want = golden_f32(&x->io, golden, &n);
    snprintf(label, sizeof label, "%s %s", x->label, golden);
    CHECK_INT(n, x->n_values);
    if (want && n == x->n_values)
        golden_check(label, x->device, golden_compare(got, want, n), allowed);
    mem_free(want);
}

/* The velocity in host memory, for mem_free(). */
static float *forward(struct fixture *x, const struct dit_times *times) {
    struct dit_input in = {
        .latent = &x->latent, .times = times, .text = &x->text, .shape = &x->shape};
    float *host = mem_take((size_t)x->n_values, sizeof *host);
    CHECK_OK(dit_forward(x->dit, &x->out, &in, &x->step, &x->f), &x->f);
    op_download(&x->dev, host, &x->out);
    return host;
}

static void check_one_time(struct fixture *x) {
    static const int times[] = {999, 500, 0};
    for (int i = 0; i < COUNT_OF(times); i++) {
        char name[16];
        snprintf(name, sizeof name, "out_%d", times[i]);
        float *got = forward(x, &(struct dit_times){.n = 1, .value = {times[i]}});
        compare(x, name, got, tolerance);
        mem_free(got);
    }
}

static void one_timestep_for_all_equals_diffusers(void) {
    for_all(check_one_time);
}

static void check_token_times(struct fixture *x) {
    int64_t n;
    float *want = golden_f32(&x->io, "times", &n);
    struct dit_times times = {.n = 3, .value = {937, 0, 250}, .index = &x->index};
    CHECK_INT(n, tensor_count(&x->index));
    int32_t *index = mem_take((size_t)n, sizeof *index);
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            if ((double)want[i] == times.value[k]) index[i] = k;
    op_upload(&x->dev, &x->index, index);
    float *got = forward(x, &times);
    compare(x, "out_tokens", got, tolerance);
    mem_free(got);
    mem_free(want);
    mem_free(index);
}

static void a_timestep_per_token_equals_diffusers(void) {
    for_all(check_token_times);
}

/* All tokens at the same time through the table must be the scalar path to the bit. */
static void check_same_time(struct fixture *x) {
    int64_t n = tensor_count(&x->index);
    int32_t *index = mem_take((size_t)n, sizeof *index);
    for (int64_t i = 0; i < n; i++)
        index[i] = (int32_t)(i % 2);
    op_upload(&x->dev, &x->index, index);
    float *one = forward(x, &(struct dit_times){.n = 1, .value = {500}});
    float *many = forward(x, &(struct dit_times){.n = 2, .value = {500, 500}, .index = &x->index});
    CHECK(memcmp(one, many, (size_t)x->n_values * sizeof *one) == 0);
    mem_free(one);
    mem_free(many);
    mem_free(index);
}

static void equal_timesteps_take_the_same_way(void) {
    for_all(check_same_time);
}

/* One row with log(n) added to its logit stands for n equal rows. */
static void check_padding(struct fixture *x) {
    struct tensor rows;
    struct dit_text full;
    int64_t d = x->dit->config.text_dim;
    CHECK_OK(pool_take_2d(&x->job, &rows, TEXT_ROWS, d, &x->f), &x->f);
    op_fill(&x->dev, &rows, 0.0f);
    struct tensor real = tensor_rows(&rows, 0, 7);
    CHECK_OK(upload(x, &real, "rows", 2, (int64_t[]){7, d}), &x->f);
    struct tensor head = tensor_rows(&rows, 0, 7);
    CHECK_OK(op_copy(&x->dev, &head, &real, &x->f), &x->f);
    CHECK_OK(dit_text_make(x->dit, &full, &rows, TEXT_ROWS, &x->job, &x->step, &x->f), &x->f);
    CHECK_INT(full.has_bias, 0);
    float *folded = forward(x, &(struct dit_times){.n = 1, .value = {937}});
    x->text = full;
    float *whole = forward(x, &(struct dit_times){.n = 1, .value = {937}});
    golden_check("padding rows folded into one", x->device,
                 golden_compare(folded, whole, x->n_values), 1e-5);
    mem_free(folded);
    mem_free(whole);
}

static void padding_rows_fold_into_one(void) {
    for_all(check_padding);
}

static struct flow_in flow_of(const struct fixture *x) {
    return (struct flow_in){.early = {.dit = x->dit, .words = &x->text},
                            .L = F,
                            .h = H,
                            .w = W,
                            .C = x->dit->config.out_channels};
}

/* The first frame is known: what the TI2V pipeline does by blending at every step. */
static void check_known_frame(struct fixture *x) {
    int64_t n, frame = x->n_values / F, places = H * W;
    float *latent = golden_f32(&x->io, "latent", &n), level[F * H * W];
    float *got = mem_take((size_t)n, sizeof *got);
    for (int64_t i = 0; i < F * places; i++)
        level[i] = i < places ? 0.0f : 1.0f;
    struct flow_in in = flow_of(x);
    struct denoise_canvas canvas = {.known = latent, .level = level};
    struct denoise_opts o = {.kind = SAMPLER_UNIPC, .noise = latent};
    CHECK_OK(schedule_unipc(&o.schedule, 4, 3, &x->f), &x->f);
    CHECK_OK(denoise_run(got, &in, &canvas, &o, &x->job, &x->step, &x->f), &x->f);
    CHECK(memcmp(got, latent, (size_t)frame * sizeof *got) == 0);
    compare(x, "free", got, loop_tolerance);
    mem_free(latent);
    mem_free(got);
}

static void a_known_frame_stays_and_the_rest_equals_diffusers(void) {
    for_all(check_known_frame);
}

/* The noise of a canvas that is a window of a longer clip is the clip's noise at that place. */
static void check_place(struct fixture *x) {
    int64_t C = x->dit->config.in_channels, n = F * H * W * C;
    float *got = mem_take((size_t)n, sizeof *got), *want = mem_take((size_t)n, sizeof *want);
    float *noise = mem_take((size_t)(2 * n), sizeof *noise);
    struct flow_in in = flow_of(x);
    struct denoise_canvas canvas = {.first = 2};
    struct denoise_opts o = {.kind = SAMPLER_EULER, .seed = 11};
    CHECK_OK(schedule_euler(&o.schedule, 3, 3, &x->f), &x->f);
    CHECK_OK(denoise_run(got, &in, &canvas, &o, &x->job, &x->step, &x->f), &x->f);
    rng_normal_fill(11, RNG_STREAM_LATENT, 0, noise, 2 * n);
    o.noise = noise + 2 * H * W * C;
    CHECK_OK(denoise_run(want, &in, &canvas, &o, &x->job, &x->step, &x->f), &x->f);
    CHECK(memcmp(got, want, (size_t)n * sizeof *got) == 0);
    mem_free(noise);
    mem_free(got);
    mem_free(want);
}

static void noise_belongs_to_places_of_the_clip(void) {
    for_all(check_place);
}

/* After the first forward pass nothing is asked of the device any more, nor of the heap: the next
 * allocation would fail, and no pass does. */
static void check_allocations(struct fixture *x) {
    struct dit_times t = {.n = 1, .value = {500}};
    struct dit_input in = {.latent = &x->latent, .times = &t, .text = &x->text, .shape = &x->shape};
    CHECK_OK(dit_forward(x->dit, &x->out, &in, &x->step, &x->f), &x->f);
    int64_t before = x->dev.n_allocs;
    mem_fail_nth(1);
    for (int i = 0; i < 3; i++)
        CHECK_OK(dit_forward(x->dit, &x->out, &in, &x->step, &x->f), &x->f);
    void *refused = mem_take(1, 1);
    CHECK(refused == NULL); /* the fault was still waiting */
    mem_free(refused);
    mem_fail_nth(0);
    CHECK_INT(x->dev.n_allocs, before);
}

static void steps_allocate_nothing_after_the_first(void) {
    for_all(check_allocations);
}

static const struct test tests[] = {
    TEST(one_timestep_for_all_equals_diffusers),
    TEST(a_timestep_per_token_equals_diffusers),
    TEST(equal_timesteps_take_the_same_way),
    TEST(padding_rows_fold_into_one),
    TEST(a_known_frame_stays_and_the_rest_equals_diffusers),
    TEST(noise_belongs_to_places_of_the_clip),
    TEST(steps_allocate_nothing_after_the_first),
};
TEST_MAIN(tests)
