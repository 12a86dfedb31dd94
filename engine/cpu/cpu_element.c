#include "engine/cpu/cpu_element.h"

#include "common/base/assert.h"

/* Fewer numbers than this are not worth waking a thread. Without rows of their own numbers go in
 * runs of RUN. */
enum { TILE_NUMBERS = 16384, RUN = 2048, ROOMS = 2 };

struct rows {
    const struct cpu_element *e;
    int64_t total, C, per_tile; /* numbers, those of a row, rows of a tile */
    void (*one)(const struct rows *r, int64_t row, int64_t n, float *const room[ROOMS]);
};

size_t cpu_element_scratch(void) {
    return (size_t)ROOMS * OP_ROW_MAX * sizeof(float);
}

static void rows_tile(void *ctx, int64_t tile, int thread) {
    const struct rows *r = ctx;
    float *memory = cpu_pool_scratch(r->e->pool, thread);
    float *const room[ROOMS] = {memory, memory + OP_ROW_MAX};
    int64_t first = tile * r->per_tile, end = first + r->per_tile;
    for (int64_t i = first; i < end && i * r->C < r->total; i++)
        r->one(r, i, r->total - i * r->C < r->C ? r->total - i * r->C : r->C, room);
}

static void run(const struct cpu_element *e, int64_t C,
                void (*one)(const struct rows *, int64_t, int64_t, float *const *)) {
    struct rows r = {.e = e, .total = tensor_count(e->out), .C = C, .one = one};
    if (r.total == 0) return;
    r.per_tile = C >= TILE_NUMBERS ? 1 : TILE_NUMBERS / C;
    int64_t N = (r.total + C - 1) / C;
    cpu_pool_run(e->pool, (N + r.per_tile - 1) / r.per_tile, rows_tile, &r);
}

/* Numbers of a row as floats: in place, or in `room` when they are bf16. */
static const float *in(const struct rows *r, const struct tensor *t, int64_t row, int64_t n,
                       float *room) {
    int64_t at = row * r->C;
    if (t->dtype == DTYPE_F32) return (const float *)t->data + at;
    r->e->vec->widen(room, (const uint16_t *)t->data + at, n);
    return room;
}

/* Where the results of a row go at first, and from there to the tensor. */
static float *begin(const struct rows *r, int64_t row, float *room) {
    const struct tensor *t = r->e->out;
    return t->dtype == DTYPE_F32 ? (float *)t->data + row * r->C : room;
}

static void end(const struct rows *r, int64_t row, int64_t n, const float *room) {
    const struct tensor *t = r->e->out;
    if (t->dtype != DTYPE_F32) r->e->vec->narrow((uint16_t *)t->data + row * r->C, room, n);
}

static void act_one(const struct rows *r, int64_t row, int64_t n, float *const *room) {
    float *out = begin(r, row, room[0]);
    r->e->vec->act(out, in(r, r->e->x, row, n, room[0]), NULL, n, r->e->act);
    end(r, row, n, out);
}

void cpu_element_act(const struct cpu_element *e) {
    run(e, RUN, act_one);
}

static void add_scaled_one(const struct rows *r, int64_t row, int64_t n, float *const *room) {
    float *out = begin(r, row, room[0]);
    const float *x = in(r, r->e->x, row, n, room[0]), *y = in(r, r->e->y, row, n, room[1]);
    r->e->vec->add_scaled(out, x, y, r->e->s, n);
    end(r, row, n, out);
}

void cpu_element_add_scaled(const struct cpu_element *e) {
    run(e, RUN, add_scaled_one);
}

static void mul_one(const struct rows *r, int64_t row, int64_t n, float *const *room) {
    float *out = begin(r, row, room[0]);
    const float *x = in(r, r->e->x, row, n, room[0]), *y = in(r, r->e->y, row, n, room[1]);
    r->e->vec->mul(out, x, y, n);
    end(r, row, n, out);
}

void cpu_element_mul(const struct cpu_element *e) {
    run(e, RUN, mul_one);
}

static void affine_one(const struct rows *r, int64_t row, int64_t n, float *const *room) {
    float *out = begin(r, row, room[0]);
    r->e->vec->affine(out, in(r, r->e->x, row, n, room[0]), r->e->y->data, r->e->z->data, n);
    end(r, row, n, out);
}

void cpu_element_affine(const struct cpu_element *e) {
    run(e, tensor_n_cols(e->x), affine_one);
}

static void norm_one(const struct rows *r, int64_t row, int64_t n, float *const *room) {
    float *out = begin(r, row, room[0]);
    r->e->vec->norm(out, in(r, r->e->x, row, n, room[0]), n, r->e->norm);
    end(r, row, n, out);
}

void cpu_element_norm(const struct cpu_element *e) {
    run(e, tensor_n_cols(e->x), norm_one);
}

static void norm_mod_one(const struct rows *r, int64_t row, int64_t n, float *const *room) {
    const struct cpu_element *e = r->e;
    float *out = begin(r, row, room[0]);
    e->vec->norm_mod(out, in(r, e->x, row, n, room[0]), op_mod_row(e->mod, row, e->row_a),
                     op_mod_row(e->mod, row, e->row_b), n, e->s);
    end(r, row, n, out);
}

void cpu_element_norm_mod(const struct cpu_element *e) {
    run(e, tensor_n_cols(e->x), norm_mod_one);
}

static void gate_add_one(const struct rows *r, int64_t row, int64_t n, float *const *room) {
    const struct cpu_element *e = r->e;
    float *out = begin(r, row, room[0]);
    const float *x = in(r, e->out, row, n, room[0]), *y = in(r, e->y, row, n, room[1]);
    e->vec->affine(out, y, op_mod_row(e->mod, row, e->row_a), x, n);
    end(r, row, n, out);
}

void cpu_element_gate_add(const struct cpu_element *e) {
    run(e, tensor_n_cols(e->out), gate_add_one);
}

static void rope_one(const struct rows *r, int64_t row, int64_t n, float *const *room) {
    const struct cpu_element *e = r->e;
    int64_t D = n / e->n_heads;
    float *out = begin(r, row, room[0]);
    const float *x = in(r, e->out, row, n, room[0]);
    const float *table = (const float *)e->y->data + row * D;
    for (int h = 0; h < e->n_heads; h++)
        e->vec->rope(out + h * D, x + h * D, table, D);
    end(r, row, n, out);
}

void cpu_element_rope(const struct cpu_element *e) {
    run(e, tensor_n_cols(e->out), rope_one);
}
