/* Weight files of strangers: what is wrong is refused, with file, tensor and reason, before any
 * of it is believed. The rows are built in memory or in a private folder. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "engine/weights.h"
#include "tests/lib/check.h"

enum { FILE_MAX = 8192 };

struct row {
    const char *header; /* length and data follow from it */
    int64_t n_data;
    enum err code;
    const char *text; /* part of the failure */
};

#define ENTRY(name, dtype, shape, from, to)                                                        \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]" \
    "}"

static const struct row rows[] = {
    {"{}", 0, ERR_OK, ""},
    {"{" ENTRY("a", "F32", "[2]", "0", "8") "}", 8, ERR_OK, ""},
    {"{" ENTRY("a", "F32", "[2]", "0", "8") "}     ", 8, ERR_OK, ""},
    {"{" ENTRY("a", "F32", "[]", "0", "4") "}", 4, ERR_OK, ""},
    {"{" ENTRY("a", "F32", "[0,5]", "0", "0") "}", 0, ERR_OK, ""},
    {"{\"__metadata__\":{\"format\":\"pt\"}," ENTRY("a", "BF16", "[2]", "0", "4") "}", 4, ERR_OK,
     ""},
    {"{" ENTRY("b", "F16", "[2]", "4", "8") "," ENTRY("a", "BF16", "[2]", "0", "4") "}", 8, ERR_OK,
     ""},
    /* S2: the header */
    {"[1,2]", 0, ERR_CORRUPT, "does not start with {"},
    {"\xef\xbb\xbf{}", 0, ERR_CORRUPT, "does not start with {"},
    {"{}x", 0, ERR_CORRUPT, "text after the end"},
    {"{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]", 0, ERR_CORRUPT, "nested too deeply"},
    {"{\"a\xff\":1}", 0, ERR_CORRUPT, "not UTF-8"},
    {"{\"a\":\"\\ud800\"}", 0, ERR_CORRUPT, "lone surrogate"},
    {"{\"a\":01}", 0, ERR_CORRUPT, "starts with 0"},
    {"{\"a\":1,}", 0, ERR_CORRUPT, "a key is missing"},
    {"{\"a\":NaN}", 0, ERR_CORRUPT, "unexpected character"},
    {"{\"a\"", 0, ERR_CORRUPT, "':' is missing"},
    /* S3: names and metadata */
    {"{" ENTRY("a", "F32", "[1]", "0", "4") "," ENTRY("a", "F32", "[1]", "4", "8") "}", 8,
     ERR_CORRUPT, "\"a\" is there twice"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     ERR_CORRUPT, "\"dtype\" is there twice"},
    {"{\"__metadata__\":{\"a\":1}}", 0, ERR_CORRUPT, "__metadata__ must hold strings"},
    {"{\"\":{}}", 0, ERR_CORRUPT, "a tensor name has 0 bytes"},
    /* S4: offsets */
    {"{" ENTRY("a", "F32", "[1]", "4", "0") "}", 4, ERR_CORRUPT, "data_offsets of a lie outside"},
    {"{" ENTRY("a", "F32", "[1]", "-4", "0") "}", 4, ERR_CORRUPT, "data_offsets of a lie outside"},
    {"{" ENTRY("a", "F32", "[1]", "0.0", "4") "}", 4, ERR_CORRUPT, "data_offsets of a lie outside"},
    {"{" ENTRY("a", "F32", "[1]", "0", "18446744073709551620") "}", 4, ERR_CORRUPT, "lie outside"},
    {"{" ENTRY("a", "F32", "[2]", "0", "8") "}", 4, ERR_CORRUPT, "lie outside of 4 bytes"},
    {"{" ENTRY("a", "F32", "[1]", "0", "4") "," ENTRY("b", "F32", "[1]", "2", "6") "}", 6,
     ERR_CORRUPT, "a hole or an overlap before b"},
    {"{" ENTRY("a", "F32", "[1]", "0", "4") "," ENTRY("b", "F32", "[1]", "8", "12") "}", 12,
     ERR_CORRUPT, "a hole or an overlap before b"},
    {"{" ENTRY("a", "F32", "[1]", "0", "4") "}", 9, ERR_CORRUPT, "5 bytes after the last tensor"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, ERR_CORRUPT,
     "a needs two data_offsets"},
    /* S5: shapes */
    {"{" ENTRY("a", "F32", "[4611686018427387904,4]", "0", "4") "}", 4, ERR_CORRUPT,
     "the shape of a is not valid"},
    {"{" ENTRY("a", "F32", "[-1]", "0", "4") "}", 4, ERR_CORRUPT, "the shape of a is not valid"},
    {"{" ENTRY("a", "F32", "[1.0]", "0", "4") "}", 4, ERR_CORRUPT, "the shape of a is not valid"},
    {"{" ENTRY("a", "F32", "[1,1,1,1,1,1,1]", "0", "4") "}", 4, ERR_CORRUPT, "a has 7 dimensions"},
    {"{" ENTRY("a", "F32", "{}", "0", "4") "}", 4, ERR_CORRUPT, "a has no shape"},
    /* S6: types */
    {"{" ENTRY("a", "Q4", "[1]", "0", "4") "}", 4, ERR_CORRUPT, "the dtype of a is unknown"},
    {"{" ENTRY("a", "F32", "[2]", "0", "4") "}", 4, ERR_CORRUPT,
     "a has 4 bytes, its shape needs 8"},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, ERR_CORRUPT, "the dtype of a is unknown"},
    {"{\"a\":7}", 0, ERR_CORRUPT, "the dtype of a is unknown"},
};

/* A file in memory: u64 length, header, data. Returns its size. */
static size_t build(unsigned char out[FILE_MAX], const char *header, int64_t n_data) {
    uint64_t n = strlen(header);
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)(n >> (8 * i));
    memcpy(out + 8, header, n);
    memset(out + 8 + n, 1, (size_t)n_data);
    return 8 + n + (size_t)n_data;
}

static void headers_are_checked_before_they_are_believed(void) {
    for (int i = 0; i < COUNT_OF(rows); i++) {
        unsigned char file[FILE_MAX];
        struct safetensors s = {0};
        struct fail f = {0};
        size_t n = build(file, rows[i].header, rows[i].n_data);
        enum err rc = safetensors_parse(&s, 0, file, n, "t.safetensors", &f);
        if (rc != rows[i].code) fprintf(stderr, "  header %s\n", rows[i].header);
        CHECK_INT(rc, rows[i].code);
        if (rc != ERR_OK) CHECK_HAS(f.text, "t.safetensors");
        if (rc != ERR_OK) CHECK_HAS(f.text, rows[i].text);
        safetensors_close(&s);
    }
}

/* S1: the eight bytes in front. */
static void header_lengths_are_checked(void) {
    static const uint64_t lengths[] = {0, 1, 3, 1000, 1ull << 63, UINT64_MAX, UINT64_MAX - 7};
    for (int i = 0; i < COUNT_OF(lengths); i++) {
        unsigned char file[10] = {0, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
        struct safetensors s = {0};
        struct fail f = {0};
        for (int k = 0; k < 8; k++)
            file[k] = (unsigned char)(lengths[i] >> (8 * k));
        CHECK_INT(safetensors_parse(&s, 0, file, sizeof file, "t", &f), ERR_CORRUPT);
        CHECK_HAS(f.text, "the header length");
    }
    for (size_t n = 0; n < 8; n++) {
        unsigned char file[8] = {2};
        struct safetensors s = {0};
        CHECK_INT(safetensors_parse(&s, 0, file, n, "t", NULL), ERR_CORRUPT);
    }
}

/* Any cut of a good file is refused, any flipped byte is refused or harmless. */
static void damaged_files_never_pass_a_check_they_should_not(void) {
    unsigned char file[FILE_MAX], damaged[FILE_MAX];
    size_t n = build(file, "{" ENTRY("a", "F32", "[2]", "0", "8") "}", 8);
    for (size_t cut = 0; cut < n; cut++) {
        struct safetensors s = {0};
        CHECK_INT(safetensors_parse(&s, 0, file, cut, "t", NULL), ERR_CORRUPT);
        safetensors_close(&s);
    }
    for (size_t at = 0; at < n - 8; at++)
        for (int bit = 0; bit < 8; bit++) {
            struct safetensors s = {0};
            memcpy(damaged, file, n);
            damaged[at] ^= (unsigned char)(1 << bit);
            enum err rc = safetensors_parse(&s, 0, damaged, n, "t", NULL);
            if (rc == ERR_OK) CHECK_INT(s.entry[0].bytes, 8);
            safetensors_close(&s);
        }
}

static char folder[] = "/tmp/misora-safetensors-XXXXXX";

static void write_file(const char *name, const void *data, size_t n) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(data, 1, n, file) == n);
    if (file) fclose(file);
}

static void remove_file(const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
}

static void write_tensor(const char *name, const char *header, int64_t n_data) {
    unsigned char file[FILE_MAX];
    write_file(name, file, build(file, header, n_data));
}

/* S12: what an index may say. */
static void indexes_name_plain_files_that_hold_what_they_promise(void) {
    static const struct {
        const char *index;
        enum err code;
        const char *text;
    } cases[] = {
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}", ERR_OK, ""},
        {"{\"weight_map\":{}}", ERR_CORRUPT, "weight_map is missing"},
        {"{}", ERR_CORRUPT, "weight_map is missing"},
        {"{\"weight_map\":{\"a\":\"../one.safetensors\"}}", ERR_CORRUPT, "plain .safetensors name"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", ERR_CORRUPT, "plain .safetensors name"},
        {"{\"weight_map\":{\"a\":\"one.bin\"}}", ERR_CORRUPT, "plain .safetensors name"},
        {"{\"weight_map\":{\"a\":7}}", ERR_CORRUPT, "plain .safetensors name"},
        {"{\"weight_map\":{\"a\":\"gone.safetensors\"}}", ERR_NOT_FOUND, "gone.safetensors"},
        {"{\"weight_map\":{\"a\":\"two.safetensors\"}}", ERR_CORRUPT, "a is not in the shard"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"c\":\"two.safetensors\"}}", ERR_CORRUPT,
         "c is not in the shard"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"same.safetensors\"}}", ERR_CORRUPT,
         "both hold a"},
        {"{\"weight_map\":", ERR_CORRUPT, "m.safetensors.index.json: byte 14"},
    };
    write_tensor("one.safetensors", "{" ENTRY("a", "F32", "[1]", "0", "4") "}", 4);
    write_tensor("two.safetensors", "{" ENTRY("b", "F32", "[1]", "0", "4") "}", 4);
    write_tensor("same.safetensors",
                 "{" ENTRY("a", "F32", "[1]", "0", "4") "," ENTRY("b", "F32", "[1]", "4", "8") "}",
                 8);
    for (int i = 0; i < COUNT_OF(cases); i++) {
        struct safetensors s;
        struct fail f = {0};
        write_file("m.safetensors.index.json", cases[i].index, strlen(cases[i].index));
        enum err rc = safetensors_open(&s, folder, "m", &f);
        CHECK_INT(rc, cases[i].code);
        if (rc == ERR_OK) CHECK(safetensors_find(&s, "b") != NULL);
        if (rc != ERR_OK) CHECK_HAS(f.text, cases[i].text);
        safetensors_close(&s);
    }
    remove_file("one.safetensors");
    remove_file("two.safetensors");
    remove_file("same.safetensors");
    remove_file("m.safetensors.index.json");
}

/* S11, S13: only regular files of this format. */
static void other_things_than_weight_files_are_refused(void) {
    struct safetensors s;
    struct fail f = {0};
    char path[512];
    static const char *const magics[] = {"PK\x03\x04 a zip, as torch saves",
                                         "\x80\x02}q\x00. a pickle",
                                         "GGUF\x03\x00\x00\x00\xff\xff\xff\xff"};
    snprintf(path, sizeof path, "%s/x.safetensors", folder);
    CHECK_INT(safetensors_open_file(&s, path, &f), ERR_NOT_FOUND);
    for (int i = 0; i < COUNT_OF(magics); i++) {
        write_file("x.safetensors", magics[i], 12);
        CHECK_INT(safetensors_open_file(&s, path, &f), ERR_CORRUPT);
    }
    remove_file("x.safetensors");
    CHECK_INT(mkdir(path, 0700), 0);
    CHECK_INT(safetensors_open_file(&s, path, &f), ERR_CORRUPT);
    CHECK_HAS(f.text, "is not a regular file");
    rmdir(path);
    CHECK_INT(mkfifo(path, 0600), 0);
    CHECK_INT(safetensors_open_file(&s, path, &f), ERR_CORRUPT);
    remove_file("x.safetensors");
    write_file("x.safetensors", "x", 1);
    CHECK_INT(truncate(path, (off_t)1 << 40), 0); /* a hole of a terabyte */
    CHECK_INT(safetensors_open_file(&s, path, &f), ERR_CORRUPT);
    CHECK_HAS(f.text, "has 1099511627776 bytes, 274877906944 are allowed");
    remove_file("x.safetensors");
}

struct model {
    struct tensor a, b, c, d, e;
};

static void a_file_whose_blocks_are_not_stored_yet_is_read(void) {
    static const char header[] =
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[65536],\"data_offsets\":[0,262144]}}";
    unsigned char head[8 + sizeof(header) - 1] = {sizeof(header) - 1};
    struct safetensors s = {0};
    struct fail f = {0};
    char path[320];
    memcpy(head + 8, header, sizeof(header) - 1);
    write_file("x.safetensors", head, sizeof(head));
    snprintf(path, sizeof path, "%s/x.safetensors", folder);
    CHECK_INT(truncate(path, (off_t)sizeof(head) + 262144),
              0); /* as a fresh clone: data without blocks */
    CHECK_OK(safetensors_open_file(&s, path, &f), &f);
    safetensors_close(&s);
    remove_file("x.safetensors");
}

static void count_lines(void *ctx, const char *event, const char *text) {
    int *n = ctx;
    CHECK_STR(event, "weights.problem");
    CHECK_HAS(text, folder);
    (*n)++;
}

/* S7 and S8: all problems in one go; an odd header length leaves the data unaligned. */
static void binding_reports_every_problem(void) {
    static const struct weight_row want[] = {
        {"a", offsetof(struct model, a), WEIGHT_PLAIN, 2, {2, 1}},
        {"b", offsetof(struct model, b), WEIGHT_PLAIN, 1, {WEIGHT_SIZE(0)}},
        {"c", offsetof(struct model, c), WEIGHT_PLAIN, 1, {1}},
        {"d", offsetof(struct model, d), WEIGHT_PLAIN | WEIGHT_OPTIONAL, 1, {1}},
        {"e", offsetof(struct model, e), WEIGHT_PLAIN, 1, {4}},
    };
    struct device dev;
    struct pool pool;
    struct weights w = {0};
    struct model m;
    struct fail f = {0};
    float a[2];
    CHECK_OK(device_open(&dev, "ref", &(struct device_opts){0}, &f), &f);
    pool_make(&pool, &dev, 1 << 16, 1 << 20);
    write_tensor("m.safetensors",
                 "{" ENTRY("p.a", "F32", "[2,1]", "0", "8") "," ENTRY(
                     "p.b", "BF16", "[3]", "8", "14") "," ENTRY("p.e", "U8", "[4]", "14",
                                                                "18") "," ENTRY("p.x", "U8", "[1]",
                                                                                "18", "19") "}  ",
                 19);
    CHECK_OK(weights_open(&w, &dev, &pool, folder, "m", &f), &f);
    CHECK_OK(weights_bind(&w, &m, "p.", want, COUNT_OF(want), &(int64_t){5}, &f), &f);
    int n_said = 0;
    dev.say = count_lines;
    dev.say_ctx = &n_said;
    CHECK_INT(weights_finish(&w, &f), ERR_CORRUPT);
    CHECK_INT(n_said, 4);
    CHECK_HAS(f.text, "p.b is [3] in the file, the model needs [5] (4 problems in all)");
    CHECK_HAS(buf_str(&w.problems), "p.c is missing");
    CHECK_HAS(buf_str(&w.problems), "p.e is stored as U8, not as numbers");
    CHECK_HAS(buf_str(&w.problems), "nobody asked for p.x");
    CHECK(m.d.data == NULL && m.c.data == NULL);
    op_download(&dev, a, &m.a);
    CHECK_NEAR(a[1], 2.36942783e-38, 1e-43); /* four bytes of 1, read from an odd address */
    weights_close(&w);
    pool_free(&pool);
    device_close(&dev);
    remove_file("m.safetensors");
}

static void find_event(void *ctx, const char *event, const char *text) {
    if (strcmp(event, "weights.infinite") == 0) str_copy(ctx, 256, str_of(text));
}

static void weights_that_are_no_numbers_are_told(void) {
    struct device dev;
    struct pool pool;
    struct weights w = {0};
    struct tensor a;
    struct fail f = {0};
    unsigned char file[FILE_MAX];
    char said[256] = "";
    size_t n = build(file, "{" ENTRY("a", "F32", "[2]", "0", "8") "}", 8);
    memcpy(file + n - 4, &(float){NAN}, 4);
    write_file("m.safetensors", file, n);
    CHECK_OK(device_open(&dev, "ref", &(struct device_opts){0}, &f), &f);
    dev.say = find_event;
    dev.say_ctx = said;
    pool_make(&pool, &dev, 1 << 16, 1 << 20);
    CHECK_OK(weights_open(&w, &dev, &pool, folder, "m", &f), &f);
    CHECK_OK(weights_take(&w, &a, "a", WEIGHT_PLAIN, 1, &(int64_t){2}, &f), &f);
    CHECK_HAS(said, "a holds values that are not numbers");
    weights_close(&w);
    pool_free(&pool);
    device_close(&dev);
    remove_file("m.safetensors");
}

/* S9: a file that changes under us is an answer in words, not a signal. */
static void files_that_change_while_they_are_used_are_told(void) {
    struct safetensors s;
    struct fail f = {0};
    char path[512];
    float v[2] = {0};
    const char *header = "{" ENTRY("a", "F32", "[2]", "0", "8") "}";
    snprintf(path, sizeof path, "%s/x.safetensors", folder);
    write_tensor("x.safetensors", header, 8);
    CHECK_OK(safetensors_open_file(&s, path, &f), &f);
    CHECK_OK(safetensors_read(&s, &s.entry[0], 1, 1, v, &f), &f);
    CHECK_OK(safetensors_check_unchanged(&s, &f), &f);

    write_tensor("y.safetensors", header, 8); /* a new file of the name: the old one stays ours */
    char other[512];
    snprintf(other, sizeof other, "%s/y.safetensors", folder);
    CHECK_INT(rename(other, path), 0);
    CHECK_OK(safetensors_read(&s, &s.entry[0], 0, 2, v, &f), &f);
    CHECK_OK(safetensors_check_unchanged(&s, &f), &f);
    safetensors_close(&s);

    CHECK_OK(safetensors_open_file(&s, path, &f), &f);
    CHECK_INT(truncate(path, (off_t)strlen(header) + 8 + 4), 0);
    CHECK_INT(safetensors_check_unchanged(&s, &f), ERR_CORRUPT);
    CHECK_HAS(f.text, "x.safetensors was written to while it was in use");
    CHECK_INT(safetensors_read(&s, &s.entry[0], 0, 2, v, &f), ERR_CORRUPT);
    CHECK_HAS(f.text, "it was cut while it was in use");
    safetensors_close(&s);
    remove_file("x.safetensors");
}

static void halves_are_read_in_place(void) {
    struct safetensors s;
    struct fail f = {0};
    char path[512];
    unsigned char file[FILE_MAX];
    float v[4] = {0};
    size_t n = build(file, "{" ENTRY("a", "BF16", "[5]", "0", "10") "}", 10);
    static const uint16_t bits[] = {0x3f80, 0xc040, 0x4000, 0x4040, 0x4080};
    memcpy(file + n - sizeof bits, bits, sizeof bits);
    write_file("x.safetensors", file, n);
    snprintf(path, sizeof path, "%s/x.safetensors", folder);
    CHECK_OK(safetensors_open_file(&s, path, &f), &f);
    CHECK_OK(safetensors_read(&s, &s.entry[0], 1, 4, v, &f), &f);
    for (int i = 0; i < 4; i++)
        CHECK_NEAR((double)v[i], i == 0 ? -3 : i + 1, 0);
    safetensors_close(&s);
    remove_file("x.safetensors");
}

static void every_failed_allocation_leaves_nothing_behind(void) {
    unsigned char file[FILE_MAX];
    size_t n = build(file, "{" ENTRY("a", "F32", "[2]", "0", "8") "}", 8);
    int64_t before = mem_alive();
    for (int64_t nth = 1; nth < 20; nth++) {
        struct safetensors s = {0};
        mem_fail_nth(nth);
        enum err rc = safetensors_parse(&s, 0, file, n, "t", NULL);
        mem_fail_nth(0);
        CHECK(rc == ERR_OK || rc == ERR_NOMEM);
        safetensors_close(&s);
        CHECK_INT(mem_alive(), before);
    }
}

static const struct test tests[] = {
    TEST(a_file_whose_blocks_are_not_stored_yet_is_read),
    TEST(headers_are_checked_before_they_are_believed),
    TEST(header_lengths_are_checked),
    TEST(damaged_files_never_pass_a_check_they_should_not),
    TEST(indexes_name_plain_files_that_hold_what_they_promise),
    TEST(other_things_than_weight_files_are_refused),
    TEST(binding_reports_every_problem),
    TEST(weights_that_are_no_numbers_are_told),
    TEST(files_that_change_while_they_are_used_are_told),
    TEST(halves_are_read_in_place),
    TEST(every_failed_allocation_leaves_nothing_behind),
};

int main(int argc, char **argv) {
    if (!mkdtemp(folder)) return 1;
    int rc = check_main(tests, COUNT_OF(tests), argc, argv);
    rmdir(folder);
    return rc;
}
