/* Streams of the VAE, on the embedded model and on the mini folders: bf16 against f32, the number
 * of threads, and a state that is saved and restored.
 *
 * Tolerances of bf16: 8 bits of every activation between about 20 convolutions. The mini folders
 * have 2 to 12 random channels, over which little averages out; the embedded model is what counts:
 * its frames are in -1..1, so 40 dB are 1 % of the range. */
#include <math.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/rng.h"
#include "engine/vae_state.h"
#include "tests/lib/check.h"

enum { LATENTS = 3, SEED = 5 };

static const struct folder {
    const char *path;
    int rows, columns; /* of latents */
    double relative_max, psnr_min;
} folders[] = {
    {"models/tiny/vae", 4, 6, 0.006, 48},
    {"tests/golden/mini/vae", 3, 2, 0.025, 44},
    {"tests/golden/vae21", 6, 4, 0.02, 44},
};

struct fixture {
    struct device dev;
    struct pool weights, job;
    struct vae *vae;
    struct fail f;
    int64_t H, W; /* pixels */
    const struct folder *folder;
};

static bool open_fixture(struct fixture *x, const struct folder *folder, enum precision precision,
                         int n_threads) {
    struct device_opts o = {.n_threads = n_threads, .precision = precision};
    *x = (struct fixture){.folder = folder};
    CHECK_OK(device_open(&x->dev, "cpu", &o, &x->f), &x->f);
    pool_make(&x->weights, &x->dev, 1 << 20, 1 << 26);
    pool_make(&x->job, &x->dev, 1 << 20, 1 << 28);
    CHECK_OK(vae_open(&x->vae, &x->dev, &x->weights, folder->path, &x->f), &x->f);
    if (!x->vae) return false;
    x->H = (int64_t)folder->rows * x->vae->config.factor_s;
    x->W = (int64_t)folder->columns * x->vae->config.factor_s;
    return true;
}

static void close_fixture(struct fixture *x) {
    vae_close(x->vae);
    pool_free(&x->job);
    pool_free(&x->weights);
    device_close(&x->dev);
}

/* Values on the host: of a clip or of its latents. */
struct values {
    float *v;
    int64_t n;
};

static struct values take(int64_t n) {
    return (struct values){mem_take((size_t)n, sizeof(float)), n};
}

/* A ball that moves over a slope of colours, in -1..1. */
static struct values make_pixels(const struct fixture *x, int64_t frames) {
    struct values p = take(frames * x->H * x->W * 3);
    float *to = p.v;
    for (int64_t t = 0; t < frames; t++)
        for (int64_t h = 0; h < x->H; h++)
            for (int64_t w = 0; w < x->W; w++, to += 3) {
                double dy = (double)(h - x->H / 2), dx = (double)(w - 10 - 3 * t);
                double ball = dx * dx + dy * dy < 100 ? 0.9 : -0.4;
                to[0] = (float)ball;
                to[1] = (float)(2.0 * (double)h / (double)x->H - 1);
                to[2] = (float)(0.5 * sin((double)(w + h) * 0.2));
            }
    return p;
}

static struct tensor upload(struct fixture *x, int64_t T, int64_t H, int64_t W, int64_t C,
                            const float *host) {
    struct tensor t = {0};
    CHECK_OK(pool_take_4d(&x->job, &t, T, H, W, C, &x->f), &x->f);
    op_upload(&x->dev, &t, host);
    return t;
}

static struct values encode_all(struct fixture *x, const struct values *pixels, int64_t n) {
    int64_t z = x->vae->config.z_dim, rows = x->folder->rows, columns = x->folder->columns;
    struct values latents = take(n * rows * columns * z);
    struct vae_shape one = {.T = 1, .H = rows, .W = columns};
    struct vae_stream s;
    CHECK_OK(vae_stream_make(&s, x->vae, VAE_ENCODE, &one, &x->job, &x->f), &x->f);
    int64_t frame = x->H * x->W * 3, at = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t T = vae_stream_frames(&s, 1);
        struct tensor in = upload(x, T, x->H, x->W, 3, pixels->v + at * frame), out;
        CHECK_OK(vae_stream_encode(&s, &out, &in, &x->f), &x->f);
        op_download(&x->dev, latents.v + i * rows * columns * z, &out);
        at += T;
    }
    pool_reset(&x->job);
    return latents;
}

static struct vae_stream decoder(struct fixture *x) {
    struct vae_shape one = {.T = 1, .H = x->folder->rows, .W = x->folder->columns};
    struct vae_stream s;
    CHECK_OK(vae_stream_make(&s, x->vae, VAE_DECODE, &one, &x->job, &x->f), &x->f);
    return s;
}

/* Latents first .. first+n-1; frames go behind `at`. */
static void decode_some(struct fixture *x, struct vae_stream *s, const struct values *latents,
                        int64_t first, int64_t n, struct values *frames, int64_t *at) {
    int64_t z = x->vae->config.z_dim, rows = x->folder->rows, columns = x->folder->columns;
    for (int64_t i = first; i < first + n; i++) {
        struct tensor in = upload(x, 1, rows, columns, z, latents->v + i * rows * columns * z);
        struct tensor out;
        CHECK_OK(vae_stream_decode(s, &out, &in, &x->f), &x->f);
        op_download(&x->dev, frames->v + *at, &out);
        *at += tensor_count(&out);
    }
}

static struct values decode_all(struct fixture *x, const struct values *latents, int64_t n) {
    struct values frames = take((1 + 4 * (n - 1)) * x->H * x->W * 3);
    struct vae_stream s = decoder(x);
    int64_t at = 0;
    decode_some(x, &s, latents, 0, n, &frames, &at);
    CHECK_INT(at, frames.n);
    pool_reset(&x->job);
    return frames;
}

static void report(const char *what, const struct folder *folder, const struct values *got,
                   const struct values *want) {
    double square = 0, dot = 0, of_got = 0, of_want = 0;
    for (int64_t i = 0; i < want->n; i++) {
        double g = (double)got->v[i], w = (double)want->v[i];
        square += (g - w) * (g - w);
        dot += g * w;
        of_got += g * g;
        of_want += w * w;
    }
    double relative = sqrt(square / of_want), cosine = dot / sqrt(of_got * of_want);
    double psnr = 10 * log10(4.0 / (square / (double)want->n));
    printf("  %-12s %-22s relative %.2e of %.2e, cosine %.6f, %.1f dB of %.1f\n", what,
           folder->path, relative, folder->relative_max, cosine, psnr, folder->psnr_min);
    CHECK(relative <= folder->relative_max);
    CHECK(cosine >= 0.999);
    CHECK(psnr >= folder->psnr_min);
}

static void bf16_comes_close_to_f32(void) {
    for (int i = 0; i < COUNT_OF(folders); i++) {
        struct fixture exact, fast;
        if (!open_fixture(&exact, &folders[i], PRECISION_F32, 2)) return;
        if (!open_fixture(&fast, &folders[i], PRECISION_BF16, 2)) return;
        struct values pixels = make_pixels(&exact, 1 + 4 * (LATENTS - 1));
        struct values z = encode_all(&exact, &pixels, LATENTS);
        struct values z16 = encode_all(&fast, &pixels, LATENTS);
        report("encode bf16", &folders[i], &z16, &z);
        struct values y = decode_all(&exact, &z, LATENTS), y16 = decode_all(&fast, &z, LATENTS);
        report("decode bf16", &folders[i], &y16, &y);
        mem_free(pixels.v);
        mem_free(z.v);
        mem_free(z16.v);
        mem_free(y.v);
        mem_free(y16.v);
        close_fixture(&exact);
        close_fixture(&fast);
    }
}

static void threads_do_not_change_a_byte(void) {
    for (int i = 0; i < COUNT_OF(folders); i++)
        for (int p = PRECISION_F32; p <= PRECISION_BF16; p++) {
            struct values first = {0}, first_z = {0};
            for (int n = 1; n <= 3; n++) {
                struct fixture x;
                if (!open_fixture(&x, &folders[i], (enum precision)p, n)) return;
                struct values pixels = make_pixels(&x, 5), z = encode_all(&x, &pixels, 2);
                struct values y = decode_all(&x, &z, 2);
                if (n > 1) {
                    CHECK(memcmp(z.v, first_z.v, (size_t)z.n * sizeof *z.v) == 0);
                    CHECK(memcmp(y.v, first.v, (size_t)y.n * sizeof *y.v) == 0);
                    mem_free(y.v);
                    mem_free(z.v);
                } else {
                    first = y;
                    first_z = z;
                }
                mem_free(pixels.v);
                close_fixture(&x);
            }
            mem_free(first.v);
            mem_free(first_z.v);
        }
}

static struct values random_latents(const struct fixture *x, int64_t n) {
    struct values z = take(n * x->folder->rows * x->folder->columns * x->vae->config.z_dim);
    rng_normal_fill(SEED, 1, 0, z.v, z.n);
    return z;
}

/* For every place to stop, also before the first latent. */
static void a_restored_stream_goes_on_to_the_byte(void) {
    for (int i = 0; i < COUNT_OF(folders); i++)
        for (int64_t stop = 0; stop <= LATENTS; stop++) {
            struct fixture x;
            enum precision p = stop % 2 ? PRECISION_BF16 : PRECISION_F32;
            if (!open_fixture(&x, &folders[i], p, 2)) return;
            struct values z = random_latents(&x, LATENTS), whole = decode_all(&x, &z, LATENTS);
            struct values parts = take(whole.n);
            struct vae_stream a = decoder(&x), b = decoder(&x);
            int64_t at = 0, elsewhere = 0;
            struct values spoilt = take(whole.n);
            decode_some(&x, &a, &z, 0, stop, &parts, &at);
            decode_some(&x, &b, &z, 0, 2, &spoilt, &elsewhere);
            size_t bytes = vae_state_bytes(&a);
            void *state = mem_take(bytes, 1);
            vae_state_save(&a, state);
            CHECK_OK(vae_state_restore(&b, state, bytes, &x.f), &x.f);
            decode_some(&x, &b, &z, stop, LATENTS - stop, &parts, &at);
            CHECK_INT(at, whole.n);
            CHECK(memcmp(parts.v, whole.v, (size_t)whole.n * sizeof *whole.v) == 0);
            mem_free(state);
            mem_free(z.v);
            mem_free(whole.v);
            mem_free(parts.v);
            mem_free(spoilt.v);
            close_fixture(&x);
        }
}

static void a_foreign_state_is_refused_in_words(void) {
    struct folder wider = folders[0];
    struct fixture x;
    wider.columns++;
    if (!open_fixture(&x, &folders[0], PRECISION_BF16, 1)) return;
    struct vae_stream s = decoder(&x);
    size_t bytes = vae_state_bytes(&s);
    unsigned char *state = mem_take(bytes, 1);
    vae_state_save(&s, state);
    CHECK_INT(vae_state_restore(&s, state, bytes - 1, &x.f), ERR_INPUT);
    CHECK(strstr(x.f.text, "bytes, this stream needs") != NULL);
    x.f = (struct fail){0};
    state[0]++;
    CHECK_INT(vae_state_restore(&s, state, bytes, &x.f), ERR_INPUT);
    state[0]--;
    x.folder = &wider;
    struct vae_stream other = decoder(&x);
    x.f = (struct fail){0};
    CHECK_INT(vae_state_restore(&other, state, bytes, &x.f), ERR_INPUT);
    printf("     %s\n", x.f.text);
    mem_free(state);
    close_fixture(&x);
}

static const struct test tests[] = {
    TEST(bf16_comes_close_to_f32),
    TEST(threads_do_not_change_a_byte),
    TEST(a_restored_stream_goes_on_to_the_byte),
    TEST(a_foreign_state_is_refused_in_words),
};
TEST_MAIN(tests)
