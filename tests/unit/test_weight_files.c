/* Which file of a folder holds the weights, in what numbers they are stored, and what goes with
 * them: variants, 8-bit floating point, scales, prefixes. */
#include <math.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/half.h"
#include "engine/names.h"
#include "engine/weights.h"
#include "tests/lib/check.h"
#include "tests/lib/temp.h"

static const char *folder;

/* u64 length, header, data. */
static void write_tensors(const char *name, const char *header, const void *data, size_t n_data) {
    char path[512];
    unsigned char length[8] = {0};
    uint64_t n = strlen(header);
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(n >> (8 * i));
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(length, 1, 8, file) == 8 && fwrite(header, 1, n, file) == n &&
          fwrite(data, 1, n_data, file) == n_data);
    if (file) fclose(file);
}

/* A file whose only tensor is called as the file. */
static void write_one(const char *name) {
    char header[256];
    snprintf(header, sizeof header,
             "{\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", name);
    write_tensors(name, header, &(float){1}, 4);
}

static void write_index(const char *name, const char *shard) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    CHECK(file && fprintf(file, "{\"weight_map\":{\"%s\":\"%s\"}}", shard, shard) > 0);
    if (file) fclose(file);
}

/* Each row adds a file; the best one so far is taken. */
static void the_file_nearest_to_the_plain_name_is_taken(void) {
    static const struct {
        const char *file, *index, *taken; /* NULL: refused */
    } rows[] = {
        {"odd.safetensors", NULL, "odd.safetensors"},
        {"even.safetensors", NULL, NULL},
        {"m.fp16.safetensors", NULL, "m.fp16.safetensors"},
        {"m.bf16.safetensors", NULL, "m.bf16.safetensors"},
        {"m-00001-of-00001.fp16.safetensors", "m.safetensors.index.fp16.json",
         "m-00001-of-00001.fp16.safetensors"},
        {"m.safetensors", NULL, "m.safetensors"},
        {"m-00001-of-00001.safetensors", "m.safetensors.index.json",
         "m-00001-of-00001.safetensors"},
    };
    struct safetensors s;
    struct fail f = {0};
    folder = temp_dir();
    CHECK_INT(safetensors_open(&s, folder, "m", &f), ERR_NOT_FOUND);
    CHECK_HAS(f.text, "m.safetensors: no such file");
    for (int i = 0; i < COUNT_OF(rows); i++) {
        f = (struct fail){0};
        write_one(rows[i].file);
        if (rows[i].index) write_index(rows[i].index, rows[i].file);
        enum err rc = safetensors_open(&s, folder, "m", &f);
        CHECK_INT(rc, rows[i].taken ? ERR_OK : ERR_NOT_FOUND);
        if (rc == ERR_OK) CHECK_STR(s.entry[0].name, rows[i].taken);
        if (rc != ERR_OK) CHECK_HAS(f.text, "no such file, and 2 others to choose from");
        safetensors_close(&s);
    }
    CHECK_INT(safetensors_open(&s, "/nowhere", "m", &f), ERR_NOT_FOUND);
}

/* From the definition of both formats (OCP): sign, exponent, fraction. */
static double value_of(uint8_t h, int n_fraction, int bias) {
    int exponent = (h & 0x7f) >> n_fraction, fraction = h & ((1 << n_fraction) - 1);
    double one = 1 << n_fraction;
    double v =
        exponent ? ldexp(1 + fraction / one, exponent - bias) : ldexp(fraction / one, 1 - bias);
    return h & 0x80 ? -v : v;
}

static void every_8_bit_number_is_read(void) {
    for (int h = 0; h < 256; h++) {
        bool is_nan_4 = (h & 0x7f) == 0x7f, is_special_5 = (h & 0x7c) == 0x7c;
        double v4 = (double)half_f8_e4m3((uint8_t)h), v5 = (double)half_f8_e5m2((uint8_t)h);
        if (is_nan_4)
            CHECK(isnan(v4));
        else
            CHECK(v4 == value_of((uint8_t)h, 3, 7));
        if (is_special_5)
            CHECK(h & 3 ? isnan(v5) : isinf(v5));
        else
            CHECK(v5 == value_of((uint8_t)h, 2, 15));
    }
}

struct model {
    struct tensor w;
};

/* Takes x.weight [2,2] of a file with other tensors beside it. */
static enum err take(float out[4], const char *header, const void *data, size_t n, struct fail *f) {
    enum err rc = ERR_OK;
    static const struct weight_row row = {"x.weight", 0, WEIGHT_PLAIN, 2, {2, 2}};
    struct device dev;
    struct pool pool;
    struct weights w = {0};
    struct model m;
    folder = temp_dir();
    write_tensors("m.safetensors", header, data, n);
    CHECK_OK(device_open(&dev, "ref", &(struct device_opts){0}, f), f);
    pool_make(&pool, &dev, 1 << 16, 1 << 20);
    TRY(weights_open(&w, &dev, &pool, folder, "m", f));
    TRY(names_to_ours(&w.file, NAMES_TRANSFORMER, f));
    TRY(weights_bind(&w, &m, "", &row, 1, NULL, f));
    TRY(weights_finish(&w, f));
    op_download(&dev, out, &m.w);
out:
    weights_close(&w);
    pool_free(&pool);
    device_close(&dev);
    return rc;
}

#define ENTRY(name, dtype, shape, from, to)                                                        \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]" \
    "}"
#define FP8 ENTRY("x.weight", "F8_E4M3", "[2,2]", "0", "4")

static void scales_beside_8_bit_weights_are_applied(void) {
    static const struct {
        const char *header;
        float scale[2];
        size_t n_scales;
        float want[4];
    } rows[] = {
        {"{" FP8 "}", {0}, 0, {1, 2, -1, 0.5f}},
        {"{" FP8 "," ENTRY("x.scale_weight", "F32", "[]", "4", "8") "}", {3}, 1, {3, 6, -3, 1.5f}},
        {"{" FP8 "," ENTRY("x.weight_scale", "F32", "[1]", "4", "8") "}", {3}, 1, {3, 6, -3, 1.5f}},
        {"{" FP8 "," ENTRY("x.weight_scale", "F32", "[2,1]", "4", "12") "}",
         {3, 10},
         2,
         {3, 6, -10, 5}},
        {"{" FP8 "," ENTRY("x.scale_input", "F32", "[1]", "4", "8") "}", {3}, 1, {1, 2, -1, 0.5f}},
    };
    for (int i = 0; i < COUNT_OF(rows); i++) {
        unsigned char data[12] = {0x38, 0x40, 0xb8, 0x30}; /* 1 2 -1 0.5 */
        float got[4] = {0};
        struct fail f = {0};
        memcpy(data + 4, rows[i].scale, rows[i].n_scales * sizeof(float));
        CHECK_OK(take(got, rows[i].header, data, 4 + 4 * rows[i].n_scales, &f), &f);
        for (int k = 0; k < 4; k++)
            CHECK_NEAR((double)got[k], (double)rows[i].want[k], 0);
    }
}

static void scales_that_do_not_fit_are_refused(void) {
    static const char *const headers[] = {
        "{" FP8 "," ENTRY("x.scale_weight", "F32", "[3]", "4", "16") "}",
        "{" FP8 "," ENTRY("x.scale_weight", "I32", "[3]", "4", "16") "}"};
    for (int i = 0; i < COUNT_OF(headers); i++) {
        float got[4];
        struct fail f = {0};
        CHECK_INT(take(got, headers[i], "0123456789abcdef", 16, &f), ERR_CORRUPT);
        CHECK_HAS(f.text, "x.scale_weight holds 3 scales");
    }
}

static void a_prefix_is_taken_off_and_must_not_make_two_of_one(void) {
    static const float data[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    float got[4];
    struct fail f = {0};
    CHECK_OK(take(got, "{" ENTRY("model.diffusion_model.x.weight", "F32", "[2,2]", "0", "16") "}",
                  data, 16, &f),
             &f);
    CHECK_NEAR((double)got[3], 4, 0);
    CHECK_INT(take(got,
                   "{" ENTRY("model.diffusion_model.x.weight", "F32", "[2,2]", "0",
                             "16") "," ENTRY("x.weight", "F32", "[2,2]", "16", "32") "}",
                   data, 32, &f),
              ERR_CORRUPT);
    CHECK_HAS(f.text, "both hold x.weight");
}

static void bookkeeping_in_whole_numbers_is_no_weight(void) {
    static const int64_t data[4] = {1, 2, 3, 4};
    float got[4];
    struct fail f = {0};
    CHECK_INT(take(got, "{" ENTRY("x.weight", "I64", "[2,2]", "0", "32") "}", data, 32, &f),
              ERR_CORRUPT);
    CHECK_HAS(f.text, "x.weight is stored as I64, not as numbers");
}

static const struct test tests[] = {
    TEST(the_file_nearest_to_the_plain_name_is_taken),
    TEST(every_8_bit_number_is_read),
    TEST(scales_beside_8_bit_weights_are_applied),
    TEST(scales_that_do_not_fit_are_refused),
    TEST(a_prefix_is_taken_off_and_must_not_make_two_of_one),
    TEST(bookkeeping_in_whole_numbers_is_no_weight),
};
TEST_MAIN(tests)
