#include "engine/tokenizer_norm.h"

#include <string.h>

#include "common/base/assert.h"

static const char space_mark[] = "\xe2\x96\x81"; /* U+2581 */
static const char bad_byte[] = "\xef\xbf\xbd";   /* U+FFFD */

static uint32_t read_u32(const unsigned char *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

enum err tokenizer_norm_make(struct tokenizer_norm *n, const struct tokenizer_model *model,
                             struct fail *f) {
    *n = (struct tokenizer_norm){.model = model};
    struct str blob = model->charsmap;
    if (blob.n == 0) return ERR_OK;
    if (blob.n < 4) return FAIL(f, ERR_CORRUPT, "the charsmap has %zu bytes", blob.n);
    size_t trie_bytes = read_u32((const unsigned char *)blob.p);
    if (trie_bytes == 0 || trie_bytes % 4 != 0 || trie_bytes >= blob.n - 4)
        return FAIL(f, ERR_CORRUPT, "the charsmap has %zu bytes but names a trie of %zu", blob.n,
                    trie_bytes);
    if (blob.p[blob.n - 1] != '\0')
        return FAIL(f, ERR_CORRUPT, "the replacements of the charsmap do not end with NUL");
    n->units = (const unsigned char *)blob.p + 4;
    n->n_units = trie_bytes / 4;
    n->replacements = (struct str){blob.p + 4 + trie_bytes, blob.n - 4 - trie_bytes};
    return ERR_OK;
}

static size_t unit_offset(uint32_t unit) {
    return (size_t)(unit >> 10) << ((unit & (1u << 9)) >> 6);
}

/* Follows the trie along `text`. *n_used gets the length of the longest rule, 0 when none fits;
 * *place the position of its replacement. False when the trie points outside itself. */
static bool longest_rule(const struct tokenizer_norm *n, struct str text, size_t *n_used,
                         size_t *place) {
    *n_used = 0;
    if (n->n_units == 0) return true;
    size_t node = unit_offset(read_u32(n->units));
    for (size_t i = 0; i < text.n; i++) {
        unsigned char byte = (unsigned char)text.p[i];
        node ^= byte;
        if (node >= n->n_units) return false;
        uint32_t unit = read_u32(n->units + 4 * node);
        if ((unit & (1u << 31 | 0xffu)) != byte) return true;
        node ^= unit_offset(unit);
        if (node >= n->n_units) return false;
        if ((unit >> 8 & 1) == 0) continue;
        *n_used = i + 1;
        *place = read_u32(n->units + 4 * node) & 0x7fffffffu;
        if (*place >= n->replacements.n) return false;
    }
    return true;
}

/* Longest user-defined piece at the start of `text`, 0 when there is none. */
static size_t user_piece(const struct tokenizer_model *m, struct str text) {
    int lo = 0, hi = m->n_pieces;
    size_t best = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (!tokenizer_model_narrow(m, &lo, &hi, i, (unsigned char)text.p[i])) break;
        const struct tokenizer_piece *p = &m->pieces[m->sorted[lo]];
        if (p->text.n == i + 1 && p->type == TOKENIZER_PIECE_USER) best = i + 1;
    }
    return best;
}

size_t tokenizer_norm_char(struct str s) {
    static const struct row {
        unsigned char mask, lead;
        size_t n;
        uint32_t first; /* smaller values would be overlong */
    } rows[] = {{0x80, 0x00, 1, 0},
                {0xe0, 0xc0, 2, 0x80},
                {0xf0, 0xe0, 3, 0x800},
                {0xf8, 0xf0, 4, 0x10000}};
    ASSERT(s.n > 0);
    unsigned char lead = (unsigned char)s.p[0];
    for (int r = 0; r < COUNT_OF(rows); r++) {
        if ((lead & rows[r].mask) != rows[r].lead) continue;
        if (rows[r].n > s.n) return 0;
        uint32_t point = lead & (unsigned char)~rows[r].mask;
        for (size_t i = 1; i < rows[r].n; i++) {
            unsigned char next = (unsigned char)s.p[i];
            if ((next & 0xc0) != 0x80) return 0;
            point = point << 6 | (next & 0x3f);
        }
        bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
        return point < rows[r].first || point > 0x10ffff || is_surrogate ? 0 : rows[r].n;
    }
    return 0;
}

/* What the next characters of `text` become; *n_used gets how many bytes that takes. */
static enum err next_part(const struct tokenizer_norm *n, struct str text, struct str *part,
                          size_t *n_used, struct fail *f) {
    size_t place = 0;
    *n_used = n->model->has_user_pieces ? user_piece(n->model, text) : 0;
    if (*n_used > 0) {
        *part = (struct str){text.p, *n_used};
        return ERR_OK;
    }
    if (!longest_rule(n, text, n_used, &place))
        return FAIL(f, ERR_CORRUPT, "the trie of the charsmap points outside itself");
    if (*n_used > 0) {
        *part = str_of(n->replacements.p + place);
        return ERR_OK;
    }
    *n_used = tokenizer_norm_char(text);
    *part = *n_used > 0 ? (struct str){text.p, *n_used} : str_of(bad_byte);
    if (*n_used == 0) *n_used = 1;
    return ERR_OK;
}

static enum err add_part(const struct tokenizer_norm *n, struct str part, struct buf *out,
                         struct fail *f) {
    const char *space = n->model->escapes_spaces ? space_mark : " ";
    enum err rc = ERR_OK;
    while (part.n > 0) {
        const char *blank = memchr(part.p, ' ', part.n);
        size_t n_plain = blank ? (size_t)(blank - part.p) : part.n;
        if (n_plain > 0) TRY(buf_add(out, part.p, n_plain, f));
        if (blank) TRY(buf_add_str(out, space, f));
        part.p += n_plain + (blank != NULL);
        part.n -= n_plain + (blank != NULL);
    }
out:
    return rc;
}

static void drop_trailing_spaces(const struct tokenizer_norm *n, size_t start, struct buf *out) {
    const char *space = n->model->escapes_spaces ? space_mark : " ";
    size_t n_space = strlen(space);
    while (out->len >= start + n_space &&
           memcmp(out->data + out->len - n_space, space, n_space) == 0) {
        out->len -= n_space;
        out->data[out->len] = '\0';
    }
}

/* Blanks at the start vanish before the dummy prefix is written, so that text of blanks alone
 * gives nothing at all. */
static enum err skip_leading(const struct tokenizer_norm *n, struct str *text, struct fail *f) {
    enum err rc = ERR_OK;
    struct str part;
    size_t n_used;
    while (n->model->removes_extra_spaces && text->n > 0) {
        TRY(next_part(n, *text, &part, &n_used, f));
        if (!str_eq(part, " ")) break;
        text->p += n_used;
        text->n -= n_used;
    }
out:
    return rc;
}

enum err tokenizer_norm_apply(const struct tokenizer_norm *n, struct str text, struct buf *out,
                              struct fail *f) {
    const struct tokenizer_model *m = n->model;
    const char *space = m->escapes_spaces ? space_mark : " ";
    bool was_space = m->removes_extra_spaces;
    enum err rc = ERR_OK;
    struct str part;
    size_t n_used, start = out->len;

    TRY(skip_leading(n, &text, f));
    if (text.n == 0) goto out;
    if (m->adds_dummy_prefix && !m->space_is_suffix) TRY(buf_add_str(out, space, f));
    while (text.n > 0) {
        TRY(next_part(n, text, &part, &n_used, f));
        while (was_space && part.n > 0 && part.p[0] == ' ') {
            part.p++;
            part.n--;
        }
        TRY(add_part(n, part, out, f));
        if (part.n > 0) was_space = m->removes_extra_spaces && part.p[part.n - 1] == ' ';
        text.p += n_used;
        text.n -= n_used;
    }
    if (m->removes_extra_spaces) drop_trailing_spaces(n, start, out);
    if (m->adds_dummy_prefix && m->space_is_suffix) TRY(buf_add_str(out, space, f));
out:
    return rc;
}
