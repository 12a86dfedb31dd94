#include "engine/tokenizer_model.h"

#include <math.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/file.h"
#include "engine/tokenizer_json.h"

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };
enum { MODEL_TYPE_UNIGRAM = 1 };

/* One field of a protobuf message: numbers arrive in `value`, the rest in `bytes`. */
struct field {
    uint32_t number, wire;
    uint64_t value;
    struct str bytes;
};

struct reader {
    struct str rest;
    const char *name; /* of the file, for failures */
};

static enum err read_varint(struct reader *r, uint64_t *out, struct fail *f) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (r->rest.n == 0) return FAIL(f, ERR_CORRUPT, "%s ends inside a number", r->name);
        unsigned char byte = (unsigned char)*r->rest.p;
        r->rest.p++;
        r->rest.n--;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return ERR_OK;
        }
    }
    return FAIL(f, ERR_CORRUPT, "%s holds a number of more than 64 bits", r->name);
}

static enum err read_bytes(struct reader *r, uint64_t n, struct str *out, struct fail *f) {
    if (n > r->rest.n)
        return FAIL(f, ERR_CORRUPT, "%s: a field wants %llu bytes, %zu are left", r->name,
                    (unsigned long long)n, r->rest.n);
    *out = (struct str){r->rest.p, (size_t)n};
    r->rest.p += n;
    r->rest.n -= (size_t)n;
    return ERR_OK;
}

static uint64_t little_endian(struct str s) {
    uint64_t value = 0;
    for (size_t i = s.n; i-- > 0;)
        value = value << 8 | (unsigned char)s.p[i];
    return value;
}

static enum err read_field(struct reader *r, struct field *out, struct fail *f) {
    enum err rc = ERR_OK;
    uint64_t tag = 0, n = 0;

    *out = (struct field){0};
    TRY(read_varint(r, &tag, f));
    out->number = (uint32_t)(tag >> 3);
    out->wire = (uint32_t)(tag & 7);
    switch (out->wire) {
    case WIRE_VARINT: TRY(read_varint(r, &out->value, f)); break;
    case WIRE_BYTES:
        TRY(read_varint(r, &n, f));
        TRY(read_bytes(r, n, &out->bytes, f));
        break;
    case WIRE_32:
    case WIRE_64:
        TRY(read_bytes(r, out->wire == WIRE_32 ? 4 : 8, &out->bytes, f));
        out->value = little_endian(out->bytes);
        break;
    default:
        rc = FAIL(f, ERR_CORRUPT, "%s is not a spiece.model: field type %u", r->name, out->wire);
    }
out:
    return rc;
}

static bool is_field(const struct field *field, uint32_t number, uint32_t wire) {
    return field->number == number && field->wire == wire;
}

static enum err check_piece(const struct tokenizer_piece *p, int id, const char *name,
                            struct fail *f) {
    if (p->text.n == 0 || p->text.n > TOKENIZER_PIECE_BYTES_MAX)
        return FAIL(f, ERR_CORRUPT, "%s: piece %d has %zu bytes, 1 to %d are allowed", name, id,
                    p->text.n, TOKENIZER_PIECE_BYTES_MAX);
    if (!str_is_utf8(p->text, NULL))
        return FAIL(f, ERR_CORRUPT, "%s: piece %d is not UTF-8", name, id);
    if (!isfinite(p->score)) return FAIL(f, ERR_CORRUPT, "%s: piece %d has no score", name, id);
    if (p->type < TOKENIZER_PIECE_NORMAL || p->type > TOKENIZER_PIECE_BYTE)
        return FAIL(f, ERR_CORRUPT, "%s: piece %d has the unknown type %d", name, id, (int)p->type);
    return ERR_OK;
}

static enum err parse_piece(struct tokenizer_model *m, struct str bytes, const char *name,
                            struct fail *f) {
    enum err rc = ERR_OK;
    struct reader r = {bytes, name};
    struct tokenizer_piece piece = {.type = TOKENIZER_PIECE_NORMAL};
    struct field field;

    while (r.rest.n > 0) {
        TRY(read_field(&r, &field, f));
        if (is_field(&field, 1, WIRE_BYTES)) piece.text = field.bytes;
        if (is_field(&field, 2, WIRE_32)) {
            uint32_t bits = (uint32_t)field.value;
            memcpy(&piece.score, &bits, sizeof bits);
        }
        if (is_field(&field, 3, WIRE_VARINT))
            piece.type = field.value > 100 ? (enum tokenizer_piece_type)100
                                           : (enum tokenizer_piece_type)field.value;
    }
    TRY(check_piece(&piece, m->n_pieces, name, f));
    m->pieces[m->n_pieces++] = piece;
out:
    return rc;
}

static enum err parse_trainer(struct tokenizer_model *m, struct str bytes, const char *name,
                              struct fail *f) {
    enum err rc = ERR_OK;
    struct reader r = {bytes, name};
    struct field field;
    uint64_t model_type = MODEL_TYPE_UNIGRAM;

    while (r.rest.n > 0) {
        TRY(read_field(&r, &field, f));
        if (is_field(&field, 3, WIRE_VARINT)) model_type = field.value;
        if (is_field(&field, 24, WIRE_VARINT)) m->space_is_suffix = field.value != 0;
        if (is_field(&field, 35, WIRE_VARINT)) m->has_byte_fallback = field.value != 0;
    }
    if (model_type != MODEL_TYPE_UNIGRAM)
        rc = FAIL(f, ERR_UNSUPPORTED, "%s: model_type %llu, only unigram (1) is supported", name,
                  (unsigned long long)model_type);
out:
    return rc;
}

static enum err parse_normalizer(struct tokenizer_model *m, struct str bytes, const char *name,
                                 struct fail *f) {
    enum err rc = ERR_OK;
    struct reader r = {bytes, name};
    struct field field;

    while (r.rest.n > 0) {
        TRY(read_field(&r, &field, f));
        if (is_field(&field, 2, WIRE_BYTES)) m->charsmap = field.bytes;
        if (is_field(&field, 3, WIRE_VARINT)) m->adds_dummy_prefix = field.value != 0;
        if (is_field(&field, 4, WIRE_VARINT)) m->removes_extra_spaces = field.value != 0;
        if (is_field(&field, 5, WIRE_VARINT)) m->escapes_spaces = field.value != 0;
    }
out:
    return rc;
}

/* First pass: how many pieces there are, so that one allocation holds them. */
static enum err count_pieces(struct tokenizer_model *m, const char *name, struct fail *f) {
    enum err rc = ERR_OK;
    struct reader r = {{m->bytes, m->n_bytes}, name};
    struct field field;
    size_t n = 0;

    while (r.rest.n > 0) {
        TRY(read_field(&r, &field, f));
        n += is_field(&field, 1, WIRE_BYTES);
    }
    if (n == 0 || n > TOKENIZER_PIECES_MAX)
        return FAIL(f, ERR_CORRUPT, "%s has %zu pieces, 1 to %d are allowed", name, n,
                    TOKENIZER_PIECES_MAX);
    m->pieces = mem_take(n, sizeof *m->pieces);
    m->sorted = mem_take(n, sizeof *m->sorted);
    if (!m->pieces || !m->sorted)
        rc = FAIL(f, ERR_NOMEM, "no memory for the %zu pieces of %s", n, name);
out:
    return rc;
}

static enum err parse_fields(struct tokenizer_model *m, const char *name, struct fail *f) {
    enum err rc = ERR_OK;
    struct reader r = {{m->bytes, m->n_bytes}, name};
    struct field field;

    while (r.rest.n > 0) {
        TRY(read_field(&r, &field, f));
        if (is_field(&field, 1, WIRE_BYTES)) TRY(parse_piece(m, field.bytes, name, f));
        if (is_field(&field, 2, WIRE_BYTES)) TRY(parse_trainer(m, field.bytes, name, f));
        if (is_field(&field, 3, WIRE_BYTES)) TRY(parse_normalizer(m, field.bytes, name, f));
    }
out:
    return rc;
}

static int compare_text(struct str a, struct str b) {
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

/* Heap sort: no context pointer in qsort(), and no worst case that a stranger could prepare. */
static void sift_down(struct tokenizer_model *m, int root, int n) {
    for (int child = 2 * root + 1; child < n; child = 2 * root + 1) {
        int32_t *s = m->sorted;
        if (child + 1 < n &&
            compare_text(m->pieces[s[child]].text, m->pieces[s[child + 1]].text) < 0)
            child++;
        if (compare_text(m->pieces[s[root]].text, m->pieces[s[child]].text) >= 0) return;
        int32_t swap = s[root];
        s[root] = s[child];
        s[child] = swap;
        root = child;
    }
}

static void sort_pieces(struct tokenizer_model *m) {
    int n = m->n_pieces;
    for (int i = 0; i < n; i++)
        m->sorted[i] = i;
    for (int i = n / 2; i-- > 0;)
        sift_down(m, i, n);
    for (int last = n - 1; last > 0; last--) {
        int32_t swap = m->sorted[0];
        m->sorted[0] = m->sorted[last];
        m->sorted[last] = swap;
        sift_down(m, 0, last);
    }
}

static enum err refuse_duplicates(const struct tokenizer_model *m, const char *name,
                                  struct fail *f) {
    for (int i = 1; i < m->n_pieces; i++) {
        int32_t a = m->sorted[i - 1], b = m->sorted[i];
        if (compare_text(m->pieces[a].text, m->pieces[b].text) == 0)
            return FAIL(f, ERR_CORRUPT, "%s: pieces %d and %d have the same text", name, a, b);
    }
    return ERR_OK;
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The value of "<0xAB>", or -1. */
static int byte_of(struct str s) {
    if (s.n != 6 || memcmp(s.p, "<0x", 3) != 0 || s.p[5] != '>') return -1;
    int high = hex_digit(s.p[3]), low = hex_digit(s.p[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Id of the piece with exactly this text, or -1. */
static int32_t find_piece(const struct tokenizer_model *m, struct str text) {
    int lo = 0, hi = m->n_pieces;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        int order = compare_text(m->pieces[m->sorted[mid]].text, text);
        if (order == 0) return m->sorted[mid];
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return -1;
}

/* Fills what segmentation looks up: special ids, byte pieces and the range of scores. */
static enum err index_pieces(struct tokenizer_model *m, const char *name, struct fail *f) {
    bool is_first = true;
    m->unknown_id = -1;
    for (int i = 0; i < 256; i++)
        m->byte_id[i] = -1;
    for (int id = 0; id < m->n_pieces; id++) {
        const struct tokenizer_piece *p = &m->pieces[id];
        if (p->type == TOKENIZER_PIECE_UNKNOWN) m->unknown_id = id;
        if (p->type == TOKENIZER_PIECE_USER) m->has_user_pieces = true;
        if (p->type == TOKENIZER_PIECE_BYTE && byte_of(p->text) >= 0)
            m->byte_id[byte_of(p->text)] = id;
        if (p->type != TOKENIZER_PIECE_NORMAL) continue;
        if (is_first || p->score < m->min_score) m->min_score = p->score;
        if (is_first || p->score > m->max_score) m->max_score = p->score;
        is_first = false;
    }
    m->eos_id = find_piece(m, str_of("</s>"));
    if (m->unknown_id < 0 || m->eos_id < 0)
        return FAIL(f, ERR_CORRUPT, "%s lacks the piece %s", name,
                    m->unknown_id < 0 ? "of type unknown" : "</s>");
    for (int i = 0; i < 256 && m->has_byte_fallback; i++) {
        if (m->byte_id[i] < 0)
            return FAIL(f, ERR_CORRUPT, "%s promises byte_fallback but lacks <0x%02X>", name,
                        (unsigned)i);
    }
    return ERR_OK;
}

/* Everything after the bytes are in m->bytes. */
static enum err parse_all(struct tokenizer_model *m, const char *name, struct fail *f) {
    enum err rc = ERR_OK;
    m->adds_dummy_prefix = m->removes_extra_spaces = m->escapes_spaces = true;
    if (m->n_bytes > 0 && m->bytes[0] == '{') { /* which no protobuf of ours begins with */
        TRY(tokenizer_json_read(m, name, f));
    } else {
        TRY(count_pieces(m, name, f));
        TRY(parse_fields(m, name, f));
    }
    sort_pieces(m);
    TRY(refuse_duplicates(m, name, f));
    TRY(index_pieces(m, name, f));
out:
    return rc;
}

enum err tokenizer_model_parse(struct tokenizer_model *m, struct str bytes, const char *name,
                               struct fail *f) {
    enum err rc = ERR_OK;
    *m = (struct tokenizer_model){0};
    m->bytes = mem_take(bytes.n + 1, 1);
    m->n_bytes = bytes.n;
    if (!m->bytes) return FAIL(f, ERR_NOMEM, "no memory for the %zu bytes of %s", bytes.n, name);
    if (bytes.n > 0) memcpy(m->bytes, bytes.p, bytes.n);
    TRY(parse_all(m, name, f));
out:
    if (rc != ERR_OK) tokenizer_model_close(m);
    return rc;
}

enum err tokenizer_model_open(struct tokenizer_model *m, const char *path, struct fail *f) {
    enum err rc = ERR_OK;
    *m = (struct tokenizer_model){0};
    TRY(file_take(&m->bytes, &m->n_bytes, path, TOKENIZER_FILE_BYTES_MAX, f));
    TRY(parse_all(m, path, f));
out:
    if (rc != ERR_OK) tokenizer_model_close(m);
    return rc;
}

void tokenizer_model_close(struct tokenizer_model *m) {
    mem_free(m->bytes);
    mem_free(m->pieces);
    mem_free(m->sorted);
    *m = (struct tokenizer_model){0};
}

/* First index in [lo,hi) whose byte at `depth` is at least `byte`; a text that ends before
 * `depth` sorts first. */
static int lower_bound(const struct tokenizer_model *m, int lo, int hi, size_t depth, int byte) {
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        struct str s = m->pieces[m->sorted[mid]].text;
        int have = depth < s.n ? (unsigned char)s.p[depth] : -1;
        if (have < byte)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool tokenizer_model_narrow(const struct tokenizer_model *m, int *lo, int *hi, size_t depth,
                            unsigned char byte) {
    ASSERT(*lo >= 0 && *lo <= *hi && *hi <= m->n_pieces);
    int first = lower_bound(m, *lo, *hi, depth, byte);
    *hi = lower_bound(m, first, *hi, depth, byte + 1);
    *lo = first;
    return *lo < *hi;
}
