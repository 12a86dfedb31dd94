#include "eval/make.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/sha256.h"
#include "engine/file.h"

enum { PATH_BYTES_MAX = 1024, HALF = 17, ENDS = 9, OVERLAP = 17 };
#define WEIGHT_BYTES_MAX ((int64_t)64 << 30)
#define OLD_GUIDANCE     1.5
#define EDIT_LEVEL       0.6 /* read by nobody but it must be neither known nor free */

/* What sampling needs to know of a row besides words. */
struct work {
    struct engine *engine;
    const struct suite_row *row;
    const struct make_way *way;
    struct scene scene; /* the target */
    struct reel truth;  /* its render, or that of the clip that is edited */
    struct engine_span span[2];
    struct engine_given given;
    uint8_t *mask;
    struct engine_words words, old;
    struct engine_edit edit;
};

/* Where frames go. */
struct sink {
    struct reel *reel;
    int first; /* frames before it are left out */
};

void make_policy_scene(struct scene *out, const struct scene *s, int i) {
    static const enum world_move moves[MAKE_POLICY_MOVES] = {WORLD_MOVE_LEFT, WORLD_MOVE_RIGHT,
                                                             WORLD_MOVE_FORWARD};
    *out = *s;
    out->n_move = 1;
    out->n_event = 0;
    out->move[0] = (struct world_step){(uint8_t)moves[i], 0, (float)s->frames / s->fps};
}

/* The colour three places further on: far from the old one in every case. */
static void recolour(struct scene *s) {
    s->ent[0].colour = (uint8_t)((s->ent[0].colour + 3) % WORLD_COLOUR_COUNT);
}

enum err make_target(struct scene *out, const struct suite_row *row, struct fail *f) {
    enum err rc = suite_scene(row, out, f);
    if (rc == ERR_OK && row->task == SUITE_EDIT) recolour(out);
    return rc;
}

enum err make_hash(char out[MAKE_HASH_HEX + 1], const char *folder, struct fail *f) {
    static const char *const names[] = {
        "transformer/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "transformer/config.json",
        "vae/config.json",
        "scheduler/scheduler_config.json",
        "tokenizer/spiece.model",
    };
    enum err rc = ERR_OK;
    struct sha256 sum;
    unsigned char digest[SHA256_BYTES];
    char path[PATH_BYTES_MAX], hex[SHA256_HEX + 1];
    sha256_start(&sum);
    for (int i = 0; i < COUNT_OF(names); i++) {
        char *data = NULL;
        size_t n = 0;
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        rc = file_take(&data, &n, path, WEIGHT_BYTES_MAX, f);
        if (rc != ERR_OK && rc != ERR_NOT_FOUND) return rc;
        sha256_add(&sum, names[i], strlen(names[i]) + 1);
        if (rc == ERR_OK) sha256_add(&sum, data, n);
        mem_free(data);
    }
    sha256_end(&sum, digest);
    sha256_to_hex(digest, hex);
    memcpy(out, hex, MAKE_HASH_HEX);
    out[MAKE_HASH_HEX] = '\0';
    return ERR_OK;
}

uint64_t make_fingerprint(const struct suite_row *row) {
    unsigned char digest[SHA256_BYTES];
    struct sha256 sum;
    char line[CAPTION_BYTES_MAX + 256];
    int n = snprintf(line, sizeof line, "%d %" PRIu64 " %" PRIu64 " %dx%dx%d %s", (int)row->task,
                     row->scene_seed, row->noise_seed, row->opts.W, row->opts.H, row->opts.frames,
                     row->prompt);
    uint64_t v = 0;
    sha256_start(&sum);
    sha256_add(&sum, line, (size_t)n);
    sha256_end(&sum, digest);
    memcpy(&v, digest, sizeof v);
    return v;
}

static enum err on_frame(void *ctx, int index, const uint8_t *rgb, struct fail *f) {
    struct sink *s = ctx;
    (void)f;
    int at = index - s->first;
    if (at >= 0 && at < s->reel->n_frames)
        memcpy(reel_frame(s->reel, at), rgb, reel_frame_bytes(s->reel));
    return ERR_OK;
}

static void give(struct work *w, int n_spans, const struct engine_span *spans) {
    w->given.n_spans = n_spans;
    w->given.span = spans;
}

/* n frames of the truth from `from` on, at their own place. */
static struct engine_span span_of(const struct work *w, int from, int n, double level) {
    return (struct engine_span){
        .clip = {reel_frame(&w->truth, from), {n, w->truth.width, w->truth.height}},
        .at = from,
        .level = level};
}

/* All but the part at the upper left is made anew. */
static enum err mask_views(struct work *w, struct fail *f) {
    int W = w->truth.width, H = w->truth.height, width = W / 2;
    w->mask = mem_take((size_t)W * (size_t)H, 1);
    if (!w->mask) return FAIL(f, ERR_NOMEM, "no memory for a mask");
    for (int i = 0; i < W * H; i++)
        w->mask[i] = i % W < width ? 0 : 255;
    w->given.region = (struct engine_region){.mask = w->mask, .n_frames = 1, .level = 1};
    return ERR_OK;
}

/* Old words and the clip itself; the new words are those of the target. */
static enum err give_edit(struct work *w, struct fail *f) {
    enum err rc = ERR_OK;
    w->span[0] = span_of(w, 0, w->truth.n_frames, EDIT_LEVEL);
    give(w, 1, w->span);
    TRY(engine_encode_text(w->engine, &w->old, w->row->prompt, NULL, f));
    w->edit = (struct engine_edit){.old = &w->old, .old_guidance = OLD_GUIDANCE};
out:
    return rc;
}

static enum err give_truth(struct work *w, struct fail *f) {
    int n = w->truth.n_frames;
    switch (w->row->task) {
    case SUITE_FIRST: w->span[0] = span_of(w, 0, 1, 0); break;
    case SUITE_EXTEND: w->span[0] = span_of(w, 0, HALF, 0); break;
    case SUITE_PREPEND: w->span[0] = span_of(w, HALF, n - HALF, 0); break;
    case SUITE_CONNECT:
        w->span[0] = span_of(w, 0, ENDS, 0);
        w->span[1] = span_of(w, n - ENDS + 1, ENDS - 1, 0);
        break;
    case SUITE_VIEWS: w->span[0] = span_of(w, 0, n, 0); break;
    case SUITE_EDIT: return give_edit(w, f);
    default: return ERR_OK;
    }
    give(w, w->row->task == SUITE_CONNECT ? 2 : 1, w->span);
    return w->row->task == SUITE_VIEWS ? mask_views(w, f) : ERR_OK;
}

static enum err render(struct work *w, struct sink *to, int n_frames, struct fail *f) {
    struct engine_render_in in = {.canvas = {n_frames, w->row->opts.W, w->row->opts.H},
                                  .given = w->given.n_spans > 0 ? &w->given : NULL,
                                  .words = &w->words,
                                  .params = {.seed = w->row->noise_seed,
                                             .n_steps = w->way->n_steps,
                                             .guidance = w->way->guidance},
                                  .is_loop = w->row->task == SUITE_LOOP,
                                  .edit = w->row->task == SUITE_EDIT ? &w->edit : NULL};
    return engine_render(w->engine, &in, on_frame, to, f);
}

static enum err encode(struct work *w, const struct scene *s, struct fail *f) {
    char text[CAPTION_BYTES_MAX];
    suite_caption(w->row, s, text);
    return engine_encode_text(w->engine, &w->words, text, NULL, f);
}

static enum err make_one(struct work *w, struct reel *out, struct fail *f) {
    enum err rc = ERR_OK;
    int n = w->row->task == SUITE_STILL ? 1 : w->row->opts.frames;
    int is_loop = w->row->task == SUITE_LOOP; /* no frame stands twice: 32 of a canvas of 29 */
    struct scene source;
    struct sink sink = {out, 0};
    TRY(suite_scene(w->row, &source, f));
    TRY(reel_make(out, is_loop ? n - 1 : n, w->row->opts.W, w->row->opts.H, f));
    if (w->row->task != SUITE_TEXT && w->row->task != SUITE_MINUTE)
        TRY(reel_render(&w->truth, &source, n, f));
    TRY(encode(w, &w->scene, f));
    TRY(give_truth(w, f));
    TRY(render(w, &sink, is_loop ? n - engine_caps(w->engine)->frame_step : n, f));
out:
    return rc;
}

/* Each move goes on from the last frames of the one before. */
static enum err make_policy(struct work *w, struct reel *out, struct fail *f) {
    enum err rc = ERR_OK;
    int n = w->row->opts.frames, step = n - OVERLAP;
    struct reel piece = {0};
    TRY(reel_make(out, n + (MAKE_POLICY_MOVES - 1) * step, w->row->opts.W, w->row->opts.H, f));
    TRY(reel_make(&piece, n, out->width, out->height, f));
    for (int i = 0; i < MAKE_POLICY_MOVES; i++) {
        struct scene s;
        int at = i * step;
        struct sink sink = {&piece, 0};
        make_policy_scene(&s, &w->scene, i);
        w->span[0] =
            (struct engine_span){.clip = {reel_frame(out, at), {OVERLAP, out->width, out->height}}};
        give(w, i > 0 ? 1 : 0, w->span);
        TRY(encode(w, &s, f));
        TRY(render(w, &sink, n, f));
        memcpy(reel_frame(out, at), piece.rgb, (size_t)n * reel_frame_bytes(out));
        engine_job_end(w->engine);
    }
out:
    reel_free(&piece);
    return rc;
}

enum err make_clip(struct engine *e, struct reel *out, const struct suite_row *row,
                   const struct make_way *way, struct fail *f) {
    enum err rc = ERR_OK;
    struct work w = {.engine = e, .row = row, .way = way};
    *out = (struct reel){0};
    TRY(make_target(&w.scene, row, f));
    TRY(row->task == SUITE_POLICY ? make_policy(&w, out, f) : make_one(&w, out, f));
out:
    engine_job_end(e);
    reel_free(&w.truth);
    mem_free(w.mask);
    if (rc != ERR_OK) reel_free(out);
    return rc;
}
