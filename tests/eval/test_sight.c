/* The judge that looks at clips, against PyTorch on a mini folder (train/judge.py golden).
 *
 * Tolerance: f32 on both sides, weights as stored; only the order of sums differs. */
#include <stdlib.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "eval/sight.h"
#include "tests/lib/check.h"
#include "tests/lib/golden.h"
#include "tests/lib/temp.h"

static const char folder[] = "tests/golden/judge";
static const double tolerance = 1e-5;

static void answers_are_those_of_pytorch(void) {
    static const char *const devices[] = {"ref", "cpu"};
    struct safetensors io = {0};
    struct fail f = {0};
    int64_t n;
    CHECK_OK(safetensors_open_file(&io, "tests/golden/judge/io.safetensors", &f), &f);
    const struct safetensors_entry *e = safetensors_find(&io, "rgb");
    uint8_t *rgb = golden_u8(&io, "rgb", &n);
    for (int d = 0; d < COUNT_OF(devices) && rgb; d++) {
        struct sight s;
        struct sight_view view;
        CHECK_OK(sight_open(&s, folder, devices[d], &f), &f);
        CHECK_OK(sight_look(&s, &view, rgb, (int)e->dim[0], (int)e->dim[2], (int)e->dim[1], &f),
                 &f);
        float *want = golden_f32(&io, "feature", &n);
        CHECK_INT(n, s.n_features);
        golden_check("judge features", devices[d], golden_compare(view.feature, want, n),
                     tolerance);
        mem_free(want);
        for (int h = 0; h < LABEL_HEAD_COUNT; h++) {
            char name[64];
            snprintf(name, sizeof name, "logit.%s", label_head_name((enum label_head)h));
            want = golden_f32(&io, name, &n);
            CHECK_INT(n, label_n_values((enum label_head)h));
            golden_check(name, devices[d], golden_compare(view.logit[h], want, n), tolerance);
            mem_free(want);
        }
        sight_close(&s);
    }
    mem_free(rgb);
    safetensors_close(&io);
}

static void frames_are_spaced_evenly_over_any_clip(void) {
    static const struct {
        int n_frames, first, second, last;
    } rows[] = {{1, 0, 0, 0},   {5, 0, 0, 4},   {16, 0, 1, 15},
                {17, 0, 1, 15}, {33, 1, 3, 31}, {49, 1, 4, 46}};
    for (int i = 0; i < COUNT_OF(rows); i++) {
        CHECK_INT(sight_frame(rows[i].n_frames, 0), rows[i].first);
        CHECK_INT(sight_frame(rows[i].n_frames, 1), rows[i].second);
        CHECK_INT(sight_frame(rows[i].n_frames, SIGHT_FRAMES - 1), rows[i].last);
    }
}

static void odd_sides_are_refused_in_words(void) {
    struct sight s;
    struct sight_view view;
    struct fail f = {0};
    CHECK_OK(sight_open(&s, folder, "cpu", &f), &f);
    CHECK_INT(sight_look(&s, &view, (const uint8_t *)"", 1, 120, 80, &f), ERR_INPUT);
    CHECK_STR(f.text, "the judge reads sides that are multiples of 16, not 120x80");
    sight_close(&s);
}

static void a_judge_of_another_vocabulary_is_refused_in_words(void) {
    static const struct {
        const char *config, *text;
    } rows[] = {
        {"{\"widths\":[8,12],\"features\":24,\"world\":1,\"heads\":{}}", "needs three numbers"},
        {"{\"widths\":[8,12,16],\"features\":0,\"world\":1,\"heads\":{}}", "\"features\""},
        {"{\"widths\":[8,12,16],\"features\":24,\"world\":1,\"heads\":{}}",
         "head environment needs"},
        {"{\"widths\":[8,12,16],\"features\":24,\"world\":1,\"heads\":{\"environment\":"
         "[\"moon\",2,3,4,5,6,7,8,9,10]}}",
         "answer 0 of head environment is moon, meadow is needed"},
    };
    for (int i = 0; i < COUNT_OF(rows); i++) {
        struct sight s;
        struct fail f = {0};
        char path[256];
        const char *dir = temp_dir();
        snprintf(path, sizeof path, "%s/config.json", dir);
        FILE *file = fopen(path, "w");
        fputs(rows[i].config, file);
        fclose(file);
        CHECK_INT(sight_open(&s, dir, "cpu", &f), ERR_CORRUPT);
        CHECK_HAS(f.text, rows[i].text);
    }
}

static const struct test tests[] = {
    TEST(answers_are_those_of_pytorch),
    TEST(frames_are_spaced_evenly_over_any_clip),
    TEST(odd_sides_are_refused_in_words),
    TEST(a_judge_of_another_vocabulary_is_refused_in_words),
};
TEST_MAIN(tests)
