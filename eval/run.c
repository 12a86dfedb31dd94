#include "eval/run.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/now.h"
#include "eval/floor.h"
#include "eval/page.h"

enum { PATH_BYTES_MAX = 1024, REPORT_BYTES_MAX = 1 << 20, FEW_STEPS = 4, MANY_STEPS = 20 };
enum { MANY_FROM = 12 }; /* a folder that asks for fewer steps than this was distilled */

/* Where the clips of one way to use one model are. */
struct source {
    const char *folder;
    struct make_way way;
    struct engine *engine; /* opened when the first clip is missing */
    char clips[PATH_BYTES_MAX];
};

struct run {
    const struct run_opts *o;
    struct suite suite;
    struct sight sight;
    struct source usual, other; /* other: few steps, or for a distilled model many */
    int has_other;
    int is_fresh; /* clips are made anew and not kept: CI looks at the engine of today */
    char hash[MAKE_HASH_HEX + 1], dir[PATH_BYTES_MAX];
    char name[64], few_what[96];
    int n_steps, few_steps;
    double guidance;
    struct score *score;
    int n_scores;
    struct page page;
    struct reel sheet[PAGE_SHEET_ROWS];
    int n_sheet, taken[2];
    int64_t start_ms;
    int n_made;
};

static enum err make_dirs(const char *path, struct fail *f) {
    char part[PATH_BYTES_MAX];
    (void)snprintf(part, sizeof part, "%s", path);
    for (char *p = part + 1;; p++) {
        if (*p && *p != '/') continue;
        char c = *p;
        *p = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return FAIL(f, ERR_IO, "%.160s cannot be made: %s", part, strerror(errno));
        *p = c;
        if (!c) return ERR_OK;
    }
}

static enum err join(char out[PATH_BYTES_MAX], const char *dir, const char *name, struct fail *f) {
    int n = snprintf(out, PATH_BYTES_MAX, "%s/%s", dir, name);
    return n < PATH_BYTES_MAX ? ERR_OK : FAIL(f, ERR_INPUT, "the path %.80s... is too long", dir);
}

static enum err open_engine(struct source *s, int n_threads, struct fail *f) {
    if (s->engine) return ERR_OK;
    return engine_open(&s->engine, s->folder, &(struct engine_opts){.n_threads = n_threads}, f);
}

static enum err clips_dir(struct run *r, struct source *s, const char *hash, struct fail *f) {
    int n = snprintf(s->clips, sizeof s->clips, "%s/clips/%s-%d-%g", r->o->out, hash,
                     s->way.n_steps, s->way.guidance);
    if (n >= (int)sizeof s->clips) return FAIL(f, ERR_INPUT, "--out is too long");
    return make_dirs(s->clips, f);
}

/* What is compared for few_step: four steps of the same weights with many, or a distilled model
 * with its teacher. */
static enum err choose_other(struct run *r, struct fail *f) {
    enum err rc = ERR_OK;
    char hash[MAKE_HASH_HEX + 1];
    int is_distilled = r->n_steps < MANY_FROM;
    r->few_steps = is_distilled ? r->n_steps : FEW_STEPS;
    if (is_distilled && !r->o->teacher) {
        (void)snprintf(r->few_what, sizeof r->few_what, "no --teacher was given");
        return ERR_OK;
    }
    r->has_other = 1;
    r->other.folder = is_distilled ? r->o->teacher : r->o->model;
    r->other.way = (struct make_way){is_distilled ? MANY_STEPS : FEW_STEPS, -1};
    (void)snprintf(r->few_what, sizeof r->few_what, "%s",
                   is_distilled ? "the model with its teacher in 20 guided steps"
                                : "the same weights in 4 guided steps with their usual number");
    TRY(make_hash(hash, r->other.folder, f));
    TRY(clips_dir(r, &r->other, hash, f));
out:
    return rc;
}

static enum err open_judge(struct run *r, struct fail *f) {
    char path[PATH_BYTES_MAX], config[PATH_BYTES_MAX];
    enum err rc = join(path, r->o->model, "judge", f);
    if (rc == ERR_OK) rc = join(config, path, "config.json", f);
    if (rc != ERR_OK) return rc;
    const char *folder = r->o->judge                 ? r->o->judge
                         : access(config, R_OK) == 0 ? path
                                                     : "models/tiny/judge";
    rc = sight_open(&r->sight, folder, "cpu", f);
    if (rc == ERR_OK && r->sight.world != WORLD_VERSION)
        fprintf(stderr, "judge: trained on world %d, this is world %d\n", r->sight.world,
                WORLD_VERSION);
    return rc;
}

static enum err open_run(struct run *r, struct fail *f) {
    enum err rc = ERR_OK;
    r->start_ms = now_mono_ms();
    TRY(suite_read(&r->suite, r->o->suite, f));
    TRY(open_judge(r, f));
    r->score = mem_take((size_t)r->suite.n_rows, sizeof *r->score);
    if (!r->score) TRY(FAIL(f, ERR_NOMEM, "no memory for the scores"));
    r->usual = (struct source){.folder = r->o->model, .way = {0, -1}};
    TRY(open_engine(&r->usual, r->o->n_threads, f));
    const struct engine_caps *caps = engine_caps(r->usual.engine);
    (void)snprintf(r->name, sizeof r->name, "%s", caps->name);
    r->n_steps = caps->n_steps;
    r->guidance = caps->guidance;
    TRY(make_hash(r->hash, r->o->model, f));
    TRY(clips_dir(r, &r->usual, r->hash, f));
    TRY(choose_other(r, f));
out:
    return rc;
}

static void close_run(struct run *r) {
    for (int i = 0; i < r->n_sheet; i++)
        reel_free(&r->sheet[i]);
    page_drop(&r->page);
    engine_close(r->usual.engine);
    engine_close(r->other.engine);
    sight_close(&r->sight);
    suite_free(&r->suite);
    mem_free(r->score);
}

/* The clip of a row from disk, or made and kept. */
static enum err take_clip(struct run *r, struct source *s, struct reel *out,
                          const struct suite_row *row, struct fail *f) {
    enum err rc = ERR_OK;
    char path[PATH_BYTES_MAX];
    uint64_t fingerprint = make_fingerprint(row);
    struct fail missing;
    TRY(join(path, s->clips, row->id, f));
    if (!r->is_fresh && reel_read(out, path, fingerprint, &missing) == ERR_OK) return ERR_OK;
    TRY(open_engine(s, r->o->n_threads, f));
    TRY(make_clip(s->engine, out, row, &s->way, f));
    if (!r->is_fresh) TRY(reel_write(out, path, fingerprint, f));
    r->n_made++;
out:
    if (rc != ERR_OK) reel_free(out);
    return rc;
}

static enum err keep_for_sheet(struct run *r, const struct suite_row *row, const struct reel *made,
                               struct fail *f) {
    if (r->n_sheet == PAGE_SHEET_ROWS || !page_is_on_sheet(row, r->taken)) return ERR_OK;
    struct reel *to = &r->sheet[r->n_sheet];
    enum err rc = reel_make(to, made->n_frames, made->width, made->height, f);
    if (rc != ERR_OK) return rc;
    memcpy(to->rgb, made->rgb, reel_frame_bytes(made) * (size_t)made->n_frames);
    r->n_sheet++;
    return ERR_OK;
}

/* The same row made in the other way; whichever used few steps counts as few. */
static enum err judge_other(struct run *r, struct score *s, struct fail *f) {
    enum err rc = ERR_OK;
    struct reel clip = {0};
    struct sight_view view;
    TRY(take_clip(r, &r->other, &clip, s->row, f));
    TRY(sight_look(&r->sight, &view, clip.rgb, clip.n_frames, clip.width, clip.height, f));
    s->few = r->n_steps < MANY_FROM ? s->made.view.label : view.label;
    s->many = r->n_steps < MANY_FROM ? view.label : s->made.view.label;
    s->has_few = 1;
out:
    reel_free(&clip);
    return rc;
}

static enum err judge_row(struct run *r, const struct suite_row *row, struct fail *f) {
    enum err rc = ERR_OK;
    struct scene scene;
    struct reel truth = {0}, made = {0};
    struct score *s = &r->score[r->n_scores];
    TRY(make_target(&scene, row, f));
    TRY(score_truth(&truth, row, &scene, f));
    TRY(take_clip(r, &r->usual, &made, row, f));
    TRY(score_clip(s, &r->sight, row, &scene, &truth, &made, f));
    if (row->is_few && r->has_other) TRY(judge_other(r, s, f));
    if (r->page.file) TRY(page_add(&r->page, s, &truth, &made, f));
    TRY(keep_for_sheet(r, row, &made, f));
    r->n_scores++;
out:
    reel_free(&truth);
    reel_free(&made);
    return rc;
}

static void tell(const struct run *r, int n_rows, const char *id) {
    double s = (double)(now_mono_ms() - r->start_ms) * 1e-3;
    fprintf(stderr, "\r%4d/%d %-16s %6.0f s, %d clips made ", r->n_scores, n_rows, id, s,
            r->n_made);
    if (r->n_scores == n_rows) fprintf(stderr, "\n");
}

static enum err judge_all(struct run *r, struct fail *f) {
    enum err rc = ERR_OK;
    int n = 0;
    for (int i = 0; i < r->suite.n_rows; i++)
        n += suite_is_in(&r->suite.row[i], r->o->set);
    for (int i = 0; i < r->suite.n_rows; i++) {
        if (!suite_is_in(&r->suite.row[i], r->o->set)) continue;
        TRY(judge_row(r, &r->suite.row[i], f));
        tell(r, n, r->suite.row[i].id);
    }
out:
    return rc;
}

static double nearest(const float *thumb, const float *trained, int n) {
    double best = INFINITY;
    for (int i = 0; i < n; i++)
        best = fmin(best, stat_thumb_distance(thumb, trained + (size_t)i * STAT_THUMB));
    return best;
}

/* Middle frames of clips that the model was trained on. */
static enum err render_trained(float *out, const struct run_opts *o, struct fail *f) {
    enum err rc = ERR_OK;
    struct world_opts w = {.W = 128, .H = 80, .frames = 33, .fps = 12};
    uint8_t *rgb = mem_take((size_t)w.W * (size_t)w.H, 3);
    if (!rgb) return FAIL(f, ERR_NOMEM, "no memory for a frame");
    for (int i = 0; i < o->n_trained; i++) {
        struct scene s;
        TRY(world_scene_make(&s, o->trained_seed + (uint64_t)i, &w, f));
        world_render(&s, w.frames / 2, rgb, NULL, NULL, NULL);
        stat_thumb(rgb, w.W, w.H, out + (size_t)i * STAT_THUMB);
    }
out:
    mem_free(rgb);
    return rc;
}

/* A model that repeats its lessons makes clips that are nearer to one of them than new scenes of
 * the world are. */
static enum err remember(struct run *r, struct report_memory *m, struct fail *f) {
    enum err rc = ERR_OK;
    int n = 0, n_nearer = 0;
    *m = (struct report_memory){0, NAN, NAN, NAN};
    if (r->o->n_trained == 0) return ERR_OK;
    float *trained = mem_take((size_t)r->o->n_trained * STAT_THUMB, sizeof *trained);
    double *made = mem_take((size_t)r->n_scores + 1, 2 * sizeof *made), *render;
    if (!trained || !made) TRY(FAIL(f, ERR_NOMEM, "no memory for clips to compare with"));
    render = made + r->n_scores;
    TRY(render_trained(trained, r->o, f));
    for (int i = 0; i < r->n_scores; i++) {
        const struct score *s = &r->score[i];
        if (s->row->task != SUITE_TEXT || s->row->opts.W != 128) continue;
        made[n] = nearest(s->made.thumb, trained, r->o->n_trained);
        render[n++] = nearest(s->render.thumb, trained, r->o->n_trained);
    }
    double limit = stat_quantile(render, n, 0.01);
    for (int i = 0; i < n; i++)
        n_nearer += made[i] < limit;
    *m = (struct report_memory){r->o->n_trained, stat_quantile(made, n, 0.5),
                                stat_quantile(render, n, 0.5), n ? (double)n_nearer / n : NAN};
out:
    mem_free(trained);
    mem_free(made);
    return rc;
}

static enum err write_text(const char *dir, const char *name, const char *text, struct fail *f) {
    char path[PATH_BYTES_MAX], part[PATH_BYTES_MAX];
    enum err rc = join(path, dir, name, f);
    if (rc != ERR_OK) return rc;
    if (snprintf(part, sizeof part, "%.1000s.part", path) < 0) return ERR_BUG;
    FILE *file = fopen(part, "w");
    int is_good = file && fputs(text, file) >= 0;
    is_good = file && fclose(file) == 0 && is_good && rename(part, path) == 0;
    return is_good ? ERR_OK
                   : FAIL(f, ERR_IO, "%.160s cannot be written: %s", path, strerror(errno));
}

static void print_figures(const struct report *r) {
    for (int i = 0; i < REPORT_FIGURE_COUNT; i++) {
        const struct report_value *v = &r->figure[i];
        const struct report_tally *t = &v->tally;
        if (t->n == 0) continue;
        printf("%-12s %s%.3f  render %3d/%d  generated %3d/%d  (%s)\n",
               report_name((enum report_figure)i),
               v->state == REPORT_GOOD         ? ""
               : v->state == REPORT_NOT_USABLE ? "not usable "
                                               : "too few ",
               t->render ? (double)t->made / t->render : 0, t->render, t->n, t->made, t->n,
               v->judge ? v->judge : "-");
    }
}

static enum err write_all(struct run *r, const struct report *report, struct fail *f) {
    enum err rc = ERR_OK;
    struct report_about about = {.model = r->o->model,
                                 .name = r->name,
                                 .hash = r->hash,
                                 .set = suite_set_name(r->o->set),
                                 .n_steps = r->n_steps,
                                 .few_steps = r->few_steps,
                                 .world = WORLD_VERSION,
                                 .guidance = r->guidance,
                                 .few_what = r->few_what};
    struct buf json, floors;
    char path[PATH_BYTES_MAX];
    buf_make(&json, REPORT_BYTES_MAX);
    buf_make(&floors, REPORT_BYTES_MAX);
    TRY(remember(r, &about.memory, f));
    TRY(report_json(report, &about, &json, f));
    TRY(buf_add_str(&json, "\n", f));
    TRY(page_close(&r->page, buf_str(&json), f));
    TRY(write_text(r->dir, "report.json", buf_str(&json), f));
    TRY(floor_json(r->score, r->n_scores, report, r->hash, &floors, f));
    TRY(join(path, r->dir, "sheet.png", f));
    TRY(page_sheet(r->sheet, r->n_sheet, path, f));
    if (!r->o->copy) goto out;
    if (r->o->set == SUITE_FULL) {
        TRY(write_text(r->o->copy, "report.json", buf_str(&json), f));
        TRY(join(path, r->o->copy, "sheet.png", f));
        TRY(page_sheet(r->sheet, r->n_sheet, path, f));
    }
    TRY(write_text(r->o->copy, "floors.json", buf_str(&floors), f));
out:
    buf_free(&json);
    buf_free(&floors);
    return rc;
}

enum err run_eval(const struct run_opts *o, struct fail *f) {
    enum err rc = ERR_OK;
    struct run r = {.o = o};
    struct report report;
    char path[PATH_BYTES_MAX];
    TRY(open_run(&r, f));
    if (snprintf(r.dir, sizeof r.dir, "%s/%s-%s", o->out, r.hash, suite_set_name(o->set)) >=
        (int)sizeof r.dir)
        TRY(FAIL(f, ERR_INPUT, "--out is too long"));
    TRY(make_dirs(r.dir, f));
    if (o->copy) TRY(make_dirs(o->copy, f));
    TRY(join(path, r.dir, "index.html", f));
    TRY(page_open(&r.page, path, f));
    TRY(judge_all(&r, f));
    TRY(report_make(&report, r.score, r.n_scores, r.sight.n_features, f));
    TRY(write_all(&r, &report, f));
    print_figures(&report);
    printf("%s/report.json\n%s/index.html\n", r.dir, r.dir);
out:
    close_run(&r);
    return rc;
}

enum err run_check(const struct run_opts *o, const char *floors, struct fail *f) {
    enum err rc = ERR_OK;
    struct run_opts ci = *o;
    struct run r = {.o = &ci, .is_fresh = 1};
    ci.set = SUITE_CI;
    TRY(open_run(&r, f));
    r.has_other = 0;
    TRY(judge_all(&r, f));
    TRY(floor_check(floors, r.score, r.n_scores, r.hash, f));
out:
    close_run(&r);
    return rc;
}

enum err run_calibrate(const struct run_opts *o, int count, struct fail *f) {
    enum err rc = ERR_OK;
    struct run r = {.o = o};
    struct report_tally t[LABEL_HEAD_COUNT] = {0};
    struct reel clip = {0};
    TRY(open_judge(&r, f));
    for (int i = 0; i < count; i++) {
        struct scene s;
        struct sight_view view;
        struct label_set want;
        TRY(draw_mixed(&s, DRAW_CALIBRATE_SEED, i, f));
        TRY(reel_render(&clip, &s, s.frames, f));
        TRY(sight_look(&r.sight, &view, clip.rgb, clip.n_frames, clip.width, clip.height, f));
        label_of(&s, &want);
        for (int h = 0; h < LABEL_HEAD_COUNT; h++) {
            t[h].n += want.value[h] != LABEL_OPEN;
            t[h].render += want.value[h] == view.label.value[h];
        }
        reel_free(&clip);
    }
    for (int h = 0; h < LABEL_HEAD_COUNT; h++)
        printf("%-12s %.3f of %d%s\n", label_head_name((enum label_head)h),
               t[h].n ? (double)t[h].render / t[h].n : 0, t[h].n,
               report_is_usable(&t[h]) ? "" : "  not usable");
out:
    reel_free(&clip);
    close_run(&r);
    return rc;
}
