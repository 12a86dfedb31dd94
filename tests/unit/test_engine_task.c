/* Every row of the task table, and the slots of latents under it. */
#include "common/base/assert.h"
#include "engine/slot.h"
#include "engine/task.h"
#include "tests/lib/check.h"

static const struct grid grid = {16, 4, 1};

static struct task_ask ask_of(enum task_kind kind, int n_new, int n0, int n1) {
    struct task_ask a = {.kind = kind, .grid = grid, .n_frames = n_new, .n_context = 3};
    a.asset[0].n_frames = n0;
    a.asset[1].n_frames = n1;
    a.n_assets = (n0 > 0) + (n1 > 0);
    return a;
}

/* asset, from, n, at; pieces: asset, from, n. */
static void every_row_says_what_stands_where(void) {
    static const struct {
        enum task_kind kind;
        int n_new, n0, n1;
        int n_canvas, n_spans, span[2][4], n_pieces, piece[3][3], n_out;
    } cases[] = {
        {TASK_TEXT, 30, 0, 0, 33, 0, {{0}}, 1, {{-1, 0, 30}}, 30},
        {TASK_KEYFRAMES, 33, 1, 0, 33, 1, {{0, 0, 1, 0}}, 1, {{-1, 0, 33}}, 33},
        {TASK_EXTEND, 10, 20, 0, 21, 1, {{0, 11, 9, 0}}, 2, {{0, 0, 11}, {-1, 0, 19}}, 30},
        {TASK_EXTEND, 8, 1, 0, 9, 1, {{0, 0, 1, 0}}, 1, {{-1, 0, 9}}, 9},
        {TASK_EXTEND, 8, 7, 0, 13, 1, {{0, 2, 5, 0}}, 2, {{0, 0, 2}, {-1, 0, 13}}, 15},
        {TASK_PREPEND, 10, 20, 0, 25, 1, {{0, 0, 12, 13}}, 2, {{-1, 3, 22}, {0, 12, 8}}, 30},
        {TASK_PREPEND, 13, 6, 0, 17, 1, {{0, 0, 4, 13}}, 2, {{-1, 0, 17}, {0, 4, 2}}, 19},
        {TASK_EXTEND_BOTH, 8, 12, 0, 29, 1, {{0, 0, 12, 9}}, 1, {{-1, 1, 28}}, 28},
        {TASK_CONNECT,
         10,
         20,
         30,
         33,
         2,
         {{0, 11, 9, 0}, {1, 0, 12, 21}},
         3,
         {{0, 0, 11}, {-1, 0, 33}, {1, 12, 18}},
         62},
        {TASK_LOOP,
         12,
         40,
         0,
         33,
         2,
         {{0, 31, 9, 0}, {0, 0, 12, 21}},
         2,
         {{0, 12, 19}, {-1, 0, 33}},
         52},
        {TASK_LOOP, 4, 8, 0, 9, 2, {{0, 7, 1, 0}, {0, 0, 4, 5}}, 2, {{0, 4, 3}, {-1, 0, 9}}, 12},
        {TASK_VIDEO, 0, 18, 0, 21, 1, {{0, 0, 21, 0}}, 1, {{-1, 0, 18}}, 18},
        {TASK_EDIT, 0, 17, 0, 17, 1, {{0, 0, 17, 0}}, 1, {{-1, 0, 17}}, 17},
    };
    for (int i = 0; i < COUNT_OF(cases); i++) {
        struct fail f = {0};
        struct task_plan p;
        struct task_ask a = ask_of(cases[i].kind, cases[i].n_new, cases[i].n0, cases[i].n1);
        CHECK_OK(task_plan_make(&p, &a, &f), &f);
        CHECK_INT(p.n_frames, cases[i].n_canvas);
        CHECK_INT(p.n_spans, cases[i].n_spans);
        for (int k = 0; k < p.n_spans; k++) {
            const int *want = cases[i].span[k];
            CHECK_INT(p.span[k].asset, want[0]);
            CHECK_INT(p.span[k].from, want[1]);
            CHECK_INT(p.span[k].n, want[2]);
            CHECK_INT(p.span[k].at, want[3]);
        }
        CHECK_INT(p.n_pieces, cases[i].n_pieces);
        for (int k = 0; k < p.n_pieces; k++) {
            CHECK_INT(p.piece[k].asset, cases[i].piece[k][0]);
            CHECK_INT(p.piece[k].from, cases[i].piece[k][1]);
            CHECK_INT(p.piece[k].n, cases[i].piece[k][2]);
        }
        CHECK_INT(task_plan_frames(&p), cases[i].n_out);
    }
}

/* Whatever the lengths: the canvas is legal, given spans fill whole slots inside it, no frame of an
 * asset that stands outside the canvas comes twice or is lost. */
static void all_lengths_hold_together(void) {
    for (int kind = 0; kind < TASK_KIND_COUNT; kind++)
        for (int n_new = 1; n_new <= 14; n_new++)
            for (int n = 8; n <= 31; n++) {
                bool is_two = kind == TASK_CONNECT, is_none = kind == TASK_TEXT;
                struct task_ask a =
                    ask_of((enum task_kind)kind, n_new, is_none ? 0 : n, is_two ? n + 3 : 0);
                struct fail f = {0};
                struct task_plan p;
                CHECK_OK(task_plan_make(&p, &a, &f), &f);
                CHECK((p.n_frames - 1) % 4 == 0);
                int64_t L = 1 + (p.n_frames - 1) / 4;
                for (int k = 0; k < p.n_spans && kind != TASK_KEEP && kind != TASK_KEYFRAMES; k++) {
                    struct slot_run r = slot_find(&grid, p.span[k].at, p.span[k].n, L);
                    CHECK(r.n > 0 && r.n_skip == 0 && r.n_frames == p.span[k].n);
                    CHECK(p.span[k].at + p.span[k].n <= p.n_frames);
                }
                for (int k = 0; k < p.n_pieces; k++) {
                    int end = p.piece[k].from + p.piece[k].n, asset = p.piece[k].asset;
                    CHECK(end <= (asset < 0 ? p.n_frames : a.asset[asset].n_frames));
                }
                if (kind == TASK_EXTEND || kind == TASK_PREPEND)
                    CHECK_INT(task_plan_frames(&p), n + n_new);
            }
}

static void what_cannot_be_planned_is_refused_in_words(void) {
    static const struct {
        struct task_ask ask;
        const char *text;
    } cases[] = {
        {{.kind = TASK_CONNECT, .n_assets = 1, .n_frames = 4},
         "connect takes 2 to 2 assets, not 1"},
        {{.kind = TASK_EXTEND, .n_assets = 1, .asset = {{9, 0}}},
         "extend forward: 0 frames are asked"},
        {{.kind = TASK_PREPEND, .n_assets = 1, .asset = {{3, 0}}, .n_frames = 4},
         "extend backward: asset 0 has 3 frames, 4 are needed"},
        {{.kind = TASK_LOOP, .n_assets = 1, .asset = {{7, 0}}, .n_frames = 4},
         "loop: asset 0 has 7 frames, 8 are needed"},
        {{.kind = TASK_KEYFRAMES, .n_assets = 1, .asset = {{1, 9}}, .n_frames = 9},
         "keyframes: asset 0 at frame 9 of 9"},
        {{.kind = TASK_VIDEO, .n_assets = 1, .asset = {{9, 0}}, .strength = 1.5},
         "video to video: a strength of 1.5, not 0..1"},
    };
    for (int i = 0; i < COUNT_OF(cases); i++) {
        struct task_plan p;
        struct fail f = {0};
        struct task_ask a = cases[i].ask;
        a.grid = grid;
        a.n_context = 3;
        CHECK_INT(task_plan_make(&p, &a, &f), ERR_INPUT);
        CHECK_STR(f.text, cases[i].text);
    }
}

static void frames_fill_slots(void) {
    static const struct {
        int at, n, L;
        int first, n_latents, n_skip, n_frames, is_still;
    } cases[] = {
        {0, 1, 5, 0, 1, 0, 1, 0},   {0, 4, 5, 0, 1, 0, 1, 0},   {0, 5, 5, 0, 2, 0, 5, 0},
        {0, 99, 5, 0, 5, 0, 17, 0}, {1, 4, 5, 1, 1, 0, 4, 0},   {2, 7, 5, 2, 1, 3, 4, 0},
        {2, 6, 5, 2, 0, 3, 0, 0},   {13, 9, 5, 4, 1, 0, 4, 0},  {16, 1, 5, 4, 1, 0, 1, 1},
        {13, 1, 5, 4, 1, 0, 1, 1},  {12, 1, 5, 3, 1, 0, 1, 1},  {17, 1, 5, 0, 0, 0, 0, 0},
        {5, 12, 5, 2, 3, 0, 12, 0}, {4, 13, 5, 2, 3, 1, 12, 0}, {16, 5, 5, 4, 1, 0, 1, 1},
    };
    for (int i = 0; i < COUNT_OF(cases); i++) {
        struct slot_run r = slot_find(&grid, cases[i].at, cases[i].n, cases[i].L);
        CHECK_INT(r.n, cases[i].n_latents);
        if (r.n == 0) continue;
        CHECK_INT(r.first, cases[i].first);
        CHECK_INT(r.n_skip, cases[i].n_skip);
        CHECK_INT(r.n_frames, cases[i].n_frames);
        CHECK_INT(r.is_still, cases[i].is_still);
    }
}

/* The time before a run goes backwards, y_13 .. y_1, then y_0; a short clip swings. */
static void the_past_is_the_mirror(void) {
    for (int i = 0; i < 13; i++)
        CHECK_INT(slot_warm_frame(i, 13, 16), 13 - i);
    CHECK_INT(slot_warm_frame(13, 13, 16), 0);
    CHECK_INT(slot_warm_frame(28, 13, 16), 15);
    static const int swing[] = {1, 0, 1, 2, 3, 2, 1, 0, 1, 2, 3};
    for (int i = 0; i < COUNT_OF(swing); i++)
        CHECK_INT(slot_warm_frame(i, 7, 4), swing[i]);
    for (int i = 0; i < 9; i++)
        CHECK_INT(slot_warm_frame(i, 5, 1), 0);
}

static const struct test tests[] = {
    TEST(every_row_says_what_stands_where),
    TEST(all_lengths_hold_together),
    TEST(what_cannot_be_planned_is_refused_in_words),
    TEST(frames_fill_slots),
    TEST(the_past_is_the_mirror),
};
TEST_MAIN(tests)
