/* What a run does beside the transformer, against diffusers and small references
 * (train/dump_golden_tasks.py): lists, re-noising, guidance, FlowEdit; and what no library has:
 * places that are shown anew at every step.
 *
 * Tolerances: f32 samples on both sides, sums in double on ours. */
#include <math.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/flowedit.h"
#include "engine/guidance.h"
#include "engine/sampler.h"
#include "tests/lib/check.h"
#include "tests/lib/golden.h"

enum { N = 16, LIST_N = 4, EDIT_STEPS = 10, EDIT_MAX = 7 };
static const double path_tolerance = 6e-6;
static const double list[LIST_N] = {1, .9375, .8333, .625};

static struct safetensors io;

static float *load(const char *name, int64_t n) {
    int64_t have;
    float *x = golden_f32(&io, name, &have);
    CHECK_INT(have, n);
    ASSERT(x && have == n);
    return x;
}

static void compare(const char *name, const float *got, int64_t n, double tolerance) {
    float *want = load(name, n);
    golden_check(name, "-", golden_compare(got, want, n), tolerance);
    mem_free(want);
}

static float velocity(float x, double t) {
    return (float)(0.7 * (double)x - 0.3 * cos(2 * (double)x) + 0.001 * t);
}

static void walk(const char *golden, enum sampler_kind kind, const struct schedule *s) {
    struct sampler sampler;
    struct fail f = {0};
    float *noise = load("noise", N), *fresh = load("fresh", LIST_N * N);
    float path[(LIST_N + 1) * N], v[N];
    struct sampler_begin begin = {.n_places = N, .C = 1, .noise = noise};
    CHECK_OK(sampler_make(&sampler, kind, s, &begin, &f), &f);
    for (int k = 0; k <= LIST_N; k++) {
        memcpy(path + k * N, sampler.x, sizeof v);
        if (k == LIST_N) break;
        for (int i = 0; i < N; i++)
            v[i] = velocity(sampler.x[i], s->t[k]);
        sampler_step(&sampler, v, kind == SAMPLER_RENOISE ? fresh + k * N : NULL);
    }
    compare(golden, path, COUNT_OF(path), path_tolerance);
    sampler_free(&sampler);
    mem_free(noise);
    mem_free(fresh);
}

static void a_list_is_stepped_as_diffusers_does(void) {
    struct schedule s;
    struct fail f = {0};
    float sigma[LIST_N + 1], t[LIST_N];
    CHECK_OK(schedule_list(&s, list, LIST_N, 1, &f), &f);
    walk("path_renoise", SAMPLER_RENOISE, &s);
    schedule_round(&s);
    for (int k = 0; k <= LIST_N; k++)
        sigma[k] = (float)s.sigma[k];
    for (int k = 0; k < LIST_N; k++)
        t[k] = (float)s.t[k];
    compare("sigma_list", sigma, LIST_N + 1, 1e-7);
    compare("t_list", t, LIST_N, 0);
    walk("path_list", SAMPLER_UNIPC, &s);
}

/* The lists of the published few-step models, in both notations. */
static void lists_of_distilled_models(void) {
    static const double times[] = {1000, 750, 500, 250}, fast[] = {1000, 757, 522};
    static const double want[] = {1000, 937.5, 833.3333, 625};
    struct schedule s;
    struct fail f = {0};
    CHECK_OK(schedule_list(&s, times, 4, 5, &f), &f);
    for (int i = 0; i < 4; i++)
        CHECK_NEAR(s.t[i], want[i], 1e-3);
    CHECK_OK(schedule_list(&s, fast, 3, 1, &f), &f);
    CHECK_NEAR(s.sigma[1], .757, 1e-12);
    CHECK_NEAR(s.t[2], 522, 1e-9);
}

static void guidance_equals_diffusers(void) {
    float *c = load("c", N), *u = load("u", N), v[N];
    struct guidance g = {.scale = 5, .scale_late = 3, .from = .9, .to = .3};
    memcpy(v, c, sizeof v);
    guidance_mix(&g, v, u, N, 5);
    compare("plain", v, N, 1e-6);
    g.is_zero_star = true;
    g.n_zero_steps = 2;
    memcpy(v, c, sizeof v);
    guidance_mix(&g, v, u, N, 5);
    compare("zero_star", v, N, 2e-6);
    CHECK_NEAR(guidance_scale(&g, .95, false), 1, 0);
    CHECK_NEAR(guidance_scale(&g, .9, false), 5, 0);
    CHECK_NEAR(guidance_scale(&g, .5, true), 3, 0);
    CHECK_NEAR(guidance_scale(&g, .29, false), 1, 0);
    CHECK(guidance_is_still(&g, 1) && !guidance_is_still(&g, 2));
    mem_free(c);
    mem_free(u);
}

/* Known places of a model that knows one timestep for all are painted over at every step, always
 * with the same noise, and end as what is known. */
static void repainted_places_follow_the_moment(void) {
    struct schedule s;
    struct sampler sampler;
    struct fail f = {0};
    float noise[3] = {1, -2, 3}, known[3] = {10, 20, 30}, level[3] = {0, 1, 0}, v[3];
    CHECK_OK(schedule_unipc(&s, 8, 3, &f), &f);
    level[2] = (float)s.sigma[5];
    struct sampler_begin begin = {.n_places = 3,
                                  .C = 1,
                                  .noise = noise,
                                  .known = known,
                                  .level = level,
                                  .wait = SAMPLER_WAIT_REPAINT};
    CHECK_OK(sampler_make(&sampler, SAMPLER_UNIPC, &s, &begin, &f), &f);
    for (int k = 0; k < 8; k++) {
        CHECK_NEAR(sampler.x[0], (1 - s.sigma[k]) * 10 + s.sigma[k], 1e-5);
        if (k <= 5) CHECK_NEAR(sampler.x[2], (1 - s.sigma[k]) * 30 + s.sigma[k] * 3, 1e-5);
        for (int i = 0; i < 3; i++) {
            CHECK_NEAR(sampler_time(&sampler, i), s.t[k], 0);
            v[i] = velocity(sampler.x[i], s.t[k]);
        }
        sampler_step(&sampler, v, NULL);
    }
    CHECK_NEAR(sampler.x[0], 10, 0);
    sampler_free(&sampler);
}

static void steps_that_move_nothing_are_told(void) {
    struct schedule s;
    struct sampler sampler;
    struct fail f = {0};
    float noise[2] = {1, 2}, known[2] = {3, 4}, level[2] = {.5f, 0}, v[2] = {0};
    CHECK_OK(schedule_unipc(&s, 10, 3, &f), &f);
    struct sampler_begin begin = {
        .n_places = 2, .C = 1, .noise = noise, .known = known, .level = level};
    CHECK_OK(sampler_make(&sampler, SAMPLER_UNIPC, &s, &begin, &f), &f);
    int first = schedule_start(&s, .5);
    for (int k = 0; k < 10; k++) {
        CHECK_INT(sampler_is_idle(&sampler), k < first);
        sampler_step(&sampler, v, NULL);
    }
    sampler_free(&sampler);
}

/* Two prompts and the empty one, k = 0, 1, 2; as in the script. */
struct edit_world {
    const struct schedule *s;
    const float *fresh;
    int n_told;
};

static double words(double x, double sigma, int k) {
    return (0.4 + 0.2 * k) * x + cos((1 + k) * x) * sigma;
}

static enum err edit_velocity(void *ctx, float *v, const float *x, int step, bool is_new,
                              struct fail *f) {
    const struct edit_world *w = ctx;
    double sigma = w->s->sigma[step], scale = is_new ? 5.5 : 1.5;
    (void)f;
    for (int i = 0; i < N; i++) {
        double u = words((double)x[i], sigma, 2), c = words((double)x[i], sigma, is_new ? 1 : 0);
        v[i] = (float)(u + scale * (c - u));
    }
    return ERR_OK;
}

static void edit_noise(void *ctx, float *out, int step) {
    const struct edit_world *w = ctx;
    memcpy(out, w->fresh + step * N, N * sizeof *out);
}

static enum err edit_step(void *ctx, int done, int total, struct fail *f) {
    struct edit_world *w = ctx;
    CHECK_INT(done, ++w->n_told);
    CHECK_INT(total, EDIT_MAX);
    return w->n_told > 100 ? FAIL(f, ERR_BUG, "too often") : ERR_OK;
}

static void flowedit_equals_its_reference(void) {
    struct schedule s;
    struct fail f = {0};
    float *z = load("noise", N), *x0 = load("noise", N);
    float *fresh = load("edit_fresh", EDIT_STEPS * N);
    struct edit_world w = {&s, fresh, 0};
    struct flowedit e = {.schedule = &s,
                         .n_max = EDIT_MAX,
                         .n = N,
                         .ctx = &w,
                         .velocity = edit_velocity,
                         .noise = edit_noise,
                         .on_step = edit_step};
    CHECK_OK(schedule_unipc(&s, EDIT_STEPS, 3, &f), &f);
    CHECK_OK(flowedit_run(&e, z, x0, &f), &f);
    compare("edit", z, N, path_tolerance);
    CHECK_INT(w.n_told, EDIT_MAX);
    e.n_max = 0; /* nothing is edited */
    memcpy(z, x0, N * sizeof *z);
    CHECK_OK(flowedit_run(&e, z, x0, &f), &f);
    CHECK(memcmp(z, x0, N * sizeof *z) == 0);
    mem_free(z);
    mem_free(x0);
    mem_free(fresh);
}

static const struct test tests[] = {
    TEST(a_list_is_stepped_as_diffusers_does), TEST(lists_of_distilled_models),
    TEST(guidance_equals_diffusers),           TEST(repainted_places_follow_the_moment),
    TEST(steps_that_move_nothing_are_told),    TEST(flowedit_equals_its_reference),
};

int main(int argc, char **argv) {
    struct fail f = {0};
    if (safetensors_open_file(&io, "tests/golden/tasks/io.safetensors", &f) != ERR_OK) {
        fprintf(stderr, "%s\n", f.text);
        return 1;
    }
    int rc = check_main(tests, COUNT_OF(tests), argc, argv);
    safetensors_close(&io);
    return rc;
}
