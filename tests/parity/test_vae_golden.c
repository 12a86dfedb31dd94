/* The VAE against diffusers' AutoencoderKLWan on mini folders (train/dump_golden_vae.py).
 *
 * Tolerances: all is f32 on both sides, so what differs is the order of sums. Frames are in -1..1
 * and went through about 25 convolutions and norms over few channels, which amplify: the same
 * class run on 5 latents or on 2 differs from itself by up to 1e-5. */
#include <math.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/vae.h"
#include "tests/lib/check.h"
#include "tests/lib/golden.h"

enum { H = 48, W = 32, FRAMES = 17, LATENTS = 5, EVERY = 7 };
static const double tolerance = 3e-5;
static const double stream_tolerance = 0;

static const char *const devices[] = {"ref", "cpu"};
static const char *const folders[] = {"tests/golden/mini/vae", "tests/golden/vae21"};

struct fixture {
    const char *device;
    struct device dev;
    struct pool weights, job;
    struct vae *vae;
    struct safetensors io;
    struct fail f;
};

typedef void (*check_fn)(struct fixture *x);

static enum err open_fixture(struct fixture *x, const char *device, const char *folder) {
    enum err rc = ERR_OK;
    char path[128];
    *x = (struct fixture){.device = device};
    snprintf(path, sizeof path, "%s/io.safetensors", folder);
    TRY(device_open(&x->dev, device,
                    &(struct device_opts){.n_threads = 2, .precision = PRECISION_F32}, &x->f));
    pool_make(&x->weights, &x->dev, 1 << 20, 1 << 26);
    pool_make(&x->job, &x->dev, 1 << 20, 1 << 28);
    TRY(vae_open(&x->vae, &x->dev, &x->weights, folder, &x->f));
    TRY(safetensors_open_file(&x->io, path, &x->f));
out:
    return rc;
}

static void close_fixture(struct fixture *x) {
    safetensors_close(&x->io);
    vae_close(x->vae);
    pool_free(&x->job);
    pool_free(&x->weights);
    device_close(&x->dev);
}

static void for_all(check_fn check) {
    for (int d = 0; d < COUNT_OF(devices); d++)
        for (int k = 0; k < COUNT_OF(folders); k++) {
            struct fixture x;
            CHECK_OK(open_fixture(&x, devices[d], folders[k]), &x.f);
            if (x.io.n_entries > 0) check(&x);
            close_fixture(&x);
        }
}

static void report(struct fixture *x, const char *what, int n, struct golden_error e,
                   double allowed) {
    char label[64];
    snprintf(label, sizeof label, "vae %s %s %d", x->vae->config.is_residual ? "2.2" : "2.1", what,
             n);
    golden_check(label, x->device, e, allowed);
}

/* Room for n latents, or for the pixels of n frames. */
static struct tensor take_latents(struct fixture *x, int64_t n) {
    int64_t s = x->vae->config.factor_s;
    struct tensor t = {0};
    CHECK_OK(pool_take_4d(&x->job, &t, n, H / s, W / s, x->vae->config.z_dim, &x->f), &x->f);
    return t;
}

static struct tensor take_pixels(struct fixture *x, int64_t n) {
    struct tensor t = {0};
    CHECK_OK(pool_take_4d(&x->job, &t, n, H, W, 3, &x->f), &x->f);
    return t;
}

/* The clip of pixels() in the script that made the fixture. */
static struct tensor make_pixels(struct fixture *x, int frames) {
    struct tensor out = take_pixels(x, frames);
    float *host = mem_take((size_t)tensor_count(&out), sizeof *host), *p = host;
    for (int t = 0; t < frames; t++)
        for (int y = 0; y < H; y++)
            for (int col = 0; col < W; col++)
                for (int c = 0; c < 3; c++) {
                    int bend = (t + 2) * (y + 3) * (col + 5) % 101;
                    int v = t * 37 + y * 13 + col * 29 + c * 53 + bend;
                    *p++ = (float)(v % 256) / 127.5f - 1.0f;
                }
    op_upload(&x->dev, &out, host);
    mem_free(host);
    return out;
}

static float *download(struct fixture *x, const struct tensor *t) {
    float *host = mem_take((size_t)tensor_count(t), sizeof *host);
    op_download(&x->dev, host, t);
    return host;
}

/* Hands out the frames of a clip that lies on the device whole. */
struct source {
    struct fixture *x;
    struct tensor pixels;
};

static enum err give(void *ctx, struct tensor *pixels, int64_t first, struct fail *f) {
    struct source *s = ctx;
    struct tensor from = tensor_rows(&s->pixels, first, pixels->dim[0]);
    return op_copy(&s->x->dev, pixels, &from, f);
}

static enum err encode(struct fixture *x, struct tensor *latent, const struct tensor *pixels) {
    struct source s = {x, *pixels};
    return vae_encode(x->vae, latent, &x->job, give, &s, &x->f);
}

static void check_encode(struct fixture *x, int frames) {
    int64_t n;
    float *want = golden_f32(&x->io, "latent", &n);
    struct tensor pixels = make_pixels(x, frames), latent = take_latents(x, 1 + (frames - 1) / 4);

    CHECK_OK(encode(x, &latent, &pixels), &x->f);
    float *got = download(x, &latent);
    CHECK(tensor_count(&latent) <= n);
    report(x, "encode", frames, golden_compare(got, want, tensor_count(&latent)), tolerance);
    mem_free(got);
    mem_free(want);
    pool_reset(&x->job);
}

/* Frames of a decode, gathered on the host. */
struct clip {
    struct device *dev;
    float *data;
    int64_t n_frames, n_calls;
};

enum { FRAME_SIZE = H * W * 3 };

static enum err gather(void *ctx, const struct tensor *frames, int64_t first, struct fail *f) {
    struct clip *c = ctx;
    (void)f;
    CHECK_INT(first, c->n_frames);
    CHECK_INT(frames->dim[0], c->n_calls == 0 ? 1 : 4);
    op_download(c->dev, c->data + first * FRAME_SIZE, frames);
    c->n_frames += frames->dim[0];
    c->n_calls++;
    return ERR_OK;
}

static struct clip make_clip(struct fixture *x) {
    struct clip c = {.dev = &x->dev};
    c.data = mem_take((size_t)FRAMES * FRAME_SIZE, sizeof *c.data);
    return c;
}

/* The golden keeps every seventh value, clamped. */
static struct golden_error against_sample(const struct clip *c, const float *want) {
    int64_t n = (c->n_frames * FRAME_SIZE + EVERY - 1) / EVERY;
    float *got = mem_take((size_t)n, sizeof *got);
    for (int64_t i = 0; i < n; i++)
        got[i] = fmaxf(-1, fminf(1, c->data[i * EVERY]));
    struct golden_error e = golden_compare(got, want, n);
    mem_free(got);
    return e;
}

static struct tensor golden_latents(struct fixture *x, int64_t n_latents) {
    int64_t n;
    struct tensor z = take_latents(x, n_latents);
    float *host = golden_f32(&x->io, "z", &n);
    op_upload(&x->dev, &z, host);
    mem_free(host);
    return z;
}

static void check_decode(struct fixture *x, int n_latents) {
    int64_t n;
    float *want = golden_f32(&x->io, "frames_every7", &n);
    struct tensor z = golden_latents(x, n_latents);
    struct clip c = make_clip(x);

    CHECK_OK(vae_decode(x->vae, &z, &x->job, gather, &c, &x->f), &x->f);
    CHECK_INT(c.n_frames, 4 * n_latents - 3);
    report(x, "decode", n_latents, against_sample(&c, want), tolerance);
    mem_free(c.data);
    mem_free(want);
    pool_reset(&x->job);
}

static void encode_rows(struct fixture *x) {
    static const int frames[] = {1, 5, 9, 17};
    for (int i = 0; i < COUNT_OF(frames); i++)
        check_encode(x, frames[i]);
}

static void decode_rows(struct fixture *x) {
    for (int i = 1; i <= LATENTS; i++)
        check_decode(x, i);
}

static void pixels_become_the_latents_of_diffusers(void) {
    for_all(encode_rows);
}

static void latents_become_the_frames_of_diffusers(void) {
    for_all(decode_rows);
}

/* The first frame stands alone always; here all that follows goes in one piece. */
static void whole_decode(struct fixture *x) {
    struct tensor z = golden_latents(x, LATENTS), head, tail, frames = {0};
    struct vae_shape rest = {.T = LATENTS - 1, .H = z.dim[1], .W = z.dim[2]};
    struct clip streamed = make_clip(x), whole = make_clip(x);
    struct vae_stream s;

    CHECK_OK(vae_decode(x->vae, &z, &x->job, gather, &streamed, &x->f), &x->f);
    CHECK_OK(vae_stream_make(&s, x->vae, VAE_DECODE, &rest, &x->job, &x->f), &x->f);
    head = tensor_rows(&z, 0, 1);
    tail = tensor_rows(&z, 1, LATENTS - 1);
    CHECK_OK(vae_stream_decode(&s, &frames, &head, &x->f), &x->f);
    op_download(&x->dev, whole.data, &frames);
    CHECK_OK(vae_stream_decode(&s, &frames, &tail, &x->f), &x->f);
    CHECK_INT(frames.dim[0], FRAMES - 1);
    op_download(&x->dev, whole.data + FRAME_SIZE, &frames);
    report(x, "decode whole = streamed,", LATENTS,
           golden_compare(whole.data, streamed.data, (int64_t)FRAMES * FRAME_SIZE),
           stream_tolerance);
    mem_free(whole.data);
    mem_free(streamed.data);
    pool_reset(&x->job);
}

static void whole_encode(struct fixture *x) {
    struct tensor pixels = make_pixels(x, FRAMES), streamed = take_latents(x, LATENTS);
    struct tensor whole = take_latents(x, LATENTS), part, head, tail;
    struct vae_shape rest = {.T = LATENTS - 1, .H = whole.dim[1], .W = whole.dim[2]};
    struct vae_stream s;

    CHECK_OK(encode(x, &streamed, &pixels), &x->f);
    CHECK_OK(vae_stream_make(&s, x->vae, VAE_ENCODE, &rest, &x->job, &x->f), &x->f);
    head = tensor_rows(&pixels, 0, 1);
    CHECK_OK(vae_stream_encode(&s, &part, &head, &x->f), &x->f);
    struct tensor first = tensor_rows(&whole, 0, 1), others = tensor_rows(&whole, 1, LATENTS - 1);
    CHECK_OK(op_copy(&x->dev, &first, &part, &x->f), &x->f);
    tail = tensor_rows(&pixels, 1, FRAMES - 1);
    CHECK_OK(vae_stream_encode(&s, &part, &tail, &x->f), &x->f);
    CHECK_OK(op_copy(&x->dev, &others, &part, &x->f), &x->f);

    float *got = download(x, &whole), *want = download(x, &streamed);
    report(x, "encode whole = streamed,", LATENTS, golden_compare(got, want, tensor_count(&whole)),
           stream_tolerance);
    mem_free(got);
    mem_free(want);
    pool_reset(&x->job);
}

static void a_stream_gives_what_one_piece_gives(void) {
    for_all(whole_decode);
    for_all(whole_encode);
}

/* Decoding twice as long takes no more memory. */
static void memory_of_a_decode_does_not_grow(struct fixture *x) {
    size_t peak[2];
    for (int i = 0; i < 2; i++) {
        struct tensor z = golden_latents(x, LATENTS);
        struct tensor part = tensor_rows(&z, 0, i == 0 ? 2 : LATENTS);
        struct clip c = make_clip(x);
        CHECK_OK(vae_decode(x->vae, &part, &x->job, gather, &c, &x->f), &x->f);
        peak[i] = x->job.total_bytes;
        mem_free(c.data);
        pool_reset(&x->job);
    }
    CHECK_INT(peak[1], peak[0]);
}

static void a_longer_clip_takes_no_more_memory(void) {
    for_all(memory_of_a_decode_does_not_grow);
}

static enum err refuse(void *ctx, const struct tensor *frames, int64_t first, struct fail *f) {
    (void)ctx;
    (void)frames;
    return first == 0 ? ERR_OK : FAIL(f, ERR_CANCELLED, "enough after %d", (int)first);
}

static void stop_early(struct fixture *x) {
    struct tensor z = golden_latents(x, LATENTS);
    struct pool_mark before = pool_mark(&x->job), after;
    CHECK_INT(vae_decode(x->vae, &z, &x->job, refuse, NULL, &x->f), ERR_CANCELLED);
    CHECK_STR(x->f.text, "enough after 1");
    after = pool_mark(&x->job);
    CHECK_INT(after.block, before.block);
    CHECK_INT(after.used, before.used);
}

static void a_callback_that_fails_stops_the_decoding(void) {
    for_all(stop_early);
}

static const struct test tests[] = {
    TEST(pixels_become_the_latents_of_diffusers),   TEST(latents_become_the_frames_of_diffusers),
    TEST(a_stream_gives_what_one_piece_gives),      TEST(a_longer_clip_takes_no_more_memory),
    TEST(a_callback_that_fails_stops_the_decoding),
};
TEST_MAIN(tests)
