#include "engine/sampler.h"

#include <math.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"

/* A step is linear in what is known, so it is a row of factors:
 *   corrected = c_x x + c_last last + c_m0 m0 + c_m1 m1 + c_m2 m2
 *   next      = p_x corrected + p_m0 m0 + p_m1 m1 + p_fresh fresh,   m0 = x - sigma v */
struct factors {
    double c_x, c_last, c_m0, c_m1, c_m2;
    double p_x, p_m0, p_m1, p_fresh;
};

enum { AGES = 3 }; /* fresh, one step of history, warm */

static double lambda_of(double sigma) {
    double s = sigma > 1 - 1e-6 ? 1 - 1e-6 : sigma;
    return log((1 - s) / s);
}

static int least(int a, int b, int c) {
    int ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Corrector of step i with `order` = the order of the predictor that led here. */
static void correct(struct factors *k, const struct schedule *s, int i, int order) {
    double l1 = lambda_of(s->sigma[i - 1]), h = lambda_of(s->sigma[i]) - l1, e = expm1(-h);
    double a = -(1 - s->sigma[i]) * e;
    k->c_x = 0;
    k->c_last = s->sigma[i] / s->sigma[i - 1];
    if (order == 1) {
        k->c_m0 = a * 0.5;
        k->c_m1 = a - a * 0.5;
        return;
    }
    double rk = (lambda_of(s->sigma[i - 2]) - l1) / h;
    double b1 = (e / -h - 1) / e, b2 = 2 * ((e / -h - 1) / -h - 0.5) / e;
    double r0 = (b1 - b2) / (1 - rk), r1 = b1 - r0;
    k->c_m0 = a * r1;
    k->c_m2 = a * r0 / rk;
    k->c_m1 = a - k->c_m0 - k->c_m2;
}

static void predict(struct factors *k, const struct schedule *s, int i, int order) {
    if (s->sigma[i + 1] == 0) {
        k->p_m0 = 1;
        return;
    }
    double l0 = lambda_of(s->sigma[i]), h = lambda_of(s->sigma[i + 1]) - l0, e = expm1(-h);
    double a = -(1 - s->sigma[i + 1]) * e;
    k->p_x = s->sigma[i + 1] / s->sigma[i];
    k->p_m0 = a;
    if (order == 1) return;
    double rk = (lambda_of(s->sigma[i - 1]) - l0) / h;
    k->p_m1 = a * 0.5 / rk;
    k->p_m0 -= k->p_m1;
}

/* `age` counts the steps that a place has made so far, up to 2. */
static struct factors unipc_factors(const struct schedule *s, int i, int age) {
    struct factors k = {.c_x = 1};
    if (age > 0) correct(&k, s, i, least(2, s->n - i + 1, age));
    predict(&k, s, i, least(2, s->n - i, age + 1));
    return k;
}

static struct factors euler_factors(const struct schedule *s, int i) {
    double ratio = s->sigma[i + 1] / s->sigma[i];
    return (struct factors){.c_x = 1, .p_x = ratio, .p_m0 = 1 - ratio};
}

static struct factors renoise_factors(const struct schedule *s, int i) {
    return (struct factors){.c_x = 1, .p_m0 = 1 - s->sigma[i + 1], .p_fresh = s->sigma[i + 1]};
}

static struct factors factors_of(const struct sampler *s, int i, int age) {
    if (s->kind == SAMPLER_RENOISE) return renoise_factors(s->schedule, i);
    if (s->kind == SAMPLER_EULER || age > i) return euler_factors(s->schedule, i);
    return unipc_factors(s->schedule, i, age);
}

/* The known content with that much noise on it. */
static void show_place(struct sampler *s, int64_t place, double sigma) {
    for (int64_t i = place * s->C; i < (place + 1) * s->C; i++) {
        double z = sigma < 1 && s->known ? (double)s->known[i] : 0;
        s->x[i] = sigma == 0 ? (float)z : (float)((1 - sigma) * z + sigma * (double)s->noise[i]);
    }
}

static void begin_place(struct sampler *s, int64_t place, const struct sampler_begin *b) {
    float level = b->level ? b->level[place] : 1.0f;
    int start = schedule_start(s->schedule, (double)level);
    s->start[place] = start;
    if (s->wait == SAMPLER_WAIT_REPAINT && start > 0)
        show_place(s, place, s->schedule->sigma[0]);
    else
        show_place(s, place, start == 0 && level >= 1.0f ? 1 : s->schedule->sigma[start]);
}

enum err sampler_make(struct sampler *s, enum sampler_kind kind, const struct schedule *schedule,
                      const struct sampler_begin *begin, struct fail *f) {
    size_t n = (size_t)(begin->n_places * begin->C);
    memset(s, 0, sizeof *s);
    s->schedule = schedule;
    s->kind = kind;
    s->n_places = begin->n_places;
    s->C = begin->C;
    s->noise = begin->noise;
    s->known = begin->known;
    s->wait = begin->wait;
    s->start = mem_take((size_t)begin->n_places, sizeof *s->start);
    s->x = mem_take(n, sizeof *s->x);
    s->last = mem_take(n, sizeof *s->last);
    s->m1 = mem_take(n, sizeof *s->m1);
    s->m2 = mem_take(n, sizeof *s->m2);
    if (!s->start || !s->x || !s->last || !s->m1 || !s->m2) {
        sampler_free(s);
        return FAIL(f, ERR_NOMEM, "no memory for %zu latent values", n);
    }
    for (int64_t place = 0; place < s->n_places; place++)
        begin_place(s, place, begin);
    return ERR_OK;
}

double sampler_time(const struct sampler *s, int64_t place) {
    int at = s->start[place] > s->step ? s->start[place] : s->step;
    if (s->wait == SAMPLER_WAIT_REPAINT) at = s->step;
    return at < s->schedule->n ? s->schedule->t[at] : 0;
}

bool sampler_is_idle(const struct sampler *s) {
    for (int64_t place = 0; place < s->n_places; place++)
        if (s->start[place] <= s->step) return false;
    return true;
}

static void step_place(struct sampler *s, int64_t place, const struct factors *k,
                       const float *velocity, const float *fresh) {
    double sigma = s->schedule->sigma[s->step];
    for (int64_t i = place * s->C; i < (place + 1) * s->C; i++) {
        double x = (double)s->x[i], m0 = x - sigma * (double)velocity[i];
        double m1 = (double)s->m1[i], m2 = (double)s->m2[i];
        double at = k->c_x * x + k->c_last * (double)s->last[i] + k->c_m0 * m0 + k->c_m1 * m1 +
                    k->c_m2 * m2;
        double next = k->p_x * at + k->p_m0 * m0 + k->p_m1 * m1;
        s->last[i] = (float)at;
        s->m2[i] = s->m1[i];
        s->m1[i] = (float)m0;
        s->x[i] = (float)(fresh ? next + k->p_fresh * (double)fresh[i] : next);
    }
}

void sampler_step(struct sampler *s, const float *velocity, const float *fresh) {
    ASSERT(s->step < s->schedule->n && (s->kind == SAMPLER_RENOISE || !fresh));
    struct factors k[AGES];
    int i = s->step;
    for (int age = 0; age < AGES; age++)
        k[age] = factors_of(s, i, age);
    for (int64_t place = 0; place < s->n_places; place++) {
        int age = i - s->start[place];
        if (age >= 0)
            step_place(s, place, &k[age < AGES ? age : AGES - 1], velocity, fresh);
        else if (s->wait == SAMPLER_WAIT_REPAINT)
            show_place(s, place, s->schedule->sigma[i + 1]);
    }
    s->step++;
}

void sampler_free(struct sampler *s) {
    mem_free(s->start);
    mem_free(s->x);
    mem_free(s->last);
    mem_free(s->m1);
    mem_free(s->m2);
    memset(s, 0, sizeof *s);
}
