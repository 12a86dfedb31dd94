/* Transformers that are told more than words (train/dump_golden_variants.py): channels behind the
 * latent's, rows of pictures, a control branch; under diffusers' names and the original ones, in
 * bf16 and in scaled fp8; and LoRA files. On both backends.
 *
 * Tolerance: as in test_dit_golden.c. In bf16 by relative L2 against the f32 golden: two or three
 * blocks over 32 channels, where single roundings show more than in a wide model. */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/dit.h"
#include "tests/lib/check.h"
#include "tests/lib/golden.h"

enum { TEXT_ROWS = 512, F = 3, H = 4, W = 6 };
static const double tolerance = 5e-5;
static const double bf16_tolerance = 1e-2;

static const struct on {
    const char *label, *device;
    enum precision precision;
} devices[] = {
    {"ref", "ref", PRECISION_F32}, {"cpu", "cpu", PRECISION_F32}, {"bf16", "cpu", PRECISION_BF16}};

struct fixture {
    const struct on *on;
    const char *label;
    struct device dev;
    struct pool weights, job, step;
    struct dit *dit;
    struct safetensors io;
    struct dit_text text;
    struct dit_pictures pictures;
    struct dit_shape shape;
    struct tensor latent, out, extra, volume;
    struct fail f;
};

static bool has(const struct fixture *x, const char *name) {
    return safetensors_find(&x->io, name) != NULL;
}

static enum err upload(struct fixture *x, struct tensor *t, const char *name, int n_dims,
                       const int64_t *dims) {
    int64_t n;
    float *host = golden_f32(&x->io, name, &n);
    enum err rc = pool_take(&x->job, t, DTYPE_F32, n_dims, dims, &x->f);
    CHECK_INT(n, tensor_count(t));
    if (rc == ERR_OK && host && n == tensor_count(t)) op_upload(&x->dev, t, host);
    mem_free(host);
    return rc;
}

static enum err upload_volume(struct fixture *x, struct tensor *t, const char *name, int64_t C) {
    return upload(x, t, name, 4, (int64_t[]){F, H, W, C});
}

static enum err upload_conditions(struct fixture *x) {
    enum err rc = ERR_OK;
    const struct dit_caps *c = &x->dit->caps;
    struct tensor image;
    CHECK_INT(has(x, "extra"), c->extra_channels != 0);
    CHECK_INT(has(x, "image"), c->image_dim != 0);
    CHECK_INT(has(x, "control"), c->vace_channels != 0);
    if (has(x, "extra")) TRY(upload_volume(x, &x->extra, "extra", c->extra_channels));
    if (has(x, "control")) TRY(upload_volume(x, &x->volume, "control", c->vace_channels));
    if (has(x, "image")) {
        int64_t rows = (int64_t)(safetensors_find(&x->io, "image")->dim[0]);
        TRY(upload(x, &image, "image", 2, (int64_t[]){rows, c->image_dim}));
        TRY(dit_pictures_make(x->dit, &x->pictures, &image, &x->job, &x->step, &x->f));
    }
out:
    return rc;
}

static enum err open_fixture(struct fixture *x, const struct on *on, const char *folder,
                             const char *io, struct lora *lora) {
    enum err rc = ERR_OK;
    char path[128];
    struct tensor rows;
    *x = (struct fixture){.label = folder, .on = on};
    snprintf(path, sizeof path, "tests/golden/%s/io.safetensors", io);
    TRY(device_open(&x->dev, on->device,
                    &(struct device_opts){.n_threads = 2, .precision = on->precision}, &x->f));
    pool_make(&x->weights, &x->dev, 1 << 20, 1 << 26);
    pool_make(&x->job, &x->dev, 1 << 20, 1 << 26);
    pool_make(&x->step, &x->dev, 1 << 20, 1 << 26);
    TRY(safetensors_open_file(&x->io, path, &x->f));
    snprintf(path, sizeof path, "tests/golden/%s", folder);
    TRY(dit_open(&x->dit, &x->dev, &x->weights, path, &(struct dit_opts){.lora = lora}, &x->f));
    TRY(upload_volume(x, &x->latent, "latent", x->dit->config.out_channels));
    TRY(upload(x, &rows, "rows", 2, (int64_t[]){7, x->dit->config.text_dim}));
    TRY(pool_take(&x->job, &x->out, DTYPE_F32, 4, x->latent.dim, &x->f));
    TRY(dit_shape_make(x->dit, &x->shape, F, H, W, &x->job, &x->f));
    TRY(dit_text_make(x->dit, &x->text, &rows, TEXT_ROWS, &x->job, &x->step, &x->f));
    TRY(upload_conditions(x));
out:
    return rc;
}

static void close_fixture(struct fixture *x) {
    safetensors_close(&x->io);
    dit_close(x->dit);
    pool_free(&x->step);
    pool_free(&x->job);
    pool_free(&x->weights);
    device_close(&x->dev);
}

static struct dit_input input_of(struct fixture *x, const struct dit_times *times,
                                 struct dit_vace_control *control) {
    control->volume = &x->volume;
    return (struct dit_input){.latent = &x->latent,
                              .times = times,
                              .text = &x->text,
                              .shape = &x->shape,
                              .extra = x->extra.data ? &x->extra : NULL,
                              .pictures = x->dit->caps.image_dim ? &x->pictures : NULL,
                              .control = x->volume.data ? control : NULL};
}

static void check_velocity(struct fixture *x, double t, const char *golden,
                           const struct safetensors *file, const float *scale) {
    int64_t n;
    char label[64];
    struct dit_times times = {.n = 1, .value = {t}};
    struct dit_vace_control control = {.scale = scale};
    struct dit_input in = input_of(x, &times, &control);
    float *want = golden_f32(file, golden, &n), *got = mem_take((size_t)n, sizeof *got);
    CHECK_OK(dit_forward(x->dit, &x->out, &in, &x->step, &x->f), &x->f);
    CHECK_INT(n, tensor_count(&x->out));
    op_download(&x->dev, got, &x->out);
    struct golden_error e = golden_compare(got, want, n);
    bool is_bf16 = x->on->precision == PRECISION_BF16;
    snprintf(label, sizeof label, "%s %s%s", x->label, golden, is_bf16 ? ", bf16 by L2" : "");
    if (is_bf16) e.max_abs = e.rel_l2;
    golden_check(label, is_bf16 ? "cpu" : x->on->label, e, is_bf16 ? bf16_tolerance : tolerance);
    mem_free(got);
    mem_free(want);
}

static void for_all(const char *folder, void (*check)(struct fixture *x)) {
    for (int d = 0; d < COUNT_OF(devices); d++) {
        struct fixture x;
        enum err rc = open_fixture(&x, &devices[d], folder, folder, NULL);
        if (rc == ERR_UNSUPPORTED && devices[d].precision == PRECISION_BF16)
            printf("  %s in bf16: this processor does not multiply it\n", folder);
        else
            CHECK_OK(rc, &x.f);
        if (rc == ERR_OK) check(&x);
        close_fixture(&x);
    }
}

static void check_times(struct fixture *x) {
    check_velocity(x, 937, "out_937", &x->io, NULL);
    check_velocity(x, 250, "out_250", &x->io, NULL);
}

static void channels_behind_the_latents_are_read(void) {
    for_all("dit_extra", check_times);
}

static void rows_of_a_picture_are_attended_to(void) {
    for_all("dit_image", check_times);
}

/* Original names behind a prefix, a variant file, both kinds of fp8, a scale for each matrix. */
static void two_pictures_in_a_scaled_fp8_file_of_original_names(void) {
    for_all("dit_pair", check_times);
}

static void check_control(struct fixture *x) {
    int64_t n;
    float *scale = golden_f32(&x->io, "scale", &n);
    check_times(x);
    check_velocity(x, 937, "scaled_937", &x->io, scale);
    mem_free(scale);
}

static void a_control_branch_gives_hints(void) {
    for_all("dit_vace", check_control);
}

/* What a model is not built for is refused, and so is what it lacks. */
static void check_refusals(struct fixture *x) {
    struct dit_times times = {.n = 1, .value = {500}};
    struct dit_vace_control control = {.scale = NULL};
    struct dit_input in = input_of(x, &times, &control);
    in.extra = NULL;
    CHECK_INT(dit_forward(x->dit, &x->out, &in, &x->step, &x->f), ERR_BUG);
    CHECK_HAS(x->f.text, "reads 5 channels behind the latent's");
    in = input_of(x, &times, &control);
    control.volume = &x->latent;
    in.control = &control;
    x->f = (struct fail){0};
    CHECK_INT(dit_forward(x->dit, &x->out, &in, &x->step, &x->f), ERR_BUG);
    CHECK_HAS(x->f.text, "control volume of 0 channels");
    in = input_of(x, &times, &control);
    in.pictures = in.pictures ? NULL : &x->pictures;
    x->f = (struct fail){0};
    CHECK_INT(dit_forward(x->dit, &x->out, &in, &x->step, &x->f), ERR_BUG);
    CHECK_HAS(x->f.text, "columns of pictures");
}

static void a_model_is_told_what_it_reads_and_nothing_else(void) {
    for_all("dit_extra", check_refusals);
    for_all("dit_image", check_refusals);
}

static void check_rows(struct fixture *x) {
    struct tensor image;
    struct dit_pictures pictures;
    CHECK_OK(pool_take_2d(&x->job, &image, 7, x->dit->caps.image_dim, &x->f), &x->f);
    op_fill(&x->dev, &image, 0.5f);
    CHECK_INT(dit_pictures_make(x->dit, &pictures, &image, &x->job, &x->step, &x->f), ERR_INPUT);
    CHECK_HAS(x->f.text, "7 rows of pictures, the model has positions for 10");
}

static void one_picture_is_refused_where_two_are_wanted(void) {
    for_all("dit_pair", check_rows);
}

static void count_unknown(void *ctx, const char *event, const char *text) {
    int *n = ctx;
    if (strcmp(event, "lora.unknown") != 0) return;
    CHECK_HAS(text,
              "wan.safetensors: no tensor for diffusion_model.somebody.else.lora_down.weight");
    (*n)++;
}

static const struct {
    const char *file, *golden;
} loras[] = {{"peft", "merged"}, {"kohya", "merged"}, {"wan", "merged_deltas"}};

static void lora_files_of_every_style_are_merged(void) {
    for (int d = 0; d < COUNT_OF(devices); d++)
        for (int i = 0; i < COUNT_OF(loras); i++) {
            struct fixture x;
            struct fail f = {0};
            struct safetensors want;
            struct lora *lora = NULL;
            char text[128], path[512];
            struct lora_source source;
            snprintf(text, sizeof text, "tests/golden/lora/%s.safetensors:0.5", loras[i].file);
            CHECK_OK(lora_source_parse(&source, path, text, &f), &f);
            CHECK_OK(lora_open(&lora, &source, 1, &f), &f);
            CHECK_OK(safetensors_open_file(&want, "tests/golden/lora/io.safetensors", &f), &f);
            enum err rc = open_fixture(&x, &devices[d], "dit_patch", "dit_patch", lora);
            x.label = loras[i].file;
            if (rc == ERR_OK) check_velocity(&x, 500, loras[i].golden, &want, NULL);
            if (devices[d].precision == PRECISION_F32) CHECK_OK(rc, &x.f);
            close_fixture(&x);
            safetensors_close(&want);
            lora_close(lora);
        }
}

/* Two files at half their strength are one at full strength, and the log names what is unknown. */
static void several_lora_files_add_up(void) {
    struct device dev;
    struct fail f = {0};
    struct lora *lora = NULL;
    struct pool pools[2];
    struct dit *dit[2];
    int n_unknown = 0;
    float value[2];
    const char *path = "tests/golden/lora/wan.safetensors";
    CHECK_OK(device_open(&dev, "ref", &(struct device_opts){0}, &f), &f);
    dev.say = count_unknown;
    dev.say_ctx = &n_unknown;
    for (int i = 0; i < 2; i++) {
        struct lora_source sources[] = {{path, i ? 0.5 : 1}, {path, 0.5}};
        pool_make(&pools[i], &dev, 1 << 20, 1 << 26);
        CHECK_OK(lora_open(&lora, sources, 1 + i, &f), &f);
        CHECK_OK(dit_open(&dit[i], &dev, &pools[i], "tests/golden/dit_patch",
                          &(struct dit_opts){.lora = lora, .late = DIT_LATE_NEVER}, &f),
                 &f);
        lora_close(lora);
        struct tensor row = tensor_1d(dit[i]->block[0].self.q.data, 1);
        op_download(&dev, &value[i], &row);
    }
    CHECK_INT(n_unknown, 3);
    CHECK_NEAR((double)value[0], (double)value[1], 1e-6);
    for (int i = 0; i < 2; i++) {
        dit_close(dit[i]);
        pool_free(&pools[i]);
    }
    device_close(&dev);
}

static void a_lora_of_another_model_is_refused_by_name_and_shapes(void) {
    struct device dev;
    struct pool pool;
    struct fail f = {0};
    struct lora *lora = NULL;
    struct dit *dit = NULL;
    struct lora_source source = {"tests/golden/lora/peft.safetensors", 1};
    CHECK_OK(device_open(&dev, "ref", &(struct device_opts){0}, &f), &f);
    pool_make(&pool, &dev, 1 << 20, 1 << 26);
    CHECK_OK(lora_open(&lora, &source, 1, &f), &f);
    CHECK_INT(
        dit_open(&dit, &dev, &pool, "tests/golden/dit_cells", &(struct dit_opts){.lora = lora}, &f),
        ERR_CORRUPT);
    CHECK_HAS(f.text,
              "peft.safetensors: transformer.blocks.1.ffn.net.0.proj.lora_B.weight is [40,3],"
              " it does not fit a tensor of [56,32]");
    lora_close(lora);
    source.path = "tests/golden/dit_cells/io.safetensors";
    f = (struct fail){0};
    CHECK_OK(lora_open(&lora, &source, 1, &f), &f);
    CHECK_INT(
        dit_open(&dit, &dev, &pool, "tests/golden/dit_cells", &(struct dit_opts){.lora = lora}, &f),
        ERR_CORRUPT);
    CHECK_HAS(f.text, "is about a tensor of the model");
    lora_close(lora);
    pool_free(&pool);
    device_close(&dev);
}

static void lora_arguments_are_a_file_and_a_scale(void) {
    static const struct {
        const char *text, *path;
        double scale;
        enum err code;
    } rows[] = {
        {"a.safetensors", "a.safetensors", 1, ERR_OK},
        {"a.safetensors:0.75", "a.safetensors", 0.75, ERR_OK},
        {"/x:y/a.safetensors:-1", "/x:y/a.safetensors", -1, ERR_OK},
        {"/x:y/a.safetensors", "/x:y/a.safetensors", 1, ERR_OK},
        {"", "", 1, ERR_INPUT},
        {":2", "", 1, ERR_INPUT},
    };
    for (int i = 0; i < COUNT_OF(rows); i++) {
        struct lora_source s;
        char path[512];
        CHECK_INT(lora_source_parse(&s, path, rows[i].text, NULL), rows[i].code);
        if (rows[i].code != ERR_OK) continue;
        CHECK_STR(s.path, rows[i].path);
        CHECK_NEAR(s.scale, rows[i].scale, 0);
    }
}

/* Loading with a LoRA, every allocation failing in turn (every few, to be quick). */
static void failed_allocations_leave_nothing_behind(void) {
    struct device dev;
    struct fail f = {0};
    enum err rc = ERR_NOMEM;
    CHECK_OK(device_open(&dev, "ref", &(struct device_opts){0}, &f), &f);
    int64_t before = mem_alive();
    for (int64_t nth = 1; rc != ERR_OK && nth < 20000; nth += nth < 40 ? 1 : 13) {
        struct pool pool;
        struct lora *lora = NULL;
        struct dit *dit = NULL;
        struct lora_source source = {"tests/golden/lora/wan.safetensors", 1};
        pool_make(&pool, &dev, 1 << 20, 1 << 26);
        mem_fail_nth(nth);
        rc = lora_open(&lora, &source, 1, NULL);
        if (rc == ERR_OK)
            rc = dit_open(&dit, &dev, &pool, "tests/golden/dit_patch",
                          &(struct dit_opts){.lora = lora}, NULL);
        mem_fail_nth(0);
        CHECK(rc == ERR_OK || rc == ERR_NOMEM);
        dit_close(dit);
        lora_close(lora);
        pool_free(&pool);
        CHECK_INT(mem_alive(), before);
    }
    CHECK_INT(rc, ERR_OK);
    device_close(&dev);
}

static void lora_lists_have_commas(void) {
    struct lora_list l;
    struct fail f = {0};
    CHECK_OK(lora_list_parse(&l, NULL, &f), &f);
    CHECK_INT(l.n, 0);
    CHECK_OK(lora_list_parse(&l, "", &f), &f);
    CHECK_INT(l.n, 0);
    CHECK_OK(lora_list_parse(&l, "a.safetensors:0.5,b.safetensors", &f), &f);
    CHECK_INT(l.n, 2);
    CHECK_STR(l.source[0].path, "a.safetensors");
    CHECK_NEAR(l.source[0].scale, 0.5, 0);
    CHECK_STR(l.source[1].path, "b.safetensors");
    CHECK_INT(lora_list_parse(&l, "a,,b", &f), ERR_INPUT);
    CHECK_INT(lora_list_parse(&l, "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", &f), ERR_INPUT);
}

static const struct test tests[] = {
    TEST(channels_behind_the_latents_are_read),
    TEST(rows_of_a_picture_are_attended_to),
    TEST(two_pictures_in_a_scaled_fp8_file_of_original_names),
    TEST(a_control_branch_gives_hints),
    TEST(a_model_is_told_what_it_reads_and_nothing_else),
    TEST(one_picture_is_refused_where_two_are_wanted),
    TEST(lora_files_of_every_style_are_merged),
    TEST(several_lora_files_add_up),
    TEST(a_lora_of_another_model_is_refused_by_name_and_shapes),
    TEST(lora_arguments_are_a_file_and_a_scale),
    TEST(lora_lists_have_commas),
    TEST(failed_allocations_leave_nothing_behind),
};
TEST_MAIN(tests)
