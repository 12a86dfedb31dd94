/* What the pipelines of diffusers put together around the VAE for VACE and for I2V
 * (train/dump_golden_variants.py): copies and choices, equal to the bit but for the bilinear
 * pictures. */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/extra.h"
#include "engine/vace.h"
#include "tests/lib/check.h"
#include "tests/lib/golden.h"

enum { T = 5, L = 2, H = 16, W = 32, C = 2, S = 8 };

static struct safetensors io;

static void compare(const char *name, const float *got, int64_t n_got, double tolerance) {
    int64_t n;
    float *want = golden_f32(&io, name, &n);
    CHECK_INT(n, n_got);
    if (want && n == n_got) golden_check(name, "-", golden_compare(got, want, n), tolerance);
    mem_free(want);
}

static void a_clip_is_split_by_its_mask(void) {
    int64_t n;
    float *video = golden_f32(&io, "video", &n), *mask = golden_f32(&io, "mask", &n);
    float *part = mem_take((size_t)(3 * n), sizeof *part);
    vace_inactive(part, video, mask, n);
    compare("split_inactive", part, 3 * n, 0);
    vace_reactive(part, video, mask, n);
    compare("split_reactive", part, 3 * n, 0);
    vace_reactive(video, video, mask, n);
    CHECK(memcmp(part, video, (size_t)(3 * n) * sizeof *part) == 0);
    mem_free(part);
    mem_free(mask);
    mem_free(video);
}

static void a_control_volume_is_what_the_pipeline_makes(void) {
    int64_t n, n_out = (2 + L) * (H / S) * (W / S) * (2 * C + S * S);
    float *reference[] = {golden_f32(&io, "reference_0", &n), golden_f32(&io, "reference_1", &n)};
    struct vace_parts p = {.T = T,
                           .L = L,
                           .h = H / S,
                           .w = W / S,
                           .C = C,
                           .s = S,
                           .inactive = golden_f32(&io, "inactive", &n),
                           .reactive = golden_f32(&io, "reactive", &n),
                           .mask = golden_f32(&io, "mask", &n),
                           .reference = (const float *const *)reference,
                           .n_references = 2};
    float *out = mem_take((size_t)n_out, sizeof *out);
    CHECK_INT(vace_channels(&p), 2 * C + 64);
    vace_control(out, &p);
    compare("control", out, n_out, 0);
    mem_free(out);
    mem_free(reference[0]);
    mem_free(reference[1]);
    mem_free((void *)p.inactive);
    mem_free((void *)p.reactive);
    mem_free((void *)p.mask);
}

static void latent_frames_pick_the_masks_that_torch_picks(void) {
    static const int of_33[] = {1, 5, 9, 12, 16, 20, 23, 27, 31};
    for (int64_t l = 1; l <= 64; l++) {
        char name[32];
        int64_t n;
        snprintf(name, sizeof name, "picked_%d", (int)l);
        int32_t *want = golden_i32(&io, name, &n);
        CHECK_INT(n, l);
        for (int64_t i = 0; want && i < n; i++)
            CHECK_INT(vace_source_frame(i, 4 * (l - 1) + 1, l), want[i]);
        mem_free(want);
    }
    for (int i = 0; i < COUNT_OF(of_33); i++)
        CHECK_INT(vace_source_frame(i, 33, 9), of_33[i]);
    CHECK_INT(vace_source_frame(0, 81, 21), 1);
    CHECK_INT(vace_source_frame(20, 81, 21), 79);
    CHECK_INT(vace_source_frame(30, 121, 31), 119);
}

static void pictures_for_reference_are_letterboxed_on_white(void) {
    for (int i = 0; i < 2; i++) {
        char name[32];
        int64_t n;
        float canvas[H * W * 3];
        struct fail f = {0};
        snprintf(name, sizeof name, "picture_%d", i);
        const struct safetensors_entry *e = safetensors_find(&io, name);
        uint8_t *rgb = golden_u8(&io, name, &n);
        struct vace_picture p = {rgb, (int)e->dim[1], (int)e->dim[0]};
        CHECK_OK(vace_letterbox(canvas, H, W, &p, &f), &f);
        snprintf(name, sizeof name, "canvas_%d", i);
        compare(name, canvas, COUNT_OF(canvas), 2e-6);
        mem_free(rgb);
    }
    struct vace_picture thin = {(const uint8_t *)"", 1, 1000};
    float canvas[1];
    struct fail f = {0};
    CHECK_INT(vace_letterbox(canvas, 16, 16, &thin, &f), ERR_INPUT);
    CHECK_HAS(f.text, "nothing is left of a picture of 1 x 1000 at 16 x 16");
}

/* First frame: all channels of latent 0. Last frame: only the last channel of the last latent. */
static void known_frames_are_marked_as_the_pipeline_does(void) {
    static const char *const names[] = {"first", "both"};
    for (int i = 0; i < 2; i++) {
        char name[32];
        int64_t n;
        bool is_known[T] = {[0] = true, [T - 1] = i == 1};
        float out[L * (H / S) * (W / S) * (4 + C)];
        snprintf(name, sizeof name, "cond_%s", names[i]);
        float *picture = golden_f32(&io, name, &n);
        struct extra_parts p = {L, H / S, W / S, C, 4, is_known, picture};
        extra_fill(out, &p);
        snprintf(name, sizeof name, "extra_%s", names[i]);
        compare(name, out, COUNT_OF(out), 0);
        mem_free(picture);
    }
    float grey[6] = {1, 1, 1, 1, 1, 1};
    extra_grey(grey, 1);
    CHECK(grey[2] == 0.0f && grey[3] == 1.0f);
}

static const struct test tests[] = {
    TEST(a_clip_is_split_by_its_mask),
    TEST(a_control_volume_is_what_the_pipeline_makes),
    TEST(latent_frames_pick_the_masks_that_torch_picks),
    TEST(pictures_for_reference_are_letterboxed_on_white),
    TEST(known_frames_are_marked_as_the_pipeline_does),
};

int main(int argc, char **argv) {
    struct fail f = {0};
    if (safetensors_open_file(&io, "tests/golden/conditions/io.safetensors", &f) != ERR_OK)
        return 1;
    int rc = check_main(tests, COUNT_OF(tests), argc, argv);
    safetensors_close(&io);
    return rc;
}
