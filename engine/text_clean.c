#include "engine/text_clean.h"

#include <string.h>

#include "common/base/assert.h"
#include "engine/text_entity.h"

enum { UNESCAPE_PASSES = 2, NAME_SCAN_MAX = 32 };

static const uint32_t replacement = 0xfffd;

/* What the bytes 0x80..0x9f mean in Windows-1252; 0 where it has nothing there. */
static const uint16_t cp1252[32] = {
    0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017d, 0,      0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178,
};

/* Characters that vanish. */
static const struct range {
    uint32_t first, last;
} controls[] = {{0x00, 0x08},     {0x0b, 0x0b},     {0x0e, 0x1f},    {0x7f, 0x7f},
                {0x206a, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffc}};

/* Characters that count as blanks when runs are collapsed. */
static const struct range blanks[] = {
    {0x09, 0x0d},     {0x1c, 0x20},     {0x85, 0x85},     {0xa0, 0xa0},     {0x1680, 0x1680},
    {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000},
};

/* Ranges that become something else: point - first + to, or just `to`. */
static const struct fold {
    uint32_t first, last, to;
    bool is_shift;
} folds[] = {{0x02bc, 0x02bc, '\'', false},
             {0x2018, 0x201b, '\'', false},
             {0x201c, 0x201f, '"', false},
             {0x3000, 0x3000, ' ', false},
             {0xff01, 0xff5e, '!', true}};

static bool is_in(uint32_t point, const struct range *ranges, int n) {
    for (int i = 0; i < n; i++) {
        if (point >= ranges[i].first && point <= ranges[i].last) return true;
    }
    return false;
}

static enum err add_point(struct buf *out, uint32_t c, struct fail *f) {
    char s[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0x00, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; c >>= 6)
        s[i] = (char)(0x80 | (c & 0x3f));
    s[0] = (char)(lead[n] | c);
    return buf_add(out, s, n, f);
}

/* Takes one character off the text. False when its bytes are not UTF-8: then one byte is taken
 * and *point is that byte. */
static bool take_point(struct str *text, uint32_t *point) {
    unsigned char c = (unsigned char)text->p[0];
    size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    bool is_whole = n <= text->n && str_is_utf8((struct str){text->p, n}, NULL);
    *point = c;
    if (is_whole && n > 1) {
        *point = c & (0x7fu >> n);
        for (size_t i = 1; i < n; i++)
            *point = *point << 6 | ((unsigned char)text->p[i] & 0x3f);
    }
    if (!is_whole && c != 0) n = 1;
    text->p += n;
    text->n -= n;
    return is_whole || c == 0;
}

static enum err copy_byte(struct buf *out, uint32_t byte, struct fail *f) {
    char c = (char)byte;
    return buf_add(out, &c, 1, f);
}

/* Bytes of a terminal's escape sequence at the start of the text: ESC [ digits ; letter. */
static size_t escape_bytes(struct str text) {
    size_t n = 2;
    if (text.n < 3 || text.p[0] != '\x1b' || text.p[1] != '[') return 0;
    while (n < text.n && ((text.p[n] >= '0' && text.p[n] <= '9') || text.p[n] == ';'))
        n++;
    if (n == text.n) return 0;
    char last = (char)(text.p[n] | 0x20);
    return last >= 'a' && last <= 'z' ? n + 1 : 0;
}

static uint32_t fold_point(uint32_t c) {
    if (c >= 0x80 && c <= 0x9f && cp1252[c - 0x80]) c = cp1252[c - 0x80];
    for (int i = 0; i < COUNT_OF(folds); i++) {
        const struct fold *r = &folds[i];
        if (c >= r->first && c <= r->last) return r->is_shift ? c - r->first + r->to : r->to;
    }
    return c;
}

static enum err fix_characters(struct buf *out, struct str text, struct fail *f) {
    enum err rc = ERR_OK;
    while (text.n > 0) {
        size_t n_escape = escape_bytes(text);
        uint32_t point;
        text.p += n_escape;
        text.n -= n_escape;
        if (n_escape > 0) continue;
        if (!take_point(&text, &point))
            TRY(copy_byte(out, point, f));
        else if (!is_in(point, controls, COUNT_OF(controls)))
            TRY(add_point(out, fold_point(point), f));
    }
out:
    return rc;
}

/* What a numeric reference stands for; 0: nothing. */
static uint32_t numbered_point(uint64_t n) {
    if (n == 0 || n > 0x10ffff || (n >= 0xd800 && n <= 0xdfff)) return replacement;
    if (n >= 0x80 && n <= 0x9f) return cp1252[n - 0x80] ? cp1252[n - 0x80] : (uint32_t)n;
    bool is_nonchar = (n >= 0xfdd0 && n <= 0xfdef) || (n & 0xfffe) == 0xfffe;
    bool is_control = n < 0x20 && n != '\t' && n != '\n' && n != '\f' && n != '\r';
    return is_nonchar || is_control || n == 0x7f ? 0 : (uint32_t)n;
}

static int digit_of(char c, int base) {
    int d = c >= '0' && c <= '9'                     ? c - '0'
            : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                     : 99;
    return d < base ? d : -1;
}

/* "&#123;" or "&#x7b;" at the start of the text; 0 when it is not one. */
static size_t read_number(struct str text, uint32_t *point) {
    bool is_hex = text.n > 2 && (text.p[2] | 0x20) == 'x';
    size_t at = is_hex ? 3 : 2, first = at;
    uint64_t value = 0;
    for (int d; at < text.n && (d = digit_of(text.p[at], is_hex ? 16 : 10)) >= 0; at++)
        value = value > 0x10ffff ? value : value * (is_hex ? 16 : 10) + (uint64_t)d;
    if (at == first) return 0;
    *point = numbered_point(value);
    return at + (at < text.n && text.p[at] == ';');
}

/* "&name;" at the start of the text, or the longest old name that needs no semicolon. */
static size_t read_name(struct str text, uint32_t *point) {
    size_t n = 1;
    while (n < text.n && n <= NAME_SCAN_MAX && !memchr("\t\n\f <&#;", text.p[n], 8))
        n++;
    if (n < text.n && text.p[n] == ';') {
        const struct text_entity *e = text_entity_find((struct str){text.p + 1, n - 1});
        if (e) {
            *point = e->point;
            return n + 1;
        }
    }
    if (n > TEXT_ENTITY_NAME_MAX + 1) n = TEXT_ENTITY_NAME_MAX + 1;
    for (; n > 2; n--) {
        const struct text_entity *e = text_entity_find((struct str){text.p + 1, n - 1});
        if (!e || !e->is_old) continue;
        *point = e->point;
        return n;
    }
    return 0;
}

static enum err unescape(struct buf *out, struct str text, struct fail *f) {
    enum err rc = ERR_OK;
    while (text.n > 0) {
        uint32_t point = 0;
        size_t n = 0;
        if (text.p[0] == '&' && text.n > 1)
            n = text.p[1] == '#' ? read_number(text, &point) : read_name(text, &point);
        if (n == 0) TRY(copy_byte(out, (unsigned char)text.p[0], f));
        if (n > 0 && point != 0) TRY(add_point(out, point, f));
        text.p += n > 0 ? n : 1;
        text.n -= n > 0 ? n : 1;
    }
out:
    return rc;
}

static enum err collapse(struct buf *out, struct str text, struct fail *f) {
    enum err rc = ERR_OK;
    bool is_first = true, has_gap = false;
    while (text.n > 0) {
        struct str rest = text;
        uint32_t point;
        bool is_whole = take_point(&rest, &point);
        if (is_whole && is_in(point, blanks, COUNT_OF(blanks))) {
            has_gap = true;
        } else {
            if (has_gap && !is_first) TRY(buf_add(out, " ", 1, f));
            TRY(buf_add(out, text.p, text.n - rest.n, f));
            is_first = has_gap = false;
        }
        text = rest;
    }
out:
    return rc;
}

enum err text_clean(struct buf *out, struct str text, struct fail *f) {
    enum err rc = ERR_OK;
    struct buf step[2];

    for (int i = 0; i < 2; i++)
        buf_make(&step[i], out->max);
    TRY(fix_characters(&step[0], text, f));
    for (int i = 0; i < UNESCAPE_PASSES; i++) {
        struct buf *from = &step[i % 2], *to = &step[1 - i % 2];
        buf_clear(to);
        TRY(unescape(to, (struct str){buf_str(from), from->len}, f));
    }
    struct buf *last = &step[UNESCAPE_PASSES % 2];
    TRY(collapse(out, (struct str){buf_str(last), last->len}, f));
out:
    for (int i = 0; i < 2; i++)
        buf_free(&step[i]);
    return rc;
}
