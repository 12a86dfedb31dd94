/* Own segmentation against the sentencepiece library, row by row, and what happens to files that
 * are not what they say. The rows come from train/dump_golden_text.py. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/text_clean.h"
#include "engine/tokenizer.h"
#include "tests/lib/check.h"
#include "tests/lib/temp.h"

enum { LINE_MAX_BYTES = 64 << 10, FILE_MAX_BYTES = 1 << 20 };

static const char *const model_path = "tests/golden/mini/tokenizer/spiece.model";

static int hex_value(char c) {
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* Decodes hex up to the next tab or line end; moves *p behind it. */
static struct str take_hex(char **p) {
    char *out = *p, *in = *p;
    size_t n = 0;
    while (*in && *in != '\t' && *in != '\n') {
        out[n++] = (char)(hex_value(in[0]) * 16 + hex_value(in[1]));
        in += 2;
    }
    struct str s = {out, n};
    *p = *in ? in + 1 : in;
    return s;
}

static int same_ids(const struct tokenizer_ids *ids, char *list) {
    int n = 0;
    for (char *end, *p = list; *p && *p != '\n'; p = end, n++) {
        long id = strtol(p, &end, 10);
        if (end == p) break;
        if (n >= ids->n || ids->id[n] != id) return 0;
    }
    return n == ids->n;
}

/* A row: most ids allowed, text, ids wanted. */
static void check_ids(const struct tokenizer *t, struct str text, int max_ids, char *p,
                      int number) {
    struct fail f = {0};
    struct tokenizer_ids ids = {0};
    CHECK_OK(tokenizer_encode(t, &ids, text, max_ids, &f), &f);
    if (!same_ids(&ids, p)) {
        check_failed++;
        fprintf(stderr, "  row %d \"%.*s\": got", number, (int)text.n, text.p);
        for (int i = 0; i < ids.n; i++)
            fprintf(stderr, " %d", (int)ids.id[i]);
        fprintf(stderr, ", want %s", p);
    }
    tokenizer_ids_free(&ids);
}

static void check_case(const struct tokenizer *t, char *line, int number) {
    char *p = line;
    int max_ids = (int)strtol(p, &p, 10);
    p++;
    struct str text = take_hex(&p);
    check_ids(t, text, max_ids, p, number);
}

static void check_clean(const struct tokenizer *t, char *line, int number) {
    struct fail f = {0};
    struct buf clean;
    char *p = strchr(line, '\t') + 1;
    struct str raw = take_hex(&p);
    buf_make(&clean, TOKENIZER_TEXT_BYTES_MAX);
    CHECK_OK(text_clean(&clean, raw, &f), &f);
    check_ids(t, (struct str){buf_str(&clean), clean.len}, 512, p, number);
    buf_free(&clean);
}

static int for_lines(const struct tokenizer *t, const char *path,
                     void (*check)(const struct tokenizer *, char *, int)) {
    char *line = mem_take(LINE_MAX_BYTES, 1);
    FILE *file = fopen(path, "r");
    int n = 0;
    CHECK(file != NULL);
    while (file && fgets(line, LINE_MAX_BYTES, file))
        check(t, line, ++n);
    if (file) fclose(file);
    mem_free(line);
    return n;
}

static void ids_are_those_of_sentencepiece(void) {
    struct fail f = {0};
    struct tokenizer *t = NULL;
    CHECK_OK(tokenizer_open(&t, model_path, &f), &f);
    if (t) CHECK(for_lines(t, "tests/golden/mini/tokenizer/cases.tsv", check_case) >= 140);
    tokenizer_close(t);
}

static enum err try_bytes(struct str bytes, struct fail *f);

static void a_folder_without_a_model_file_has_the_same_ids_from_json(void) {
    struct fail f = {0};
    struct tokenizer *t = NULL;
    CHECK_OK(tokenizer_open(&t, "tests/golden/mini/tokenizer/tokenizer.json", &f), &f);
    if (t) CHECK(for_lines(t, "tests/golden/mini/tokenizer/cases.tsv", check_case) >= 140);
    if (t) CHECK(for_lines(t, "tests/golden/mini/tokenizer/clean.tsv", check_clean) >= 25);
    tokenizer_close(t);
    CHECK_OK(tokenizer_open_folder(&t, "tests/golden/mini/tokenizer", &f), &f);
    tokenizer_close(t);
    const char *folder = temp_dir();
    CHECK_INT(tokenizer_open_folder(&t, folder, &f), ERR_NOT_FOUND);
    CHECK_HAS(f.text, "has neither spiece.model nor tokenizer.json");
}

#define VOCAB         "[[\"<unk>\",0],[\"</s>\",0],[\"a\",-1.5]]"
#define UNIGRAM(rest) "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":" rest

/* S14: vocabularies in JSON that are not what they say. */
static void json_files_that_lie_are_refused_in_words(void) {
    static const struct {
        const char *text;
        enum err code;
        const char *says;
    } rows[] = {
        {UNIGRAM(VOCAB) "}}", ERR_OK, ""},
        {UNIGRAM(VOCAB) "},\"normalizer\":null,\"added_tokens\":[]}", ERR_OK, ""},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[\"x y\"]}}", ERR_UNSUPPORTED,
         "a model of type \"BPE\" is not known"},
        {"{}", ERR_UNSUPPORTED, "a model of type \"\""},
        {UNIGRAM("{}") "}}", ERR_CORRUPT, "the vocabulary is no list"},
        {UNIGRAM("[]") "}}", ERR_CORRUPT, "the vocabulary is no list"},
        {UNIGRAM("[[\"a\"]]") "}}", ERR_CORRUPT,
         "piece 0 of the vocabulary is no text with a score"},
        {UNIGRAM("[[\"a\",\"b\"]]") "}}", ERR_CORRUPT, "piece 0 of the vocabulary"},
        {UNIGRAM("[[\"a\",1e999]]") "}}", ERR_CORRUPT, "piece 0 of the vocabulary"},
        {UNIGRAM("[[\"a\",0],[\"\",0]]") "}}", ERR_CORRUPT, "piece 1 has 0 bytes"},
        {UNIGRAM("[[\"\xff\",0]]") "}}", ERR_CORRUPT, "not UTF-8"},
        {UNIGRAM("[[\"<unk>\",0],[\"</s>\",0],[\"<unk>\",0]]") "}}", ERR_CORRUPT,
         "have the same text"},
        {UNIGRAM("[[\"<unk>\",0],[\"a\",0]]") "}}", ERR_CORRUPT, "lacks the piece </s>"},
        {UNIGRAM(VOCAB) ",\"byte_fallback\":true}}", ERR_CORRUPT, "lacks <0x00>"},
        {"{\"model\":{\"type\":\"Unigram\",\"unk_id\":3,\"vocab\":" VOCAB "}}", ERR_CORRUPT,
         "unk_id is not one of the 3 pieces"},
        {UNIGRAM(VOCAB) "},\"added_tokens\":[{\"id\":2,\"content\":\"b\",\"special\":true}]}",
         ERR_CORRUPT, "added token 2 is another piece"},
        {UNIGRAM(VOCAB) "},\"added_tokens\":[{\"id\":1000000000,\"content\":\"b\"}]}", ERR_OK, ""},
        {UNIGRAM(VOCAB) "},\"added_tokens\":[{\"content\":\"b\"}]}", ERR_CORRUPT, "has no id"},
        {UNIGRAM(VOCAB) "},\"normalizer\":{\"type\":\"Lowercase\"}}", ERR_UNSUPPORTED,
         "a normalizer of type \"Lowercase\" is not known"},
        {UNIGRAM(
             VOCAB) "},\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"%%\"}}",
         ERR_CORRUPT, "precompiled_charsmap is not base64"},
        {UNIGRAM(VOCAB) "},\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":"
                        "\"AAAA\"}}",
         ERR_CORRUPT, "charsmap has 3 bytes"},
        {UNIGRAM(VOCAB) "},\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}", ERR_UNSUPPORTED,
         "a pre_tokenizer of type \"ByteLevel\" is not known"},
    };
    for (int i = 0; i < COUNT_OF(rows); i++) {
        struct fail f = {0};
        CHECK_INT(try_bytes(str_of(rows[i].text), &f), rows[i].code);
        CHECK_HAS(f.text, rows[i].says);
    }
}

/* S14: a piece of a hundred megabytes is a matter of milliseconds, and of a limit. */
static void a_file_over_the_limit_is_refused_before_it_is_read(void) {
    struct fail f = {0};
    struct tokenizer *t = NULL;
    char path[512];
    snprintf(path, sizeof path, "%s/tokenizer.json", temp_dir());
    FILE *file = fopen(path, "wb");
    CHECK(file && fputs("{\"a\":\"", file) >= 0);
    if (file) fclose(file);
    CHECK_INT(truncate(path, 100 << 20), 0);
    CHECK_INT(tokenizer_open(&t, path, &f), ERR_CORRUPT);
    CHECK_HAS(f.text, "has 104857600 bytes, 67108864 are allowed");
}

static void prompts_are_cleaned_as_the_pipeline_does(void) {
    struct fail f = {0};
    struct tokenizer *t = NULL;
    CHECK_OK(tokenizer_open(&t, model_path, &f), &f);
    if (t) CHECK(for_lines(t, "tests/golden/mini/tokenizer/clean.tsv", check_clean) >= 25);
    tokenizer_close(t);
}

static void cleaning_is_done_in_the_right_order(void) {
    static const struct {
        const char *raw, *clean;
    } rows[] = {
        {" a  b ", "a b"},
        {"&amp;lt;", "<"},        /* twice */
        {"&amp;amp;lt;", "&lt;"}, /* not three times */
        {"\xff &#65;\xff", "\xff A\xff"},
        {"\x1b[1;31mred", "red"},
        {"\x1b[", "["},
        {"&#8217;", "\xe2\x80\x99"}, /* quotes are straightened before references */
        {"\xc2\x85x", "\xe2\x80\xa6x"},
    };
    for (int i = 0; i < COUNT_OF(rows); i++) {
        struct fail f = {0};
        struct buf out;
        buf_make(&out, 64);
        CHECK_OK(text_clean(&out, str_of(rows[i].raw), &f), &f);
        CHECK_STR(buf_str(&out), rows[i].clean);
        buf_free(&out);
    }
}

static void check_norm(const struct tokenizer *t, char *line, int number) {
    struct fail f = {0};
    char *p = line, *got = NULL;
    struct str text = take_hex(&p), want = take_hex(&p);
    CHECK_OK(tokenizer_normalize(t, &got, text, &f), &f);
    if (got && (strlen(got) != want.n || memcmp(got, want.p, want.n) != 0)) {
        check_failed++;
        fprintf(stderr, "  row %d \"%.*s\": got \"%s\", want \"%.*s\"\n", number, (int)text.n,
                text.p, got, (int)want.n, want.p);
    }
    mem_free(got);
}

static void the_full_nfkc_table_is_read_as_sentencepiece_reads_it(void) {
    struct fail f = {0};
    struct tokenizer *t = NULL;
    if (tokenizer_open(&t, "models/tiny/tokenizer/spiece.model", &f) == ERR_NOT_FOUND) {
        test_skip("models/tiny has no tokenizer yet");
        return;
    }
    CHECK(t != NULL);
    if (t) CHECK(for_lines(t, "tests/golden/mini/tokenizer/nmt_nfkc.tsv", check_norm) >= 60);
    tokenizer_close(t);
}

static void a_cut_text_keeps_its_end_mark(void) {
    struct fail f = {0};
    struct tokenizer *t = NULL;
    struct tokenizer_ids ids = {0};
    struct str text = str_of("A red ball rolls in the meadow.");
    CHECK_OK(tokenizer_open(&t, model_path, &f), &f);
    for (int max = 1; max < 8; max++) {
        CHECK_OK(tokenizer_encode(t, &ids, text, max, &f), &f);
        CHECK_INT(ids.n, max);
        CHECK_INT(ids.id[max - 1], tokenizer_eos(t));
        CHECK_INT(ids.was_cut, 1);
        tokenizer_ids_free(&ids);
    }
    CHECK_OK(tokenizer_encode(t, &ids, text, 512, &f), &f);
    CHECK_INT(ids.was_cut, 0);
    tokenizer_ids_free(&ids);
    tokenizer_close(t);
}

static void broken_utf8_gives_ids_and_no_harm(void) {
    static const char *const texts[] = {
        "\xff",     "a\xc3",        "\xe4\xb8",         "\xf0\x9f\x99",
        "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80\x80\x80"};
    struct fail f = {0};
    struct tokenizer *t = NULL;
    CHECK_OK(tokenizer_open(&t, model_path, &f), &f);
    for (int i = 0; i < COUNT_OF(texts); i++) {
        struct tokenizer_ids ids = {0};
        CHECK_OK(tokenizer_encode(t, &ids, str_of(texts[i]), 512, &f), &f);
        CHECK(ids.n > 1);
        tokenizer_ids_free(&ids);
    }
    tokenizer_close(t);
}

static void a_text_over_the_limit_is_refused(void) {
    struct fail f = {0};
    struct tokenizer *t = NULL;
    struct tokenizer_ids ids = {0};
    size_t n = TOKENIZER_TEXT_BYTES_MAX + 1;
    char *text = mem_take(n, 1);
    memset(text, 'a', n);
    CHECK_OK(tokenizer_open(&t, model_path, &f), &f);
    CHECK_INT(tokenizer_encode(t, &ids, (struct str){text, n}, 512, &f), ERR_LIMIT);
    CHECK_HAS(f.text, "262145 bytes, 262144 are allowed");
    CHECK_OK(tokenizer_encode(t, &ids, (struct str){text, n - 1}, 512, &f), &f);
    tokenizer_ids_free(&ids);
    mem_free(text);
    tokenizer_close(t);
}

static struct str read_model(void) {
    FILE *file = fopen(model_path, "rb");
    char *bytes = mem_take(FILE_MAX_BYTES, 1);
    size_t n = file ? fread(bytes, 1, FILE_MAX_BYTES, file) : 0;
    if (file) fclose(file);
    CHECK(n > 0);
    return (struct str){bytes, n};
}

/* Opens a changed copy and, when that works, encodes with it: nothing may crash. */
static enum err try_bytes(struct str bytes, struct fail *f) {
    struct tokenizer *t = NULL;
    struct tokenizer_ids ids = {0};
    enum err rc = tokenizer_open_bytes(&t, bytes, "changed.model", f);
    if (rc == ERR_OK) rc = tokenizer_encode(t, &ids, str_of("A red ball， cafe\xcc\x81"), 512, f);
    tokenizer_ids_free(&ids);
    tokenizer_close(t);
    return rc;
}

static void every_truncation_is_refused_or_harmless(void) {
    struct str model = read_model();
    int64_t alive = mem_alive();
    int refused = 0;
    for (size_t n = 0; n < model.n; n += 97) {
        struct fail f = {0};
        refused += try_bytes((struct str){model.p, n}, &f) != ERR_OK;
    }
    CHECK(refused > (int)(model.n / 97) * 9 / 10);
    CHECK_INT(mem_alive(), alive);
    mem_free((char *)model.p);
}

static void random_damage_is_refused_or_harmless(void) {
    struct str model = read_model();
    char *copy = mem_take(model.n, 1);
    uint64_t state = 1;
    for (int round = 0; round < 400; round++) {
        struct fail f = {0};
        memcpy(copy, model.p, model.n);
        for (int i = 0; i < 4; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            copy[(state >> 33) % model.n] = (char)(state >> 24);
        }
        (void)!try_bytes((struct str){copy, model.n}, &f);
    }
    mem_free(copy);
    mem_free((char *)model.p);
}

/* Files by hand: fields of a protobuf, as short as they can be. */
static void files_that_lie_are_refused_in_words(void) {
#define PIECE(text) "\x0a" text
#define UNK         PIECE("\x09\x0a\x05<unk>\x18\x02")
#define EOS         PIECE("\x08\x0a\x04</s>\x18\x03")
    static const struct {
        const char *bytes;
        size_t n;
        enum err code;
        const char *text;
    } rows[] = {
#define ROW(bytes, code, text) {bytes, sizeof bytes - 1, code, text}
        ROW("", ERR_CORRUPT, "has 0 pieces"),
        ROW("\x0a", ERR_CORRUPT, "ends inside a number"),
        ROW("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", ERR_CORRUPT, "more than 64 bits"),
        ROW("\x0a\xff\xff\xff\xff\x0f", ERR_CORRUPT, "wants 4294967295 bytes, 0 are left"),
        ROW("\x0b\x00", ERR_CORRUPT, "not a spiece.model: field type 3"),
        ROW("{\"version\": 1}", ERR_UNSUPPORTED, "a model of type \"\" is not known"),
        ROW("{\"version\"", ERR_CORRUPT, "changed.model: byte 10"),
        ROW("\x0a\x00", ERR_CORRUPT, "piece 0 has 0 bytes"),
        ROW("\x0a\x03\x0a\x01\xff", ERR_CORRUPT, "piece 0 is not UTF-8"),
        ROW("\x0a\x05\x0a\x01"
            "a\x18\x09",
            ERR_CORRUPT, "unknown type 9"),
        ROW("\x0a\x08\x0a\x01"
            "a\x15\x00\x00\xc0\x7f",
            ERR_CORRUPT, "piece 0 has no score"),
        ROW(PIECE("\x03\x0a\x01"
                  "a") PIECE("\x03\x0a\x01"
                             "a"),
            ERR_CORRUPT, "same text"),
        ROW(PIECE("\x03\x0a\x01"
                  "a"),
            ERR_CORRUPT, "lacks the piece of type unknown"),
        ROW(UNK, ERR_CORRUPT, "lacks the piece </s>"),
        ROW(UNK EOS "\x12\x03\x98\x02\x01", ERR_CORRUPT, "byte_fallback but lacks <0x00>"),
        ROW(UNK EOS "\x12\x02\x18\x02", ERR_UNSUPPORTED, "model_type 2, only unigram"),
        ROW(UNK EOS "\x1a\x05\x12\x03"
                    "abc",
            ERR_CORRUPT, "charsmap has 3 bytes"),
        ROW(UNK EOS "\x1a\x0b\x12\x09\xff\xff\xff\x7f"
                    "abcd\x00",
            ERR_CORRUPT, "names a trie of"),
        /* One unit whose children lie far outside the table. */
        ROW(UNK EOS "\x1a\x0b\x12\x09\x04\x00\x00\x00\x00\xfe\xff\x7f\x00", ERR_CORRUPT,
            "points outside itself"),
        ROW(UNK EOS, ERR_OK, ""),
    };
    for (int i = 0; i < COUNT_OF(rows); i++) {
        struct fail f = {0};
        CHECK_INT(try_bytes((struct str){rows[i].bytes, rows[i].n}, &f), rows[i].code);
        CHECK_HAS(f.text, rows[i].text);
    }
}

static void a_missing_file_and_a_folder_are_told_apart(void) {
    struct fail f = {0};
    struct tokenizer *t = NULL;
    CHECK_INT(tokenizer_open(&t, "tests/golden/no.model", &f), ERR_NOT_FOUND);
    CHECK_HAS(f.text, "tests/golden/no.model: no such file");
    CHECK_INT(tokenizer_open(&t, "tests/golden", &f), ERR_CORRUPT);
    CHECK_HAS(f.text, "tests/golden is not a regular file");
    CHECK(t == NULL);
}

static void every_allocation_may_fail(void) {
    struct str model = read_model();
    int64_t alive = mem_alive();
    int n_failed = 0;
    for (int i = 1; i < 100; i++) {
        struct fail f = {0};
        mem_fail_nth(i);
        enum err rc = try_bytes(model, &f);
        mem_fail_nth(0);
        CHECK(rc == ERR_OK || rc == ERR_NOMEM);
        CHECK_INT(mem_alive(), alive);
        if (rc == ERR_OK) break;
        n_failed++;
    }
    CHECK(n_failed >= 5);
    mem_free((char *)model.p);
}

static const struct test tests[] = {
    TEST(ids_are_those_of_sentencepiece),
    TEST(a_folder_without_a_model_file_has_the_same_ids_from_json),
    TEST(json_files_that_lie_are_refused_in_words),
    TEST(a_file_over_the_limit_is_refused_before_it_is_read),
    TEST(prompts_are_cleaned_as_the_pipeline_does),
    TEST(cleaning_is_done_in_the_right_order),
    TEST(the_full_nfkc_table_is_read_as_sentencepiece_reads_it),
    TEST(a_cut_text_keeps_its_end_mark),
    TEST(broken_utf8_gives_ids_and_no_harm),
    TEST(a_text_over_the_limit_is_refused),
    TEST(every_truncation_is_refused_or_harmless),
    TEST(random_damage_is_refused_or_harmless),
    TEST(files_that_lie_are_refused_in_words),
    TEST(a_missing_file_and_a_folder_are_told_apart),
    TEST(every_allocation_may_fail),
};
TEST_MAIN(tests)
