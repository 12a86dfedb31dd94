#include "tools/gen_given.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/decode.h"
#include "engine/adapter.h"

enum { PATH_BYTES_MAX = 1024 };

static const uint64_t CLIP_BYTES_MAX = (uint64_t)8 << 30;

void gen_given_free(struct gen_given *g) {
    for (int i = 0; i < TASK_ASSETS_MAX; i++)
        mem_free(g->frames[i]);
    mem_free(g->mask);
    mem_free((void *)(uintptr_t)g->guide.rgb);
    for (int i = 0; i < ENGINE_REFERENCES_MAX; i++)
        mem_free((void *)(uintptr_t)g->reference[i].rgb);
    memset(g, 0, sizeof *g);
}

/* The largest size of a picture's own shape that the canvas holds, and no larger than it is. */
static void shrink_to_fit(struct decode_request *request, const struct decode_facts *facts,
                          const struct canvas *canvas) {
    double wide = (double)canvas->width / facts->width;
    double tall = (double)canvas->height / facts->height;
    double scale = wide < tall ? wide : tall;
    if (scale > 1) scale = 1;
    request->width = (int)fmax(1, facts->width * scale);
    request->height = (int)fmax(1, facts->height * scale);
}

/* Files go through the decoder in its jail, as the worker reads them. What is wrong with one is
 * said with its name, and what was changed to fit too. With `within`, the size of the frames is
 * that of the file, or what fits. */
static enum err read_file(struct decode_clip *out, const char *path, struct decode_request *request,
                          const struct canvas *within, struct fail *f) {
    char program[PATH_BYTES_MAX];
    struct fail why = {0};
    struct decode_facts facts;
    enum err rc = ERR_OK;
    decode_find_program(program, sizeof program);
    request->program = program;
    request->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (request->fd < 0)
        return FAIL(f, ERR_MEDIA, "%.160s cannot be opened: %s", path, strerror(errno));
    if (within) rc = decode_probe(&facts, request, &why);
    if (within && rc == ERR_OK) shrink_to_fit(request, &facts, within);
    if (rc == ERR_OK) rc = decode_clip(out, request, CLIP_BYTES_MAX, &why);
    close(request->fd);
    if (rc != ERR_OK) return FAIL(f, rc, "%.100s: %.140s", path, why.text);
    for (int i = 0; i < out->facts.n_warnings; i++)
        fprintf(stderr, "%.160s: %s\n", path, out->facts.warning[i]);
    return ERR_OK;
}

static enum err read_picture(uint8_t **out, const char *path, const struct canvas *size,
                             struct fail *f) {
    struct decode_clip clip;
    struct decode_request request = {
        .width = size->width, .height = size->height, .kind = DECODE_IMAGE};
    enum err rc = read_file(&clip, path, &request, NULL, f);
    if (rc == ERR_OK) *out = clip.rgb;
    return rc;
}

static enum err add_picture(struct gen_given *g, const char *path, int at,
                            const struct canvas *size, struct fail *f) {
    int i = g->ask.n_assets;
    if (i == TASK_ASSETS_MAX) return FAIL(f, ERR_INPUT, "%d pictures at most", TASK_ASSETS_MAX);
    g->ask.asset[g->ask.n_assets++] = (struct task_asset){1, at};
    return read_picture(&g->frames[i], path, size, f);
}

/* Whole clips are held: their frames are needed in any order. */
static enum err add_video(struct gen_given *g, const char *path, const struct canvas *size, int fps,
                          struct fail *f) {
    struct decode_clip clip;
    struct decode_request request = {.width = size->width,
                                     .height = size->height,
                                     .kind = DECODE_VIDEO,
                                     .fps = fps,
                                     .n_max = LIMIT_FRAMES_MAX};
    enum err rc = read_file(&clip, path, &request, NULL, f);
    if (rc != ERR_OK) return rc;
    g->frames[g->ask.n_assets] = clip.rgb;
    g->ask.asset[g->ask.n_assets++] = (struct task_asset){clip.n_frames, 0};
    return ERR_OK;
}

static enum err find_extend(enum task_kind *out, const char *text, struct fail *f) {
    static const struct {
        const char *word;
        enum task_kind kind;
    } rows[] = {{"forward", TASK_EXTEND}, {"backward", TASK_PREPEND}, {"both", TASK_EXTEND_BOTH}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(text, rows[i].word) == 0) {
            *out = rows[i].kind;
            return ERR_OK;
        }
    return FAIL(f, ERR_INPUT, "--extend %.40s: forward, backward or both", text);
}

/* What the flags mean: exactly one thing is done with a clip. */
static enum err find_kind(enum task_kind *out, const struct gen_flags *o, struct fail *f) {
    const struct {
        bool is_asked;
        enum task_kind kind;
    } ways[] = {
        {o->connect != NULL, TASK_CONNECT}, {o->is_loop, TASK_LOOP},
        {o->strength != NULL, TASK_VIDEO},  {o->refine != NULL, TASK_REFINE},
        {o->mask != NULL, TASK_EDIT},       {o->place != NULL, TASK_OUTPAINT},
        {o->flowedit != NULL, TASK_VIDEO},
    };
    int n = o->extend != NULL;
    enum err rc = ERR_OK;
    if (o->extend) TRY(find_extend(out, o->extend, f));
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (!ways[i].is_asked) continue;
        *out = ways[i].kind;
        n++;
    }
    if (n != 1)
        return FAIL(
            f, ERR_INPUT,
            "--video takes one of --extend, --connect, --loop, --strength, --refine, --mask, "
            "--place, --flowedit");
out:
    return rc;
}

static enum err read_assets(struct gen_given *g, const struct canvas *canvas,
                            const struct gen_flags *o, const struct engine_caps *caps,
                            struct fail *f) {
    enum err rc = ERR_OK;
    struct canvas size = *canvas;
    if (o->video) {
        struct gen_flags_rect place;
        if (o->place) {
            TRY(gen_flags_place(&place, o->place, canvas, f));
            size.width = place.width;
            size.height = place.height;
        }
        TRY(add_video(g, o->video, &size, caps->fps, f));
        if (o->connect) TRY(add_video(g, o->connect, &size, caps->fps, f));
        return find_kind(&g->ask.kind, o, f);
    }
    if (o->image) TRY(add_picture(g, o->image, 0, &size, f));
    if (o->last_image) TRY(add_picture(g, o->last_image, canvas->n_frames - 1, &size, f));
    for (int i = 0; i < o->keyframe.n; i++) {
        const char *file;
        int at;
        TRY(gen_flags_keyframe(&at, &file, o->keyframe.value[i], f));
        TRY(add_picture(g, file, at, &size, f));
    }
    g->ask.kind = g->ask.n_assets > 0 ? TASK_KEYFRAMES : TASK_TEXT;
out:
    return rc;
}

/* Puts a smaller clip on the canvas, its edges going on outwards, and marks what lies outside. */
static enum err place_clip(struct gen_given *g, const struct canvas *canvas, const char *text,
                           struct fail *f) {
    struct gen_flags_rect r;
    int n = g->ask.asset[0].n_frames, W = canvas->width, H = canvas->height;
    enum err rc = gen_flags_place(&r, text, canvas, f);
    if (rc != ERR_OK) return rc;
    uint8_t *whole = mem_take((size_t)n * (size_t)W * (size_t)H, 3);
    g->mask = mem_take((size_t)W * (size_t)H, 1);
    if (!whole || !g->mask) {
        mem_free(whole);
        return FAIL(f, ERR_NOMEM, "no memory for %d frames", n);
    }
    for (int64_t i = 0; i < (int64_t)n * W * H; i++) {
        int x = (int)(i % W) - r.x, y = (int)(i / W % H) - r.y;
        bool is_in = x >= 0 && x < r.width && y >= 0 && y < r.height;
        x = x < 0 ? 0 : x >= r.width ? r.width - 1 : x;
        y = y < 0 ? 0 : y >= r.height ? r.height - 1 : y;
        const uint8_t *from =
            g->frames[0] + ((i / W / H * r.height + y) * (int64_t)r.width + x) * 3;
        memcpy(whole + i * 3, from, 3);
        g->mask[i % ((int64_t)W * H)] = is_in ? 0 : 255;
    }
    mem_free(g->frames[0]);
    g->frames[0] = whole;
    return ERR_OK;
}

/* White is made anew: the first byte of each pixel of a picture says it. */
static enum err read_mask(struct gen_given *g, const struct canvas *canvas, const char *path,
                          struct fail *f) {
    uint8_t *rgb = NULL;
    enum err rc = read_picture(&rgb, path, canvas, f);
    size_t n = (size_t)canvas->width * (size_t)canvas->height;
    if (rc == ERR_OK && !(g->mask = mem_take(n, 1)))
        rc = FAIL(f, ERR_NOMEM, "no memory for a mask");
    for (size_t i = 0; rc == ERR_OK && i < n; i++)
        g->mask[i] = rgb[3 * i];
    mem_free(rgb);
    return rc;
}

static enum err make_region(struct gen_given *g, const struct canvas *canvas,
                            const struct gen_flags *o, struct fail *f) {
    enum err rc = ERR_OK;
    if (o->place) TRY(place_clip(g, canvas, o->place, f));
    if (o->mask) TRY(read_mask(g, canvas, o->mask, f));
    g->given.region = (struct engine_region){.mask = g->mask, .n_frames = 1, .level = 1};
    TRY(gen_flags_real(&g->given.region.level, "--mask-strength", o->edit_strength, 1, f));
out:
    return rc;
}

/* An asset that is shorter than its span repeats its last frame. */
static enum err make_span(struct gen_given *g, int i, const struct canvas *canvas, struct fail *f) {
    const struct task_span *s = &g->plan.span[i];
    size_t frame = (size_t)canvas->width * (size_t)canvas->height * 3;
    int have = g->ask.asset[s->asset].n_frames, need = s->from + s->n;
    if (need > have) {
        uint8_t *more = mem_take((size_t)need, frame);
        if (!more) return FAIL(f, ERR_NOMEM, "no memory for %d frames", need);
        for (int k = 0; k < need; k++)
            memcpy(more + (size_t)k * frame,
                   g->frames[s->asset] + (size_t)(k < have ? k : have - 1) * frame, frame);
        mem_free(g->frames[s->asset]);
        g->frames[s->asset] = more;
    }
    g->span[i] = (struct engine_span){.clip = {g->frames[s->asset] + (size_t)s->from * frame,
                                               {s->n, canvas->width, canvas->height}},
                                      .at = s->at,
                                      .level = s->level};
    return ERR_OK;
}

static enum err make_plan(struct gen_given *g, struct canvas *canvas, const struct gen_flags *o,
                          const struct engine_caps *caps, struct fail *f) {
    enum err rc = ERR_OK;
    double seconds = 2;
    struct task_ask *ask = &g->ask;
    TRY(gen_flags_real(&seconds, "--seconds", o->seconds, LIMIT_SECONDS_MAX, f));
    TRY(gen_flags_real(&ask->strength, "--strength", o->strength, 1, f));
    TRY(gen_flags_real(&ask->strength, "--refine", o->refine, 1, f));
    ask->grid = (struct grid){caps->multiple_px, caps->frame_step, 1};
    ask->n_context = caps->overlap_latents;
    TRY(gen_flags_int(&ask->n_context, "--context", o->context, 1, 64, f));
    ask->n_frames = o->video ? (int)(seconds * caps->fps + 0.5) : canvas->n_frames;
    TRY(task_plan_make(&g->plan, ask, f));
    canvas->n_frames = g->plan.n_frames;
    for (int i = 0; i < g->plan.n_spans; i++)
        TRY(make_span(g, i, canvas, f));
out:
    return rc;
}

static enum err need(const struct engine_caps *caps, unsigned what, const char *flag,
                     struct fail *f) {
    if (caps->can & what) return ERR_OK;
    return FAIL(f, ERR_UNSUPPORTED, "%s: %.60s cannot be told that; it %s", flag, caps->name,
                caps->adapter);
}

/* What a control branch is told beside frames: a clip to follow, as long as what is made, and
 * pictures of their own shapes. */
static enum err read_control(struct gen_given *g, const struct canvas *canvas,
                             const struct gen_flags *o, const struct engine_caps *caps,
                             struct fail *f) {
    enum err rc = ERR_OK;
    struct decode_clip clip;
    struct decode_request request = {.width = canvas->width,
                                     .height = canvas->height,
                                     .kind = DECODE_VIDEO,
                                     .fps = caps->fps,
                                     .n_max = canvas->n_frames};
    if (o->control) {
        TRY(need(caps, ADAPTER_GUIDE, "--control", f));
        TRY(read_file(&clip, o->control, &request, NULL, f));
        g->guide = (struct engine_clip){clip.rgb, {clip.n_frames, canvas->width, canvas->height}};
        g->given.guide = &g->guide;
    }
    for (int i = 0; i < o->reference.n; i++) {
        request = (struct decode_request){.kind = DECODE_IMAGE};
        TRY(need(caps, ADAPTER_REFERENCE, "--reference", f));
        TRY(read_file(&clip, o->reference.value[i], &request, canvas, f));
        g->reference[i] = (struct engine_clip){clip.rgb, {1, request.width, request.height}};
        g->given.n_references++;
    }
    g->given.reference = g->reference;
out:
    return rc;
}

enum err gen_given_make(struct gen_given *g, struct canvas *canvas, const struct gen_flags *o,
                        const struct engine_caps *caps, struct fail *f) {
    enum err rc = ERR_OK;
    TRY(read_assets(g, canvas, o, caps, f));
    TRY(make_region(g, canvas, o, f));
    TRY(make_plan(g, canvas, o, caps, f));
    TRY(read_control(g, canvas, o, caps, f));
    g->given.n_spans = g->plan.n_spans;
    g->given.span = g->span;
out:
    return rc;
}
