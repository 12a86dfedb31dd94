/* misora-eval - how good a model is: renders and generated clips of the same scenes before the same
 * judges. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/str.h"
#include "eval/draw.h"
#include "eval/lesson.h"
#include "eval/run.h"

static const char usage[] =
    "misora-eval run [OPTIONS]        make the clips that are missing, judge all, write the "
    "report\n"
    "misora-eval check [OPTIONS]      the prompts for CI against --floors\n"
    "misora-eval calibrate [OPTIONS]  how often the judge is right on --count renders it never "
    "saw\n"
    "misora-eval list                 print the list of prompts of this world (eval/suite.txt)\n"
    "misora-eval heads                what the judge is asked, as JSON\n"
    "misora-eval lessons FIRST COUNT [held]\n"
    "                                 clips and labels for train/judge.py on standard output\n"
    "  --model DIR      folder in the diffusers layout (models/tiny)\n"
    "  --teacher DIR    the model before it was distilled, for few_step\n"
    "  --judge DIR      (MODEL/judge, else models/tiny/judge)\n"
    "  --suite FILE     (eval/suite.txt)\n"
    "  --set NAME       full, quick (every fourth prompt) or ci (32 prompts)\n"
    "  --out DIR        where clips and reports are kept (build/eval)\n"
    "  --copy DIR       gets report.json and sheet.png (full) and floors.json\n"
    "  --floors FILE    (models/tiny/floors.json)\n"
    "  --threads N      0: all cores\n"
    "  --trained SEED --trained-count N   clips the model learnt from, to look for copies of them\n"
    "  --count N        renders for calibrate (400)\n";

struct args {
    struct run_opts run;
    const char *floors;
    int count;
};

/* Flags whose value is kept as it is; 0: not one of them. */
static int take_text(struct args *a, const char *flag, const char *value) {
    const struct {
        const char *flag;
        const char **to;
    } rows[] = {
        {"--model", &a->run.model}, {"--teacher", &a->run.teacher}, {"--judge", &a->run.judge},
        {"--suite", &a->run.suite}, {"--out", &a->run.out},         {"--copy", &a->run.copy},
        {"--floors", &a->floors},
    };
    for (int i = 0; i < COUNT_OF(rows); i++)
        if (strcmp(flag, rows[i].flag) == 0) {
            *rows[i].to = value;
            return 1;
        }
    return 0;
}

static enum err take_flag(struct args *a, const char *flag, const char *value, struct fail *f) {
    int set;
    int64_t n;
    if (take_text(a, flag, value)) return ERR_OK;
    if (strcmp(flag, "--set") == 0 && (set = suite_set_find(value)) >= 0)
        a->run.set = (enum suite_set)set;
    else if (strcmp(flag, "--threads") == 0 && str_parse_i64(str_of(value), 0, 256, &n))
        a->run.n_threads = (int)n;
    else if (strcmp(flag, "--count") == 0 && str_parse_i64(str_of(value), 1, 100000, &n))
        a->count = (int)n;
    else if (strcmp(flag, "--trained") == 0 && str_parse_i64(str_of(value), 0, INT64_MAX, &n))
        a->run.trained_seed = (uint64_t)n;
    else if (strcmp(flag, "--trained-count") == 0 && str_parse_i64(str_of(value), 0, 100000, &n))
        a->run.n_trained = (int)n;
    else
        return FAIL(f, ERR_INPUT, "%.40s %.80s is not understood", flag, value);
    return ERR_OK;
}

static enum err take_flags(struct args *a, int argc, char **argv, struct fail *f) {
    enum err rc = ERR_OK;
    for (int i = 2; i < argc; i += 2) {
        if (i + 1 == argc) return FAIL(f, ERR_INPUT, "%.40s lacks its value", argv[i]);
        TRY(take_flag(a, argv[i], argv[i + 1], f));
    }
out:
    return rc;
}

static enum err do_run(struct args *a, struct fail *f) {
    return run_eval(&a->run, f);
}

static enum err do_check(struct args *a, struct fail *f) {
    return run_check(&a->run, a->floors, f);
}

static enum err do_calibrate(struct args *a, struct fail *f) {
    return run_calibrate(&a->run, a->count, f);
}

static enum err do_list(struct args *a, struct fail *f) {
    struct suite s;
    (void)a;
    enum err rc = suite_draw(&s, f);
    if (rc != ERR_OK) return rc;
    rc = suite_write(&s, stdout, f);
    suite_free(&s);
    return rc;
}

static enum err do_heads(struct args *a, struct fail *f) {
    (void)a;
    (void)f;
    lesson_heads(stdout);
    return ERR_OK;
}

static enum err lessons(int argc, char **argv, struct fail *f) {
    int64_t first, count;
    if (argc < 4 || argc > 5 || !str_parse_i64(str_of(argv[2]), 0, 1 << 20, &first) ||
        !str_parse_i64(str_of(argv[3]), 1, 1 << 20, &count) ||
        (argc == 5 && strcmp(argv[4], "held") != 0))
        return FAIL(f, ERR_INPUT, "lessons needs FIRST COUNT and perhaps \"held\"");
    return lesson_write(stdout, argc == 5 ? DRAW_CALIBRATE_SEED : DRAW_JUDGE_SEED, first, count, f);
}

static enum err run_command(struct args *a, int argc, char **argv, struct fail *f) {
    static const struct {
        const char *name;
        enum err (*run)(struct args *a, struct fail *f);
    } commands[] = {
        {"run", do_run},   {"check", do_check}, {"calibrate", do_calibrate},
        {"list", do_list}, {"heads", do_heads},
    };
    if (argc > 1 && strcmp(argv[1], "lessons") == 0) return lessons(argc, argv, f);
    for (int i = 0; argc > 1 && i < COUNT_OF(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0) {
            enum err rc = take_flags(a, argc, argv, f);
            return rc == ERR_OK ? commands[i].run(a, f) : rc;
        }
    return FAIL(f, ERR_INPUT, "say what to do");
}

int main(int argc, char **argv) {
    struct args a = {.run = {.model = "models/tiny",
                             .suite = "eval/suite.txt",
                             .out = "build/eval",
                             .trained_seed = 10000000,
                             .n_trained = 2000},
                     .floors = "models/tiny/floors.json",
                     .count = 400};
    struct fail f = {0};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    enum err rc = run_command(&a, argc, argv, &f);
    if (rc == ERR_OK) return EXIT_SUCCESS;
    fprintf(stderr, "misora-eval: %s\n%s", f.text, rc == ERR_INPUT ? usage : "");
    return rc == ERR_INPUT ? 2 : EXIT_FAILURE;
}
