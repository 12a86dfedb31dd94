/* bench_tasks - the tasks on one model folder, through the door of the engine: what each takes, or
 * why the model refuses it. Pictures are drawn, weights may be random: time and memory count.
 *
 *   bench_tasks --model DIR [--size WxH] [--frames N] [--steps N] [--guidance G] [--tasks a,b,..]
 *               [--device cpu|cuda|cuda:N] [--repeat N]
 *
 * Each line of JSON is a task: seconds of its phases, frames, largest resident memory so far. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/engine.h"
#include "engine/task.h"

enum { ASSET_FRAMES = 13, N_ASSETS = 2, LINE_MAX_BYTES = 256 };

static const struct row {
    const char *name;
    enum task_kind kind;
    int n_assets, n_frames; /* of each */
} rows[] = {
    {"text", TASK_TEXT, 0, 0},
    {"image", TASK_KEYFRAMES, 1, 1},
    {"extend", TASK_EXTEND, 1, ASSET_FRAMES},
    {"connect", TASK_CONNECT, 2, ASSET_FRAMES},
};

struct bench {
    const char *model, *tasks, *device;
    struct canvas size;
    int n_steps, n_repeats; /* the last of them is warm */
    double guidance;
    struct engine *engine;
    uint8_t *asset[N_ASSETS];
    double phase_s[ENGINE_PHASE_COUNT], last_s;
    enum engine_phase phase;
    int n_frames; /* that came out */
    uint64_t sum; /* of their bytes: a picture that is all one colour would be a fault */
};

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool read_opts(struct bench *b, int argc, char **argv) {
    b->size = (struct canvas){17, 256, 256};
    b->n_steps = 2;
    b->n_repeats = 1;
    b->guidance = 1;
    b->tasks = "text,image,extend,connect";
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (strcmp(argv[i], "--model") == 0)
            b->model = value;
        else if (strcmp(argv[i], "--tasks") == 0)
            b->tasks = value;
        else if (strcmp(argv[i], "--frames") == 0)
            b->size.n_frames = atoi(value);
        else if (strcmp(argv[i], "--steps") == 0)
            b->n_steps = atoi(value);
        else if (strcmp(argv[i], "--guidance") == 0)
            b->guidance = atof(value);
        else if (strcmp(argv[i], "--device") == 0)
            b->device = value;
        else if (strcmp(argv[i], "--repeat") == 0)
            b->n_repeats = atoi(value);
        else if (strcmp(argv[i], "--size") != 0 ||
                 sscanf(value, "%dx%d", &b->size.width, &b->size.height) != 2)
            return false;
    }
    return b->model != NULL;
}

/* A bright square that moves over a slope of colours. */
static enum err draw_asset(struct bench *b, int which, struct fail *f) {
    int w = b->size.width, h = b->size.height;
    uint8_t *p = mem_take((size_t)ASSET_FRAMES * (size_t)h, (size_t)w * 3);
    if (!p) return FAIL(f, ERR_NOMEM, "no memory for a clip");
    b->asset[which] = p;
    for (int t = 0; t < ASSET_FRAMES; t++)
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++, p += 3) {
                bool is_square = abs(x - w / 4 - 3 * t) < w / 8 && abs(y - h / 2) < h / 8;
                p[0] = (uint8_t)(is_square ? 230 : 255 * x / w);
                p[1] = (uint8_t)(is_square ? 40 + 90 * which : 255 * y / h);
                p[2] = (uint8_t)(is_square ? 30 : 120);
            }
    return ERR_OK;
}

static void on_progress(void *ctx, const struct engine_progress *p) {
    struct bench *b = ctx;
    double now = now_s();
    b->phase_s[b->phase] += now - b->last_s;
    b->phase = p->phase;
    b->last_s = now;
}

static enum err on_frame(void *ctx, int index, const uint8_t *rgb, struct fail *f) {
    struct bench *b = ctx;
    (void)index;
    (void)f;
    b->n_frames++;
    for (size_t i = 0; i < (size_t)b->size.width * (size_t)b->size.height * 3; i++)
        b->sum += rgb[i];
    return ERR_OK;
}

/* The plan of a task over the drawn clips, as spans of the engine. */
static enum err plan_task(struct bench *b, const struct row *row, struct engine_render_in *in,
                          struct engine_given *given, struct engine_span *span, struct fail *f) {
    enum err rc = ERR_OK;
    const struct engine_caps *caps = engine_caps(b->engine);
    struct task_plan plan;
    struct task_ask ask = {.kind = row->kind, .n_assets = row->n_assets, .n_context = 2};
    ask.grid = (struct grid){caps->multiple_px, caps->frame_step, 1};
    ask.n_frames = b->size.n_frames;
    for (int i = 0; i < row->n_assets; i++)
        ask.asset[i] = (struct task_asset){row->n_frames, 0};
    TRY(task_plan_make(&plan, &ask, f));
    in->canvas = b->size;
    in->canvas.n_frames = plan.n_frames;
    size_t frame = (size_t)b->size.width * (size_t)b->size.height * 3;
    for (int i = 0; i < plan.n_spans; i++) {
        const struct task_span *s = &plan.span[i];
        struct canvas size = {s->n, b->size.width, b->size.height};
        span[i] = (struct engine_span){
            {b->asset[s->asset] + (size_t)s->from * frame, size}, s->at, s->level};
    }
    *given = (struct engine_given){.n_spans = plan.n_spans, .span = span};
    in->given = plan.n_spans ? given : NULL;
out:
    return rc;
}

static double status_bytes(const char *key) {
    char line[LINE_MAX_BYTES];
    double kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0) kib = atof(line + strlen(key));
    if (file) fclose(file);
    return kib * 1024;
}

static enum err run_task(struct bench *b, const struct row *row, struct fail *f) {
    enum err rc = ERR_OK;
    struct engine_words words;
    struct engine_span span[TASK_ASSETS_MAX];
    struct engine_given given;
    struct engine_render_in in = {
        .words = &words, .params = {.seed = 1, .n_steps = b->n_steps, .guidance = b->guidance}};
    memset(b->phase_s, 0, sizeof b->phase_s);
    b->n_frames = 0;
    b->sum = 0;
    b->phase = ENGINE_PHASE_TEXT;
    double start = b->last_s = now_s();
    TRY(plan_task(b, row, &in, &given, span, f));
    TRY(engine_encode_text(b->engine, &words, "a red ball bounces in a green meadow", NULL, f));
    TRY(engine_render(b->engine, &in, on_frame, b, f));
    double end = now_s();
    b->phase_s[b->phase] += end - b->last_s;
    printf("{\"task\":\"%s\",\"seconds\":%.2f,\"text\":%.2f,\"encode\":%.2f,\"denoise\":%.2f,"
           "\"decode\":%.2f,\"frames\":%d,\"canvas\":\"%dx%dx%d\",\"steps\":%d,\"mean\":%.1f,"
           "\"rss_bytes\":%.0f}\n",
           row->name, end - start, b->phase_s[ENGINE_PHASE_TEXT], b->phase_s[ENGINE_PHASE_ENCODE],
           b->phase_s[ENGINE_PHASE_DENOISE], b->phase_s[ENGINE_PHASE_DECODE], b->n_frames,
           in.canvas.width, in.canvas.height, in.canvas.n_frames, b->n_steps,
           (double)b->sum / (3.0 * b->n_frames * in.canvas.width * in.canvas.height),
           status_bytes("VmHWM:"));
out:
    engine_job_end(b->engine);
    return rc;
}

/* A refusal in words is an answer; anything else that fails ends the run. */
static enum err run_tasks(struct bench *b, struct fail *f) {
    for (int n = 0; n < COUNT_OF(rows) * b->n_repeats; n++) {
        int i = n / b->n_repeats;
        if (!strstr(b->tasks, rows[i].name)) continue;
        struct fail why = {0};
        enum err rc = run_task(b, &rows[i], &why);
        if (rc != ERR_OK && rc != ERR_UNSUPPORTED)
            return FAIL(f, rc, "%s: %.200s", rows[i].name, why.text);
        if (rc != ERR_OK) printf("{\"task\":\"%s\",\"refused\":\"%s\"}\n", rows[i].name, why.text);
        fflush(stdout);
    }
    return ERR_OK;
}

static void on_log(void *ctx, const char *event, const char *text) {
    (void)ctx;
    fprintf(stderr, "%s: %s\n", event, text);
}

int main(int argc, char **argv) {
    enum err rc = ERR_OK;
    struct fail fail = {0}, *f = &fail;
    struct bench b = {0};
    if (!read_opts(&b, argc, argv)) {
        fprintf(stderr, "usage: bench_tasks --model DIR [flags]\n");
        return 2;
    }
    struct engine_opts opts = {.device = b.device,
                               .hooks = {.ctx = &b, .progress = on_progress, .log = on_log}};
    double start = now_s();
    TRY(engine_open(&b.engine, b.model, &opts, f));
    printf("{\"open\":\"%s\",\"seconds\":%.2f,\"adapter\":\"%s\",\"device\":\"%s\"}\n", b.model,
           now_s() - start, engine_caps(b.engine)->adapter, engine_caps(b.engine)->device);
    fflush(stdout);
    for (int i = 0; i < N_ASSETS; i++)
        TRY(draw_asset(&b, i, f));
    TRY(run_tasks(&b, f));
out:
    if (rc != ERR_OK) fprintf(stderr, "bench_tasks: %s\n", fail.text);
    for (int i = 0; i < N_ASSETS; i++)
        mem_free(b.asset[i]);
    engine_close(b.engine);
    return rc == ERR_OK ? 0 : 1;
}
