/* What a report says of scores, and what CI makes of it. */
#include <math.h>

#include "common/base/assert.h"
#include "eval/floor.h"
#include "tests/lib/check.h"
#include "tests/lib/temp.h"

enum { ROWS = 100 };
static struct suite_row rows[ROWS];
static struct score scores[ROWS];

/* n_render and n_made of the rows are answered right by `head`; all else is open. */
static void answer(enum label_head head, int n_render, int n_made) {
    memset(rows, 0, sizeof rows);
    memset(scores, 0, sizeof scores);
    for (int i = 0; i < ROWS; i++) {
        struct score *s = &scores[i];
        rows[i].in_ci = i % 2;
        s->row = &rows[i];
        memset(s->want.value, LABEL_OPEN, sizeof s->want.value);
        s->want.value[head] = 1;
        s->render.view.label.value[head] = i < n_render;
        s->made.view.label.value[head] = i < n_made;
        s->made.flicker = s->render.flicker = NAN;
    }
}

static void make(struct report *r) {
    struct fail f = {0};
    CHECK_OK(report_make(r, scores, ROWS, 4, &f), &f);
}

static void a_figure_is_generated_over_render(void) {
    struct report r;
    answer(LABEL_CLASS, 98, 49);
    make(&r);
    CHECK_INT(r.figure[REPORT_CLASS].state, REPORT_GOOD);
    CHECK_NEAR(report_relative(&r.figure[REPORT_CLASS]), 0.5, 1e-9);
    CHECK_INT(r.figure[REPORT_COLOUR].state, REPORT_TOO_FEW);
}

static void a_judge_below_95_percent_on_renders_gives_no_figure(void) {
    static const struct {
        int n_render;
        enum report_state state;
    } cases[] = {{95, REPORT_GOOD}, {94, REPORT_NOT_USABLE}, {100, REPORT_GOOD}};
    for (int i = 0; i < COUNT_OF(cases); i++) {
        struct report r;
        struct buf json;
        struct fail f = {0};
        struct report_about about = {.name = "m", .hash = "h", .set = "full", .few_what = ""};
        answer(LABEL_ENVIRONMENT, cases[i].n_render, 90);
        make(&r);
        CHECK_INT(r.figure[REPORT_ENVIRONMENT].state, cases[i].state);
        buf_make(&json, 1 << 20);
        CHECK_OK(report_json(&r, &about, &json, &f), &f);
        const char *said = strstr(buf_str(&json), "\"environment\":\"not usable\"");
        CHECK_INT(said != NULL, cases[i].state == REPORT_NOT_USABLE);
        buf_free(&json);
    }
}

static void a_coarser_question_answers_where_the_fine_one_cannot(void) {
    struct report r;
    answer(LABEL_MOTION, 99, 80);
    make(&r);
    CHECK_INT(r.figure[REPORT_ACTION].state, REPORT_GOOD);
    CHECK_STR(r.figure[REPORT_ACTION].judge, "motion");
}

static enum err check_with(const char *text, const char *hash, struct fail *f) {
    char path[256];
    snprintf(path, sizeof path, "%s/floors.json", temp_dir());
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    return floor_check(path, scores, ROWS, hash, f);
}

static void floors_are_90_percent_and_hold(void) {
    struct report r;
    struct buf floors;
    struct fail f = {0};
    answer(LABEL_COLOUR, 100, 80);
    make(&r);
    buf_make(&floors, 1 << 16);
    CHECK_OK(floor_json(scores, ROWS, &r, "aa", &floors, &f), &f);
    CHECK_HAS(buf_str(&floors), "\"colour\":0.72");
    CHECK_OK(check_with(buf_str(&floors), "aa", &f), &f);
    CHECK_INT(check_with(buf_str(&floors), "bb", &f), ERR_CONFLICT);
    CHECK_HAS(f.text, "has the floors of model aa, this is bb");
    answer(LABEL_COLOUR, 100, 70);
    CHECK_INT(check_with(buf_str(&floors), "aa", &f), ERR_CONFLICT);
    CHECK_STR(f.text, "colour is 0.700 over 50 prompts, at least 0.720 is needed");
    buf_free(&floors);
}

static void a_file_without_floors_is_refused(void) {
    static const char *const texts[] = {
        "{\"model\":\"aa\"}",
        "{\"model\":\"aa\",\"floors\":{}}",
        "{\"model\":\"aa\",\"floors\":{\"taste\":1}}",
        "{\"model\":\"aa\",\"floors\":{\"colour\":\"high\"}}",
    };
    for (int i = 0; i < COUNT_OF(texts); i++) {
        struct fail f = {0};
        CHECK_INT(check_with(texts[i], "aa", &f), ERR_CORRUPT);
    }
}

static const struct test tests[] = {
    TEST(a_figure_is_generated_over_render),
    TEST(a_judge_below_95_percent_on_renders_gives_no_figure),
    TEST(a_coarser_question_answers_where_the_fine_one_cannot),
    TEST(floors_are_90_percent_and_hold),
    TEST(a_file_without_floors_is_refused),
};
TEST_MAIN(tests)
