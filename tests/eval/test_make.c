/* Every kind of row becomes a clip of the right length, and what was given is in it. The model is
 * the mini folder of the parity tests: what it makes up is noise, what it is given must stay. */
#include "common/base/assert.h"
#include "eval/make.h"
#include "eval/score.h"
#include "tests/lib/check.h"

static const char mini[] = "tests/golden/mini";
static const struct make_way way = {.n_steps = 2, .guidance = -1};

/* The first row of a task. */
static const struct suite_row *row_of(const struct suite *s, enum suite_task task) {
    for (int i = 0; i < s->n_rows; i++)
        if (s->row[i].task == task) return &s->row[i];
    return NULL;
}

static void every_task_becomes_a_clip_that_keeps_what_was_given(void) {
    static const struct {
        enum suite_task task;
        int n_frames;
        double
            psnr; /* of given clips, at least; a picture goes through the random VAE and is lost */
    } cases[] = {
        {SUITE_TEXT, 33, 0},    {SUITE_STILL, 1, 0},     {SUITE_FIRST, 33, 0},
        {SUITE_EXTEND, 33, 30}, {SUITE_PREPEND, 33, 30}, {SUITE_CONNECT, 33, 30},
        {SUITE_LOOP, 32, 0},    {SUITE_EDIT, 33, 0},     {SUITE_VIEWS, 33, 0},
        {SUITE_POLICY, 65, 0},
    };
    struct suite suite;
    struct engine *e = NULL;
    struct sight sight;
    struct fail f = {0};
    CHECK_OK(suite_read(&suite, "eval/suite.txt", &f), &f);
    CHECK_OK(sight_open(&sight, "tests/golden/judge", "cpu", &f), &f);
    CHECK_OK(engine_open(&e, mini, &(struct engine_opts){.n_threads = 1}, &f), &f);
    for (int i = 0; i < COUNT_OF(cases) && e; i++) {
        const struct suite_row *row = row_of(&suite, cases[i].task);
        struct reel made = {0}, truth = {0};
        struct scene scene;
        struct score score = {0};
        CHECK_OK(make_clip(e, &made, row, &way, &f), &f);
        CHECK_INT(made.n_frames, cases[i].n_frames);
        CHECK_OK(make_target(&scene, row, &f), &f);
        CHECK_OK(score_truth(&truth, row, &scene, &f), &f);
        CHECK_OK(score_clip(&score, &sight, row, &scene, &truth, &made, &f), &f);
        if (cases[i].psnr > 0) CHECK(score.made.given_psnr >= cases[i].psnr);
        reel_free(&made);
        reel_free(&truth);
    }
    engine_close(e);
    sight_close(&sight);
    suite_free(&suite);
}

static void a_clip_is_the_same_every_time(void) {
    struct suite suite;
    struct engine *e = NULL;
    struct fail f = {0};
    struct reel a = {0}, b = {0};
    CHECK_OK(suite_read(&suite, "eval/suite.txt", &f), &f);
    CHECK_OK(engine_open(&e, mini, &(struct engine_opts){.n_threads = 1}, &f), &f);
    const struct suite_row *row = row_of(&suite, SUITE_STILL);
    CHECK_OK(make_clip(e, &a, row, &way, &f), &f);
    CHECK_OK(make_clip(e, &b, row, &way, &f), &f);
    CHECK_INT(memcmp(a.rgb, b.rgb, reel_frame_bytes(&a)), 0);
    CHECK(make_fingerprint(row) != make_fingerprint(row + 1));
    reel_free(&a);
    reel_free(&b);
    engine_close(e);
    suite_free(&suite);
}

static void an_edit_asks_for_another_colour_and_nothing_else(void) {
    struct suite suite;
    struct fail f = {0};
    struct scene old, new;
    CHECK_OK(suite_read(&suite, "eval/suite.txt", &f), &f);
    const struct suite_row *row = row_of(&suite, SUITE_EDIT);
    CHECK_OK(suite_scene(row, &old, &f), &f);
    CHECK_OK(make_target(&new, row, &f), &f);
    CHECK(old.ent[0].colour != new.ent[0].colour);
    old.ent[0].colour = new.ent[0].colour;
    CHECK_INT(memcmp(&old, &new, sizeof old), 0);
    suite_free(&suite);
}

static void a_model_is_known_by_its_files(void) {
    char a[MAKE_HASH_HEX + 1], b[MAKE_HASH_HEX + 1];
    struct fail f = {0};
    CHECK_OK(make_hash(a, mini, &f), &f);
    CHECK_OK(make_hash(b, "models/tiny", &f), &f);
    CHECK_INT(strlen(a), MAKE_HASH_HEX);
    CHECK(strcmp(a, b) != 0);
}

static const struct test tests[] = {
    TEST(every_task_becomes_a_clip_that_keeps_what_was_given),
    TEST(a_clip_is_the_same_every_time),
    TEST(an_edit_asks_for_another_colour_and_nothing_else),
    TEST(a_model_is_known_by_its_files),
};
TEST_MAIN(tests)
