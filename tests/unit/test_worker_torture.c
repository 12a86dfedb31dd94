/* Each allocation of our own fails in turn: no crash, no leak, no file left, and an honest code. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/metrics.h"
#include "common/store.h"
#include "tests/lib/check.h"
#include "tests/lib/temp.h"
#include "worker/clip.h"
#include "worker/spool.h"
#include "worker/webhook.h"
#include "worker/wire.h"

enum { W = 64, H = 48, ROUNDS_MAX = 300 };

static char dir[256];

static const char *fresh_dir(void) {
    if (!dir[0]) snprintf(dir, sizeof(dir), "%s", temp_dir());
    return dir;
}

static enum err make_clip(struct fail *f) {
    static uint8_t frame[W * H * 3];
    struct plan p = {.canvas = {2, W, H},
                     .model_fps = 16,
                     .out_width = W,
                     .out_height = H,
                     .out_fps = 16,
                     .n_out_frames = 2};
    struct clip *c = NULL;
    struct receipt r = {0};
    enum err rc = clip_open(&c, fresh_dir(), &p, -1, f);
    if (rc != ERR_OK) return rc;
    for (int i = 0; i < 2 && rc == ERR_OK; i++)
        rc = clip_frame(c, frame, 1, f);
    if (rc == ERR_OK) return clip_close(c, &r, f);
    clip_drop(c);
    return rc;
}

static enum err use_spool(struct fail *f) {
    struct spool s;
    struct spool_entry e, got[4];
    struct receipt r = {.width = 64, .height = 48, .fps = 16, .num_frames = 2};
    struct receipt_object *o = &r.objects[RECEIPT_VIDEO];
    snprintf(o->key, sizeof(o->key), "video.mp4");
    memset(o->sha256, 'a', 64);
    snprintf(o->type, sizeof(o->type), "video/mp4");
    o->n_bytes = 1;
    char path[400];
    snprintf(path, sizeof(path), "%s/spool", fresh_dir());
    enum err rc = spool_open(&s, path, f);
    if (rc != ERR_OK) return rc;
    rc = spool_begin(&s, &e, "video_1", "1-0123456789abcdef", f);
    if (rc == ERR_OK) rc = spool_seal(&s, &e, &r, f);
    if (rc == ERR_OK && spool_list(&s, got, 4) != 1) {
        rc = FAIL(f, ERR_NOMEM, "list");
        CHECK_INT(access(e.path, F_OK), 0); /* what could not be read now is not thrown away */
    }
    spool_drop(&s, &e);
    spool_close(&s);
    return rc;
}

static enum err use_wire(struct fail *f) {
    struct wire_progress p = {.phase = "denoise", .step = 1, .n_steps = 2, .percent = 3}, back;
    struct wire_job j = {.dir = "/x", .spec = {"{\"a\":1}", 7}}, j2;
    struct buf b, own = {0};
    buf_make(&b, WIRE_BODY_MAX);
    enum err rc = wire_write_progress(&b, &p, f);
    if (rc == ERR_OK) rc = wire_read_progress(&back, (struct str){b.data, b.len}, f);
    buf_clear(&b);
    if (rc == ERR_OK) rc = wire_write_job(&b, &j, f);
    if (rc == ERR_OK) rc = wire_read_job(&j2, &own, (struct str){b.data, b.len}, f);
    buf_free(&own);
    buf_free(&b);
    return rc;
}

static enum err sign_hook(struct fail *f) {
    static const char secret[] = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    struct queue_hook h = {.event_id = "evt_1_completed",
                           .type = "completed",
                           .job = "video_1",
                           .created_ms = 1764000000123};
    char out[WEBHOOK_SIGNATURE_MAX];
    struct buf b;
    buf_make(&b, WEBHOOK_BODY_MAX);
    enum err rc = webhook_body(&b, &h, f);
    if (rc == ERR_OK) rc = webhook_sign(out, secret, "a", 1, (struct str){b.data, b.len}, f);
    buf_free(&b);
    return rc;
}

static enum err write_metrics(struct fail *f) {
    static const struct metrics_row rows[] = {{"a_total", NULL, METRICS_COUNTER, "A."}};
    struct metrics *m = NULL;
    struct buf b;
    buf_make(&b, 4096);
    enum err rc = metrics_make(&m, rows, 1, f);
    if (rc == ERR_OK) rc = metrics_write(m, &b, f);
    metrics_free(m);
    buf_free(&b);
    return rc;
}

static void every_allocation_may_fail(void) {
    static const struct {
        const char *name;
        enum err (*act)(struct fail *f);
    } rows[] = {{"clip", make_clip},
                {"spool", use_spool},
                {"wire", use_wire},
                {"webhook", sign_hook},
                {"metrics", write_metrics}};
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        int n = 1;
        for (; n < ROUNDS_MAX; n++) {
            struct fail f = {0};
            mem_fail_nth(n);
            enum err rc = rows[i].act(&f);
            mem_fail_nth(0);
            CHECK_INT(mem_alive(), 0);
            if (rc == ERR_OK) break; /* fewer than n allocations: all of them had their turn */
            if (rc != ERR_NOMEM && rc != ERR_CORRUPT)
                fprintf(stderr, "  %s, allocation %d: %s %s\n", rows[i].name, n, err_name(rc),
                        f.text);
            CHECK(rc == ERR_NOMEM || rc == ERR_CORRUPT);
        }
        CHECK(n < ROUNDS_MAX);
        printf("  %s: %d allocations failed in turn\n", rows[i].name, n - 1);
    }
}

static const struct test tests[] = {TEST(every_allocation_may_fail)};
TEST_MAIN(tests)
