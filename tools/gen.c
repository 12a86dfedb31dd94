#include "tools/gen.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/mem.h"
#include "common/base/now.h"
#include "common/base/str.h"
#include "common/config.h"
#include "engine/engine.h"
#include "worker/media/decode.h"
#include "worker/media/encode.h"

enum { PATH_BYTES_MAX = 1024 };

struct opts {
    const char *model, *prompt, *negative, *output, *image, *size, *device, *solver;
    const char *frames, *seed, *steps, *guidance, *shift, *fps, *threads, *precision, *lora,
        *lora_late, *cache;
};

static const struct flag {
    const char *name;
    size_t offset;
    const char *help;
} flags[] = {
    {"--model", offsetof(struct opts, model), "folder in the diffusers layout (models/tiny)"},
    {"--prompt", offsetof(struct opts, prompt), "what to show"},
    {"--negative-prompt", offsetof(struct opts, negative), "what to avoid"},
    {"-o", offsetof(struct opts, output), "the mp4 to write"},
    {"--image", offsetof(struct opts, image), "first frame: png, jpeg or webp"},
    {"--size", offsetof(struct opts, size), "WIDTHxHEIGHT"},
    {"--frames", offsetof(struct opts, frames), "length; rounded up to what the model can make"},
    {"--fps", offsetof(struct opts, fps), "frames per second of the file"},
    {"--seed", offsetof(struct opts, seed), "the same seed gives the same clip (1)"},
    {"--steps", offsetof(struct opts, steps), "denoising steps"},
    {"--guidance", offsetof(struct opts, guidance), "classifier-free guidance; 1 = off"},
    {"--shift", offsetof(struct opts, shift), "schedule shift"},
    {"--solver", offsetof(struct opts, solver), "unipc or euler"},
    {"--device", offsetof(struct opts, device), "cpu or ref"},
    {"--threads", offsetof(struct opts, threads), "0 = all cores"},
    {"--precision", offsetof(struct opts, precision), "auto, f32, bf16 or int8"},
    {"--lora", offsetof(struct opts, lora), "FILE[:SCALE],...: added to the transformer"},
    {"--lora-late", offsetof(struct opts, lora_late), "the same, to the second one of two"},
    {"--cache", offsetof(struct opts, cache),
     "where encoded prompts are kept (~/.cache/misora), or none"},
};

/* One clip in the making. */
struct gen {
    struct opts opts;
    struct engine *engine;
    struct canvas canvas;
    struct engine_params params;
    int fps;
    char part[PATH_BYTES_MAX]; /* the file while it grows */
    struct encode *encode;
    uint8_t *image;
    int64_t phase_us;
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

static void print_usage(FILE *to) {
    fprintf(to, "usage: misora gen --prompt TEXT -o FILE.mp4 [flags]\n\n");
    for (int i = 0; i < COUNT_OF(flags); i++)
        fprintf(to, "  %-18s %s\n", flags[i].name, flags[i].help);
}

static const struct flag *find_flag(const char *name) {
    for (int i = 0; i < COUNT_OF(flags); i++)
        if (strcmp(flags[i].name, name) == 0) return &flags[i];
    return NULL;
}

static enum err read_flags(struct opts *o, int argc, char **argv, struct fail *f) {
    for (int i = 1; i < argc; i += 2) {
        const struct flag *flag = find_flag(argv[i]);
        if (!flag) return FAIL(f, ERR_INPUT, "there is no flag %.80s", argv[i]);
        if (i + 1 == argc || find_flag(argv[i + 1]))
            return FAIL(f, ERR_INPUT, "%s needs a value", argv[i]);
        const char **value = (const char **)((char *)o + flag->offset);
        if (*value) return FAIL(f, ERR_INPUT, "%s is there twice", argv[i]);
        *value = argv[i + 1];
    }
    if (!o->model) o->model = "models/tiny";
    if (!o->prompt || !o->output)
        return FAIL(f, ERR_INPUT, "--prompt and -o are needed (misora gen --help tells more)");
    return ERR_OK;
}

static enum err read_int(int *out, const char *flag, const char *text, int min, int max,
                         struct fail *f) {
    int64_t v;
    if (!text) return ERR_OK;
    if (!str_parse_i64(str_of(text), min, max, &v))
        return FAIL(f, ERR_INPUT, "%s %.40s: a number from %d to %d", flag, text, min, max);
    *out = (int)v;
    return ERR_OK;
}

static enum err read_real(double *out, const char *flag, const char *text, double max,
                          struct fail *f) {
    if (text && !str_parse_f64(str_of(text), 0, max, out))
        return FAIL(f, ERR_INPUT, "%s %.40s: a number from 0 to %g", flag, text, max);
    return ERR_OK;
}

static enum err read_size(struct canvas *c, const char *text, struct fail *f) {
    struct str rest = str_of(text), part = {0};
    int64_t w = 0, h = 0;
    if (!text) return ERR_OK;
    bool is_good = str_split(&rest, 'x', &part) && str_parse_i64(part, 1, LIMIT_SIDE_MAX_PX, &w) &&
                   str_parse_i64(rest, 1, LIMIT_SIDE_MAX_PX, &h);
    if (!is_good) return FAIL(f, ERR_INPUT, "--size %.40s: WIDTHxHEIGHT, 192x112", text);
    c->width = (int)w;
    c->height = (int)h;
    return ERR_OK;
}

static enum err read_solver(enum engine_solver *out, const char *text, struct fail *f) {
    if (!text) return ERR_OK;
    if (strcmp(text, "unipc") == 0)
        *out = ENGINE_SOLVER_UNIPC;
    else if (strcmp(text, "euler") == 0)
        *out = ENGINE_SOLVER_EULER;
    else
        return FAIL(f, ERR_INPUT, "--solver %.40s: unipc or euler", text);
    return ERR_OK;
}

/* Defaults of the model, then what the command line says. */
static enum err read_values(struct gen *g, struct fail *f) {
    enum err rc = ERR_OK;
    const struct engine_caps *c = engine_caps(g->engine);
    const struct opts *o = &g->opts;
    int64_t seed = 1;
    g->canvas = (struct canvas){c->default_frames, c->default_width, c->default_height};
    g->params = (struct engine_params){.guidance = -1};
    g->fps = c->fps;
    TRY(read_size(&g->canvas, o->size, f));
    TRY(read_int(&g->canvas.n_frames, "--frames", o->frames, 1, LIMIT_FRAMES_MAX, f));
    TRY(read_int(&g->params.n_steps, "--steps", o->steps, 1, LIMIT_STEPS_MAX, f));
    TRY(read_int(&g->fps, "--fps", o->fps, 1, LIMIT_FPS_MAX, f));
    TRY(read_real(&g->params.guidance, "--guidance", o->guidance, LIMIT_GUIDANCE_MAX, f));
    TRY(read_real(&g->params.shift, "--shift", o->shift, 100, f));
    TRY(read_solver(&g->params.solver, o->solver, f));
    if (o->seed && !str_parse_i64(str_of(o->seed), 0, INT64_MAX, &seed))
        TRY(FAIL(f, ERR_INPUT, "--seed %.40s: a whole number", o->seed));
    g->params.seed = (uint64_t)seed;
    g->canvas.n_frames +=
        (c->frame_step - (g->canvas.n_frames - 1) % c->frame_step) % c->frame_step;
    TRY(engine_canvas_check(g->engine, &g->canvas, f));
out:
    return rc;
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

static enum err open_model(struct gen *g, struct fail *f) {
    enum err rc = ERR_OK;
    char cache[PATH_BYTES_MAX];
    struct lora_list early, late;
    struct engine_opts opts = {
        .device = g->opts.device,
        .cache_dir = cache_dir(g->opts.cache, cache),
        .hooks = {.ctx = g, .progress = on_progress, .is_cancelled = on_ask, .log = on_log}};
    TRY(read_int(&opts.n_threads, "--threads", g->opts.threads, 0, 256, f));
    TRY(device_precision_parse(&opts.precision, g->opts.precision ? g->opts.precision : "auto", f));
    TRY(lora_list_parse(&early, g->opts.lora, f));
    TRY(lora_list_parse(&late, g->opts.lora_late, f));
    opts.loras = early.source;
    opts.n_loras = early.n;
    opts.loras_late = late.source;
    opts.n_loras_late = late.n;
    TRY(engine_open(&g->engine, g->opts.model, &opts, f));
out:
    return rc;
}

/* What is wrong with a picture is said with its name. */
static enum err decode_picture(struct gen *g, const struct decode_request *request,
                               struct fail *f) {
    struct fail why = {0};
    enum err rc = decode_image(g->image, request, &why);
    return rc == ERR_OK ? rc : FAIL(f, rc, "%.100s: %.140s", g->opts.image, why.text);
}

/* The picture through the decoder in its cage, as the worker reads it, becomes latent frame 0. */
static enum err read_image(struct gen *g, struct engine_known *known, struct fail *f) {
    enum err rc = ERR_OK;
    char program[PATH_BYTES_MAX];
    struct tensor latent;
    struct canvas one = {1, g->canvas.width, g->canvas.height};
    decode_find_program(program, sizeof program);
    int fd = open(g->opts.image, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return FAIL(f, ERR_MEDIA, "%.160s cannot be opened: %s", g->opts.image, strerror(errno));
    g->image = mem_take((size_t)one.width * (size_t)one.height, 3);
    if (!g->image) TRY(FAIL(f, ERR_NOMEM, "no memory for the picture"));
    struct decode_request request = {program, fd, one.width, one.height};
    struct engine_clip clip = {.rgb = g->image, .size = one};
    TRY(decode_picture(g, &request, f));
    TRY(engine_known_make(g->engine, known, &g->canvas, f));
    TRY(engine_encode_video(g->engine, &latent, &clip, f));
    memcpy(known->latent.data, latent.data, tensor_bytes(&latent));
    struct tensor first = tensor_rows(&known->level, 0, 1);
    memset(first.data, 0, tensor_bytes(&first)); /* 0.0f: known and exact */
out:
    close(fd);
    return rc;
}

static enum err on_frame(void *ctx, int index, const uint8_t *rgb, struct fail *f) {
    struct gen *g = ctx;
    (void)index;
    return encode_frame(g->encode, rgb, (size_t)g->canvas.width * 3, f);
}

static enum err check_output(const struct gen *g, struct fail *f) {
    struct stat st;
    if (stat(g->opts.output, &st) == 0 && !S_ISREG(st.st_mode))
        return FAIL(f, ERR_INPUT, "-o %.160s is not a file", g->opts.output);
    int fd = open(g->part, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return FAIL(f, ERR_IO, "%.160s cannot be written: %s", g->opts.output, strerror(errno));
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
    int n = snprintf(g->part, sizeof g->part, "%s.%ld.part", g->opts.output, (long)getpid());
    if (n >= (int)sizeof g->part) return FAIL(f, ERR_INPUT, "the path after -o is too long");
    TRY(check_output(g, f));
    TRY(encode_open(&g->encode, g->part, &o, f));
out:
    return rc;
}

static enum err close_file(struct gen *g, struct fail *f) {
    enum err rc = ERR_OK;
    struct encode *done = g->encode;
    g->encode = NULL;
    TRY(encode_close(done, f));
    if (rename(g->part, g->opts.output) != 0) {
        rc = FAIL(f, ERR_IO, "%.160s cannot be written: %s", g->opts.output, strerror(errno));
        unlink(g->part);
    }
out:
    return rc;
}

static enum err make_clip(struct gen *g, struct fail *f) {
    enum err rc = ERR_OK;
    struct engine_words words;
    struct engine_known known;
    TRY(read_values(g, f));
    TRY(open_file(g, f));
    TRY(engine_encode_text(g->engine, &words, g->opts.prompt, g->opts.negative, f));
    if (g->opts.image) TRY(read_image(g, &known, f));
    struct engine_render_in in = {.canvas = g->canvas,
                                  .known = g->opts.image ? &known : NULL,
                                  .words = &words,
                                  .params = g->params};
    TRY(engine_render(g->engine, &in, on_frame, g, f));
    TRY(close_file(g, f));
    fprintf(stderr, "%s: %d x %d, %d frames, seed %llu\n", g->opts.output, g->canvas.width,
            g->canvas.height, g->canvas.n_frames, (unsigned long long)g->params.seed);
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
        print_usage(stdout);
        return 0;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    TRY(read_flags(&g.opts, argc, argv, f));
    TRY(open_model(&g, f));
    TRY(make_clip(&g, f));
out:
    if (rc != ERR_OK) fprintf(stderr, "misora gen: %s\n", fail.text);
    mem_free(g.image);
    engine_close(g.engine);
    if (rc == ERR_OK) return 0;
    return exit_codes[rc] ? exit_codes[rc] : 1;
}
