/* Tiny autoencoders against our own PyTorch form of them (train/dump_golden_taehv.py), mini widths.
 *
 * Tolerances: f32 on both sides, about 30 convolutions without a norm between them. bf16: 8 bits of
 * every activation; widths of 5 to 12 average out little. */
#include <math.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/taehv.h"
#include "tests/lib/check.h"
#include "tests/lib/golden.h"

enum { H = 32, W = 48, LATENTS = 3, FRAMES = 9, EVERY = 7 };
static const double tolerance = 1e-5, bf16_tolerance = 0.012;

static const struct row {
    const char *folder;
    int z_dim, patch;
    bool is_super;
} rows[] = {
    {"tests/golden/taehv2_1", 5, 1, false},
    {"tests/golden/taehv2_2", 6, 2, false},
    {"tests/golden/taehv2_2_super", 6, 2, true},
};

static const struct way {
    const char *device;
    enum precision precision;
} ways[] = {{"ref", PRECISION_F32}, {"cpu", PRECISION_F32}, {"cpu", PRECISION_BF16}};

struct fixture {
    struct device dev;
    struct pool weights, job;
    struct taehv *taehv;
    struct safetensors io;
    struct fail f;
    const struct way *way;
};

static void open_fixture(struct fixture *x, const struct way *way, const char *folder) {
    char path[128];
    struct device_opts o = {.n_threads = 2, .precision = way->precision};
    *x = (struct fixture){.way = way};
    snprintf(path, sizeof path, "%s/io.safetensors", folder);
    CHECK_OK(device_open(&x->dev, way->device, &o, &x->f), &x->f);
    pool_make(&x->weights, &x->dev, 1 << 20, 1 << 26);
    pool_make(&x->job, &x->dev, 1 << 20, 1 << 28);
    CHECK_OK(taehv_open(&x->taehv, &x->dev, &x->weights, folder, &x->f), &x->f);
    CHECK_OK(safetensors_open_file(&x->io, path, &x->f), &x->f);
}

static void close_fixture(struct fixture *x) {
    safetensors_close(&x->io);
    taehv_close(x->taehv);
    pool_free(&x->job);
    pool_free(&x->weights);
    device_close(&x->dev);
}

static struct tensor upload(struct fixture *x, int64_t T, int64_t h, int64_t w, int64_t C,
                            const float *host) {
    struct tensor t = {0};
    CHECK_OK(pool_take_4d(&x->job, &t, T, h, w, C, &x->f), &x->f);
    op_upload(&x->dev, &t, host);
    return t;
}

static void report(struct fixture *x, const char *what, const float *got, const float *want,
                   int64_t n) {
    char label[64];
    struct golden_error e = golden_compare(got, want, n);
    const char *name = x->taehv->decoder.is_super   ? "2.2 super"
                       : x->taehv->shape.patch == 1 ? "2.1"
                                                    : "2.2";
    bool is_bf16 = x->way->precision == PRECISION_BF16;
    snprintf(label, sizeof label, "taehv %s %s%s", name, what, is_bf16 ? ", bf16" : "");
    if (!is_bf16) {
        golden_check(label, x->way->device, e, tolerance);
        return;
    }
    printf("  %-34s relative %.2e of %.2e\n", label, e.rel_l2, bf16_tolerance);
    CHECK(e.rel_l2 <= bf16_tolerance);
}

static void check_decode(struct fixture *x) {
    int64_t n, s = x->taehv->factor_s, z = x->taehv->shape.z_dim, at = 0, frame = H * W * 3;
    float *host = golden_f32(&x->io, "z", &n), *want = golden_f32(&x->io, "frames_every7", &n);
    float *clip = mem_take((size_t)(FRAMES * frame), sizeof *clip);
    struct vae_shape one = {.T = 1, .H = H / s, .W = W / s};
    struct taehv_stream stream;

    CHECK_OK(taehv_stream_make(&stream, x->taehv, VAE_DECODE, &one, &x->job, &x->f), &x->f);
    for (int64_t i = 0; i < LATENTS; i++) {
        int64_t values = (H / s) * (W / s) * z;
        struct tensor in = upload(x, 1, H / s, W / s, z, host + i * values), frames;
        CHECK_OK(taehv_stream_decode(&stream, &frames, &in, &x->f), &x->f);
        CHECK_INT(frames.dim[0], i == 0 ? 1 : 4);
        op_download(&x->dev, clip + at * frame, &frames);
        at += frames.dim[0];
    }
    CHECK_INT(at, FRAMES);
    for (int64_t i = 0; i < n; i++)
        clip[i] = (clip[i * EVERY] + 1) / 2;
    report(x, "decode", clip, want, n);
    mem_free(clip);
    mem_free(want);
    mem_free(host);
    pool_reset(&x->job);
}

static void check_encode(struct fixture *x) {
    enum { CHUNK = 4 };
    int64_t n, s = x->taehv->factor_s, at = 0, frame = H * W * 3;
    float *want = golden_f32(&x->io, "latent", &n), *got = mem_take((size_t)n, sizeof *got);
    float *clip = mem_take((size_t)(2 * CHUNK * frame), sizeof *clip), *p = clip;
    struct vae_shape one = {.T = 1, .H = H / s, .W = W / s};
    struct taehv_stream stream;

    for (int t = 0; t < 2 * CHUNK; t++)
        for (int y = 0; y < H; y++)
            for (int col = 0; col < W; col++)
                for (int c = 0; c < 3; c++) {
                    int bend = (t + 2) * (y + 3) * (col + 5) % 101;
                    *p++ = (float)((t * 37 + y * 13 + col * 29 + c * 53 + bend) % 256) / 127.5f - 1;
                }
    CHECK_OK(taehv_stream_make(&stream, x->taehv, VAE_ENCODE, &one, &x->job, &x->f), &x->f);
    for (int i = 0; i < 2; i++) {
        struct tensor in = upload(x, CHUNK, H, W, 3, clip + i * CHUNK * frame), latent;
        CHECK_OK(taehv_stream_encode(&stream, &latent, &in, &x->f), &x->f);
        op_download(&x->dev, got + at, &latent);
        at += tensor_count(&latent);
    }
    CHECK_INT(at, n);
    report(x, "encode", got, want, n);
    mem_free(clip);
    mem_free(got);
    mem_free(want);
    pool_reset(&x->job);
}

static void tiny_autoencoders_are_those_of_pytorch(void) {
    for (int w = 0; w < COUNT_OF(ways); w++)
        for (int i = 0; i < COUNT_OF(rows); i++) {
            struct fixture x;
            open_fixture(&x, &ways[w], rows[i].folder);
            if (x.taehv) {
                CHECK_INT(x.taehv->shape.z_dim, rows[i].z_dim);
                CHECK_INT(x.taehv->shape.patch, rows[i].patch);
                CHECK_INT(x.taehv->decoder.is_super, rows[i].is_super);
                check_decode(&x);
                check_encode(&x);
            }
            close_fixture(&x);
        }
}

static void the_estimate_of_memory_holds(void) {
    for (int i = 0; i < COUNT_OF(rows); i++)
        for (int d = VAE_ENCODE; d <= VAE_DECODE; d++) {
            struct fixture x;
            open_fixture(&x, &ways[2], rows[i].folder);
            struct vae_shape big = {.T = 1, .H = 40, .W = 60};
            struct taehv_stream s;
            enum vae_direction direction = (enum vae_direction)d;
            CHECK_OK(taehv_stream_make(&s, x.taehv, direction, &big, &x.job, &x.f), &x.f);
            size_t used = 0;
            for (int k = 0; k < x.job.n_blocks; k++)
                used += x.job.block[k].used;
            double estimate = taehv_stream_bytes(x.taehv, direction, &big);
            CHECK((double)used <= estimate * 1.01);
            CHECK((double)used >= estimate * 0.5);
            close_fixture(&x);
        }
}

static void another_model_is_refused_in_words(void) {
    struct device dev;
    struct pool pool;
    struct taehv *t;
    struct fail f = {0};
    CHECK_OK(device_open(&dev, "cpu", &(struct device_opts){.n_threads = 1}, &f), &f);
    pool_make(&pool, &dev, 1 << 20, 1 << 26);
    CHECK_INT(taehv_open(&t, &dev, &pool, "tests/golden/vae21", &f), ERR_CORRUPT);
    CHECK(strstr(f.text, "no tiny autoencoder") != NULL);
    pool_free(&pool);
    device_close(&dev);
}

static const struct test tests[] = {
    TEST(tiny_autoencoders_are_those_of_pytorch),
    TEST(the_estimate_of_memory_holds),
    TEST(another_model_is_refused_in_words),
};
TEST_MAIN(tests)
