/* Model folders of strangers, through the door of the engine: a copy of the mini folder in which
 * one file is something else. Every row is refused with file and reason, in a moment, and leaves
 * nothing behind. The rules of each format have tests of their own; here every kind of damage meets
 * the whole engine once. */
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/engine.h"
#include "engine/file.h"
#include "tests/lib/check.h"
#include "tests/lib/temp.h"

enum { FILE_BYTES_MAX = 1 << 20, SECONDS_MAX = 5, GROWTH_MAX_KB = 200 << 10 };

static const char *const files[] = {
    "model_index.json",
    "scheduler/scheduler_config.json",
    "tokenizer/spiece.model",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "transformer/config.json",
    "transformer/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
};

#define TEXT "text_encoder/model.safetensors"
#define DIT  "transformer/diffusion_pytorch_model.safetensors"
#define VAE  "vae/diffusion_pytorch_model.safetensors"

enum how {
    BYTES,  /* the file is these bytes */
    HEADER, /* a safetensors file with this header and no data */
    SPARSE, /* the same, and then `n` GiB of nothing */
    RENAME, /* the first of these bytes, up to '|', become what follows, wherever they are */
    CUT,    /* half of the file */
    LINK,   /* a symbolic link to that file of ours: fine */
    DANGLE, /* a symbolic link to nothing */
    FIFO,
    FOLDER,
    GONE,
    INDEX, /* beside the file: an index that says this */
};

struct row {
    const char *id, *file;
    enum how how;
    const char *bytes;
    size_t n;
    enum err code;
    const char *says;
};

#define B(text)     text, sizeof(text) - 1
#define LIE(text)   "{\"a\":{" text "}}"
#define ENTRY(text) "\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":" text

static const struct row rows[] = {
    {"good", TEXT, LINK, B("text_encoder/model.safetensors"), ERR_OK, ""},
    {"S1 short", DIT, BYTES, B("\x02\0\0"), ERR_CORRUPT, DIT ": 3 bytes are not a safetensors"},
    {"S1 zero", VAE, BYTES, B("\0\0\0\0\0\0\0\0{}"), ERR_CORRUPT, "header length 0 does not fit"},
    {"S1 2^63", DIT, BYTES, B("\0\0\0\0\0\0\0\x80{}"), ERR_CORRUPT,
     "header length 9223372036854775808"},
    {"S1 2^64-1", TEXT, BYTES, B("\xff\xff\xff\xff\xff\xff\xff\xff{}"), ERR_CORRUPT,
     "does not fit"},
    {"S2 start", DIT, HEADER, B("[1]"), ERR_CORRUPT, "does not start with {"},
    {"S2 BOM", TEXT, HEADER, B("\xef\xbb\xbf{}"), ERR_CORRUPT, "does not start with {"},
    {"S2 junk", VAE, HEADER, B("{}x"), ERR_CORRUPT, "text after the end"},
    {"S2 UTF-8", VAE, HEADER, B("{\"\xff\":1}"), ERR_CORRUPT, "not UTF-8"},
    {"S2 depth", DIT, HEADER, B("{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["), ERR_CORRUPT,
     "nested too deeply"},
    {"S3 twice", DIT, HEADER, B("{\"a\":{},\"a\":{}}"), ERR_CORRUPT, "\"a\" is there twice"},
    {"S3 key", DIT, HEADER, B(LIE("\"dtype\":\"F32\",\"dtype\":\"F32\"")), ERR_CORRUPT,
     "there twice"},
    {"S3 meta", TEXT, HEADER, B("{\"__metadata__\":{\"a\":1}}"), ERR_CORRUPT, "must hold strings"},
    {"S4 order", DIT, HEADER, B(LIE(ENTRY("[4,0]"))), ERR_CORRUPT, "data_offsets of a lie outside"},
    {"S4 sign", DIT, HEADER, B(LIE(ENTRY("[-4,0]"))), ERR_CORRUPT, "lie outside"},
    {"S4 float", DIT, HEADER, B(LIE(ENTRY("[0.5,4]"))), ERR_CORRUPT, "lie outside"},
    {"S4 end", VAE, HEADER, B(LIE(ENTRY("[0,4]"))), ERR_CORRUPT, "lie outside of 0 bytes"},
    {"S4 hole", VAE, SPARSE, B(LIE(ENTRY("[4,8]"))), ERR_CORRUPT, "a hole or an overlap before a"},
    {"S4 rest", VAE, SPARSE, B(LIE(ENTRY("[0,4]"))), ERR_CORRUPT, "bytes after the last tensor"},
    {"S5 overflow", DIT, HEADER,
     B(LIE("\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]")),
     ERR_CORRUPT, "the shape of a is not valid"},
    {"S5 dims", DIT, HEADER,
     B(LIE("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]")), ERR_CORRUPT,
     "8 dimensions"},
    {"S6 dtype", TEXT, HEADER, B(LIE("\"dtype\":\"Q4_0\",\"shape\":[1],\"data_offsets\":[0,4]")),
     ERR_CORRUPT, "the dtype of a is unknown"},
    {"S6 bytes", TEXT, SPARSE, B(LIE("\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,4]")),
     ERR_CORRUPT, "a has 4 bytes, its shape needs 2"},
    {"S7 empty", DIT, HEADER, B("{}"), ERR_CORRUPT, "transformer"},
    {"S7 name", TEXT, RENAME, B("encoder.final_layer_norm.weight|encoder.final_layer_norm.weighs"),
     ERR_CORRUPT, "encoder.final_layer_norm.weight is missing (2 problems in all)"},
    {"S7 shape", VAE, RENAME, B("\"shape\":[2,12,3,3,3]|\"shape\":[12,2,3,3,3]"), ERR_CORRUPT,
     "encoder.conv_in.weight is [12,2,3,3,3] in the file, the model needs [2,12,3,3,3]"},
    {"S7 type", TEXT, RENAME, B("\"F16\"|\"I16\""), ERR_CORRUPT, "model.safetensors"},
    {"S9 cut", VAE, CUT, B(""), ERR_CORRUPT, VAE},
    {"S11 link", DIT, DANGLE, B(""), ERR_NOT_FOUND, "no such file"},
    {"S11 FIFO", DIT, FIFO, B(""), ERR_CORRUPT, "is not a regular file"},
    {"S11 folder", TEXT, FOLDER, B(""), ERR_CORRUPT, "is not a regular file"},
    {"S11 config", "vae/config.json", FIFO, B(""), ERR_CORRUPT, "is not a regular file"},
    {"S11 gone", VAE, GONE, B(""), ERR_NOT_FOUND, VAE ": no such file"},
    {"S11 1 TiB", DIT, SPARSE, "{}", 1024, ERR_CORRUPT, "bytes, 274877906944 are allowed"},
    {"S12 parent", DIT, INDEX, B("{\"weight_map\":{\"a\":\"../../a.safetensors\"}}"), ERR_CORRUPT,
     "plain .safetensors name"},
    {"S12 root", DIT, INDEX, B("{\"weight_map\":{\"a\":\"/a.safetensors\"}}"), ERR_CORRUPT,
     "plain .safetensors name"},
    {"S12 shard", DIT, INDEX, B("{\"weight_map\":{\"a\":\"gone.safetensors\"}}"), ERR_NOT_FOUND,
     "gone.safetensors: no such file"},
    {"S12 nothing", TEXT, INDEX, B("{\"weight_map\":{}}"), ERR_CORRUPT, "weight_map is missing"},
    {"S13 zip", DIT, BYTES, B("PK\x03\x04 as torch saves, and then some more"), ERR_CORRUPT, DIT},
    {"S13 pickle", TEXT, BYTES, B("\x80\x02}q\x00. and then some more"), ERR_CORRUPT, TEXT},
    {"S13 GGUF", VAE, BYTES, B("GGUF\x03\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f"), ERR_CORRUPT, VAE},
    {"S14 garbage", "tokenizer/spiece.model", BYTES, B("\x0b\0"), ERR_CORRUPT,
     "not a spiece.model"},
    {"S14 length", "tokenizer/spiece.model", BYTES, B("\x0a\xff\xff\xff\xff\x0f"), ERR_CORRUPT,
     "spiece.model: a field wants 4294967295 bytes"},
    {"S14 json", "tokenizer/spiece.model", BYTES, B("{\"model\":{\"type\":\"BPE\"}}"),
     ERR_UNSUPPORTED, "a model of type \"BPE\" is not known"},
    {"S14 gone", "tokenizer/spiece.model", GONE, B(""), ERR_NOT_FOUND,
     "has neither spiece.model nor tokenizer.json"},
    {"JSON", "model_index.json", BYTES, B("{\"a\":"), ERR_CORRUPT, "model_index.json: byte 5"},
    {"JSON size", "transformer/config.json", SPARSE, "{}", 1, ERR_CORRUPT,
     "bytes, 1048576 are allowed"},
};

static void path_of(char out[512], const char *folder, const char *file, const char *end) {
    snprintf(out, 512, "%.200s/%s%s", folder, file, end);
}

static void write_file(const char *path, const void *bytes, size_t n) {
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(bytes, 1, n, file) == n);
    if (file) fclose(file);
}

static char *read_mini(const char *name, size_t *n) {
    char path[512], *bytes = NULL;
    struct fail f = {0};
    path_of(path, "tests/golden/mini", name, "");
    CHECK_OK(file_take(&bytes, n, path, FILE_BYTES_MAX, &f), &f);
    return bytes;
}

static const char *make_folder(void) {
    static const char *const dirs[] = {"scheduler", "tokenizer", "text_encoder", "transformer",
                                       "vae"};
    const char *folder = temp_dir();
    char path[512];
    for (int i = 0; i < COUNT_OF(dirs); i++) {
        path_of(path, folder, dirs[i], "");
        CHECK_INT(mkdir(path, 0700), 0);
    }
    for (int i = 0; i < COUNT_OF(files); i++) {
        size_t n = 0;
        char *bytes = read_mini(files[i], &n);
        path_of(path, folder, files[i], "");
        write_file(path, bytes, n);
        mem_free(bytes);
    }
    return folder;
}

static void write_header(const char *path, const char *header, size_t n) {
    char file[4096] = {(char)(n & 255), (char)(n >> 8)};
    memcpy(file + 8, header, n);
    write_file(path, file, 8 + n);
}

/* Same length, so that nothing else changes. */
static void rename_in(const char *path, const struct row *r) {
    const char *to = strchr(r->bytes, '|') + 1;
    size_t n = 0, len = strlen(to), n_changed = 0;
    char *bytes = read_mini(r->file, &n);
    CHECK_INT((int64_t)(to - r->bytes) - 1, len);
    for (size_t i = 0; i + len <= n; i++)
        if (memcmp(bytes + i, r->bytes, len) == 0) {
            memcpy(bytes + i, to, len);
            n_changed++;
        }
    CHECK(n_changed > 0);
    write_file(path, bytes, n);
    mem_free(bytes);
}

static void cut(const char *path) {
    struct stat st;
    CHECK(stat(path, &st) == 0 && truncate(path, st.st_size / 2) == 0);
}

static void write_index(const char *folder, const struct row *r) {
    char path[512];
    path_of(path, folder, r->file, ".index.json");
    write_file(path, r->bytes, r->n);
}

static void apply(const char *folder, const struct row *r) {
    char path[512], target[4096], mini[512];
    path_of(path, folder, r->file, "");
    path_of(mini, "tests/golden/mini", r->bytes, "");
    if (r->how != CUT && r->how != INDEX) CHECK_INT(unlink(path), 0);
    switch (r->how) {
    case BYTES: write_file(path, r->bytes, r->n); break;
    case HEADER: write_header(path, r->bytes, r->n); break;
    case SPARSE:
        write_header(path, r->bytes, strlen(r->bytes));
        /* Rows with a size in GiB say so; the others need eight bytes of data. */
        CHECK_INT(
            truncate(path, r->n == strlen(r->bytes) ? (off_t)(8 + r->n + 8) : (off_t)r->n << 30),
            0);
        break;
    case RENAME: rename_in(path, r); break;
    case CUT: cut(path); break;
    case LINK: CHECK(realpath(mini, target) && symlink(target, path) == 0); break;
    case DANGLE: CHECK_INT(symlink("/nowhere/at/all", path), 0); break;
    case FIFO: CHECK_INT(mkfifo(path, 0600), 0); break;
    case FOLDER: CHECK_INT(mkdir(path, 0700), 0); break;
    case GONE: break;
    case INDEX: write_index(folder, r); break;
    }
}

static void restore(const char *folder, const struct row *r) {
    char path[512];
    size_t n = 0;
    char *bytes = read_mini(r->file, &n);
    path_of(path, folder, r->file, ".index.json");
    (void)!unlink(path);
    path_of(path, folder, r->file, "");
    (void)!remove(path);
    write_file(path, bytes, n);
    mem_free(bytes);
}

static long peak_kb(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

static void try_row(const char *folder, const struct row *r) {
    struct engine *e = NULL;
    struct fail f = {0};
    struct engine_opts o = {.device = "ref", .precision = PRECISION_F32};
    int failed = check_failed;
    apply(folder, r);
    int64_t alive = mem_alive(), start = device_now_ns();
    CHECK_INT(engine_open(&e, folder, &o, &f), r->code);
    CHECK(r->code == ERR_OK || !e);
    CHECK_HAS(f.text, r->says);
    CHECK(device_now_ns() - start < (int64_t)SECONDS_MAX * 1000000000);
    engine_close(e);
    CHECK_INT(mem_alive(), alive);
    restore(folder, r);
    if (check_failed > failed) fprintf(stderr, "  row %s: %s\n", r->id, f.text);
}

static void every_damage_is_refused_with_file_and_reason(void) {
    const char *folder = make_folder();
    long before = peak_kb();
    for (int i = 0; i < COUNT_OF(rows); i++)
        try_row(folder, &rows[i]);
    CHECK(peak_kb() - before < GROWTH_MAX_KB);
}

/* S8: an odd header length leaves every number at an odd address. */
static void data_at_odd_addresses_is_read(void) {
    const char *folder = make_folder();
    for (int i = 0; i < COUNT_OF(files); i++) {
        char path[512];
        size_t n = 0;
        if (!strstr(files[i], "safetensors")) continue;
        char *bytes = read_mini(files[i], &n);
        char *odd = mem_take(n + 1, 1);
        size_t header = 0;
        for (int k = 7; k >= 0; k--)
            header = header << 8 | (unsigned char)bytes[k];
        header += 1;
        for (int k = 0; k < 8; k++)
            odd[k] = (char)(header >> (8 * k));
        memcpy(odd + 8, bytes + 8, header - 1);
        odd[8 + header - 1] = ' ';
        memcpy(odd + 8 + header, bytes + 8 + header - 1, n - 8 - (header - 1));
        path_of(path, folder, files[i], "");
        write_file(path, odd, n + 1);
        mem_free(odd);
        mem_free(bytes);
    }
    struct engine *e = NULL;
    struct fail f = {0};
    struct engine_words w;
    CHECK_OK(engine_open(&e, folder, &(struct engine_opts){.n_threads = 1}, &f), &f);
    if (e) CHECK_OK(engine_encode_text(e, &w, "a red ball", NULL, &f), &f);
    engine_close(e);
}

/* A transformer of 200 GiB, most of it a hole in the file. */
static void a_model_larger_than_memory_is_refused_before_it_is_loaded(void) {
    static const char header[] =
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[26843545600,2],\"data_offsets\":[0,214748364800]}}";
    const char *folder = make_folder();
    struct engine *e = NULL;
    struct fail f = {0};
    char path[512];
    path_of(path, folder, DIT, "");
    write_header(path, header, sizeof header - 1);
    CHECK_INT(truncate(path, (off_t)(8 + sizeof header - 1) + 214748364800), 0);
    CHECK_INT(engine_open(&e, folder, &(struct engine_opts){.precision = PRECISION_F32}, &f),
              ERR_LIMIT);
    CHECK_HAS(f.text, "transformer needs about 200.0 GiB of memory, ");
    CHECK_HAS(f.text, " GiB are free");
}

static void sizes_off_the_grid_name_the_nearest_legal_ones(void) {
    static const struct {
        struct canvas size;
        const char *says;
    } cases[] = {
        {{5, 33, 32}, "near are 32 x 32 and 64 x 64, 5 and 9 frames"},
        {{6, 96, 64}, "near are 96 x 64 and 128 x 96, 5 and 9 frames"},
        {{0, 0, 0}, "near are 32 x 32 and 64 x 64, 1 and 5 frames"},
    };
    struct engine *e = NULL;
    struct fail f = {0};
    CHECK_OK(engine_open(&e, "tests/golden/mini", &(struct engine_opts){.n_threads = 1}, &f), &f);
    for (int i = 0; e && i < COUNT_OF(cases); i++) {
        CHECK_INT(engine_canvas_check(e, &cases[i].size, &f), ERR_INPUT);
        CHECK_HAS(f.text, cases[i].says);
    }
    engine_close(e);
}

static const struct test tests[] = {
    TEST(every_damage_is_refused_with_file_and_reason),
    TEST(data_at_odd_addresses_is_read),
    TEST(a_model_larger_than_memory_is_refused_before_it_is_loaded),
    TEST(sizes_off_the_grid_name_the_nearest_legal_ones),
};
TEST_MAIN(tests)
