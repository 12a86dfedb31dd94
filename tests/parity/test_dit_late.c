/* Weights that a prompt goes through once may stay in their files (enum dit_late): the slow truth
 * is the model that was loaded whole, and the numbers are the same to the bit. With a control
 * branch, rows of pictures, scaled fp8 under original names, and LoRA files; in every precision. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/dit.h"
#include "engine/rng.h"
#include "tests/lib/check.h"
#include "tests/lib/temp.h"

enum { TEXT_ROWS = 512, N_ROWS = 7, SEED = 3 };

static const struct on {
    const char *device;
    enum precision precision;
} devices[] = {{"ref", PRECISION_F32},
               {"cpu", PRECISION_F32},
               {"cpu", PRECISION_BF16},
               {"cpu", PRECISION_INT8}};

static const struct {
    const char *folder, *lora;
} models[] = {{"tests/golden/dit_patch", NULL},
              {"tests/golden/dit_patch", "tests/golden/lora/kohya.safetensors"},
              {"tests/golden/dit_image", NULL},
              {"tests/golden/dit_pair", NULL},
              {"tests/golden/dit_vace", NULL}};

struct fixture {
    struct device dev;
    struct pool weights, job, step;
    struct lora *lora;
    struct dit *dit;
    struct dit_text text;
    struct dit_pictures pictures;
    struct fail f;
};

static enum err open_fixture(struct fixture *x, const struct on *on, const char *folder,
                             const char *lora, enum dit_late late) {
    enum err rc = ERR_OK;
    *x = (struct fixture){0};
    struct lora_source source = {lora, 0.5};
    TRY(device_open(&x->dev, on->device,
                    &(struct device_opts){.n_threads = 2, .precision = on->precision}, &x->f));
    pool_make(&x->weights, &x->dev, 1 << 20, 1 << 26);
    pool_make(&x->job, &x->dev, 1 << 20, 1 << 26);
    pool_make(&x->step, &x->dev, 1 << 20, 1 << 26);
    if (lora) TRY(lora_open(&x->lora, &source, 1, &x->f));
    struct dit_opts o = {.lora = x->lora, .late = late};
    TRY(dit_open(&x->dit, &x->dev, &x->weights, folder, &o, &x->f));
out:
    return rc;
}

static void close_fixture(struct fixture *x) {
    dit_close(x->dit);
    lora_close(x->lora);
    pool_free(&x->step);
    pool_free(&x->job);
    pool_free(&x->weights);
    device_close(&x->dev);
}

static enum err random_rows(struct fixture *x, struct tensor *t, int64_t n, int64_t cols) {
    enum err rc = ERR_OK;
    float *host = mem_take((size_t)(n * cols), sizeof *host);
    if (!host) return FAIL(&x->f, ERR_NOMEM, "no memory for random numbers");
    rng_normal_fill(SEED, RNG_STREAM_LATENT, 0, host, n * cols);
    rc = pool_take_2d(&x->job, t, n, cols, &x->f);
    if (rc == ERR_OK) op_upload(&x->dev, t, host);
    mem_free(host);
    return rc;
}

/* Words and, where the model knows some, pictures. */
static enum err make_ready(struct fixture *x) {
    enum err rc = ERR_OK;
    const struct dit_caps *c = &x->dit->caps;
    struct tensor rows, image;
    TRY(random_rows(x, &rows, N_ROWS, x->dit->config.text_dim));
    TRY(dit_text_make(x->dit, &x->text, &rows, TEXT_ROWS, &x->job, &x->step, &x->f));
    if (!c->image_dim) return ERR_OK;
    TRY(random_rows(x, &image, c->image_rows ? c->image_rows : N_ROWS, c->image_dim));
    TRY(dit_pictures_make(x->dit, &x->pictures, &image, &x->job, &x->step, &x->f));
out:
    return rc;
}

static void check_same(const struct dit_block_text *a, const struct dit_block_text *b, int n) {
    for (int i = 0; i < n; i++) {
        CHECK_INT(memcmp(a[i].k.data, b[i].k.data, tensor_bytes(&a[i].k)), 0);
        CHECK_INT(memcmp(a[i].v.data, b[i].v.data, tensor_bytes(&a[i].v)), 0);
    }
}

static void check_model(const struct on *on, const char *folder, const char *lora) {
    struct fixture whole, late;
    enum err rc = open_fixture(&whole, on, folder, lora, DIT_LATE_NEVER);
    if (rc == ERR_UNSUPPORTED) {
        printf("  %s: %s\n", device_precision_name(on->precision), whole.f.text);
        close_fixture(&whole);
        return;
    }
    CHECK_OK(rc, &whole.f);
    CHECK_OK(open_fixture(&late, on, folder, lora, DIT_LATE_ALWAYS), &late.f);
    CHECK(late.dit->block[0].cross.k.data == NULL && late.dit->block[0].cross.q.data != NULL);
    CHECK_OK(make_ready(&whole), &whole.f);
    for (int i = 0; i < 2; i++) { /* the second prompt reads them again */
        CHECK_OK(make_ready(&late), &late.f);
        CHECK_INT(late.step.current, 0); /* scratch has gone back */
        int n_layers = whole.dit->config.n_layers;
        check_same(whole.text.block, late.text.block, n_layers);
        check_same(whole.text.vace, late.text.vace, whole.dit->caps.n_vace);
        if (whole.dit->caps.image_dim)
            check_same(whole.pictures.block, late.pictures.block, n_layers);
    }
    close_fixture(&late);
    close_fixture(&whole);
}

static void late_weights_give_the_same_keys_and_values(void) {
    for (int d = 0; d < COUNT_OF(devices); d++)
        for (int i = 0; i < COUNT_OF(models); i++)
            check_model(&devices[d], models[i].folder, models[i].lora);
}

static void a_small_model_is_loaded_whole(void) {
    struct fixture x;
    CHECK_OK(open_fixture(&x, &devices[1], models[0].folder, NULL, DIT_LATE_BY_SIZE), &x.f);
    CHECK(!x.dit->is_late && x.dit->block[0].cross.k.data != NULL);
    close_fixture(&x);
}

static void copy_file(const char *to, const char *name, const char *folder) {
    char path[512], buffer[4096];
    size_t n;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *in = fopen(path, "rb");
    snprintf(path, sizeof path, "%s/%s", to, name);
    FILE *out = fopen(path, "wb");
    CHECK(in && out);
    while (in && out && (n = fread(buffer, 1, sizeof buffer, in)) > 0)
        CHECK_INT(fwrite(buffer, 1, n, out), n);
    if (in) fclose(in);
    if (out) fclose(out);
}

/* A file that is cut fails the read; one that is written to fails the look afterwards. */
static void files_that_change_meanwhile_are_an_answer(void) {
    static const struct {
        double size; /* of what it was */
        const char *says;
    } rows[] = {{0.1, "it was cut while it was in use"}, {1.1, "was written to while it was"}};
    for (int i = 0; i < COUNT_OF(rows); i++) {
        struct fixture x;
        struct stat st;
        char path[512];
        const char *copy = temp_dir();
        copy_file(copy, "config.json", models[0].folder);
        copy_file(copy, "diffusion_pytorch_model.safetensors", models[0].folder);
        snprintf(path, sizeof path, "%s/diffusion_pytorch_model.safetensors", copy);
        CHECK_OK(open_fixture(&x, &devices[1], copy, NULL, DIT_LATE_ALWAYS), &x.f);
        CHECK_OK(make_ready(&x), &x.f);
        CHECK_INT(stat(path, &st), 0);
        CHECK_INT(truncate(path, (off_t)((double)st.st_size * rows[i].size)), 0);
        CHECK_INT(make_ready(&x), ERR_CORRUPT);
        CHECK_HAS(x.f.text, rows[i].says);
        close_fixture(&x);
    }
}

/* A prompt through late weights and a LoRA, every allocation failing in turn (every few, to be
 * quick): each is an answer, and the next prompt works. */
static void every_failed_allocation_is_an_answer(void) {
    struct fixture x;
    enum err rc = ERR_NOMEM;
    CHECK_OK(open_fixture(&x, &devices[0], models[1].folder, models[1].lora, DIT_LATE_ALWAYS),
             &x.f);
    for (int64_t nth = 1; rc != ERR_OK && nth < 5000; nth += nth < 40 ? 1 : 7) {
        x.f = (struct fail){0};
        pool_trim(&x.step, 0);
        pool_trim(&x.job, 0);
        mem_fail_nth(nth);
        rc = make_ready(&x);
        mem_fail_nth(0);
        CHECK(rc == ERR_OK || rc == ERR_NOMEM);
    }
    CHECK_INT(rc, ERR_OK);
    close_fixture(&x);
}

static const struct test tests[] = {
    TEST(late_weights_give_the_same_keys_and_values),
    TEST(a_small_model_is_loaded_whole),
    TEST(files_that_change_meanwhile_are_an_answer),
    TEST(every_failed_allocation_is_an_answer),
};
TEST_MAIN(tests)
