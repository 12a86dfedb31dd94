/* The list of prompts: what git holds is what the world draws, and it holds what was promised. */
#include <stdlib.h>

#include "common/base/assert.h"
#include "common/words/parse.h"
#include "eval/suite.h"
#include "tests/lib/check.h"
#include "tests/lib/temp.h"

static const char file_in_git[] = "eval/suite.txt";

static void the_file_in_git_is_what_the_world_draws(void) {
    struct suite drawn, read;
    struct fail f = {0};
    CHECK_OK(suite_draw(&drawn, &f), &f);
    CHECK_OK(suite_read(&read, file_in_git, &f), &f);
    CHECK_INT(read.n_rows, drawn.n_rows);
    for (int i = 0; i < read.n_rows && i < drawn.n_rows; i++) {
        const struct suite_row *a = &drawn.row[i], *b = &read.row[i];
        CHECK_STR(b->id, a->id);
        CHECK_STR(b->prompt, a->prompt);
        CHECK_STR(b->family, a->family);
        CHECK_INT(b->task, a->task);
        CHECK_INT(b->scene_seed, a->scene_seed);
        CHECK_INT(b->noise_seed, a->noise_seed);
        CHECK_INT(b->opts.W, a->opts.W);
        CHECK_INT(b->opts.frames, a->opts.frames);
        CHECK_INT(b->opts.hero, a->opts.hero);
        CHECK_INT(b->opts.split, a->opts.split);
        CHECK_INT(b->lang, a->lang);
        CHECK_INT(b->in_quick * 4 + b->in_ci * 2 + b->is_few,
                  a->in_quick * 4 + a->in_ci * 2 + a->is_few);
    }
    suite_free(&drawn);
    suite_free(&read);
}

static int count(const struct suite *s, const char *family, enum suite_set set) {
    int n = 0;
    for (int i = 0; i < s->n_rows; i++)
        n += (!family || strcmp(s->row[i].family, family) == 0) && suite_is_in(&s->row[i], set);
    return n;
}

static void it_holds_512_prompts_of_which_ci_runs_32(void) {
    struct suite s;
    struct fail f = {0};
    CHECK_OK(suite_read(&s, file_in_git, &f), &f);
    CHECK_INT(count(&s, NULL, SUITE_FULL), 512);
    CHECK_INT(count(&s, NULL, SUITE_CI), 32);
    CHECK_INT(count(&s, "held_out", SUITE_FULL), 96);
    CHECK_INT(count(&s, "hero", SUITE_FULL), 40);
    CHECK(count(&s, NULL, SUITE_QUICK) > 120);
    suite_free(&s);
}

/* Models train below 2^38, judges on 2^38 .. 2^40: nobody has met these scenes. */
static void its_scenes_are_nobody_s_lessons(void) {
    struct suite s;
    struct fail f = {0};
    CHECK_OK(suite_read(&s, file_in_git, &f), &f);
    for (int i = 0; i < s.n_rows; i++) {
        CHECK(s.row[i].scene_seed >= DRAW_SUITE_SEED);
        for (int k = 0; k < i; k++)
            CHECK(s.row[k].scene_seed != s.row[i].scene_seed);
    }
    suite_free(&s);
}

static void every_prompt_is_understood_by_the_reader_of_captions(void) {
    struct suite s;
    struct fail f = {0};
    CHECK_OK(suite_read(&s, file_in_git, &f), &f);
    for (int i = 0; i < s.n_rows; i++) {
        struct scene scene;
        struct parse want, got;
        CHECK_OK(suite_scene(&s.row[i], &scene, &f), &f);
        parse_expect(&scene, &want);
        parse_caption(s.row[i].prompt, &got);
        parse_defaults(&got);
        const char *slot = parse_differ(&want, &got);
        if (slot) fprintf(stderr, "  %s: %s\n", s.row[i].id, slot);
        CHECK(!slot);
    }
    suite_free(&s);
}

static void a_file_that_is_no_list_is_refused_in_words(void) {
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"# only a remark\n", "has no rows"},
        {"colour-00 text 1 train free 128x80x33 en\n", ":1 is no row"},
        {"colour-00 fly 1 train free 128x80x33 en 1 - a ball\n", ":1 is no row"},
        {"colour-00 text 1 train moon 128x80x33 en 1 - a ball\n", ":1 is no row"},
        {"colour-00 text 1 train free 128x80 en 1 - a ball\n", ":1 is no row"},
        {"colour-00 text 1 train free 128x80x33 en 1 - a ball\n", "is another scene in world"},
    };
    for (int i = 0; i < COUNT_OF(rows); i++) {
        char path[256];
        struct suite s;
        struct fail f = {0};
        snprintf(path, sizeof path, "%s/suite.txt", temp_dir());
        FILE *file = fopen(path, "w");
        fputs(rows[i].text, file);
        fclose(file);
        CHECK_INT(suite_read(&s, path, &f), ERR_CORRUPT);
        CHECK_HAS(f.text, rows[i].words);
    }
}

static void a_pair_is_named_in_the_order_that_the_picture_shows(void) {
    struct scene s = {.n_ent = 2, .n_view = 1};
    struct label_set a, b;
    s.ent[0] = (struct world_entity){.cls = WORLD_CLASS_BALL};
    s.ent[1] = (struct world_entity){.cls = WORLD_CLASS_CONE, .rel = WORLD_RELATION_LEFT_OF};
    label_of(&s, &a);
    s.ent[0].cls = WORLD_CLASS_CONE; /* the same picture, told from the other side */
    s.ent[1] = (struct world_entity){.cls = WORLD_CLASS_BALL, .rel = WORLD_RELATION_RIGHT_OF};
    label_of(&s, &b);
    CHECK_INT(a.value[LABEL_LAYOUT], b.value[LABEL_LAYOUT]);
    CHECK_STR(label_value_name(LABEL_LAYOUT, a.value[LABEL_LAYOUT]), "left_of");
    CHECK_STR(label_value_name(LABEL_SECOND, a.value[LABEL_SECOND]), "cone");
    CHECK_INT(a.value[LABEL_CLASS], LABEL_OPEN);
}

static void whatever_the_world_draws_has_answers(void) {
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct scene s;
        struct label_set l;
        struct fail f = {0};
        struct world_opts o = {.W = 128, .H = 80, .frames = 33, .fps = 12};
        CHECK_OK(world_scene_make(&s, seed, &o, &f), &f);
        label_of(&s, &l);
        CHECK(l.value[LABEL_MOTION] != LABEL_OPEN);
        CHECK(l.value[LABEL_CAMERA] != LABEL_OPEN || s.is_loop || s.n_view > 1);
        for (int h = 0; h < LABEL_HEAD_COUNT; h++)
            CHECK(l.value[h] < label_n_values((enum label_head)h));
    }
}

static const struct test tests[] = {
    TEST(the_file_in_git_is_what_the_world_draws),
    TEST(it_holds_512_prompts_of_which_ci_runs_32),
    TEST(its_scenes_are_nobody_s_lessons),
    TEST(every_prompt_is_understood_by_the_reader_of_captions),
    TEST(a_file_that_is_no_list_is_refused_in_words),
    TEST(a_pair_is_named_in_the_order_that_the_picture_shows),
    TEST(whatever_the_world_draws_has_answers),
};
TEST_MAIN(tests)
