/* The plan: rows of requests and the pictures they mean. */
#include "worker/plan.h"

#include "common/base/limits.h"
#include "tests/lib/check.h"

static const struct plan_model tiny = {.multiple_px = 16,
                                       .frame_step = 4,
                                       .fps = 16,
                                       .width = 128,
                                       .height = 80,
                                       .has_image_encoder = true};
static const struct plan_model wan = {.multiple_px = 16,
                                      .frame_step = 4,
                                      .fps = 16,
                                      .width = 832,
                                      .height = 480,
                                      .has_image_encoder = true};

static struct job job_of(int w, int h, int seconds, int fps, int num_frames) {
    return (struct job){.operation = JOB_CREATE,
                        .width = w,
                        .height = h,
                        .seconds = seconds,
                        .fps = fps,
                        .num_frames = num_frames};
}

static void asked_sizes_find_their_canvas(void) {
    static const struct {
        const struct plan_model *m;
        int w, h, cw, ch, n_warnings;
    } rows[] = {
        {&tiny, 128, 80, 128, 80, 0},    {&tiny, 1280, 720, 128, 80, 1},
        {&tiny, 720, 1280, 80, 128, 1},  {&tiny, 1024, 1792, 80, 128, 1},
        {&tiny, 1792, 1024, 128, 80, 1}, {&tiny, 512, 512, 96, 96, 1},
        {&tiny, 80, 128, 80, 128, 0},    {&tiny, 64, 64, 96, 96, 1},
        {&tiny, 1920, 64, 336, 32, 1},   {&wan, 832, 480, 832, 480, 0},
        {&wan, 480, 832, 480, 832, 0},   {&wan, 1280, 720, 832, 480, 1},
        {&wan, 624, 624, 624, 624, 0},
    };
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        struct plan p;
        struct fail f = {0};
        struct job j = job_of(rows[i].w, rows[i].h, 2, 0, 0);
        CHECK_OK(plan_make(&p, &j, rows[i].m, &f), &f);
        CHECK_INT(p.canvas.width, rows[i].cw);
        CHECK_INT(p.canvas.height, rows[i].ch);
        CHECK_INT(p.out_width, rows[i].w);
        CHECK_INT(p.out_height, rows[i].h);
        CHECK_INT(p.n_warnings, rows[i].n_warnings);
    }
    struct plan p;
    struct job j = job_of(1280, 720, 2, 0, 0);
    CHECK_INT(plan_make(&p, &j, &tiny, NULL), ERR_OK);
    CHECK_STR(p.warning[0], "rendered at 128x80, scaled to 1280x720");
}

static void asked_times_become_legal_frame_counts(void) {
    static const struct {
        int seconds, fps, num_frames, canvas, out, out_fps, n_warnings;
    } rows[] = {
        {4, 0, 0, 65, 65, 16, 0},   {1, 0, 0, 17, 17, 16, 0},    {8, 0, 0, 129, 129, 16, 0},
        {4, 0, 33, 33, 33, 16, 0},  {4, 0, 80, 81, 81, 16, 1},   {4, 0, 1, 1, 1, 16, 0},
        {4, 16, 0, 65, 65, 16, 0},  {2, 24, 0, 33, 49, 24, 1},   {2, 8, 0, 33, 17, 8, 1},
        {2, 32, 64, 33, 65, 32, 2}, {60, 0, 0, 961, 961, 16, 0},
    };
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        struct plan p;
        struct fail f = {0};
        struct job j = job_of(128, 80, rows[i].seconds, rows[i].fps, rows[i].num_frames);
        CHECK_OK(plan_make(&p, &j, &tiny, &f), &f);
        CHECK_INT(p.canvas.n_frames, rows[i].canvas);
        CHECK_INT(p.n_out_frames, rows[i].out);
        CHECK_INT(p.out_fps, rows[i].out_fps);
        CHECK_INT(p.n_warnings, rows[i].n_warnings);
        int n_copies = 0;
        for (int k = 0; k < p.canvas.n_frames; k++)
            n_copies += plan_copies(&p, k);
        CHECK_INT(n_copies, p.n_out_frames); /* every delivered frame has its source */
    }
    struct plan p;
    struct job j = job_of(128, 80, 4, 0, 80);
    CHECK_INT(plan_make(&p, &j, &tiny, NULL), ERR_OK);
    CHECK_STR(p.warning[0], "80 frames became 81: the model makes 4*n+1");
}

static void each_kind_places_its_known_frames(void) {
    static const struct {
        enum job_operation op;
        bool first, last;
        enum err rc;
        int n_spans;
        const char *text;
    } rows[] = {
        {JOB_CREATE, false, false, ERR_OK, 0, ""},
        {JOB_CREATE, true, false, ERR_OK, 1, ""},
        {JOB_CREATE, false, true, ERR_UNSUPPORTED, 0,
         "this worker cannot do last frame to video yet"},
        {JOB_CREATE, true, true, ERR_UNSUPPORTED, 0, "first and last frame"},
        {JOB_EXTEND, false, false, ERR_UNSUPPORTED, 0, "this worker cannot do extend yet"},
        {JOB_CONNECT, false, false, ERR_UNSUPPORTED, 0, "connect"},
        {JOB_LOOP, false, false, ERR_UNSUPPORTED, 0, "loop"},
        {JOB_EDIT, false, false, ERR_UNSUPPORTED, 0, "edit"},
        {JOB_VIEWS, false, false, ERR_UNSUPPORTED, 0, "views"},
    };
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        struct plan p;
        struct fail f = {0};
        struct job j = job_of(128, 80, 2, 0, 0);
        j.operation = rows[i].op;
        if (rows[i].first) memset(j.input_reference.sha256, 'a', 64);
        if (rows[i].last) memset(j.last_frame.sha256, 'b', 64);
        CHECK_INT(plan_make(&p, &j, &tiny, &f), rows[i].rc);
        CHECK_HAS(f.text, rows[i].text);
        if (rows[i].rc != ERR_OK) continue;
        CHECK_INT(p.n_spans, rows[i].n_spans);
        if (p.n_spans == 0) continue;
        CHECK_INT(p.span[0].to, 0);
        CHECK_INT(p.span[0].n_frames, 1);
        CHECK(p.span[0].asset == &j.input_reference);
    }
}

static void what_the_model_cannot_do_is_said(void) {
    struct plan_model blind = tiny;
    struct plan p;
    struct fail f = {0};
    struct job j = job_of(128, 80, 2, 0, 0);
    blind.has_image_encoder = false;
    memset(j.input_reference.sha256, 'a', 64);
    CHECK_INT(plan_make(&p, &j, &blind, &f), ERR_UNSUPPORTED);
    CHECK_STR(f.text, "this model cannot start from a picture");
    j = job_of(128, 80, 100000, 0, 0);
    CHECK_INT(plan_make(&p, &j, &tiny, &f), ERR_LIMIT);
    CHECK_HAS(f.text, "3601 are possible");
}

static const struct test tests[] = {
    TEST(asked_sizes_find_their_canvas),
    TEST(asked_times_become_legal_frame_counts),
    TEST(each_kind_places_its_known_frames),
    TEST(what_the_model_cannot_do_is_said),
};
TEST_MAIN(tests)
