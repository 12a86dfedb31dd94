/* Previews: the linear map is read and applied as written, and that of the embedded model shows
 * what its VAE makes of a latent. After new weights train/fit_preview.py has to run again. */
#include <math.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/preview.h"
#include "engine/vae.h"
#include "tests/lib/check.h"
#include "tests/lib/golden.h"
#include "tests/lib/temp.h"

static void write_preview(const char *folder, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s/preview.json", folder);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    if (!file) return;
    fputs(text, file);
    fclose(file);
}

static void colours_are_the_linear_map(void) {
    static const float latent[3][2] = {{0, 0}, {1, 2}, {-9, NAN}};
    struct preview p;
    struct fail f = {0};
    uint8_t rgb[9];
    const char *folder = temp_dir();
    write_preview(folder, "{\"red\": [0.5, 0], \"green\": [0, -0.25], \"blue\": [1, 1],"
                          " \"bias\": [0, 0.5, -1]}");
    CHECK_OK(preview_read(&p, folder, 2, &f), &f);
    preview_make(&p, rgb, latent[0], 3);
    static const int want[] = {128, 191, 0, 191, 128, 255, 0, 0, 0};
    for (int i = 0; i < 6; i++)
        CHECK_INT(rgb[i], want[i]);
    CHECK_INT(rgb[7], 0); /* what is no number is black */
}

static void a_file_that_does_not_fit_is_refused_in_words(void) {
    struct preview p;
    struct fail f = {0};
    const char *folder = temp_dir();
    CHECK_INT(preview_read(&p, folder, 2, &f), ERR_NOT_FOUND);
    f = (struct fail){0};
    write_preview(folder,
                  "{\"red\": [1], \"green\": [0, 1], \"blue\": [1, 1], \"bias\": [0, 0, 0]}");
    CHECK_INT(preview_read(&p, folder, 2, &f), ERR_CORRUPT);
    CHECK(strstr(f.text, "red has 1 numbers and bias 3, 2 and 3 are needed") != NULL);
}

/* Mean colour of the pixels of each place, for the last latent: four frames. */
static void cell_means(float *mean, const float *frames, int64_t h, int64_t w, int64_t s) {
    for (int64_t i = 0; i < h * w * 3; i++)
        mean[i] = 0;
    for (int64_t t = 0; t < 4; t++)
        for (int64_t y = 0; y < h * s; y++)
            for (int64_t x = 0; x < w * s; x++)
                for (int64_t c = 0; c < 3; c++)
                    mean[(y / s * w + x / s) * 3 + c] +=
                        frames[((t * h * s + y) * w * s + x) * 3 + c] / (float)(4 * s * s);
}

static void the_embedded_model_shows_what_it_makes(void) {
    struct device dev;
    struct pool weights, job;
    struct vae *vae;
    struct safetensors io = {0};
    struct fail f = {0};
    struct preview p;
    int64_t n;
    CHECK_OK(device_open(&dev, "cpu", &(struct device_opts){.n_threads = 2}, &f), &f);
    pool_make(&weights, &dev, 1 << 20, 1 << 26);
    pool_make(&job, &dev, 1 << 20, 1 << 28);
    CHECK_OK(vae_open(&vae, &dev, &weights, "models/tiny/vae", &f), &f);
    CHECK_OK(safetensors_open_file(&io, "tests/golden/tiny/io.safetensors", &f), &f);
    float *host = golden_f32(&io, "latent", &n);
    int64_t z = vae->config.z_dim, s = vae->config.factor_s, h = 6, w = n / 2 / z / 6;
    CHECK_OK(preview_read(&p, "models/tiny/vae", (int)z, &f), &f);
    struct vae_shape one = {.T = 1, .H = h, .W = w};
    struct vae_stream stream;
    struct tensor in, frames;
    CHECK_OK(vae_stream_make(&stream, vae, VAE_DECODE, &one, &job, &f), &f);
    CHECK_OK(pool_take_4d(&job, &in, 1, h, w, z, &f), &f);
    for (int i = 0; i < 2; i++) {
        op_upload(&dev, &in, host + i * h * w * z);
        CHECK_OK(vae_stream_decode(&stream, &frames, &in, &f), &f);
    }
    float *pixels = mem_take((size_t)tensor_count(&frames), sizeof *pixels);
    float *mean = mem_take((size_t)(h * w * 3), sizeof *mean);
    uint8_t *rgb = mem_take((size_t)(h * w * 3), 1);
    op_download(&dev, pixels, &frames);
    cell_means(mean, pixels, h, w, s);
    preview_make(&p, rgb, host + h * w * z, h * w);
    double square = 0;
    for (int64_t i = 0; i < h * w * 3; i++) {
        double d = (double)rgb[i] / 127.5 - 1 - (double)mean[i];
        square += d * d;
    }
    double psnr = 10 * log10(4.0 * (double)(h * w * 3) / square);
    printf("  preview against the mean colours of what is decoded: %.1f dB\n", psnr);
    CHECK(psnr >= 20);
    mem_free(pixels);
    mem_free(mean);
    mem_free(rgb);
    mem_free(host);
    safetensors_close(&io);
    vae_close(vae);
    pool_free(&job);
    pool_free(&weights);
    device_close(&dev);
}

static const struct test tests[] = {
    TEST(colours_are_the_linear_map),
    TEST(a_file_that_does_not_fit_is_refused_in_words),
    TEST(the_embedded_model_shows_what_it_makes),
};
TEST_MAIN(tests)
