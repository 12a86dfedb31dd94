/* The form parser: what it hears must not depend on how the bytes were cut (M4), and its memory not
 * on what is sent. */
#include <string.h>

#include "server/multipart.h"
#include "tests/lib/check.h"

/* Writes what the sink hears as text: "name=value;" or "name(file type)=value;". */
struct heard {
    char text[4096];
    size_t n;
    int n_begun, n_ended;
};

static void note(struct heard *h, const char *p, size_t n) {
    if (h->n + n < sizeof(h->text)) memcpy(h->text + h->n, p, n), h->n += n;
    h->text[h->n] = 0;
}

static enum err on_begin(void *ctx, const struct multipart_part *part, struct problem *p) {
    struct heard *h = ctx;
    (void)p;
    h->n_begun++;
    note(h, part->name, strlen(part->name));
    if (part->is_file) {
        note(h, "(", 1);
        note(h, part->file_name.p, part->file_name.n);
        note(h, " ", 1);
        note(h, part->type.p, part->type.n);
        note(h, ")", 1);
    }
    note(h, "=", 1);
    return ERR_OK;
}

static enum err on_data(void *ctx, const char *bytes, size_t n, struct problem *p) {
    (void)p;
    note(ctx, bytes, n);
    return ERR_OK;
}

static enum err on_end(void *ctx, struct problem *p) {
    struct heard *h = ctx;
    (void)p;
    h->n_ended++;
    note(ctx, ";", 1);
    return ERR_OK;
}

static enum err parse(struct heard *h, const char *type, const char *body, size_t n, size_t first,
                      size_t step, struct problem *p) {
    static struct multipart m;
    const struct multipart_sink sink = {h, on_begin, on_data, on_end};
    *h = (struct heard){0};
    enum err rc = multipart_open(&m, str_of(type), &sink, p);
    for (size_t i = 0, cut = first; rc == ERR_OK && i < n; i += cut, cut = step) {
        if (cut > n - i) cut = n - i;
        rc = multipart_feed(&m, body + i, cut, p);
    }
    return rc == ERR_OK ? multipart_close(&m, p) : rc;
}

/* Data that looks like a boundary and is none: half marks, CR runs, marks without CRLF. */
static const char hard[] =
    "preamble\r\n--XY\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"
    "\r\n--X\r\n--\r\r\n-\r\n--XZ--XY\r\n\r\n--XY\r\n"
    "Content-Disposition: form-data; name=\"f\"; filename=\"x \\\"y\"\r\n"
    "Content-Type: image/png\r\nX-Other: 1\r\n\r\n\0\1\2\r\n--XY\r\n"
    "content-disposition:form-data;name=e\r\n\r\n\r\n--XY--\r\nepilogue --XY";

static void every_cut_of_the_bytes_is_heard_equal(void) {
    struct heard whole, cut;
    struct problem p = {0};
    size_t n = sizeof(hard) - 1;
    const char *type = "multipart/form-data; boundary=XY";
    CHECK_INT(parse(&whole, type, hard, n, n, n, &p), ERR_OK);
    CHECK_INT(whole.n_begun, 3);
    CHECK_INT(whole.n_ended, 3);
    static const char first_part[] = "a=\r\n--X\r\n--\r\r\n-\r\n--XZ--XY\r\n;";
    CHECK(memcmp(whole.text, first_part, sizeof(first_part) - 1) == 0);
    for (size_t step = 1; step <= n; step++) {
        CHECK_INT(parse(&cut, type, hard, n, step, step, &p), ERR_OK);
        CHECK(cut.n == whole.n && memcmp(cut.text, whole.text, whole.n) == 0);
    }
    for (size_t first = 1; first < n; first++) { /* one cut at each place */
        CHECK_INT(parse(&cut, type, hard, n, first, n, &p), ERR_OK);
        CHECK(cut.n == whole.n && memcmp(cut.text, whole.text, whole.n) == 0);
    }
}

static void every_shorter_body_is_refused(void) {
    struct heard h;
    struct problem p = {0};
    /* Up to the dashes behind the last boundary nothing is complete. */
    for (size_t n = 0; n < sizeof(hard) - 1 - strlen("\r\nepilogue --XY"); n++)
        CHECK_INT(parse(&h, "multipart/form-data; boundary=XY", hard, n, 7, 7, &p), ERR_INPUT);
}

static const struct {
    const char *type, *body, *text;
} bad[] = {
    {"text/plain; boundary=X", "", "must be multipart/form-data"},
    {"multipart/form-data", "", "no boundary"},
    {"multipart/form-data; boundary=\"", "", "no boundary"},
    {"multipart/form-data; boundary=a;boundary", "--a--", "no parts"},
    {"multipart/form-data; boundary=\"a \"", "", "ends with a blank"},
    {"multipart/form-data; boundary=a{b", "", "RFC 2046"},
    {"multipart/form-data; boundary=X", "--X\r\nContent-Disposition form-data\r\n\r\n", "no colon"},
    {"multipart/form-data; boundary=X", "--X\r\n: x\r\n\r\n", "no colon"},
    {"multipart/form-data; boundary=X", "--X\r\nContent-Disposition: file; name=a\r\n\r\n",
     "not form-data"},
    {"multipart/form-data; boundary=X",
     "--X\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; "
     "name=b\r\n\r\n",
     "two Content-Disposition"},
    {"multipart/form-data; boundary=X", "--X\r\nA: b\r\n c\r\n\r\n", "folded"},
    {"multipart/form-data; boundary=X", "--X\r\nA: b\nC: d\r\n\r\n", "CR LF"},
    {"multipart/form-data; boundary=X", "--X\r\nA: \x01\r\n\r\n", "control"},
    {"multipart/form-data; boundary=X", "--Xjunk\r\n", "followed by other text"},
    {"multipart/form-data; boundary=X",
     "--X\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\n",
     "raw bytes"},
    {"multipart/form-data; boundary=X", "no mark at all", "never appears"},
};

static void what_is_wrong_is_said(void) {
    struct heard h;
    for (int i = 0; i < (int)(sizeof(bad) / sizeof(bad[0])); i++) {
        struct problem p = {0};
        CHECK_INT(parse(&h, bad[i].type, bad[i].body, strlen(bad[i].body), 3, 3, &p), ERR_INPUT);
        CHECK_HAS(p.text, bad[i].text);
        CHECK_INT(p.kind, PROBLEM_INVALID_MULTIPART);
    }
}

static void boundaries_of_the_sdks_are_understood(void) {
    static const char *const types[] = {
        "multipart/form-data; boundary=----formdata-undici-012345678901",
        "multipart/form-data; boundary=\"----formdata-undici-012345678901\"; charset=utf-8",
        "Multipart/Form-Data; charset=x;BOUNDARY=----formdata-undici-012345678901",
    };
    static const char body[] =
        "------formdata-undici-012345678901\r\nContent-Disposition: form-data; "
        "name=\"prompt\"\r\n\r\na cat\r\n------formdata-undici-012345678901--\r\n";
    struct heard h;
    for (int i = 0; i < 3; i++) {
        struct problem p = {0};
        CHECK_INT(parse(&h, types[i], body, strlen(body), 9, 9, &p), ERR_OK);
        CHECK_STR(h.text, "prompt=a cat;");
    }
}

static enum err refuse(void *ctx, const struct multipart_part *part, struct problem *p) {
    (void)ctx, (void)part;
    return problem_set(p, PROBLEM_INVALID_VALUE, "a", "no");
}

static void a_sink_that_refuses_stops_the_parser_for_good(void) {
    static struct multipart m;
    struct heard h = {0};
    struct problem p = {0};
    const struct multipart_sink sink = {&h, refuse, on_data, on_end};
    static const char body[] = "--X\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--X--";
    CHECK_INT(multipart_open(&m, str_of("multipart/form-data; boundary=X"), &sink, &p), ERR_OK);
    CHECK_INT(multipart_feed(&m, body, strlen(body), &p), ERR_INPUT);
    CHECK_INT(multipart_feed(&m, body, strlen(body), &p), ERR_INPUT);
    CHECK_INT(multipart_close(&m, &p), ERR_INPUT);
    CHECK_STR(p.text, "no");
    CHECK_INT(h.n, 0);
}

static const struct test tests[] = {
    TEST(every_cut_of_the_bytes_is_heard_equal),
    TEST(every_shorter_body_is_refused),
    TEST(what_is_wrong_is_said),
    TEST(boundaries_of_the_sdks_are_understood),
    TEST(a_sink_that_refuses_stops_the_parser_for_good),
};
TEST_MAIN(tests)
