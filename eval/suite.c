#include "eval/suite.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "engine/file.h"

enum {
    WIDE_W = 128,
    WIDE_H = 80,
    FPS = 12,
    FRAMES = 33,
    LONG_FRAMES = 49,
    NOISE_SEED = 1000,
    CAPTION_SALT = 0xe7a1
};
enum { FILE_BYTES_MAX = 4 << 20, LINE_BYTES_MAX = 2048 };

static const char *const tasks[SUITE_TASK_COUNT] = {"text",    "still",   "first", "extend",
                                                    "prepend", "connect", "loop",  "edit",
                                                    "views",   "minute",  "policy"};
static const char *const sets[SUITE_SET_COUNT] = {"full", "quick", "ci"};

/* Row i of a family is a scene whose `head` has value first + i % n_values. */
static const struct family {
    const char *name;
    enum suite_task task;
    int n, n_ci; /* rows; so many of them for CI */
    int head, first, n_values;
    int is_hero;  /* scene i is hero i % 10 */
    int held_out; /* of pairs that training never shows */
    int n_view, loop;
    int frames; /* 0: the usual number */
} families[] = {
    {"environment", SUITE_TEXT, 32, 4, LABEL_ENVIRONMENT, 0, WORLD_ENV_COUNT, 0, 0, 1, -1, 0},
    {"colour", SUITE_TEXT, 32, 4, LABEL_COLOUR, 0, WORLD_COLOUR_COUNT, 0, 0, 1, -1, 0},
    {"class", SUITE_TEXT, 48, 6, LABEL_CLASS, 0, WORLD_CLASS_COUNT, 0, 0, 1, -1, 0},
    {"action", SUITE_TEXT, 54, 6, LABEL_ACTION, 0, WORLD_ACTION_COUNT, 0, 0, 1, -1, 0},
    {"camera", SUITE_TEXT, 54, 6, LABEL_CAMERA_KIND, 0, 18, 0, 0, 1, -1, 0},
    {"layout", SUITE_TEXT, 32, 3, LABEL_LAYOUT, 0, 4, 0, 0, 1, -1, 0},
    {"look", SUITE_TEXT, 24, 0, LABEL_STYLE, 0, WORLD_STYLE_COUNT, 0, 0, 1, -1, 0},
    {"permanence", SUITE_TEXT, 20, 0, LABEL_ACTION, WORLD_ACTION_BEHIND, 1, 0, 0, 1, -1, 0},
    {"persistence", SUITE_TEXT, 20, 0, LABEL_ACTION, WORLD_ACTION_EATEN, 2, 0, 0, 1, -1, 0},
    {"ego_motion", SUITE_TEXT, 20, 0, LABEL_CAMERA_KIND, 17, 1, 0, 0, 1, -1, 0},
    {"held_out", SUITE_TEXT, 96, 0, -1, 0, 1, 0, 1, 1, -1, 0},
    {"hero", SUITE_TEXT, 40, 3, -1, 0, 1, 1, 0, 1, -1, 0},
    {"still", SUITE_STILL, 6, 0, LABEL_CLASS, 0, WORLD_CLASS_COUNT, 0, 0, 1, -1, 0},
    {"first", SUITE_FIRST, 4, 0, LABEL_MOTION, 2, 2, 0, 0, 1, -1, 0},
    {"extend", SUITE_EXTEND, 4, 0, LABEL_MOTION, 2, 2, 0, 0, 1, -1, 0},
    {"prepend", SUITE_PREPEND, 3, 0, LABEL_MOTION, 2, 2, 0, 0, 1, -1, 0},
    {"connect", SUITE_CONNECT, 4, 0, LABEL_MOTION, 2, 2, 0, 0, 1, -1, 0},
    {"loop", SUITE_LOOP, 5, 0, -1, 0, 1, 0, 0, 1, 1, 0},
    {"edit", SUITE_EDIT, 4, 0, LABEL_COLOUR, 0, WORLD_COLOUR_COUNT, 0, 0, 1, -1, 0},
    {"views", SUITE_VIEWS, 4, 0, -1, 0, 1, 0, 0, 2, -1, 0},
    {"minute", SUITE_MINUTE, 4, 0, LABEL_COLOUR, 0, WORLD_COLOUR_COUNT, 0, 0, 1, -1,
     SUITE_MINUTE_FRAMES},
    {"policy", SUITE_POLICY, 2, 0, LABEL_CAMERA_KIND, 17, 1, 0, 0, 1, -1, 0},
};

const char *suite_task_name(enum suite_task task) {
    return tasks[task];
}

const char *suite_set_name(enum suite_set set) {
    return sets[set];
}

static int find(const char *const *names, int n, struct str name) {
    for (int i = 0; i < n; i++)
        if (str_eq(name, names[i])) return i;
    return -1;
}

int suite_set_find(const char *name) {
    return find(sets, SUITE_SET_COUNT, str_of(name));
}

int suite_is_in(const struct suite_row *row, enum suite_set set) {
    return set == SUITE_FULL || (set == SUITE_QUICK && row->in_quick) ||
           (set == SUITE_CI && row->in_ci);
}

enum err suite_scene(const struct suite_row *row, struct scene *out, struct fail *f) {
    return world_scene_make(out, row->scene_seed, &row->opts, f);
}

void suite_caption(const struct suite_row *row, const struct scene *s,
                   char out[CAPTION_BYTES_MAX]) {
    (void)caption_write(s, CAPTION_LONG, row->lang, row->scene_seed ^ CAPTION_SALT, out,
                        CAPTION_BYTES_MAX);
}

/* Most pictures are wide, some tall, some square. */
static struct world_opts opts_of(const struct family *a, int i) {
    struct world_opts o = {
        .W = WIDE_W, .H = WIDE_H, .frames = a->frames ? a->frames : FRAMES, .fps = FPS};
    if (i % 8 == 5) o = (struct world_opts){80, 128, o.frames, FPS, o.split, 0};
    if (i % 8 == 6) o = (struct world_opts){96, 96, o.frames, FPS, o.split, 0};
    if (a->held_out) o.split = WORLD_SPLIT_HELD_OUT;
    if (a->is_hero) o.hero = 1 + i % (WORLD_HERO_COUNT - 1);
    return o;
}

/* Some actions need a wide picture, some take longer than clips usually are. */
static const int roomier[] = {FRAMES, LONG_FRAMES};

static enum err draw_row(struct suite_row *r, const struct family *a, int i, int number,
                         struct fail *f) {
    struct scene s;
    *r = (struct suite_row){.task = a->task,
                            .scene_seed = DRAW_SUITE_SEED + (uint64_t)number * DRAW_SEED_STEP,
                            .noise_seed = (uint64_t)(NOISE_SEED + number),
                            .opts = opts_of(a, i),
                            .lang = i % 10 % 3 == 2 ? CAPTION_ZH : CAPTION_EN,
                            .in_quick = i % 4 == 0,
                            .in_ci = i<a->n_ci, .is_few = a->n_ci> 0 && !a->is_hero && i % 4 == 1};
    struct draw_want want = {.opts = r->opts,
                             .head = a->head,
                             .value = a->first + i % a->n_values,
                             .n_view = a->n_view,
                             .loop = a->loop};
    (void)snprintf(r->id, sizeof r->id, "%s-%02d", a->name, i);
    (void)snprintf(r->family, sizeof r->family, "%s", a->name);
    enum err rc = draw_find(&s, &r->scene_seed, &want, f);
    for (int k = 0; rc == ERR_NOT_FOUND && k < COUNT_OF(roomier); k++) {
        r->opts.W = want.opts.W = WIDE_W;
        r->opts.H = want.opts.H = WIDE_H;
        r->opts.frames = want.opts.frames = roomier[k];
        rc = draw_find(&s, &r->scene_seed, &want, f);
    }
    if (rc == ERR_OK) suite_caption(r, &s, r->prompt);
    return rc;
}

static enum err take_rows(struct suite *s, struct fail *f) {
    *s = (struct suite){.world = WORLD_VERSION};
    s->row = mem_take(SUITE_ROWS_MAX, sizeof *s->row);
    return s->row ? ERR_OK : FAIL(f, ERR_NOMEM, "no memory for the list of prompts");
}

enum err suite_draw(struct suite *s, struct fail *f) {
    enum err rc = ERR_OK;
    TRY(take_rows(s, f));
    for (int k = 0; k < COUNT_OF(families); k++)
        for (int i = 0; i < families[k].n; i++, s->n_rows++) {
            ASSERT(s->n_rows < SUITE_ROWS_MAX);
            TRY(draw_row(&s->row[s->n_rows], &families[k], i, s->n_rows, f));
        }
out:
    if (rc != ERR_OK) suite_free(s);
    return rc;
}

void suite_free(struct suite *s) {
    mem_free(s->row);
    *s = (struct suite){0};
}

/* One row: ID TASK SCENE SPLIT HERO WxHxFRAMES LANGUAGE NOISE SETS PROMPT. */
static void row_line(const struct suite_row *r, char out[LINE_BYTES_MAX]) {
    (void)snprintf(
        out, LINE_BYTES_MAX, "%s %s %" PRIu64 " %s %s %dx%dx%d %s %" PRIu64 " -%s%s%s %s", r->id,
        tasks[r->task], r->scene_seed, r->opts.split == WORLD_SPLIT_HELD_OUT ? "held_out" : "train",
        world_name(WORLD_SLOT_HERO, r->opts.hero), r->opts.W, r->opts.H, r->opts.frames,
        r->lang == CAPTION_ZH ? "zh" : "en", r->noise_seed, r->in_quick ? "q" : "",
        r->in_ci ? "c" : "", r->is_few ? "f" : "", r->prompt);
}

enum err suite_write(const struct suite *s, FILE *out, struct fail *f) {
    char line[LINE_BYTES_MAX];
    fprintf(out, "# Prompts of misora-eval for world %d; written by `misora-eval list`.\n",
            s->world);
    fprintf(out, "# id task scene-seed split hero WxHxframes language noise-seed "
                 "-q(uick)c(i)f(ew steps) prompt\n");
    for (int i = 0; i < s->n_rows; i++) {
        row_line(&s->row[i], line);
        fprintf(out, "%s\n", line);
    }
    return fflush(out) == 0 && !ferror(out) ? ERR_OK
                                            : FAIL(f, ERR_IO, "the list cannot be written");
}

static int read_size(struct world_opts *o, struct str text) {
    struct str w, h;
    int64_t W, H, n;
    if (!str_split(&text, 'x', &w) || !str_split(&text, 'x', &h)) return 0;
    if (!str_parse_i64(w, 16, WORLD_SIDE_MAX, &W) || !str_parse_i64(h, 16, WORLD_SIDE_MAX, &H) ||
        !str_parse_i64(text, 1, WORLD_FRAME_MAX, &n))
        return 0;
    *o = (struct world_opts){.W = (int)W, .H = (int)H, .frames = (int)n, .fps = FPS};
    return 1;
}

static int has(struct str text, char c) {
    return memchr(text.p, c, text.n) != NULL;
}

/* Fields in order; 0 when one of them is not what it must be. */
static int read_row(struct suite_row *r, struct str line) {
    enum { ID, TASK, SCENE, SPLIT, HERO, SIZE, LANG, NOISE, SETS, N };
    struct str field[N];
    char hero[32];
    int64_t scene, noise;
    for (int i = 0; i < N; i++)
        if (!str_split(&line, ' ', &field[i])) return 0;
    int task = find(tasks, SUITE_TASK_COUNT, field[TASK]);
    if (task < 0 || !read_size(&r->opts, field[SIZE])) return 0;
    if (!str_copy(r->id, sizeof r->id, field[ID]) || !str_copy(hero, sizeof hero, field[HERO]))
        return 0;
    if (!str_parse_i64(field[SCENE], 0, INT64_MAX, &scene) ||
        !str_parse_i64(field[NOISE], 0, INT64_MAX, &noise))
        return 0;
    const char *dash = strrchr(r->id, '-');
    if (!dash ||
        !str_copy(r->family, sizeof r->family, (struct str){r->id, (size_t)(dash - r->id)}))
        return 0;
    r->task = (enum suite_task)task;
    r->scene_seed = (uint64_t)scene;
    r->noise_seed = (uint64_t)noise;
    r->opts.split = str_eq(field[SPLIT], "held_out") ? WORLD_SPLIT_HELD_OUT : WORLD_SPLIT_TRAIN;
    r->opts.hero = world_find(WORLD_SLOT_HERO, hero);
    r->lang = str_eq(field[LANG], "zh") ? CAPTION_ZH : CAPTION_EN;
    r->in_quick = has(field[SETS], 'q');
    r->in_ci = has(field[SETS], 'c');
    r->is_few = has(field[SETS], 'f');
    return r->opts.hero >= 0 && str_copy(r->prompt, sizeof r->prompt, line);
}

/* The scene of the row still says what the row says. */
static enum err check_row(const struct suite_row *r, const char *path, struct fail *f) {
    enum err rc = ERR_OK;
    struct scene s;
    char text[CAPTION_BYTES_MAX];
    TRY(suite_scene(r, &s, f));
    suite_caption(r, &s, text);
    if (strcmp(text, r->prompt) != 0)
        rc = FAIL(f, ERR_CORRUPT,
                  "%.80s: %s is another scene in world %d: write the list again with "
                  "`misora-eval list`",
                  path, r->id, WORLD_VERSION);
out:
    return rc;
}

static enum err read_lines(struct suite *s, struct str text, const char *path, struct fail *f) {
    enum err rc = ERR_OK;
    struct str line;
    for (int number = 1; str_split(&text, '\n', &line); number++) {
        if (line.n == 0 || line.p[0] == '#') continue;
        if (s->n_rows == SUITE_ROWS_MAX)
            return FAIL(f, ERR_LIMIT, "%.120s has more than %d rows", path, SUITE_ROWS_MAX);
        if (!read_row(&s->row[s->n_rows], line))
            return FAIL(f, ERR_CORRUPT, "%.120s:%d is no row of a list of prompts", path, number);
        TRY(check_row(&s->row[s->n_rows++], path, f));
    }
    if (s->n_rows == 0) rc = FAIL(f, ERR_CORRUPT, "%.120s has no rows", path);
out:
    return rc;
}

enum err suite_read(struct suite *s, const char *path, struct fail *f) {
    enum err rc = ERR_OK;
    char *text = NULL;
    size_t n;
    *s = (struct suite){0};
    TRY(file_take(&text, &n, path, FILE_BYTES_MAX, f));
    TRY(take_rows(s, f));
    TRY(read_lines(s, (struct str){text, n}, path, f));
out:
    mem_free(text);
    if (rc != ERR_OK) suite_free(s);
    return rc;
}
