#include "common/estimate.h"

#include <math.h>

#include "common/doc.h"

enum { JSON_MAX = 4096 };

/* The newest job counts for a fifth; the first ones count for more, so that a start is quick. */
static double share(int64_t n_jobs) {
    return n_jobs < 4 ? 1.0 / (double)(n_jobs + 1) : 0.2;
}

void estimate_predict(struct estimate *out, const struct estimate_model *m,
                      const struct estimate_work *w) {
    int px = w->multiple_px > 0 ? w->multiple_px : 16, step = w->frame_step > 0 ? w->frame_step : 4;
    int64_t latents = 1 + (w->n_frames - 1 + step - 1) / step;
    *out = (struct estimate){.n_tokens = latents * (w->width / px) * (w->height / px),
                             .n_pixels = (int64_t)w->width * w->height * w->n_frames};
    out->token_steps = out->n_tokens * w->n_steps * w->n_passes;
    out->denoise_ms = m->ms_token_step * (double)out->token_steps;
    out->decode_ms = m->ms_pixel * (double)out->n_pixels;
    out->other_ms = m->other_ms;
    out->total_ms = out->denoise_ms + out->decode_ms + out->other_ms;
    /* Errors are taken as normal: 90 % lie within 1.64 of what is 1.25 mean errors. */
    out->p90_ms = out->total_ms * (1 + 1.64 * 1.25 * m->error);
}

static void follow(double *mean, double value, double weight) {
    *mean += (value - *mean) * weight;
}

double estimate_learn(struct estimate_model *m, const struct estimate_work *w) {
    struct estimate e;
    double k = share(m->n_jobs), wrong = -1;
    double real = (double)(w->denoise_ms + w->decode_ms + w->other_ms);
    estimate_predict(&e, m, w);
    if (e.token_steps <= 0 || e.n_pixels <= 0 || real <= 0) return -1;
    if (m->n_jobs > 0) {
        wrong = fabs(e.total_ms - real) / real;
        follow(&m->error, wrong, m->n_jobs == 1 ? 1 : k);
    }
    follow(&m->ms_token_step, (double)w->denoise_ms / (double)e.token_steps, k);
    follow(&m->ms_pixel, (double)w->decode_ms / (double)e.n_pixels, k);
    follow(&m->other_ms, (double)w->other_ms, k);
    follow(&m->job_ms, real, k);
    if (w->memory_bytes > m->memory_bytes) m->memory_bytes = w->memory_bytes;
    m->last = *w;
    m->n_jobs++;
    return wrong;
}

enum err estimate_write(const struct estimate_model *m, struct buf *out, struct fail *f) {
    struct doc_out o;
    doc_out_make(&o, out);
    doc_open_object(&o, NULL);
    doc_put_int(&o, "jobs", m->n_jobs);
    doc_put_real(&o, "ms_token_step", m->ms_token_step);
    doc_put_real(&o, "ms_pixel", m->ms_pixel);
    doc_put_real(&o, "other_ms", m->other_ms);
    doc_put_real(&o, "job_ms", m->job_ms);
    doc_put_real(&o, "error", m->error);
    doc_put_int(&o, "memory_bytes", m->memory_bytes);
    doc_put_int(&o, "multiple_px", m->last.multiple_px);
    doc_put_int(&o, "frame_step", m->last.frame_step);
    doc_put_int(&o, "fps", m->last.fps);
    doc_put_int(&o, "width", m->last.home_width);
    doc_put_int(&o, "height", m->last.home_height);
    doc_put_int(&o, "steps", m->last.home_steps);
    doc_put_real(&o, "guidance", m->last.guidance);
    doc_close_object(&o);
    return doc_done(&o, f);
}

static enum err read_int(const struct value *v, const char *key, int min, int *out,
                         struct fail *f) {
    int64_t n = 0;
    enum err rc = doc_get_int(v, key, min, 1 << 24, &n, f);
    if (rc == ERR_OK) *out = (int)n;
    return rc;
}

static enum err read_model(struct estimate_model *m, const struct value *v, struct fail *f) {
    enum err rc = ERR_OK;
    struct estimate_work *w = &m->last;
    if (doc_type(v) != DOC_OBJECT) return FAIL(f, ERR_CORRUPT, "the figures are not an object");
    TRY(doc_get_int(v, "jobs", 1, INT64_MAX, &m->n_jobs, f));
    TRY(doc_may_real(v, "ms_token_step", 0, 1e12, &m->ms_token_step, f));
    TRY(doc_may_real(v, "ms_pixel", 0, 1e12, &m->ms_pixel, f));
    TRY(doc_may_real(v, "other_ms", 0, 1e12, &m->other_ms, f));
    TRY(doc_may_real(v, "job_ms", 0, 1e12, &m->job_ms, f));
    TRY(doc_may_real(v, "error", 0, 1e12, &m->error, f));
    TRY(doc_may_int(v, "memory_bytes", 0, INT64_MAX, &m->memory_bytes, f));
    TRY(read_int(v, "multiple_px", 1, &w->multiple_px, f));
    TRY(read_int(v, "frame_step", 1, &w->frame_step, f));
    TRY(read_int(v, "fps", 1, &w->fps, f));
    TRY(read_int(v, "width", 1, &w->home_width, f));
    TRY(read_int(v, "height", 1, &w->home_height, f));
    TRY(read_int(v, "steps", 1, &w->home_steps, f));
    TRY(doc_may_real(v, "guidance", 0, 1e6, &w->guidance, f));
out:
    return rc;
}

enum err estimate_read(struct estimate_model *m, struct str json, struct fail *f) {
    struct doc *d = NULL;
    *m = (struct estimate_model){.n_jobs = 0};
    enum err rc = doc_parse(&d, json, JSON_MAX, f);
    if (rc == ERR_OK) rc = read_model(m, doc_root(d), f);
    doc_free(d);
    if (rc == ERR_INPUT || rc == ERR_LIMIT) rc = ERR_CORRUPT;
    if (rc != ERR_OK && f) f->code = rc;
    return rc;
}
