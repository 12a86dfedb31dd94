#include "server/multipart.h"

#include <string.h>

#include "common/base/assert.h"

static enum err broken(struct multipart *m, struct problem *p, const char *text) {
    m->state = MULTIPART_BROKEN;
    return problem_set(p, PROBLEM_INVALID_MULTIPART, "", "%s", text);
}

static bool is_boundary_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("'()+_,-./:=? ", c) != NULL);
}

/* The value of `name` in a list `; name=value; name="value"`. Backslash escapes stay as they are:
 * the callers refuse or ignore them. False when it is absent or its quotes do not close. */
static bool find_param(struct str s, const char *name, struct str *out) {
    size_t i = 0;
    while (i < s.n) {
        while (i < s.n && (s.p[i] == ';' || s.p[i] == ' ' || s.p[i] == '\t'))
            i++;
        size_t key = i;
        while (i < s.n && s.p[i] != '=' && s.p[i] != ';')
            i++;
        struct str key_str = str_trim((struct str){s.p + key, i - key});
        if (i >= s.n || s.p[i] == ';') continue;
        i++; /* '=' */
        struct str value;
        if (i < s.n && s.p[i] == '"') {
            size_t from = ++i;
            while (i < s.n && s.p[i] != '"')
                i += s.p[i] == '\\' && i + 1 < s.n ? 2 : 1;
            if (i >= s.n) return false;
            value = (struct str){s.p + from, i - from};
            i++;
        } else {
            size_t from = i;
            while (i < s.n && s.p[i] != ';')
                i++;
            value = str_trim((struct str){s.p + from, i - from});
        }
        if (str_eq_nocase(key_str, name)) {
            *out = value;
            return true;
        }
    }
    return false;
}

/* Splits "type/sub; a=b" at the first semicolon. */
static struct str cut_type(struct str s, struct str *params) {
    struct str type;
    *params = s;
    if (!str_split(params, ';', &type)) return (struct str){0};
    return str_trim(type);
}

enum err multipart_open(struct multipart *m, struct str content_type,
                        const struct multipart_sink *sink, struct problem *p) {
    struct str params, boundary = {0};
    *m = (struct multipart){.sink = *sink, .n_matched = 2}; /* as if a CRLF stood before the body */
    if (!str_eq_nocase(cut_type(content_type, &params), "multipart/form-data"))
        return broken(m, p, "the Content-Type must be multipart/form-data");
    if (!find_param(params, "boundary", &boundary) || boundary.n == 0)
        return broken(m, p, "the Content-Type has no boundary: write boundary=... behind it");
    if (boundary.n > MULTIPART_BOUNDARY_MAX)
        return broken(m, p, "the boundary is longer than 70 characters");
    for (size_t i = 0; i < boundary.n; i++)
        if (!is_boundary_char(boundary.p[i]))
            return broken(m, p, "the boundary holds a character that RFC 2046 does not allow");
    if (boundary.p[boundary.n - 1] == ' ') return broken(m, p, "the boundary ends with a blank");
    memcpy(m->mark, "\r\n--", 4);
    memcpy(m->mark + 4, boundary.p, boundary.n);
    m->n_mark = boundary.n + 4;
    return ERR_OK;
}

/* ---- the head of a part ---- */

static bool is_printable(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f) return false;
    return true;
}

static enum err read_disposition(struct multipart *m, struct multipart_part *part, struct str value,
                                 struct problem *p) {
    struct str params, name, file;
    if (!str_eq_nocase(cut_type(value, &params), "form-data"))
        return broken(m, p, "a part is not form-data: write Content-Disposition: form-data; name=");
    if (!find_param(params, "name", &name) || name.n == 0)
        return broken(m, p,
                      "a part has no name: write Content-Disposition: form-data; name=\"..\"");
    if (!str_copy(part->name, sizeof(part->name), name) || memchr(name.p, 0, name.n))
        return broken(m, p, "the name of a part is longer than 199 bytes or holds a NUL");
    part->is_file = find_param(params, "filename", &file) || find_param(params, "filename*", &file);
    if (part->is_file) part->file_name = file;
    return ERR_OK;
}

static enum err read_head_line(struct multipart *m, struct multipart_part *part, struct str line,
                               struct problem *p) {
    struct str key, value = line;
    if (!str_split(&value, ':', &key) || key.n == line.n || key.n == 0)
        return broken(m, p, "a header line of a part has no colon");
    if (!is_printable(line)) return broken(m, p, "a header of a part holds a control character");
    value = str_trim(value);
    if (str_eq_nocase(key, "content-disposition")) {
        if (part->name[0]) return broken(m, p, "a part has two Content-Disposition lines");
        return read_disposition(m, part, value, p);
    }
    if (str_eq_nocase(key, "content-type")) part->type = value;
    if (str_eq_nocase(key, "content-transfer-encoding") && !str_eq_nocase(value, "binary") &&
        !str_eq_nocase(value, "8bit") && !str_eq_nocase(value, "7bit"))
        return broken(m, p, "Content-Transfer-Encoding of a part must be binary: send raw bytes");
    return ERR_OK;
}

/* held holds the lines of the head, each with its CRLF, without the empty one. */
static enum err read_head(struct multipart *m, struct problem *p) {
    struct multipart_part part = {0};
    struct str rest = {m->held, m->n_held}, line;
    while (rest.n && str_split(&rest, '\n', &line)) {
        if (line.n == 0 || line.p[line.n - 1] != '\r')
            return broken(m, p, "a header line of a part does not end with CR LF");
        line.n--;
        if (line.n && (line.p[0] == ' ' || line.p[0] == '\t'))
            return broken(m, p, "a header of a part is folded over two lines");
        if (read_head_line(m, &part, line, p) != ERR_OK) return ERR_INPUT;
    }
    if (!part.name[0])
        return broken(m, p,
                      "a part has no name: write Content-Disposition: form-data; name=\"..\"");
    if (++m->n_parts > MULTIPART_PARTS_MAX) return broken(m, p, "there are more than 64 parts");
    if (m->sink.begin(m->sink.ctx, &part, p) != ERR_OK) {
        m->state = MULTIPART_BROKEN;
        return ERR_INPUT;
    }
    m->state = MULTIPART_DATA;
    m->n_matched = 0;
    return ERR_OK;
}

/* ---- states: each takes some of the bytes and says how many in *used ---- */

/* Looks for the mark in bytes[0..n): *n_data bytes before it are plain. The mark begins with CR
 * and holds no other, so after a mismatch only a CR can begin it anew. */
static bool find_mark(struct multipart *m, const char *bytes, size_t n, size_t *used) {
    size_t i = 0;
    while (i < n && m->n_matched < m->n_mark) {
        if (bytes[i] == m->mark[m->n_matched]) {
            m->n_matched++, i++;
        } else if (m->n_matched) {
            break; /* the caller hands the half match out and comes back */
        } else {
            const char *cr = memchr(bytes + i, '\r', n - i);
            i = cr ? (size_t)(cr - bytes) : n;
            break;
        }
    }
    *used = i;
    return m->n_matched == m->n_mark;
}

static enum err give_data(struct multipart *m, const char *bytes, size_t n, struct problem *p) {
    if (n == 0 || m->sink.data(m->sink.ctx, bytes, n, p) == ERR_OK) return ERR_OK;
    m->state = MULTIPART_BROKEN;
    return ERR_INPUT;
}

static enum err take_data(struct multipart *m, const char *bytes, size_t n, size_t *used,
                          struct problem *p) {
    size_t before = m->n_matched;
    bool is_found = find_mark(m, bytes, n, used);
    if (is_found) {
        if (m->sink.end(m->sink.ctx, p) != ERR_OK) {
            m->state = MULTIPART_BROKEN;
            return ERR_INPUT;
        }
        m->state = MULTIPART_AFTER_BOUNDARY;
        m->n_held = 0;
        return ERR_OK;
    }
    if (m->n_matched == 0) return give_data(m, bytes, *used, p);
    if (*used == n) return ERR_OK; /* the half match may go on in the next piece */
    ASSERT(m->n_matched == before + *used);
    size_t n_half = m->n_matched;
    m->n_matched = 0;
    return give_data(m, m->mark, n_half, p); /* it was data after all */
}

static enum err take_preamble(struct multipart *m, const char *bytes, size_t n, size_t *used,
                              struct problem *p) {
    bool is_found = find_mark(m, bytes, n, used);
    m->n_preamble += *used;
    if (is_found) {
        m->state = MULTIPART_AFTER_BOUNDARY;
        m->n_held = 0;
        return ERR_OK;
    }
    if (m->n_matched && *used < n) m->n_matched = 0;
    if (m->n_preamble > MULTIPART_PREAMBLE_MAX)
        return broken(m, p, "the boundary of the Content-Type does not begin the body");
    return ERR_OK;
}

/* Behind a boundary: CRLF begins a part, "--" ends the body. */
static enum err take_after(struct multipart *m, const char *bytes, size_t *used,
                           struct problem *p) {
    m->held[m->n_held++] = bytes[0];
    *used = 1;
    if (m->n_held < 2) return ERR_OK;
    bool is_part = memcmp(m->held, "\r\n", 2) == 0, is_last = memcmp(m->held, "--", 2) == 0;
    m->n_held = 0;
    if (!is_part && !is_last) return broken(m, p, "a boundary is followed by other text");
    if (is_last && m->n_parts == 0) return broken(m, p, "the body has no parts");
    m->state = is_part ? MULTIPART_HEAD : MULTIPART_EPILOGUE;
    return ERR_OK;
}

static enum err take_head(struct multipart *m, const char *bytes, size_t n, size_t *used,
                          struct problem *p) {
    for (size_t i = 0; i < n; i++) {
        if (m->n_held == sizeof(m->held))
            return broken(m, p, "the head of a part is longer than 8192 bytes");
        m->held[m->n_held++] = bytes[i];
        *used = i + 1;
        bool is_empty_line = bytes[i] == '\n' &&
                             ((m->n_held == 2 && m->held[0] == '\r') ||
                              (m->n_held >= 4 && !memcmp(m->held + m->n_held - 4, "\r\n\r\n", 4)));
        if (!is_empty_line) continue;
        m->n_held -= 2;
        return read_head(m, p);
    }
    return ERR_OK;
}

enum err multipart_feed(struct multipart *m, const char *bytes, size_t n, struct problem *p) {
    while (n) {
        size_t used = 0;
        enum err rc = ERR_OK;
        switch (m->state) {
        case MULTIPART_PREAMBLE: rc = take_preamble(m, bytes, n, &used, p); break;
        case MULTIPART_AFTER_BOUNDARY: rc = take_after(m, bytes, &used, p); break;
        case MULTIPART_HEAD: rc = take_head(m, bytes, n, &used, p); break;
        case MULTIPART_DATA: rc = take_data(m, bytes, n, &used, p); break;
        case MULTIPART_EPILOGUE: return ERR_OK; /* text after the last boundary is ignored */
        case MULTIPART_BROKEN: return ERR_INPUT;
        }
        if (rc != ERR_OK) return rc;
        bytes += used;
        n -= used;
    }
    return ERR_OK;
}

enum err multipart_close(struct multipart *m, struct problem *p) {
    if (m->state == MULTIPART_EPILOGUE) return ERR_OK;
    if (m->state == MULTIPART_BROKEN) return ERR_INPUT;
    if (m->state == MULTIPART_PREAMBLE)
        return broken(m, p, "the boundary of the Content-Type never appears in the body");
    return broken(m, p, "the body ends before its last boundary (--boundary--)");
}
