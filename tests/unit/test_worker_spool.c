/* Attempts on disk: what a worker remembers over its own death. */
#include "worker/spool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/temp.h"
#include "worker/deliver.h"

static char dir[256];
static struct spool spool;
static const char lease[] = "17-0123456789abcdef0123456789abcdef";

static void open_fresh(void) {
    struct fail f = {0};
    snprintf(dir, sizeof(dir), "%s", temp_dir());
    CHECK_OK(spool_open(&spool, dir, &f), &f);
}

static struct receipt receipt_of(const char *key) {
    struct receipt r = {.width = 128, .height = 80, .fps = 16, .num_frames = 17};
    struct receipt_object *o = &r.objects[RECEIPT_VIDEO];
    snprintf(o->key, sizeof(o->key), "%s", key);
    memset(o->sha256, 'a', 64);
    snprintf(o->type, sizeof(o->type), "video/mp4");
    o->n_bytes = 5;
    return r;
}

static void write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) >= 0);
    close(fd);
}

static void attempts_are_listed_as_they_were_left(void) {
    struct spool_entry a, b, got[8];
    struct fail f = {0};
    struct receipt r = receipt_of("video.mp4");
    open_fresh();
    CHECK_OK(spool_begin(&spool, &a, "video_1", lease, &f), &f);
    CHECK_OK(spool_begin(&spool, &b, "video_2", lease, &f), &f);
    CHECK_OK(spool_seal(&spool, &b, &r, &f), &f);
    CHECK_STR(a.name, "video_1.17-01234567");
    CHECK_STR(b.receipt.objects[RECEIPT_VIDEO].key, "t/video_2/17-01234567.mp4");
    CHECK_INT(spool_list(&spool, got, 8), 2);
    for (int i = 0; i < 2; i++) {
        bool is_b = strcmp(got[i].id, "video_2") == 0;
        CHECK_INT(got[i].is_sealed, is_b);
        CHECK_STR(got[i].lease, lease);
        CHECK_STR(got[i].path, is_b ? b.path : a.path);
        if (is_b) CHECK_STR(got[i].receipt.objects[0].key, b.receipt.objects[0].key);
    }
    spool_drop(&spool, &a);
    spool_drop(&spool, &a);
    spool_drop(&spool, &b);
    CHECK_INT(spool_list(&spool, got, 8), 0);
    spool_close(&spool);
    CHECK_INT(mem_alive(), 0);
}

static void two_workers_never_share_a_spool(void) {
    struct spool other;
    struct fail f = {0};
    open_fresh();
    CHECK_INT(spool_open(&other, dir, &f), ERR_CONFIG);
    CHECK_HAS(f.text, "another worker");
    spool_close(&spool);
    CHECK_OK(spool_open(&spool, dir, &f), &f);
    spool_close(&spool);
}

static void damaged_attempts_are_removed_and_do_no_harm(void) {
    static const char *const notes[] = {
        "",
        "{",
        "[]",
        "null",
        "{\"id\":1,\"lease\":\"x\"}",
        "{\"id\":\"video_9\"}",
        "{\"id\":\"../../etc\",\"lease\":\"1-aaaaaaaa\"}",
        "{\"id\":\"video_9\",\"lease\":\"1-aaaaaaaa\"} x",
    };
    struct spool_entry got[8];
    open_fresh();
    for (int i = 0; i < (int)(sizeof(notes) / sizeof(notes[0])); i++) {
        char path[400];
        snprintf(path, sizeof(path), "%s/video_9.1-bbbbbbbb", dir);
        CHECK_INT(mkdir(path, 0700), 0);
        snprintf(path, sizeof(path), "%s/video_9.1-bbbbbbbb/attempt.json", dir);
        write_file(path, notes[i]);
        CHECK_INT(spool_list(&spool, got, 8), 0);
        CHECK_INT(access(path, F_OK), -1);
    }
    spool_close(&spool);
}

/* A seal that was cut off leaves the attempt, which then counts as not finished. */
static void a_half_written_seal_is_no_seal(void) {
    struct spool_entry e, got[2];
    struct fail f = {0};
    char path[SPOOL_PATH_MAX + 32];
    open_fresh();
    CHECK_OK(spool_begin(&spool, &e, "video_3", lease, &f), &f);
    snprintf(path, sizeof(path), "%s/note.tmp", e.path);
    write_file(path, "{\"id\":\"video_3\",\"lea");
    CHECK_INT(spool_list(&spool, got, 2), 1);
    CHECK(!got[0].is_sealed);
    snprintf(path, sizeof(path), "%s/deliver.json", e.path);
    write_file(path, "{\"id\":\"video_3\",\"lea");
    CHECK_INT(spool_list(&spool, got, 2), 1);
    CHECK(!got[0].is_sealed);
    spool_drop(&spool, &e);
    spool_close(&spool);
}

static void each_failure_has_its_verdict_and_words(void) {
    static const struct {
        enum err code;
        enum queue_why why;
        const char *public_code;
        bool is_told;
    } rows[] = {
        {ERR_MEDIA, QUEUE_FATAL, "invalid_media", true},
        {ERR_UNSUPPORTED, QUEUE_FATAL, "unsupported_operation", true},
        {ERR_LIMIT, QUEUE_FATAL, "invalid_value", true},
        {ERR_NOMEM, QUEUE_RETRY, "out_of_memory", false},
        {ERR_DISK, QUEUE_RETRY, "upload_failed", false},
        {ERR_IO, QUEUE_RETRY, "encode_failed", false},
        {ERR_BUG, QUEUE_FATAL, "internal_error", false},
        {ERR_CORRUPT, QUEUE_FATAL, "internal_error", false},
    };
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        struct fail cause = {.code = rows[i].code, .text = "/srv/secret/path: words"};
        struct queue_fail why;
        deliver_judge(&why, &cause, 1);
        CHECK_INT(why.why, rows[i].why);
        CHECK_STR(why.code, rows[i].public_code);
        CHECK_INT(strstr(why.message, "/srv/secret") != NULL, rows[i].is_told);
    }
}

static const struct test tests[] = {
    TEST(attempts_are_listed_as_they_were_left),       TEST(two_workers_never_share_a_spool),
    TEST(damaged_attempts_are_removed_and_do_no_harm), TEST(a_half_written_seal_is_no_seal),
    TEST(each_failure_has_its_verdict_and_words),
};
TEST_MAIN(tests)
