/* The plan: rows of requests and the pictures they mean. */
#include "worker/plan.h"

#include "common/base/limits.h"
#include "tests/lib/check.h"

static const struct plan_model tiny = {.multiple_px = 16,
                                       .frame_step = 4,
                                       .fps = 16,
                                       .width = 128,
                                       .height = 80,
                                       .overlap = 2,
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

/* Both halves of a plan, for assets of so many frames. */
static enum err plan_of(struct plan *p, const struct job *j, const struct plan_model *m,
                        const int n_frames[PLAN_ASSETS_MAX], struct fail *f) {
    enum err rc = plan_make(p, j, m, f);
    return rc == ERR_OK ? plan_place(p, j, m, n_frames, f) : rc;
}

static const int one[PLAN_ASSETS_MAX] = {1, 1};

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
        CHECK_OK(plan_of(&p, &j, rows[i].m, one, &f), &f);
        CHECK_INT(p.canvas.width, rows[i].cw);
        CHECK_INT(p.canvas.height, rows[i].ch);
        CHECK_INT(p.out_width, rows[i].w);
        CHECK_INT(p.out_height, rows[i].h);
        CHECK_INT(p.n_warnings, rows[i].n_warnings);
    }
    struct plan p;
    struct job j = job_of(1280, 720, 2, 0, 0);
    CHECK_INT(plan_of(&p, &j, &tiny, one, NULL), ERR_OK);
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
        CHECK_OK(plan_of(&p, &j, &tiny, one, &f), &f);
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
    CHECK_INT(plan_of(&p, &j, &tiny, one, NULL), ERR_OK);
    CHECK_STR(p.warning[0], "80 frames became 81: the model makes 4*n+1");
}

/* A job of some kind with assets that count as given. */
static struct job job_with(enum job_operation op, const char *given) {
    struct job j = job_of(0, 0, 1, 0, 0);
    struct job_asset *const slots[] = {&j.input_reference, &j.last_frame, &j.task.video,
                                       &j.task.second_video, &j.task.mask};
    j.operation = op;
    j.task.strength = -1;
    j.task.old_prompt = "";
    for (int i = 0; i < 5; i++)
        if (strchr(given, "flvsm"[i])) memset(slots[i]->sha256, 'a', 64);
    j.task.video.width = 128;
    j.task.video.height = 80;
    j.task.video.fps = 16;
    return j;
}

static void each_kind_places_what_is_given(void) {
    static const struct {
        enum job_operation op;
        const char *given;
        enum job_direction direction;
        enum task_kind kind;
        int canvas, n_spans, at0, n0, at1, n1, n_out;
    } rows[] = {
        {JOB_CREATE, "", 0, TASK_TEXT, 17, 0, 0, 0, 0, 0, 17},
        {JOB_CREATE, "f", 0, TASK_KEYFRAMES, 17, 1, 0, 1, 0, 0, 17},
        {JOB_CREATE, "l", 0, TASK_KEYFRAMES, 17, 1, 16, 1, 0, 0, 17},
        {JOB_CREATE, "fl", 0, TASK_KEYFRAMES, 17, 2, 0, 1, 16, 1, 17},
        {JOB_EXTEND, "v", JOB_FORWARD, TASK_EXTEND, 21, 1, 0, 5, 0, 0, 56},
        {JOB_EXTEND, "v", JOB_BACKWARD, TASK_PREPEND, 25, 1, 17, 8, 0, 0, 56},
        {JOB_EXTEND, "v", JOB_BOTH, TASK_EXTEND_BOTH, 73, 1, 17, 40, 0, 0, 72},
        {JOB_CONNECT, "vs", 0, TASK_CONNECT, 29, 2, 0, 5, 21, 8, 66},
        {JOB_LOOP, "v", 0, TASK_LOOP, 29, 2, 0, 5, 21, 8, 56},
        {JOB_LOOP, "", 0, TASK_TEXT, 13, 0, 0, 0, 0, 0, 16},
        {JOB_EDIT, "v", 0, TASK_VIDEO, 41, 1, 0, 41, 0, 0, 40},
        {JOB_EDIT, "vm", 0, TASK_EDIT, 41, 1, 0, 41, 0, 0, 40},
    };
    static const int whole[PLAN_ASSETS_MAX] = {40, 10};
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        struct plan p;
        struct fail f = {0};
        struct job j = job_with(rows[i].op, rows[i].given);
        j.task.direction = rows[i].direction;
        CHECK_OK(plan_of(&p, &j, &tiny, rows[i].op == JOB_CREATE ? one : whole, &f), &f);
        CHECK_INT(p.kind, rows[i].kind);
        CHECK_INT(p.canvas.n_frames, rows[i].canvas);
        CHECK_INT(p.task.n_spans, rows[i].n_spans);
        CHECK_INT(p.n_out_frames, rows[i].n_out);
        CHECK_INT(task_plan_frames(&p.task), rows[i].n_out);
        CHECK_INT(p.is_ring, rows[i].op == JOB_LOOP && !rows[i].given[0]);
        if (rows[i].n_spans > 0) CHECK_INT(p.task.span[0].at, rows[i].at0);
        if (rows[i].n_spans > 0) CHECK_INT(p.task.span[0].n, rows[i].n0);
        if (rows[i].n_spans > 1) CHECK_INT(p.task.span[1].at, rows[i].at1);
        if (rows[i].n_spans > 1) CHECK_INT(p.task.span[1].n, rows[i].n1);
    }
}

/* Only the frames next to a seam come from the canvas; with a word of what is delivered alone. */
static void pieces_prefer_the_source(void) {
    static const int whole[PLAN_ASSETS_MAX] = {40, 10};
    struct plan p;
    struct fail f = {0};
    struct job j = job_with(JOB_CONNECT, "vs");
    CHECK_OK(plan_of(&p, &j, &tiny, whole, &f), &f);
    CHECK_INT(p.task.n_pieces, 3);
    CHECK_INT(p.task.piece[0].n, 36);
    CHECK_INT(p.task.piece[1].asset, TASK_CANVAS);
    CHECK_INT(p.task.piece[1].from, 1);
    CHECK_INT(p.task.piece[1].n, 24);
    CHECK_INT(p.task.piece[2].from, 4);
    CHECK_INT(p.task.piece[2].n, 6);
    CHECK_INT(p.asset[0].n_tail, 5);
    CHECK_INT(p.asset[1].n_head, 8);
    j.task.is_bare = true;
    CHECK_OK(plan_of(&p, &j, &tiny, whole, &f), &f);
    CHECK_INT(p.task.n_pieces, 1);
    CHECK_INT(p.task.piece[0].from, 5);
    CHECK_INT(p.task.piece[0].n, 16);
    CHECK_INT(p.n_out_frames, 16);
}

static void an_edit_finds_its_part(void) {
    static const int whole[PLAN_ASSETS_MAX] = {40, 0};
    struct plan p;
    struct fail f = {0};
    struct job j = job_with(JOB_EDIT, "v");
    j.task.from_seconds = 0.5;
    j.task.to_seconds = 1.5;
    CHECK_OK(plan_of(&p, &j, &tiny, whole, &f), &f);
    CHECK_INT(p.kind, TASK_EDIT);
    CHECK_INT(p.anew_from, 8);
    CHECK_INT(p.anew_to, 24);
    CHECK_NEAR(p.level, 1, 0);
    j.task.from_seconds = 9;
    j.task.to_seconds = 10;
    CHECK_INT(plan_of(&p, &j, &tiny, whole, &f), ERR_MEDIA);
    CHECK_HAS(f.text, "start_seconds is 9");
}

static void a_size_that_is_left_to_the_source_is_one_that_we_deliver(void) {
    static const struct {
        int w, h, ow, oh;
    } rows[] = {{1280, 720, 1280, 720},   {3840, 2160, 1920, 1080}, {641, 361, 642, 362},
                {1080, 1920, 1080, 1920}, {40, 30, 64, 64},         {4000, 100, 1920, 64}};
    for (int i = 0; i < 6; i++) {
        struct plan p;
        struct fail f = {0};
        struct job j = job_with(JOB_EXTEND, "v");
        j.task.video.width = rows[i].w;
        j.task.video.height = rows[i].h;
        j.task.video.fps = 30;
        CHECK_OK(plan_make(&p, &j, &tiny, &f), &f);
        CHECK_INT(p.out_width, rows[i].ow);
        CHECK_INT(p.out_height, rows[i].oh);
        CHECK_INT(p.out_fps, 30);
    }
}

static void what_the_model_cannot_do_is_said(void) {
    struct plan_model blind = tiny;
    struct plan p;
    struct fail f = {0};
    struct job j = job_of(128, 80, 2, 0, 0);
    blind.has_image_encoder = false;
    j.task.old_prompt = "";
    memset(j.input_reference.sha256, 'a', 64);
    CHECK_INT(plan_make(&p, &j, &blind, &f), ERR_UNSUPPORTED);
    CHECK_STR(f.text, "this model cannot start from a picture");
    j = job_with(JOB_LOOP, "v");
    static const int few[PLAN_ASSETS_MAX] = {7, 0};
    CHECK_INT(plan_of(&p, &j, &tiny, few, &f), ERR_MEDIA);
    CHECK_STR(f.text, "loop: asset 0 has 7 frames, 8 are needed");
    CHECK_INT(plan_make(&p, &j, &blind, &f), ERR_UNSUPPORTED);
    CHECK_STR(f.text, "this model cannot start from a clip");
    j = job_with(JOB_VIEWS, "v");
    CHECK_INT(plan_make(&p, &j, &tiny, &f), ERR_UNSUPPORTED);
    j = job_with(JOB_CONNECT, "v");
    CHECK_INT(plan_make(&p, &j, &tiny, &f), ERR_CORRUPT);
    j = job_of(128, 80, 100000, 0, 0);
    CHECK_INT(plan_make(&p, &j, &tiny, &f), ERR_LIMIT);
    CHECK_HAS(f.text, "3601 are possible");
}

static const struct test tests[] = {
    TEST(asked_sizes_find_their_canvas),
    TEST(asked_times_become_legal_frame_counts),
    TEST(each_kind_places_what_is_given),
    TEST(pieces_prefer_the_source),
    TEST(an_edit_finds_its_part),
    TEST(a_size_that_is_left_to_the_source_is_one_that_we_deliver),
    TEST(what_the_model_cannot_do_is_said),
};
TEST_MAIN(tests)
