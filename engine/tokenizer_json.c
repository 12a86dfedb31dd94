#include "engine/tokenizer_json.h"

#include <string.h>

#include "common/base/base64.h"
#include "common/base/mem.h"
#include "engine/json.h"

static bool is_type(const struct json *j, int node, const char *type) {
    int at = json_is(j, node, JSON_OBJECT) ? json_find(j, node, "type") : JSON_NONE;
    return json_is(j, at, JSON_STRING) && str_eq(json_at(j, at)->text, type);
}

static bool is_true(const struct json *j, int node) {
    return json_is(j, node, JSON_BOOL) && str_eq(json_at(j, node)->text, "true");
}

/* The text of a member, "" when it has none. */
static struct str text_of(const struct json *j, int object, const char *key) {
    int at = json_is(j, object, JSON_OBJECT) ? json_find(j, object, key) : JSON_NONE;
    return json_is(j, at, JSON_STRING) ? json_at(j, at)->text : (struct str){0};
}

/* The steps of a part of the file: those of a Sequence, or the part alone. A caller starts with
 * *step = JSON_NONE and `part`. False after the last. */
static bool next_step(const struct json *j, int part, const char *list, int *step) {
    bool is_list = is_type(j, part, "Sequence");
    if (*step != JSON_NONE)
        *step = is_list ? json_at(j, *step)->next : JSON_NONE;
    else if (!is_list)
        *step = json_is(j, part, JSON_OBJECT) ? part : JSON_NONE;
    else
        *step = json_is(j, json_find(j, part, list), JSON_ARRAY)
                    ? json_at(j, json_find(j, part, list))->first
                    : JSON_NONE;
    return *step != JSON_NONE;
}

static enum err refuse(const struct json *j, int step, const char *what, struct fail *f) {
    struct str type = text_of(j, step, "type");
    return FAIL(f, ERR_UNSUPPORTED, "%.150s: a %s of type \"%.*s\" is not known", j->what, what,
                (int)(type.n < 40 ? type.n : 40), type.n ? type.p : "");
}

/* Runs of blanks become one: every file does that in its own way, and so do we. */
static bool replaces_blanks(const struct json *j, int step) {
    int pattern = json_find(j, step, "pattern");
    return is_type(j, step, "Replace") && (str_eq(text_of(j, pattern, "Regex"), " {2,}") ||
                                           str_eq(text_of(j, pattern, "String"), " "));
}

/* The charsmap still as base64. */
static enum err read_normalizer(const struct json *j, struct str *charsmap, struct fail *f) {
    int part = json_find(j, 0, "normalizer");
    for (int step = JSON_NONE; next_step(j, part, "normalizers", &step);) {
        if (is_type(j, step, "Precompiled"))
            *charsmap = text_of(j, step, "precompiled_charsmap");
        else if (!is_type(j, step, "Strip") && !replaces_blanks(j, step))
            return refuse(j, step, "normalizer", f);
    }
    return ERR_OK;
}

static enum err read_pre_tokenizer(const struct json *j, struct tokenizer_model *m,
                                   struct fail *f) {
    int part = json_find(j, 0, "pre_tokenizer");
    m->adds_dummy_prefix = false;
    for (int step = JSON_NONE; next_step(j, part, "pretokenizers", &step);) {
        if (is_type(j, step, "WhitespaceSplit")) continue;
        if (!is_type(j, step, "Metaspace")) return refuse(j, step, "pre_tokenizer", f);
        struct str scheme = text_of(j, step, "prepend_scheme");
        m->adds_dummy_prefix = scheme.n ? !str_eq(scheme, "never")
                                        : is_true(j, json_find(j, step, "add_prefix_space"));
    }
    return ERR_OK;
}

static enum err read_piece(struct tokenizer_model *m, const struct json *j, int node, char **to,
                           struct fail *f) {
    int text = json_is(j, node, JSON_ARRAY) ? json_at(j, node)->first : JSON_NONE;
    int score = json_is(j, text, JSON_STRING) ? json_at(j, text)->next : JSON_NONE;
    double value = 0;
    if (!json_is(j, score, JSON_NUMBER) || !json_f64(j, score, -1e30, 1e30, &value))
        return FAIL(f, ERR_CORRUPT, "%.150s: piece %d of the vocabulary is no text with a score",
                    j->what, m->n_pieces);
    struct str s = json_at(j, text)->text;
    if (s.n == 0 || s.n > TOKENIZER_PIECE_BYTES_MAX)
        return FAIL(f, ERR_CORRUPT, "%.150s: piece %d has %zu bytes, 1 to %d are allowed", j->what,
                    m->n_pieces, s.n, TOKENIZER_PIECE_BYTES_MAX);
    memcpy(*to, s.p, s.n);
    m->pieces[m->n_pieces++] =
        (struct tokenizer_piece){{*to, s.n}, (float)value, TOKENIZER_PIECE_NORMAL};
    *to += s.n;
    return ERR_OK;
}

static enum err read_vocab(struct tokenizer_model *m, const struct json *j, int vocab, char *to,
                           struct fail *f) {
    enum err rc = ERR_OK;
    int n = json_at(j, vocab)->n_children;
    m->pieces = mem_take((size_t)n, sizeof *m->pieces);
    m->sorted = mem_take((size_t)n, sizeof *m->sorted);
    if (!m->pieces || !m->sorted)
        return FAIL(f, ERR_NOMEM, "no memory for the %d pieces of %.150s", n, j->what);
    for (int i = json_at(j, vocab)->first; i != JSON_NONE; i = json_at(j, i)->next)
        TRY(read_piece(m, j, i, &to, f));
out:
    return rc;
}

static bool is_byte(struct str s) {
    return s.n == 6 && memcmp(s.p, "<0x", 3) == 0 && s.p[5] == '>';
}

/* Pieces that no text gives, whether the file lists them as added tokens or not. */
static bool is_control(struct str s) {
    return str_eq(s, "<pad>") || str_eq(s, "</s>") || str_eq(s, "<s>");
}

static enum err read_added(struct tokenizer_model *m, const struct json *j, int token,
                           struct fail *f) {
    int64_t id = -1;
    if (!json_is(j, token, JSON_OBJECT) ||
        !json_i64(j, json_find(j, token, "id"), 0, INT32_MAX, &id))
        return FAIL(f, ERR_CORRUPT, "%.150s: an added token has no id", j->what);
    if (id >= m->n_pieces) return ERR_OK; /* beyond the vocabulary: no text gives it */
    struct str have = m->pieces[id].text, said = text_of(j, token, "content");
    if (have.n != said.n || memcmp(have.p, said.p, have.n) != 0)
        return FAIL(f, ERR_CORRUPT, "%.150s: added token %lld is another piece", j->what,
                    (long long)id);
    m->pieces[id].type =
        is_true(j, json_find(j, token, "special")) ? TOKENIZER_PIECE_CONTROL : TOKENIZER_PIECE_USER;
    return ERR_OK;
}

/* What a piece is follows from its name and the rest of the file. */
static enum err read_types(struct tokenizer_model *m, const struct json *j, int model,
                           struct fail *f) {
    enum err rc = ERR_OK;
    int added = json_find(j, 0, "added_tokens");
    int64_t unknown = -1;
    for (int i = 0; i < m->n_pieces; i++) {
        if (is_control(m->pieces[i].text)) m->pieces[i].type = TOKENIZER_PIECE_CONTROL;
        if (m->has_byte_fallback && is_byte(m->pieces[i].text))
            m->pieces[i].type = TOKENIZER_PIECE_BYTE;
    }
    added = json_is(j, added, JSON_ARRAY) ? json_at(j, added)->first : JSON_NONE;
    for (; added != JSON_NONE; added = json_at(j, added)->next)
        TRY(read_added(m, j, added, f));
    if (!json_i64(j, json_find(j, model, "unk_id"), 0, m->n_pieces - 1, &unknown))
        return FAIL(f, ERR_CORRUPT, "%.150s: unk_id is not one of the %d pieces", j->what,
                    m->n_pieces);
    m->pieces[unknown].type = TOKENIZER_PIECE_UNKNOWN;
out:
    return rc;
}

/* Bytes of all pieces; 0 when `vocab` is none that we take. */
static size_t piece_bytes(const struct json *j, int vocab) {
    size_t n = 0;
    if (!json_is(j, vocab, JSON_ARRAY) || json_at(j, vocab)->n_children > TOKENIZER_PIECES_MAX)
        return 0;
    for (int i = json_at(j, vocab)->first; i != JSON_NONE; i = json_at(j, i)->next) {
        int text = json_is(j, i, JSON_ARRAY) ? json_at(j, i)->first : JSON_NONE;
        if (json_is(j, text, JSON_STRING)) n += json_at(j, text)->text.n;
    }
    return n;
}

static enum err read_all(struct tokenizer_model *m, const struct json *j, struct fail *f) {
    enum err rc = ERR_OK;
    struct str charsmap = {0};
    size_t n_charsmap = 0;
    int model = json_find(j, 0, "model");
    if (!is_type(j, model, "Unigram")) return refuse(j, model, "model", f);
    int vocab = json_find(j, model, "vocab");
    size_t n_text = piece_bytes(j, vocab);
    if (n_text == 0)
        return FAIL(f, ERR_CORRUPT, "%.150s: the vocabulary is no list of 1 to %d pieces", j->what,
                    TOKENIZER_PIECES_MAX);
    TRY(read_normalizer(j, &charsmap, f));
    TRY(read_pre_tokenizer(j, m, f));
    m->has_byte_fallback = is_true(j, json_find(j, model, "byte_fallback"));
    mem_free(m->bytes);
    m->n_bytes = n_text + charsmap.n / 4 * 3;
    m->bytes = mem_take(m->n_bytes + 1, 1);
    if (!m->bytes) return FAIL(f, ERR_NOMEM, "no memory for the vocabulary of %.150s", j->what);
    TRY(read_vocab(m, j, vocab, m->bytes, f));
    TRY(read_types(m, j, model, f));
    if (charsmap.n && !base64_decode(charsmap, m->bytes + n_text, &n_charsmap))
        TRY(FAIL(f, ERR_CORRUPT, "%.150s: precompiled_charsmap is not base64", j->what));
    m->charsmap = (struct str){m->bytes + n_text, n_charsmap};
out:
    return rc;
}

enum err tokenizer_json_read(struct tokenizer_model *m, const char *name, struct fail *f) {
    enum err rc = ERR_OK;
    struct json j = {0};
    TRY(json_parse(&j, m->bytes, m->n_bytes, name, f));
    if (!json_is(&j, 0, JSON_OBJECT)) TRY(FAIL(f, ERR_CORRUPT, "%.150s holds no object", name));
    TRY(read_all(m, &j, f));
out:
    json_free(&j);
    return rc;
}
