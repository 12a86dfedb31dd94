/* bench_engine - runs one part of a model folder again and again, on demand, and says how long it
 * took. tests/bench/bench.py asks, in turns with its peers.
 *
 *   bench_engine PART --model DIR [--size WxH] [--frames N] [--rows N] [--steps N]
 *                [--device cpu|cuda|cuda:N] [--precision auto|f32|bf16|int8]
 *                [--isa base|avx2|avx512|avx512bf16] [--threads N]
 *
 * PART is dit (one forward pass), decode, encode, text (--rows tokens), clip (--steps passes and a
 * decode) or blas (the products of one block of the transformer by OpenBLAS). Commands come by
 * lines on stdin, each is answered by one line of JSON on stdout: run
 * {"seconds":S,"cpu_seconds":S,"spent":{"linear":S,..},"rss_bytes":B,..} probe KIND {"probe":[GF/s
 * of each core]}, or [] when this processor cannot save PATH    the result of the last run as f32
 * The first line of all says what was opened. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/dit.h"
#include "engine/rng.h"
#include "engine/text.h"
#include "engine/vae.h"
#include "tests/bench/blas_peer.h"
#include "tests/bench/count.h"
#include "tests/bench/probe.h"

enum { LINE_MAX_BYTES = 1024, TEXT_ROWS = 512, SEED = 1 };

static const size_t block_bytes = 16 << 20, weight_block_bytes = 256 << 20,
                    pool_max_bytes = (size_t)1 << 40;

struct opts {
    const char *part, *model, *size, *frames, *rows, *steps, *precision, *isa, *threads, *device;
};

static const struct flag {
    const char *name;
    size_t offset;
} flags[] = {
    {"--model", offsetof(struct opts, model)},   {"--size", offsetof(struct opts, size)},
    {"--frames", offsetof(struct opts, frames)}, {"--rows", offsetof(struct opts, rows)},
    {"--steps", offsetof(struct opts, steps)},   {"--precision", offsetof(struct opts, precision)},
    {"--isa", offsetof(struct opts, isa)},       {"--threads", offsetof(struct opts, threads)},
    {"--device", offsetof(struct opts, device)},
};

struct bench {
    struct opts opts;
    int width, height, n_frames, n_rows, n_steps;
    struct device dev;
    struct pool process, job, step;
    struct dit *dit;
    struct vae *vae;
    struct text *text;
    struct dit_text words;
    struct dit_shape shape;
    struct tensor latent, velocity, pixels, rows; /* what goes in and comes out */
    struct tensor *result;
    int64_t blas_tokens, blas_width, blas_ffn;
    struct count count;
    enum err (*run)(struct bench *b, struct fail *f);
};

static int number(const char *text, int fallback) {
    return text ? atoi(text) : fallback;
}

static bool read_opts(struct bench *b, int argc, char **argv) {
    struct opts *o = &b->opts;
    if (argc < 2) return false;
    o->part = argv[1];
    for (int i = 2; i + 1 < argc; i += 2) {
        int k = 0;
        while (k < COUNT_OF(flags) && strcmp(flags[k].name, argv[i]) != 0)
            k++;
        if (k == COUNT_OF(flags)) return false;
        *(const char **)((char *)o + flags[k].offset) = argv[i + 1];
    }
    b->width = b->height = 256;
    if (o->size && sscanf(o->size, "%dx%d", &b->width, &b->height) != 2) return false;
    b->n_frames = number(o->frames, 17);
    b->n_rows = number(o->rows, 30);
    b->n_steps = number(o->steps, 2);
    return o->model != NULL;
}

static enum err open_device(struct bench *b, struct fail *f) {
    enum err rc = ERR_OK;
    struct device_opts o = {.n_threads = number(b->opts.threads, 0), .isa = b->opts.isa};
    if (b->opts.precision) TRY(device_precision_parse(&o.precision, b->opts.precision, f));
    TRY(device_open(&b->dev, b->opts.device ? b->opts.device : "cpu", &o, f));
    pool_make(&b->process, &b->dev, weight_block_bytes, pool_max_bytes);
    pool_make(&b->job, &b->dev, block_bytes, pool_max_bytes);
    pool_make(&b->step, &b->dev, block_bytes, pool_max_bytes);
out:
    return rc;
}

/* Normal numbers, always the same. */
static enum err random_4d(struct bench *b, struct tensor *t, int64_t T, int64_t H, int64_t W,
                          int64_t C, struct fail *f) {
    enum err rc = ERR_OK;
    float *host = mem_take((size_t)(T * H * W * C), sizeof *host);
    if (!host) return FAIL(f, ERR_NOMEM, "no memory for random numbers");
    rng_normal_fill(SEED, RNG_STREAM_LATENT, 0, host, T * H * W * C);
    TRY(pool_take_4d(&b->job, t, T, H, W, C, f));
    op_upload(&b->dev, t, host);
out:
    mem_free(host);
    return rc;
}

static enum err run_dit(struct bench *b, struct fail *f) {
    struct dit_times times = {.n = 1, .value = {500}};
    struct dit_input in = {
        .latent = &b->latent, .times = &times, .text = &b->words, .shape = &b->shape};
    return dit_forward(b->dit, &b->velocity, &in, &b->step, f);
}

/* The spatial and temporal factors of the VAE that goes with a transformer. */
static void latent_shape(const struct bench *b, struct vae_shape *s) {
    bool is_22 = b->dit ? b->dit->config.in_channels == 48 : b->vae->config.z_dim == 48;
    int factor = b->vae ? b->vae->config.factor_s : is_22 ? 16 : 8;
    *s = (struct vae_shape){(b->n_frames - 1) / 4 + 1, b->height / factor, b->width / factor, 0};
}

static enum err open_dit(struct bench *b, struct fail *f) {
    enum err rc = ERR_OK;
    char path[LINE_MAX_BYTES];
    struct vae_shape s;
    struct tensor words;
    snprintf(path, sizeof path, "%s/transformer", b->opts.model);
    TRY(dit_open(&b->dit, &b->dev, &b->process, path, NULL, f));
    const struct dit_config *c = &b->dit->config;
    latent_shape(b, &s);
    TRY(random_4d(b, &b->latent, s.T, s.H, s.W, c->in_channels, f));
    TRY(pool_take_4d(&b->job, &b->velocity, s.T, s.H, s.W, c->out_channels, f));
    TRY(random_4d(b, &words, 1, 1, b->n_rows, c->text_dim, f));
    words = tensor_as_2d(&words, b->n_rows, c->text_dim);
    TRY(dit_text_make(b->dit, &b->words, &words, TEXT_ROWS, &b->job, &b->step, f));
    TRY(dit_shape_make(b->dit, &b->shape, s.T, s.H, s.W, &b->job, f));
    b->count = count_dit(b->dit, (double)(b->shape.T * b->shape.H * b->shape.W), b->n_rows + 1);
    b->result = &b->velocity;
    b->run = run_dit;
out:
    return rc;
}

/* Keeps the last frames for `save`. */
static enum err on_frames(void *ctx, const struct tensor *frames, int64_t first, struct fail *f) {
    struct bench *b = ctx;
    (void)first;
    (void)f;
    b->pixels = *frames;
    return ERR_OK;
}

static enum err run_decode(struct bench *b, struct fail *f) {
    return vae_decode(b->vae, &b->latent, &b->step, on_frames, b, f);
}

static enum err on_pixels(void *ctx, struct tensor *pixels, int64_t first, struct fail *f) {
    struct bench *b = ctx;
    (void)first;
    (void)f;
    op_fill(&b->dev, pixels, 0.25f);
    return ERR_OK;
}

static enum err run_encode(struct bench *b, struct fail *f) {
    return vae_encode(b->vae, &b->latent, &b->step, on_pixels, b, f);
}

static enum err open_vae(struct bench *b, struct fail *f) {
    enum err rc = ERR_OK;
    char path[LINE_MAX_BYTES];
    struct vae_shape s;
    bool is_encode = strcmp(b->opts.part, "encode") == 0;
    snprintf(path, sizeof path, "%s/vae", b->opts.model);
    TRY(vae_open(&b->vae, &b->dev, &b->process, path, f));
    latent_shape(b, &s);
    if (!b->latent.data) TRY(random_4d(b, &b->latent, s.T, s.H, s.W, b->vae->config.z_dim, f));
    b->count = count_vae(b->vae, is_encode ? VAE_ENCODE : VAE_DECODE, &s);
    b->result = is_encode ? &b->latent : &b->pixels;
    b->run = is_encode ? run_encode : run_decode;
out:
    return rc;
}

static enum err run_text(struct bench *b, struct fail *f) {
    int32_t ids[TEXT_TOKENS_MAX];
    for (int i = 0; i < b->n_rows; i++)
        ids[i] = (int32_t)((7 + (int64_t)i * 7919) % b->text->config.vocab);
    struct text_ids text = {ids, b->n_rows};
    return text_encode(b->text, &b->rows, &text, 1, &b->step, f);
}

static enum err open_text(struct bench *b, struct fail *f) {
    enum err rc = ERR_OK;
    char path[LINE_MAX_BYTES];
    snprintf(path, sizeof path, "%s/text_encoder", b->opts.model);
    TRY(text_open(&b->text, &b->dev, &b->process, path, TEXT_MAPPED, f));
    TRY(pool_take_2d(&b->job, &b->rows, b->n_rows, b->text->config.d_model, f));
    b->count = count_text(b->text, b->n_rows);
    b->result = &b->rows;
    b->run = run_text;
out:
    return rc;
}

static enum err run_clip(struct bench *b, struct fail *f) {
    enum err rc = ERR_OK;
    for (int i = 0; i < b->n_steps; i++)
        TRY(run_dit(b, f));
    TRY(run_decode(b, f));
out:
    return rc;
}

static enum err open_clip(struct bench *b, struct fail *f) {
    enum err rc = ERR_OK;
    TRY(open_dit(b, f));
    struct count steps = b->count;
    TRY(open_vae(b, f));
    b->count.linear += b->n_steps * steps.linear;
    b->count.attention += b->n_steps * steps.attention;
    b->run = run_clip;
out:
    return rc;
}

/* Six square products (q, k, v, out; q, out of the words) and the two of the ffn. */
static enum err run_blas(struct bench *b, struct fail *f) {
    int64_t N = b->blas_tokens, d = b->blas_width, wide = b->blas_ffn;
    (void)f;
    for (int i = 0; i < 6; i++)
        blas_peer_product(b->pixels.data, b->latent.data, b->rows.data, N, d, d);
    blas_peer_product(b->pixels.data, b->latent.data, b->rows.data, N, d, wide);
    blas_peer_product(b->pixels.data, b->latent.data, b->rows.data, N, wide, d);
    return ERR_OK;
}

static enum err open_blas(struct bench *b, struct fail *f) {
    enum err rc = ERR_OK;
    char path[LINE_MAX_BYTES];
    struct dit_config c;
    snprintf(path, sizeof path, "%s/transformer", b->opts.model);
    TRY(dit_config_read(&c, path, f));
    int cell = (c.in_channels == 48 ? 16 : 8) * c.patch_size.v[1];
    b->blas_tokens = (int64_t)((b->n_frames - 1) / 4 + 1) * (b->height / cell) * (b->width / cell);
    b->blas_width = dit_config_width(&c);
    b->blas_ffn = c.ffn_dim;
    TRY(random_4d(b, &b->latent, 1, 1, b->blas_tokens, b->blas_ffn, f));
    TRY(random_4d(b, &b->pixels, 1, 1, b->blas_tokens, b->blas_ffn, f));
    TRY(random_4d(b, &b->rows, 1, 1, b->blas_ffn, b->blas_width, f));
    double d = (double)b->blas_width;
    b->count.linear = 2.0 * (double)b->blas_tokens * (6 * d * d + 2 * d * c.ffn_dim);
    blas_peer_threads(number(b->opts.threads, 0));
    b->run = run_blas;
out:
    return rc;
}

static const struct part {
    const char *name;
    enum err (*open)(struct bench *b, struct fail *f);
} parts[] = {{"dit", open_dit},   {"decode", open_vae}, {"encode", open_vae},
             {"text", open_text}, {"clip", open_clip},  {"blas", open_blas}};

/* A line of /proc/self/status in bytes. */
static double status_bytes(const char *key) {
    char line[LINE_MAX_BYTES];
    double kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0) kib = atof(line + strlen(key));
    if (file) fclose(file);
    return kib * 1024;
}

static double clock_s(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void say_run(struct bench *b, double wall, double cpu, int64_t n_allocs) {
    printf("{\"seconds\":%.4f,\"cpu_seconds\":%.4f,\"rss_bytes\":%.0f,\"rss_anon_bytes\":%.0f,"
           "\"weights_bytes\":%zu,\"job_bytes\":%zu,\"step_bytes\":%zu,\"allocs\":%" PRId64
           ",\"spent\":{",
           wall, cpu, status_bytes("VmHWM:"), status_bytes("RssAnon:"), b->process.total_bytes,
           b->job.total_bytes, b->step.total_bytes, n_allocs);
    for (int i = 0; i < DEVICE_OP_COUNT; i++)
        printf("%s\"%s\":%.4f", i ? "," : "", device_op_name((enum device_op)i),
               (double)b->dev.spent[i].ns * 1e-9);
    printf("}}\n");
}

/* A device may still be at it: one number is fetched. */
static enum err finish(struct bench *b, struct fail *f) {
    float first;
    struct tensor one = tensor_1d(b->result ? b->result->data : NULL, 1);
    if (device_is_host(&b->dev)) return ERR_OK;
    op_download(&b->dev, &first, &one);
    return op_check(&b->dev, f);
}

static enum err command_run(struct bench *b, struct fail *f) {
    enum err rc = ERR_OK;
    memset(b->dev.spent, 0, sizeof b->dev.spent);
    int64_t n_allocs = b->dev.n_allocs;
    double wall = clock_s(CLOCK_MONOTONIC), cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID);
    TRY(b->run(b, f));
    TRY(finish(b, f));
    wall = clock_s(CLOCK_MONOTONIC) - wall;
    cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    say_run(b, wall, cpu, b->dev.n_allocs - n_allocs);
out:
    return rc;
}

static void say_rates(const char *before, const double *rate, int n) {
    printf("%s", before);
    for (int i = 0; i < n; i++)
        printf("%s%.1f", i ? "," : "", rate[i]);
}

static enum err command_probe(const char *name, struct fail *f) {
    enum probe_kind kind;
    struct probe p;
    if (!probe_find(&kind, name)) return FAIL(f, ERR_INPUT, "there is no probe %.40s", name);
    if (!probe_run(&p, kind)) p.n_cores = 0;
    say_rates("{\"probe\":[", p.rate, p.n_cores);
    say_rates("],\"core\":[", p.core_rate, p.n_cores);
    printf("]}\n");
    return ERR_OK;
}

static enum err command_save(struct bench *b, const char *path, struct fail *f) {
    enum err rc = ERR_OK;
    float *host = mem_take(tensor_bytes(b->result), 1);
    FILE *file = fopen(path, "wb");
    if (!host || !file) TRY(FAIL(f, ERR_IO, "%.200s cannot be written", path));
    if (b->result->dtype != DTYPE_F32) TRY(FAIL(f, ERR_BUG, "the result is not f32"));
    op_download(&b->dev, host, b->result);
    size_t n = (size_t)tensor_count(b->result);
    if (fwrite(host, sizeof *host, n, file) != n) rc = FAIL(f, ERR_IO, "%.200s: short", path);
    printf("{\"saved\":%zu}\n", n);
out:
    if (file && fclose(file) != 0 && rc == ERR_OK) rc = FAIL(f, ERR_IO, "%.200s: short", path);
    mem_free(host);
    return rc;
}

static enum err serve(struct bench *b, struct fail *f) {
    enum err rc = ERR_OK;
    char line[LINE_MAX_BYTES];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, "run") == 0)
            TRY(command_run(b, f));
        else if (strncmp(line, "probe ", 6) == 0)
            TRY(command_probe(line + 6, f));
        else if (strncmp(line, "save ", 5) == 0)
            TRY(command_save(b, line + 5, f));
        else
            TRY(FAIL(f, ERR_INPUT, "there is no command %.80s", line));
        fflush(stdout);
    }
out:
    return rc;
}

static void say_open(struct bench *b, double seconds) {
    char report[160];
    device_report(&b->dev, report, sizeof report);
    printf("{\"device\":\"%s\",\"precision\":\"%s\",\"open_seconds\":%.2f,\"linear\":%.6g,"
           "\"attention\":%.6g,\"conv\":%.6g,\"weight_bytes\":%.0f,\"tokens\":%" PRId64 "}\n",
           report, device_precision_name(b->dev.precision), seconds, b->count.linear,
           b->count.attention, b->count.conv, b->text ? count_text_weights(b->text) : 0.0,
           b->dit ? b->shape.T * b->shape.H * b->shape.W : 0);
    fflush(stdout);
}

static enum err open_part(struct bench *b, struct fail *f) {
    for (int i = 0; i < COUNT_OF(parts); i++)
        if (strcmp(parts[i].name, b->opts.part) == 0) return parts[i].open(b, f);
    return FAIL(f, ERR_INPUT, "there is no part %.40s", b->opts.part);
}

int main(int argc, char **argv) {
    enum err rc = ERR_OK;
    struct fail fail = {0}, *f = &fail;
    struct bench b = {0};
    if (!read_opts(&b, argc, argv)) {
        fprintf(stderr, "usage: bench_engine PART --model DIR [flags]\n");
        return 2;
    }
    double start = clock_s(CLOCK_MONOTONIC);
    TRY(open_device(&b, f));
    TRY(open_part(&b, f));
    say_open(&b, clock_s(CLOCK_MONOTONIC) - start);
    TRY(serve(&b, f));
out:
    if (rc != ERR_OK) fprintf(stderr, "bench_engine: %s\n", fail.text);
    text_close(b.text);
    dit_close(b.dit);
    vae_close(b.vae);
    pool_free(&b.step);
    pool_free(&b.job);
    pool_free(&b.process);
    device_close(&b.dev);
    return rc == ERR_OK ? 0 : 1;
}
