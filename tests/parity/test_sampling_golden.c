/* Positions, timesteps, schedules and samplers against diffusers (train/dump_golden.py), and the
 * start levels of single places, which diffusers does not have.
 *
 * Tolerances: diffusers keeps sigmas and samples in f32, we keep sigmas in double; a trajectory
 * of 50 steps then differs by a few units in the last place of f32. */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/dit.h"
#include "engine/mask.h"
#include "engine/rope.h"
#include "engine/sampler.h"
#include "tests/lib/check.h"
#include "tests/lib/golden.h"

enum { N = 16, LATE_START = 3 };
static const double rope_tolerance = 1e-6;
static const double wave_tolerance = 1e-4; /* diffusers takes sin and cos of an f32 angle to 999 */
static const double sigma_tolerance = 1e-7;
static const double path_tolerance = 6e-6;

static const struct {
    const char *name;
    enum sampler_kind kind;
    double shift;
    int n;
} schedules[] = {
    {"unipc_3_4", SAMPLER_UNIPC, 3, 4},   {"unipc_5_4", SAMPLER_UNIPC, 5, 4},
    {"unipc_5_50", SAMPLER_UNIPC, 5, 50}, {"unipc_12_40", SAMPLER_UNIPC, 12, 40},
    {"unipc_3_10", SAMPLER_UNIPC, 3, 10}, {"unipc_3_1", SAMPLER_UNIPC, 3, 1},
    {"euler_5_4", SAMPLER_EULER, 5, 4},   {"euler_3_10", SAMPLER_EULER, 3, 10},
    {"euler_1_7", SAMPLER_EULER, 1, 7},
};

static struct safetensors io;

static void make_schedule(struct schedule *s, enum sampler_kind kind, int n, double shift) {
    struct fail f = {0};
    if (kind == SAMPLER_EULER)
        CHECK_OK(schedule_euler(s, n, shift, &f), &f);
    else
        CHECK_OK(schedule_unipc(s, n, shift, &f), &f);
}

static void compare(const char *what, const float *got, const char *golden, int64_t n,
                    double tolerance) {
    int64_t have;
    float *want = golden_f32(&io, golden, &have);
    CHECK_INT(have, n);
    if (want && have == n) golden_check(what, "-", golden_compare(got, want, n), tolerance);
    mem_free(want);
}

static void positions_equal_diffusers(void) {
    static const int64_t heads[] = {128, 64, 32};
    for (int i = 0; i < COUNT_OF(heads); i++) {
        struct rope_shape s = {.T = 3, .H = 2, .W = 4, .D = heads[i]};
        float *table = mem_take((size_t)(24 * s.D), sizeof *table);
        char name[32];
        snprintf(name, sizeof name, "rope_%d", (int)s.D);
        rope_fill(table, &s);
        compare(name, table, name, 24 * s.D, rope_tolerance);
        mem_free(table);
    }
}

static void timesteps_equal_diffusers(void) {
    static const int times[] = {0, 1, 937, 999};
    for (int i = 0; i < COUNT_OF(times); i++) {
        float wave[256];
        char name[32];
        snprintf(name, sizeof name, "time_%d", times[i]);
        dit_time_sinusoid(wave, times[i], 256);
        compare(name, wave, name, 256, wave_tolerance);
    }
}

static void schedules_equal_diffusers(void) {
    for (int i = 0; i < COUNT_OF(schedules); i++) {
        struct schedule s;
        float sigma[SCHEDULE_STEPS_MAX + 1], t[SCHEDULE_STEPS_MAX];
        char name[40];
        make_schedule(&s, schedules[i].kind, schedules[i].n, schedules[i].shift);
        for (int k = 0; k <= s.n; k++)
            sigma[k] = (float)s.sigma[k];
        for (int k = 0; k < s.n; k++)
            t[k] = (float)s.t[k];
        snprintf(name, sizeof name, "sigma_%s", schedules[i].name);
        compare(name, sigma, name, s.n + 1, sigma_tolerance);
        snprintf(name, sizeof name, "t_%s", schedules[i].name);
        compare(name, t, name, s.n, schedules[i].kind == SAMPLER_UNIPC ? 0 : 1e-3);
    }
}

/* The integers that the design page lists, without a detour over the golden file. */
static void the_model_sees_the_known_timesteps(void) {
    static const int want[4] = {999, 937, 833, 625};
    struct schedule s;
    make_schedule(&s, SAMPLER_UNIPC, 4, 5);
    for (int i = 0; i < 4; i++)
        CHECK_INT(s.t[i], want[i]);
    CHECK_NEAR(s.sigma[1], .937578, 1e-6);
}

static float velocity(float x, double t) {
    return (float)(0.7 * (double)x - 0.3 * cos(2 * (double)x) + 0.001 * t);
}

static void step(struct sampler *s) {
    float v[N];
    for (int i = 0; i < N; i++)
        v[i] = velocity(s->x[i], s->schedule->t[s->step]);
    sampler_step(s, v, NULL);
}

static void check_path(const char *golden, const struct schedule *s, enum sampler_kind kind,
                       int start, const float *noise) {
    int64_t n = (s->n - start + 1) * N;
    float *path = mem_take((size_t)n, sizeof *path), level[N];
    struct sampler sampler;
    struct fail f = {0};
    for (int i = 0; i < N; i++)
        level[i] = start ? (float)s->sigma[start] : 1.0f;
    struct sampler_begin begin = {
        .n_places = N, .C = 1, .noise = noise, .level = start ? level : NULL};
    CHECK_OK(sampler_make(&sampler, kind, s, &begin, &f), &f);
    for (int k = 0; k < s->n; k++) {
        if (k == start) memcpy(sampler.x, noise, N * sizeof *noise);
        if (k >= start) memcpy(path + (k - start) * N, sampler.x, N * sizeof *path);
        step(&sampler);
    }
    memcpy(path + (s->n - start) * N, sampler.x, N * sizeof *path);
    compare(golden, path, golden, n, path_tolerance);
    sampler_free(&sampler);
    mem_free(path);
}

static void trajectories_equal_diffusers(void) {
    int64_t n;
    float *noise = golden_f32(&io, "noise", &n);
    for (int i = 0; noise && i < COUNT_OF(schedules); i++) {
        struct schedule s;
        char name[40];
        make_schedule(&s, schedules[i].kind, schedules[i].n, schedules[i].shift);
        snprintf(name, sizeof name, "path_%s", schedules[i].name);
        check_path(name, &s, schedules[i].kind, 0, noise);
    }
    mem_free(noise);
}

/* A place whose level is a sigma of the grid goes the way of a run that begins there. */
static void a_late_place_equals_a_late_run(void) {
    int64_t n;
    struct schedule s;
    float *noise = golden_f32(&io, "noise", &n);
    make_schedule(&s, SAMPLER_UNIPC, 10, 3);
    if (noise) check_path("path_late", &s, SAMPLER_UNIPC, LATE_START, noise);
    mem_free(noise);
}

static void the_last_step_gives_the_picture(void) {
    struct schedule s;
    struct fail f = {0};
    float noise[N], v[N], want[N];
    for (int kind = 0; kind < 2; kind++) {
        struct sampler sampler;
        make_schedule(&s, (enum sampler_kind)kind, 6, 3);
        for (int i = 0; i < N; i++)
            noise[i] = (float)i - 7.5f;
        struct sampler_begin begin = {.n_places = N, .C = 1, .noise = noise};
        CHECK_OK(sampler_make(&sampler, (enum sampler_kind)kind, &s, &begin, &f), &f);
        for (int k = 0; k < 6; k++) {
            for (int i = 0; i < N; i++) {
                v[i] = velocity(sampler.x[i], s.t[k]);
                want[i] = sampler.x[i] - (float)s.sigma[k] * v[i];
            }
            sampler_step(&sampler, v, NULL);
        }
        for (int i = 0; i < N; i++)
            CHECK_NEAR(sampler.x[i], want[i], 1e-6);
        sampler_free(&sampler);
    }
}

/* Known, soft, free and between: each keeps its own rule while all are stepped together. */
static void places_start_at_their_own_level(void) {
    struct schedule s;
    struct sampler sampler, free_run;
    struct fail f = {0};
    float noise[4] = {1, 2, 3, 4}, known[4] = {10, 20, 30, 40}, level[4] = {0, 0, 1, 0}, v[4];
    make_schedule(&s, SAMPLER_UNIPC, 10, 3);
    double between = (s.sigma[4] + s.sigma[5]) / 2;
    level[1] = (float)between;
    level[3] = (float)(s.sigma[9] / 2); /* below the last sigma: as good as known */
    struct sampler_begin begin = {
        .n_places = 4, .C = 1, .noise = noise, .known = known, .level = level};
    struct sampler_begin all = {.n_places = 4, .C = 1, .noise = noise};
    CHECK_OK(sampler_make(&sampler, SAMPLER_UNIPC, &s, &begin, &f), &f);
    CHECK_OK(sampler_make(&free_run, SAMPLER_UNIPC, &s, &all, &f), &f);
    CHECK_NEAR(sampler.x[1], (1 - s.sigma[5]) * 20 + s.sigma[5] * 2, 1e-5);
    for (int k = 0; k < 10; k++) {
        CHECK_NEAR(sampler_time(&sampler, 0), 0, 0);
        CHECK_NEAR(sampler_time(&sampler, 1), k < 5 ? s.t[5] : s.t[k], 0);
        CHECK_NEAR(sampler_time(&sampler, 2), s.t[k], 0);
        float frozen = sampler.x[1];
        for (int i = 0; i < 4; i++)
            v[i] = velocity(sampler.x[i], sampler_time(&sampler, i));
        sampler_step(&sampler, v, NULL);
        for (int i = 0; i < 4; i++)
            v[i] = velocity(free_run.x[i], s.t[k]);
        sampler_step(&free_run, v, NULL);
        if (k < 5) CHECK_NEAR(sampler.x[1], frozen, 0);
        CHECK_NEAR(sampler.x[2], free_run.x[2], 0);
    }
    CHECK_NEAR(sampler.x[0], 10, 0);
    CHECK_NEAR(sampler.x[3], 40, 0);
    sampler_free(&sampler);
    sampler_free(&free_run);
}

static void known_tokens_shrink_to_whole_cells(void) {
    struct mask_grid g = {2, 4, 4, 1, 2, 2};
    float level[32] = {0};
    struct fail f = {0};
    level[5] = 1; /* one free place frees its cell */
    level[31] = 0.5f;
    CHECK_OK(mask_check(level, &g, &f), &f);
    mask_shrink(level, &g);
    CHECK_NEAR(level[0] + level[1] + level[4] + level[5], 4, 0);
    CHECK_NEAR(level[2] + level[3] + level[6] + level[7], 0, 0);
    CHECK_NEAR(level[26], 0.5, 0);
    CHECK_INT(mask_token_place(&g, 7), 26);
    level[3] = NAN;
    CHECK_INT(mask_check(level, &g, &f), ERR_INPUT);
}

static void lists_that_do_not_fall_are_refused(void) {
    struct schedule s;
    struct fail f = {0};
    static const double good[] = {1, .9375, .8333, .625}, bad[] = {1, .5, .5}, high[] = {1.5, 1};
    CHECK_OK(schedule_list(&s, good, 4, 1, &f), &f);
    CHECK_NEAR(s.t[1], 937.5, 0);
    CHECK_INT(schedule_list(&s, bad, 3, 1, &f), ERR_INPUT);
    CHECK_STR(f.text, "sigma 2 is 0.5; the list must fall from 1 towards 0");
    CHECK_INT(schedule_list(&s, high, 2, 1, &f), ERR_INPUT);
    CHECK_INT(schedule_unipc(&s, 0, 3, &f), ERR_INPUT);
    CHECK_INT(schedule_unipc(&s, 10, NAN, &f), ERR_INPUT);
}

static const struct test tests[] = {
    TEST(positions_equal_diffusers),          TEST(timesteps_equal_diffusers),
    TEST(schedules_equal_diffusers),          TEST(the_model_sees_the_known_timesteps),
    TEST(trajectories_equal_diffusers),       TEST(a_late_place_equals_a_late_run),
    TEST(the_last_step_gives_the_picture),    TEST(places_start_at_their_own_level),
    TEST(known_tokens_shrink_to_whole_cells), TEST(lists_that_do_not_fall_are_refused),
};

int main(int argc, char **argv) {
    struct fail f = {0};
    if (safetensors_open_file(&io, "tests/golden/sampling/io.safetensors", &f) != ERR_OK) {
        fprintf(stderr, "%s\n", f.text);
        return 1;
    }
    int rc = check_main(tests, COUNT_OF(tests), argc, argv);
    safetensors_close(&io);
    return rc;
}
