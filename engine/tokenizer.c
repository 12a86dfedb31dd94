#include "engine/tokenizer.h"

#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/buf.h"
#include "common/base/mem.h"
#include "engine/tokenizer_model.h"
#include "engine/tokenizer_norm.h"

struct tokenizer {
    struct tokenizer_model model;
    struct tokenizer_norm norm; /* borrows model */
};

/* The library takes an unknown character for this much worse than its worst piece. */
static const float unknown_penalty = 10.0f;

/* Best way to reach a byte of the text: the last piece and where it starts. */
struct node {
    float score;
    int32_t from; /* -1: not reached yet */
    int32_t id;
};

static enum err finish_open(struct tokenizer **out, struct tokenizer *t, enum err rc,
                            struct fail *f) {
    if (rc == ERR_OK) rc = tokenizer_norm_make(&t->norm, &t->model, f);
    if (rc == ERR_OK)
        *out = t;
    else
        tokenizer_close(t);
    return rc;
}

enum err tokenizer_open(struct tokenizer **out, const char *path, struct fail *f) {
    struct tokenizer *t = mem_take(1, sizeof *t);
    *out = NULL;
    if (!t) return FAIL(f, ERR_NOMEM, "no memory for a tokenizer");
    return finish_open(out, t, tokenizer_model_open(&t->model, path, f), f);
}

enum err tokenizer_open_folder(struct tokenizer **out, const char *folder, struct fail *f) {
    char path[512];
    snprintf(path, sizeof path, "%.400s/spiece.model", folder);
    enum err rc = tokenizer_open(out, path, f);
    if (rc != ERR_NOT_FOUND) return rc;
    snprintf(path, sizeof path, "%.400s/tokenizer.json", folder);
    rc = tokenizer_open(out, path, f);
    if (rc != ERR_NOT_FOUND) return rc;
    return FAIL(f, ERR_NOT_FOUND, "%.160s has neither spiece.model nor tokenizer.json", folder);
}

enum err tokenizer_open_bytes(struct tokenizer **out, struct str bytes, const char *name,
                              struct fail *f) {
    struct tokenizer *t = mem_take(1, sizeof *t);
    *out = NULL;
    if (!t) return FAIL(f, ERR_NOMEM, "no memory for a tokenizer");
    return finish_open(out, t, tokenizer_model_parse(&t->model, bytes, name, f), f);
}

void tokenizer_close(struct tokenizer *t) {
    if (!t) return;
    tokenizer_model_close(&t->model);
    mem_free(t);
}

/* Keeps the better of what is known and score at the byte `end`. The comparison is made in double
 * and the result kept in float, which is what the library does: ties must fall alike. */
static void offer(struct node *nodes, int from, int end, int32_t id, double score) {
    double total = score + (double)nodes[from].score;
    if (nodes[end].from >= 0 && total <= (double)nodes[end].score) return;
    nodes[end] = (struct node){(float)total, from, id};
}

static double piece_score(const struct tokenizer_model *m, const struct tokenizer_piece *p) {
    /* A user-defined piece gets a bonus that makes it win always. */
    if (p->type == TOKENIZER_PIECE_USER) return (double)((float)p->text.n * m->max_score) - 0.1;
    return (double)p->score;
}

static bool is_segment(enum tokenizer_piece_type type) {
    return type == TOKENIZER_PIECE_NORMAL || type == TOKENIZER_PIECE_USER;
}

/* Offers every piece that starts at `from`. True when one of them is exactly one character. */
static bool offer_pieces(const struct tokenizer_model *m, struct node *nodes, struct str text,
                         int from, int n_char) {
    int lo = 0, hi = m->n_pieces;
    bool has_single = false;
    for (int i = 0; (size_t)(from + i) < text.n; i++) {
        if (!tokenizer_model_narrow(m, &lo, &hi, (size_t)i, (unsigned char)text.p[from + i])) break;
        int32_t id = m->sorted[lo]; /* a text that ends here sorts first */
        const struct tokenizer_piece *p = &m->pieces[id];
        if (p->text.n != (size_t)i + 1 || !is_segment(p->type)) continue;
        offer(nodes, from, from + i + 1, id, piece_score(m, p));
        has_single = has_single || i + 1 == n_char;
    }
    return has_single;
}

static void walk(const struct tokenizer_model *m, struct node *nodes, struct str text) {
    double unknown = (double)(m->min_score - unknown_penalty);
    for (int at = 0; (size_t)at < text.n;) {
        size_t n = tokenizer_norm_char((struct str){text.p + at, text.n - (size_t)at});
        int n_char = n > 0 ? (int)n : 1;
        if (!offer_pieces(m, nodes, text, at, n_char))
            offer(nodes, at, at + n_char, m->unknown_id, unknown);
        at += n_char;
    }
}

/* Turns the chain of nodes round: afterwards nodes[start].from is where its piece ends. */
static int reverse_path(struct node *nodes, int end) {
    int next = -1;
    int32_t next_id = -1;
    for (int at = end; at >= 0;) {
        struct node here = nodes[at];
        nodes[at].from = next;
        nodes[at].id = next_id;
        next = at;
        next_id = here.id;
        at = at == 0 ? -1 : here.from;
    }
    return next;
}

/* Counts on when `ids` is full, so that the caller knows that the text was cut. */
static void put(struct tokenizer_ids *ids, int max, int32_t id) {
    if (ids->n < max)
        ids->id[ids->n++] = id;
    else
        ids->was_cut = true;
}

static void emit(const struct tokenizer_model *m, struct node *nodes, struct str text,
                 struct tokenizer_ids *out, int max) {
    bool was_unknown = false;
    for (int at = reverse_path(nodes, (int)text.n); at >= 0 && (size_t)at < text.n;) {
        int end = nodes[at].from;
        int32_t id = nodes[at].id;
        bool is_unknown = id == m->unknown_id;
        ASSERT(end > at);
        if (is_unknown && m->has_byte_fallback) {
            for (int i = at; i < end; i++)
                put(out, max, m->byte_id[(unsigned char)text.p[i]]);
        } else if (!is_unknown || !was_unknown) { /* a run of unknowns is one id */
            put(out, max, id);
        }
        was_unknown = is_unknown;
        at = end;
    }
}

static enum err segment(const struct tokenizer *t, struct tokenizer_ids *out, struct str text,
                        int max_ids, struct fail *f) {
    size_t n_room = text.n + 1 < (size_t)max_ids ? text.n + 1 : (size_t)max_ids;
    struct node *nodes = mem_take(text.n + 1, sizeof *nodes);
    out->id = mem_take(n_room, sizeof *out->id);
    if (!nodes || !out->id) {
        mem_free(nodes);
        return FAIL(f, ERR_NOMEM, "no memory to segment %zu bytes of text", text.n);
    }
    for (size_t i = 0; i <= text.n; i++)
        nodes[i].from = -1;
    walk(&t->model, nodes, text);
    emit(&t->model, nodes, text, out, max_ids - 1);
    out->id[out->n++] = t->model.eos_id;
    mem_free(nodes);
    return ERR_OK;
}

enum err tokenizer_encode(const struct tokenizer *t, struct tokenizer_ids *out, struct str text,
                          int max_ids, struct fail *f) {
    enum err rc = ERR_OK;
    struct buf norm;

    ASSERT(max_ids >= 1);
    *out = (struct tokenizer_ids){0};
    buf_make(&norm, TOKENIZER_NORM_BYTES_MAX);
    if (text.n > TOKENIZER_TEXT_BYTES_MAX)
        return FAIL(f, ERR_LIMIT, "the text has %zu bytes, %d are allowed", text.n,
                    TOKENIZER_TEXT_BYTES_MAX);
    TRY(tokenizer_norm_apply(&t->norm, text, &norm, f));
    TRY(segment(t, out, (struct str){buf_str(&norm), norm.len}, max_ids, f));
out:
    buf_free(&norm);
    if (rc != ERR_OK) tokenizer_ids_free(out);
    return rc;
}

void tokenizer_ids_free(struct tokenizer_ids *ids) {
    mem_free(ids->id);
    *ids = (struct tokenizer_ids){0};
}

enum err tokenizer_normalize(const struct tokenizer *t, char **out, struct str text,
                             struct fail *f) {
    enum err rc = ERR_OK;
    struct buf norm;

    buf_make(&norm, TOKENIZER_NORM_BYTES_MAX);
    TRY(tokenizer_norm_apply(&t->norm, text, &norm, f));
    *out = norm.len > 0 ? buf_take(&norm) : mem_copy_str("");
    if (!*out) rc = FAIL(f, ERR_NOMEM, "no memory for the normalised text");
out:
    buf_free(&norm);
    return rc;
}

int32_t tokenizer_eos(const struct tokenizer *t) {
    return t->model.eos_id;
}
