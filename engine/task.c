#include "engine/task.h"

#include "common/base/assert.h"

/* Which frames of the assets are given, and where. */
enum place {
    PLACE_NONE,
    PLACE_ASKED,  /* each asset at its own frame */
    PLACE_HEAD,   /* the end of the asset begins the canvas */
    PLACE_TAIL,   /* the beginning of the asset ends the canvas */
    PLACE_BOTH,   /* the end of the first asset, the beginning of the last */
    PLACE_MIDDLE, /* the whole asset, with new frames before and after it */
    PLACE_ALL     /* the whole asset is the canvas */
};

static const struct row {
    const char *name;
    int n_min, n_max; /* assets */
    enum place place;
    double level;
    bool is_strength, has_region;
} rows[TASK_KIND_COUNT] = {
    [TASK_TEXT] = {"text to video", 0, 0, PLACE_NONE, 1, false, false},
    [TASK_KEYFRAMES] = {"keyframes", 1, TASK_ASSETS_MAX, PLACE_ASKED, 0, false, false},
    [TASK_EXTEND] = {"extend forward", 1, 1, PLACE_HEAD, 0, false, false},
    [TASK_PREPEND] = {"extend backward", 1, 1, PLACE_TAIL, 0, false, false},
    [TASK_EXTEND_BOTH] = {"extend both ways", 1, 1, PLACE_MIDDLE, 0, false, false},
    [TASK_CONNECT] = {"connect", 2, 2, PLACE_BOTH, 0, false, false},
    [TASK_LOOP] = {"loop", 1, 1, PLACE_BOTH, 0, false, false},
    [TASK_KEEP] = {"keep", 1, TASK_ASSETS_MAX, PLACE_ASKED, 0, false, false},
    [TASK_VIDEO] = {"video to video", 1, 1, PLACE_ALL, .7, true, false},
    [TASK_REFINE] = {"refine", 1, 1, PLACE_ALL, .4, true, false},
    [TASK_EDIT] = {"edit a region", 1, 1, PLACE_ALL, 0, false, true},
    [TASK_OUTPAINT] = {"outpaint", 1, 1, PLACE_ALL, 0, false, true},
    [TASK_VIEW] = {"further views", 1, 1, PLACE_ALL, 0, false, true},
};

static int least(int a, int b) {
    return a < b ? a : b;
}

static void add_span(struct task_plan *p, struct task_span span) {
    ASSERT(p->n_spans < TASK_ASSETS_MAX);
    p->span[p->n_spans++] = span;
}

/* A piece of no frames is none. */
static void add_piece(struct task_plan *p, int asset, int from, int n) {
    if (n <= 0) return;
    ASSERT(p->n_pieces < TASK_PIECES_MAX);
    p->piece[p->n_pieces++] = (struct task_piece){asset, from, n};
}

/* Frames at the end of an asset that can begin a canvas: 4(P-1)+1. */
static int head_frames(const struct task_ask *a, int n_frames) {
    int n_latents = least(a->n_context, 1 + (n_frames - 1) / a->grid.factor_t);
    return grid_pixel_frames(&a->grid, n_latents);
}

/* Frames at the beginning of an asset that can end a canvas: 4P. */
static int tail_frames(const struct task_ask *a, int n_frames) {
    return least(a->n_context, n_frames / a->grid.factor_t) * a->grid.factor_t;
}

static int round_up(int n, int step) {
    return (n + step - 1) / step * step;
}

static void place_asked(struct task_plan *p, const struct task_ask *a) {
    p->n_frames = grid_round_frames(&a->grid, a->n_frames);
    for (int i = 0; i < a->n_assets; i++)
        add_span(p, (struct task_span){i, 0, a->asset[i].n_frames, a->asset[i].at, 0});
    add_piece(p, TASK_CANVAS, 0, a->n_frames);
}

static void place_head(struct task_plan *p, const struct task_ask *a) {
    int n = a->asset[0].n_frames, h = head_frames(a, n);
    p->n_frames = h + round_up(a->n_frames, a->grid.factor_t);
    add_span(p, (struct task_span){0, n - h, h, 0, 0});
    add_piece(p, 0, 0, n - h);
    add_piece(p, TASK_CANVAS, 0, h + a->n_frames);
}

static void place_tail(struct task_plan *p, const struct task_ask *a) {
    int n = a->asset[0].n_frames, t = tail_frames(a, n);
    int made = grid_round_frames(&a->grid, a->n_frames);
    p->n_frames = made + t;
    add_span(p, (struct task_span){0, 0, t, made, 0});
    add_piece(p, TASK_CANVAS, made - a->n_frames, a->n_frames + t);
    add_piece(p, 0, t, n - t);
}

static void place_middle(struct task_plan *p, const struct task_ask *a) {
    int n = a->asset[0].n_frames, kept = n / a->grid.factor_t * a->grid.factor_t;
    int before = grid_round_frames(&a->grid, a->n_frames);
    p->n_frames = before + kept + round_up(a->n_frames, a->grid.factor_t);
    add_span(p, (struct task_span){0, 0, kept, before, 0});
    add_piece(p, TASK_CANVAS, before - a->n_frames, 2 * a->n_frames + kept);
}

/* What lies between two ends cannot be cut: it is made as long as whole latents are. A loop begins
 * where the part ends that its new frames lead to. */
static void place_both(struct task_plan *p, const struct task_ask *a) {
    int last = a->n_assets - 1, n0 = a->asset[0].n_frames, n1 = a->asset[last].n_frames;
    int h = head_frames(a, last == 0 ? n0 - n0 / 2 : n0);
    int t = tail_frames(a, last == 0 ? n0 / 2 : n1), made = round_up(a->n_frames, a->grid.factor_t);
    p->n_frames = h + made + t;
    add_span(p, (struct task_span){0, n0 - h, h, 0, 0});
    add_span(p, (struct task_span){last, 0, t, h + made, 0});
    add_piece(p, 0, last == 0 ? t : 0, last == 0 ? n0 - h - t : n0 - h);
    add_piece(p, TASK_CANVAS, 0, p->n_frames);
    if (last > 0) add_piece(p, last, t, n1 - t);
}

static void place_all(struct task_plan *p, const struct task_ask *a, double level) {
    int n = a->asset[0].n_frames;
    p->n_frames = grid_round_frames(&a->grid, n);
    add_span(p, (struct task_span){0, 0, p->n_frames, 0, level});
    add_piece(p, TASK_CANVAS, 0, n);
}

static enum err check(const struct task_ask *a, const struct row *row, struct fail *f) {
    bool is_whole = row->place == PLACE_ALL;
    bool needs_slots = row->place == PLACE_TAIL || row->place == PLACE_MIDDLE;
    ASSERT(a->n_context > 0);
    if (a->n_assets < row->n_min || a->n_assets > row->n_max)
        return FAIL(f, ERR_INPUT, "%s takes %d to %d assets, not %d", row->name, row->n_min,
                    row->n_max, a->n_assets);
    if (a->n_frames < 1 && !is_whole)
        return FAIL(f, ERR_INPUT, "%s: %d frames are asked", row->name, a->n_frames);
    if (!(a->strength >= 0 && a->strength <= 1))
        return FAIL(f, ERR_INPUT, "%s: a strength of %g, not 0..1", row->name, a->strength);
    for (int i = 0; i < a->n_assets; i++) {
        int need = 1;
        if (needs_slots || (row->place == PLACE_BOTH && i > 0)) need = a->grid.factor_t;
        if (a->kind == TASK_LOOP) need = 2 * a->grid.factor_t;
        if (a->asset[i].n_frames < need)
            return FAIL(f, ERR_INPUT, "%s: asset %d has %d frames, %d are needed", row->name, i,
                        a->asset[i].n_frames, need);
        if (row->place == PLACE_ASKED && (a->asset[i].at < 0 || a->asset[i].at >= a->n_frames))
            return FAIL(f, ERR_INPUT, "%s: asset %d at frame %d of %d", row->name, i,
                        a->asset[i].at, a->n_frames);
    }
    return ERR_OK;
}

enum err task_plan_make(struct task_plan *p, const struct task_ask *a, struct fail *f) {
    const struct row *row = &rows[a->kind];
    enum err rc = check(a, row, f);
    if (rc != ERR_OK) return rc;
    *p = (struct task_plan){.needs_region = row->has_region};
    switch (row->place) {
    case PLACE_NONE:
    case PLACE_ASKED: place_asked(p, a); break;
    case PLACE_HEAD: place_head(p, a); break;
    case PLACE_TAIL: place_tail(p, a); break;
    case PLACE_BOTH: place_both(p, a); break;
    case PLACE_MIDDLE: place_middle(p, a); break;
    case PLACE_ALL:
        place_all(p, a, row->is_strength && a->strength > 0 ? a->strength : row->level);
        break;
    }
    return ERR_OK;
}

int task_plan_frames(const struct task_plan *p) {
    int n = 0;
    for (int i = 0; i < p->n_pieces; i++)
        n += p->piece[i].n;
    return n;
}
