/* The VAE in tiles: against diffusers' tiled_decode and tiled_encode, against whole frames, and in
 * segments.
 *
 * Tolerances: frames of a decoding are kept in steps of 1/8192, each of the tiles that meet at a
 * pixel rounded down once: 4/8192 in all, beside the 3e-5 of test_vae_golden. Against whole frames:
 * the attention sees less, which the embedded model shows least where tiles overlap by 64 pixels.
 */
#include <math.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/vae_tile.h"
#include "tests/lib/check.h"
#include "tests/lib/golden.h"

enum { EVERY = 7, LATENTS = 3, FRAMES = 9 };
static const double fixed_tolerance = 4.0 / 8192 + 3e-5, encode_tolerance = 3e-5;

struct fixture {
    struct device dev;
    struct pool weights, job;
    struct vae *vae;
    struct fail f;
};

static bool open_fixture(struct fixture *x, const char *folder) {
    struct device_opts o = {.n_threads = 2, .precision = PRECISION_F32};
    *x = (struct fixture){0};
    CHECK_OK(device_open(&x->dev, "cpu", &o, &x->f), &x->f);
    pool_make(&x->weights, &x->dev, 1 << 20, 1 << 26);
    pool_make(&x->job, &x->dev, 1 << 20, 1 << 28);
    CHECK_OK(vae_open(&x->vae, &x->dev, &x->weights, folder, &x->f), &x->f);
    return x->vae != NULL;
}

static void close_fixture(struct fixture *x) {
    vae_close(x->vae);
    pool_free(&x->job);
    pool_free(&x->weights);
    device_close(&x->dev);
}

/* Frames [T,H,W,3] on the host, gathered or handed out. */
struct clip {
    struct device *dev;
    float *v;
    int64_t T, H, W, n_done;
};

static struct clip make_clip(struct fixture *x, int64_t T, int64_t H, int64_t W) {
    struct clip c = {.dev = &x->dev, .T = T, .H = H, .W = W};
    c.v = mem_take((size_t)(T * H * W * 3), sizeof *c.v);
    return c;
}

static enum err gather(void *ctx, const struct tensor *frames, int64_t first, struct fail *f) {
    struct clip *c = ctx;
    (void)f;
    CHECK_INT(first, c->n_done);
    op_download(c->dev, c->v + first * c->H * c->W * 3, frames);
    c->n_done += frames->dim[0];
    return ERR_OK;
}

static enum err give(void *ctx, struct tensor *pixels, int64_t first, struct fail *f) {
    struct clip *c = ctx;
    (void)f;
    CHECK_INT(first, c->n_done);
    op_upload(c->dev, pixels, c->v + first * c->H * c->W * 3);
    c->n_done += pixels->dim[0];
    return ERR_OK;
}

static struct tensor upload(struct fixture *x, int64_t T, int64_t H, int64_t W, int64_t C,
                            const float *host) {
    struct tensor t = {0};
    CHECK_OK(pool_take_4d(&x->job, &t, T, H, W, C, &x->f), &x->f);
    if (host) op_upload(&x->dev, &t, host);
    return t;
}

/* In the pieces that a caller with windows gives: `step` latents a call. */
static void decode(struct fixture *x, struct clip *out, const struct tensor *z,
                   const struct vae_tile_opts *o, int64_t step) {
    struct vae_shape shape = {.T = z->dim[0], .H = z->dim[1], .W = z->dim[2]};
    struct vae_tile *t = NULL;
    out->n_done = 0;
    CHECK_OK(vae_tile_open(&t, x->vae, VAE_DECODE, o, &shape, &x->job, &x->f), &x->f);
    for (int64_t at = 0; t && at < z->dim[0]; at += step) {
        int64_t n = z->dim[0] - at < step ? z->dim[0] - at : step;
        struct tensor part = tensor_rows(z, at, n);
        CHECK_OK(vae_tile_decode(t, &part, gather, out, &x->f), &x->f);
    }
    CHECK_INT(out->n_done, out->T);
    vae_tile_close(t);
}

static void encode(struct fixture *x, struct tensor *z, struct clip *pixels,
                   const struct vae_tile_opts *o) {
    struct vae_shape shape = {.T = z->dim[0], .H = z->dim[1], .W = z->dim[2]};
    struct vae_tile *t = NULL;
    pixels->n_done = 0;
    CHECK_OK(vae_tile_open(&t, x->vae, VAE_ENCODE, o, &shape, &x->job, &x->f), &x->f);
    if (t) CHECK_OK(vae_tile_encode(t, z, give, pixels, &x->f), &x->f);
    CHECK_INT(pixels->n_done, pixels->T);
    vae_tile_close(t);
}

/* Tiles of 48 rows, 32 apart, over 80; the golden has the first 64 (dump_golden_vae.py). */
static void golden_decode(struct fixture *x, const struct safetensors *io, const char *key) {
    char name[64];
    int64_t n, s = x->vae->config.factor_s;
    struct vae_tile_opts o = {.tile = 48 / s, .stride = 32 / s, .segment = 2};
    struct clip c = make_clip(x, FRAMES, 80, 32);
    snprintf(name, sizeof name, "%s.z", key);
    float *host = golden_f32(io, name, &n);
    snprintf(name, sizeof name, "%s.frames_every7", key);
    float *want = golden_f32(io, name, &n), *got = mem_take((size_t)n, sizeof *got);
    struct tensor z = upload(x, LATENTS, 80 / s, 32 / s, x->vae->config.z_dim, host);
    decode(x, &c, &z, &o, LATENTS);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = i * EVERY, frame = at / (64 * 32 * 3);
        got[i] = fmaxf(-1, fminf(1, c.v[frame * 80 * 32 * 3 + at % (64 * 32 * 3)]));
    }
    snprintf(name, sizeof name, "vae %s decode in tiles",
             x->vae->config.is_residual ? "2.2" : "2.1");
    golden_check(name, "cpu", golden_compare(got, want, n), fixed_tolerance);
    mem_free(got);
    mem_free(want);
    mem_free(host);
    mem_free(c.v);
    pool_reset(&x->job);
}

static void golden_encode(struct fixture *x, const struct safetensors *io) {
    int64_t n, C = x->vae->config.z_dim;
    struct vae_tile_opts o = {.tile = 6, .stride = 4, .segment = 2};
    struct clip c = make_clip(x, FRAMES, 80, 32);
    float *want = golden_f32(io, "vae21.latent", &n), *p = c.v;
    float *got = mem_take((size_t)(LATENTS * 10 * 4 * C), sizeof *got);
    for (int t = 0; t < FRAMES; t++)
        for (int y = 0; y < 80; y++)
            for (int col = 0; col < 32; col++)
                for (int ch = 0; ch < 3; ch++) {
                    int bend = (t + 2) * (y + 3) * (col + 5) % 101;
                    *p++ =
                        (float)((t * 37 + y * 13 + col * 29 + ch * 53 + bend) % 256) / 127.5f - 1;
                }
    struct tensor z = upload(x, LATENTS, 10, 4, C, NULL);
    encode(x, &z, &c, &o);
    op_download(&x->dev, got, &z);
    for (int64_t t = 0; t < LATENTS; t++)
        memmove(got + t * 8 * 4 * C, got + t * 10 * 4 * C, (size_t)(8 * 4 * C) * sizeof *got);
    golden_check("vae 2.1 encode in tiles", "cpu", golden_compare(got, want, n), encode_tolerance);
    mem_free(got);
    mem_free(want);
    mem_free(c.v);
    pool_reset(&x->job);
}

static void tiles_are_blended_as_by_diffusers(void) {
    static const char *const names[][2] = {{"tests/golden/mini/vae", "mini"},
                                           {"tests/golden/vae21", "vae21"}};
    for (int i = 0; i < COUNT_OF(names); i++) {
        struct fixture x;
        struct safetensors io = {0};
        if (!open_fixture(&x, names[i][0])) return;
        CHECK_OK(safetensors_open_file(&io, "tests/golden/vae_tiles.safetensors", &x.f), &x.f);
        golden_decode(&x, &io, names[i][1]);
        if (i == 1) golden_encode(&x, &io);
        safetensors_close(&io);
        close_fixture(&x);
    }
}

/* A ball over slopes of colours. */
static void paint(struct clip *c) {
    float *to = c->v;
    for (int64_t t = 0; t < c->T; t++)
        for (int64_t h = 0; h < c->H; h++)
            for (int64_t w = 0; w < c->W; w++, to += 3) {
                double dy = (double)(h - c->H / 2), dx = (double)(w - c->W / 3 - 4 * t);
                to[0] = dx * dx + dy * dy < 900 ? 0.9f : -0.4f;
                to[1] = (float)(2.0 * (double)h / (double)c->H - 1);
                to[2] = (float)(0.5 * sin((double)(w + h) * 0.1));
            }
}

static double psnr(const float *a, const float *b, int64_t n) {
    double square = 0;
    for (int64_t i = 0; i < n; i++)
        square += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return 10 * log10(4.0 * (double)n / (square + 1e-20));
}

/* The step over a column, less the mean step over the columns beside it: a seam is where this is
 * large. Mean over rows, frames and colours. */
static double seam(const struct clip *c, int64_t column) {
    double sum = 0;
    for (int64_t i = 0; i < c->T * c->H; i++)
        for (int64_t k = 0; k < 3; k++) {
            const float *p = c->v + (i * c->W + column) * 3 + k;
            double here = fabs((double)(p[0] - p[-3]));
            double beside = (fabs((double)(p[-3] - p[-6])) + fabs((double)(p[3] - p[0]))) / 2;
            sum += here - beside;
        }
    return sum / (double)(c->T * c->H * 3);
}

enum { TILES_W = 20, TILES_H = 12 }; /* latents of a frame of the embedded model: 320x192 */

static void big_frames_look_the_same_in_tiles(void) {
    struct fixture x;
    if (!open_fixture(&x, "models/tiny/vae")) return;
    int64_t s = x.vae->config.factor_s, H = TILES_H * s, W = TILES_W * s;
    struct vae_tile_opts whole = {.tile = TILES_W, .stride = TILES_W, .segment = LATENTS};
    struct vae_tile_opts cut = {.tile = 8, .stride = 4, .segment = LATENTS};
    struct clip pixels = make_clip(&x, FRAMES, H, W), a = make_clip(&x, FRAMES, H, W);
    struct clip b = make_clip(&x, FRAMES, H, W);
    paint(&pixels);
    struct tensor z = upload(&x, LATENTS, TILES_H, TILES_W, x.vae->config.z_dim, NULL);
    struct tensor z_cut = upload(&x, LATENTS, TILES_H, TILES_W, x.vae->config.z_dim, NULL);
    encode(&x, &z, &pixels, &whole);
    encode(&x, &z_cut, &pixels, &cut);
    decode(&x, &a, &z, &whole, LATENTS);
    decode(&x, &b, &z, &cut, LATENTS);
    int64_t n = FRAMES * H * W * 3;
    double same = psnr(b.v, a.v, n), far = psnr(a.v, pixels.v, n), far_b = psnr(b.v, pixels.v, n);
    double latents = psnr(z_cut.data, z.data, tensor_count(&z));
    printf("  decoded in tiles against whole %.1f dB; picture kept %.1f dB, in tiles %.1f dB; "
           "latents %.1f dB\n",
           same, far, far_b, latents);
    CHECK(same >= 40);
    CHECK(far_b >= far - 0.3);
    CHECK(latents >= 27);
    for (int64_t i = 1; i < 4; i++) { /* columns where tiles begin */
        double cut_seam = seam(&b, i * 4 * s), whole_seam = seam(&a, i * 4 * s);
        printf("  seam at column %d: %.2e, whole frames %.2e\n", (int)(i * 4 * s), cut_seam,
               whole_seam);
        CHECK(cut_seam - whole_seam < 1.0 / 255);
    }
    mem_free(pixels.v);
    mem_free(a.v);
    mem_free(b.v);
    close_fixture(&x);
}

/* In time nothing is cut: windows and segments of any length give the same bytes. */
static void segments_do_not_change_a_byte(void) {
    struct fixture x;
    if (!open_fixture(&x, "models/tiny/vae")) return;
    int64_t s = x.vae->config.factor_s, H = 6 * s, W = 7 * s;
    struct vae_tile_opts o = {.tile = 4, .stride = 3, .segment = LATENTS};
    struct clip pixels = make_clip(&x, FRAMES, H, W), a = make_clip(&x, FRAMES, H, W);
    struct clip b = make_clip(&x, FRAMES, H, W);
    paint(&pixels);
    struct tensor z = upload(&x, LATENTS, 6, 7, x.vae->config.z_dim, NULL), y = z;
    encode(&x, &z, &pixels, &o);
    decode(&x, &a, &z, &o, LATENTS);
    for (o.segment = 1; o.segment < LATENTS; o.segment++) {
        y = upload(&x, LATENTS, 6, 7, x.vae->config.z_dim, NULL);
        encode(&x, &y, &pixels, &o);
        CHECK(memcmp(y.data, z.data, tensor_bytes(&z)) == 0);
        for (int64_t step = 1; step <= LATENTS; step++) {
            decode(&x, &b, &z, &o, step);
            CHECK(memcmp(a.v, b.v, (size_t)(FRAMES * H * W * 3) * sizeof *a.v) == 0);
        }
    }
    mem_free(pixels.v);
    mem_free(a.v);
    mem_free(b.v);
    close_fixture(&x);
}

/* Frames of 1088x1920: whole frames, and tiles of a quarter of a screen. */
static void tiles_need_less_memory_than_whole_frames(void) {
    struct fixture x;
    if (!open_fixture(&x, "models/tiny/vae")) return;
    int64_t s = x.vae->config.factor_s;
    struct vae_shape hd = {.T = 1, .H = 1088 / s, .W = 1920 / s};
    struct vae_tile_opts o = vae_tile_default(x.vae);
    double whole = vae_stream_bytes(x.vae, VAE_DECODE, &hd);
    double tiles = vae_tile_bytes(x.vae, VAE_DECODE, &o, &hd);
    printf("  1920x1088: whole frames %.0f MB, tiles %.0f MB\n", whole * 1e-6, tiles * 1e-6);
    CHECK(tiles < whole);
    close_fixture(&x);
}

static const struct test tests[] = {
    TEST(tiles_are_blended_as_by_diffusers),
    TEST(big_frames_look_the_same_in_tiles),
    TEST(segments_do_not_change_a_byte),
    TEST(tiles_need_less_memory_than_whole_frames),
};
TEST_MAIN(tests)
