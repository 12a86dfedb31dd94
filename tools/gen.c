#include "tools/gen.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/mem.h"
#include "common/base/now.h"
#include "common/config.h"
#include "engine/lora.h"
#include "tools/gen_given.h"
#include "worker/media/encode.h"
#include "worker/media/still.h"

enum { PATH_BYTES_MAX = 1024, MEMORY_EVERY_US = 5000000 };

/* One clip in the making. */
struct gen {
    struct gen_flags flags;
    struct engine *engine;
    struct canvas canvas; /* what the engine renders */
    struct engine_params params;
    double sigmas[SCHEDULE_STEPS_MAX];
    struct gen_given given;
    int fps, n_written;
    char part[PATH_BYTES_MAX]; /* the file while it grows */
    bool is_picture;           /* a png of one frame */
    struct encode *encode;
    const struct task_piece *piece; /* of the result, that the engine renders now */
    int64_t phase_us, memory_us;
};

/* Set by a signal, read between two steps: the run ends as a failed one does. */
static volatile sig_atomic_t is_stopped;

static void on_signal(int number) {
    (void)number;
    is_stopped = 1;
}

static bool on_ask(void *ctx) {
    (void)ctx;
    return is_stopped != 0;
}

/* Defaults of the model, then what the command line says. */
static enum err read_values(struct gen *g, struct fail *f) {
    enum err rc = ERR_OK;
    const struct engine_caps *c = engine_caps(g->engine);
    const struct gen_flags *o = &g->flags;
    g->canvas =
        (struct canvas){g->is_picture ? 1 : c->default_frames, c->default_width, c->default_height};
    g->fps = c->fps;
    TRY(gen_flags_size(&g->canvas, o->size, f));
    TRY(gen_flags_int(&g->canvas.n_frames, "--frames", o->frames, 1, LIMIT_FRAMES_MAX, f));
    TRY(gen_flags_int(&g->fps, "--fps", o->fps, 1, LIMIT_FPS_MAX, f));
    TRY(gen_flags_params(&g->params, g->sigmas, o, f));
    int step = c->frame_step, over = (g->canvas.n_frames - 1) % step;
    if (over > 0) g->canvas.n_frames += step - over;
    if (g->is_picture && g->canvas.n_frames != 1)
        return FAIL(f, ERR_INPUT, "a .png is one frame, not %d", g->canvas.n_frames);
    struct canvas fit = engine_canvas_fit(g->engine, &g->canvas);
    TRY(engine_canvas_check(g->engine, &fit, f));
out:
    return rc;
}

static double resident_mb(void) {
    long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%ld %ld", &total, &resident) != 2) resident = 0;
    if (file) fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) * 1e-6;
}

/* What the process holds, every few seconds: a long clip takes no more than a short one. */
static void tell_memory(struct gen *g, int64_t now) {
    if (now - g->memory_us < MEMORY_EVERY_US) return;
    if (g->memory_us > 0)
        fprintf(stderr, "\rmemory: %.0f MB resident              \n", resident_mb());
    g->memory_us = now;
}

static void on_progress(void *ctx, const struct engine_progress *p) {
    static const char *const names[ENGINE_PHASE_COUNT] = {"text", "encode", "denoise", "decode"};
    struct gen *g = ctx;
    int64_t now = now_mono_us();
    if (p->step == 0) g->phase_us = now;
    double s = (double)(now - g->phase_us) * 1e-6;
    fprintf(stderr, "\r%-8s %3d/%d  %.1f s", names[p->phase], p->step, p->total, s);
    if (p->eta_s >= 0 && p->step < p->total) fprintf(stderr, ", %.1f s to go ", p->eta_s);
    if (p->step == p->total) fprintf(stderr, "              \n");
    tell_memory(g, now);
}

static void on_log(void *ctx, const char *event, const char *text) {
    (void)ctx;
    fprintf(stderr, "\r%s: %s              \n", event, text);
}

/* As the XDG base directories say; "" when the user has no home. */
static const char *cache_dir(const char *asked, char out[PATH_BYTES_MAX]) {
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (asked) return strcmp(asked, "none") == 0 ? "" : asked;
    out[0] = '\0';
    if (base && base[0] == '/')
        snprintf(out, PATH_BYTES_MAX, "%s/misora", base);
    else if (home && home[0] == '/')
        snprintf(out, PATH_BYTES_MAX, "%s/.cache/misora", home);
    return out;
}

/* The frames of the latent below each other; whoever looks at the file sees the run advance. */
static void on_preview(void *ctx, const struct engine_clip *frames) {
    struct gen *g = ctx;
    struct still still = {.rgb = frames->rgb,
                          .width = frames->size.width,
                          .height = frames->size.height * frames->size.n_frames};
    enum err rc = still_write_png(g->flags.preview, &still, NULL);
    if (rc != ERR_OK) fprintf(stderr, "\r--preview %s cannot be written\n", g->flags.preview);
}

static enum err open_model(struct gen *g, struct fail *f) {
    enum err rc = ERR_OK;
    char cache[PATH_BYTES_MAX];
    struct lora_list early, late;
    const struct gen_flags *o = &g->flags;
    struct engine_opts opts = {
        .device = g->flags.device,
        .cache_dir = cache_dir(o->cache, cache),
        .hooks = {.ctx = g, .progress = on_progress, .is_cancelled = on_ask, .log = on_log}};
    TRY(gen_flags_int(&opts.n_threads, "--threads", g->flags.threads, 0, 256, f));
    opts.taehv = o->taehv;
    if (o->preview) opts.hooks.preview = on_preview;
    TRY(device_precision_parse(&opts.precision, o->precision ? o->precision : "auto", f));
    TRY(lora_list_parse(&early, o->loras, f));
    TRY(lora_list_parse(&late, o->loras_late, f));
    opts.loras = early.source;
    opts.n_loras = early.n;
    opts.loras_late = late.source;
    opts.n_loras_late = late.n;
    TRY(engine_open(&g->engine, g->flags.model, &opts, f));
out:
    return rc;
}

static enum err write_frame(struct gen *g, const uint8_t *rgb, struct fail *f) {
    struct still still = {.rgb = rgb, .width = g->canvas.width, .height = g->canvas.height};
    g->n_written++;
    if (g->is_picture) return still_write_png(g->part, &still, f);
    return encode_frame(g->encode, rgb, (size_t)g->canvas.width * 3, f);
}

/* Frames of the canvas that are no part of the result are left out. */
static enum err on_frame(void *ctx, int index, const uint8_t *rgb, struct fail *f) {
    struct gen *g = ctx;
    if (index < g->piece->from || index >= g->piece->from + g->piece->n) return ERR_OK;
    return write_frame(g, rgb, f);
}

static enum err check_output(const struct gen *g, struct fail *f) {
    struct stat st;
    if (stat(g->flags.output, &st) == 0 && !S_ISREG(st.st_mode))
        return FAIL(f, ERR_INPUT, "-o %.160s is not a file", g->flags.output);
    int fd = open(g->part, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return FAIL(f, ERR_IO, "%.160s cannot be written: %s", g->flags.output, strerror(errno));
    close(fd);
    unlink(g->part);
    return ERR_OK;
}

/* The clip grows beside its final place, so that a run that fails leaves what was there before.
 * Opened before the work begins: a folder that cannot be written to is told at once. */
static enum err open_file(struct gen *g, struct fail *f) {
    enum err rc = ERR_OK;
    struct encode_opts o = {.fps_num = g->fps, .fps_den = 1};
    o.width = o.out_width = g->canvas.width;
    o.height = o.out_height = g->canvas.height;
    int n = snprintf(g->part, sizeof g->part, "%s.%ld.part", g->flags.output, (long)getpid());
    if (n >= (int)sizeof g->part) return FAIL(f, ERR_INPUT, "the path after -o is too long");
    TRY(check_output(g, f));
    if (!g->is_picture) TRY(encode_open(&g->encode, g->part, &o, f));
out:
    return rc;
}

static enum err close_file(struct gen *g, struct fail *f) {
    enum err rc = ERR_OK;
    struct encode *done = g->encode;
    g->encode = NULL;
    TRY(encode_close(done, f)); /* NULL is fine */
    if (rename(g->part, g->flags.output) != 0) {
        rc = FAIL(f, ERR_IO, "%.160s cannot be written: %s", g->flags.output, strerror(errno));
        unlink(g->part);
    }
out:
    return rc;
}

/* What the engine makes; the rest of the result is there already. */
static enum err render(struct gen *g, struct fail *f) {
    enum err rc = ERR_OK;
    const struct gen_flags *o = &g->flags;
    struct engine_words words, old;
    struct engine_edit edit = {.old = &old, .old_guidance = 1.5};
    const struct engine_given *given = &g->given.given;
    bool has_given = given->n_spans > 0 || given->guide || given->n_references > 0;
    TRY(gen_flags_int(&edit.n_max, "--flowedit-steps", o->flowedit_steps, 1, LIMIT_STEPS_MAX, f));
    TRY(gen_flags_real(&edit.old_guidance, "--flowedit-guidance", o->flowedit_guidance,
                       LIMIT_GUIDANCE_MAX, f));
    TRY(engine_encode_text(g->engine, &words, o->prompt, o->negative, f));
    if (o->flowedit) TRY(engine_encode_text(g->engine, &old, o->flowedit, o->negative, f));
    struct engine_render_in in = {.canvas = g->canvas,
                                  .given = has_given ? given : NULL,
                                  .words = &words,
                                  .params = g->params,
                                  .is_loop = o->is_loop && !o->video,
                                  .edit = o->flowedit ? &edit : NULL};
    TRY(engine_render(g->engine, &in, on_frame, g, f));
out:
    return rc;
}

/* The pieces of the result, in order. */
static enum err write_pieces(struct gen *g, struct fail *f) {
    enum err rc = ERR_OK;
    const struct task_plan *plan = &g->given.plan;
    size_t frame = (size_t)g->canvas.width * (size_t)g->canvas.height * 3;
    for (int i = 0; i < plan->n_pieces; i++) {
        g->piece = &plan->piece[i];
        if (g->piece->asset == TASK_CANVAS)
            TRY(render(g, f));
        else
            for (int k = g->piece->from; k < g->piece->from + g->piece->n; k++)
                TRY(write_frame(g, g->given.frames[g->piece->asset] + (size_t)k * frame, f));
    }
out:
    return rc;
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

static enum err make_clip(struct gen *g, struct fail *f) {
    enum err rc = ERR_OK;
    const struct gen_flags *o = &g->flags;
    g->is_picture = ends_with(o->output, ".png");
    TRY(read_values(g, f));
    TRY(open_file(g, f));
    bool is_ring = o->is_loop && !o->video;
    int step = engine_caps(g->engine)->frame_step;
    if (is_ring && g->canvas.n_frames > step) g->canvas.n_frames -= step;
    TRY(gen_given_make(&g->given, &g->canvas, o, engine_caps(g->engine), f));
    if (is_ring)
        g->given.plan.piece[0].n = g->canvas.n_frames + step - 1; /* all latents are whole */
    TRY(write_pieces(g, f));
    TRY(close_file(g, f));
    fprintf(stderr, "%s: %d x %d, %d frames, seed %llu\n", o->output, g->canvas.width,
            g->canvas.height, g->n_written, (unsigned long long)g->params.seed);
out:
    encode_drop(g->encode);
    return rc;
}

/* What the shell is told; everything that is not here is 1. */
static const int exit_codes[ERR_COUNT] = {
    [ERR_INPUT] = EXIT_CODE_USAGE,       [ERR_LIMIT] = EXIT_CODE_USAGE,
    [ERR_MEDIA] = EXIT_CODE_DATA,        [ERR_CORRUPT] = EXIT_CODE_DATA,
    [ERR_NOT_FOUND] = EXIT_CODE_DATA,    [ERR_UNSUPPORTED] = EXIT_CODE_DATA,
    [ERR_NOMEM] = EXIT_CODE_UNAVAILABLE, [ERR_IO] = EXIT_CODE_UNAVAILABLE,
    [ERR_DISK] = EXIT_CODE_UNAVAILABLE,  [ERR_BUG] = EXIT_CODE_BUG,
    [ERR_CANCELLED] = 128 + SIGINT,
};

int gen_main(int argc, char **argv) {
    enum err rc = ERR_OK;
    struct fail fail = {0}, *f = &fail;
    struct gen g = {0};
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        gen_flags_usage(stdout);
        return 0;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    TRY(gen_flags_read(&g.flags, argc, argv, f));
    TRY(open_model(&g, f));
    TRY(make_clip(&g, f));
out:
    if (rc != ERR_OK) fprintf(stderr, "misora gen: %s\n", fail.text);
    gen_given_free(&g.given);
    engine_close(g.engine);
    if (rc == ERR_OK) return 0;
    return exit_codes[rc] ? exit_codes[rc] : 1;
}
