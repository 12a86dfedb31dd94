/* Encoded words on disk: what was kept comes back to the bit, and nothing that is not exactly what
 * was kept is ever believed. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/embed_cache.h"
#include "tests/lib/check.h"
#include "tests/lib/temp.h"

enum { ROWS = 3, COLS = 8, N = ROWS * COLS, HEADER = 48, FILE_BYTES = HEADER + N * 4 };

static const unsigned char encoder[SHA256_BYTES] = {1, 2, 3};

static struct embed_cache open_cache(const char *folder, int64_t max_bytes) {
    struct embed_cache c;
    struct fail f = {0};
    CHECK_OK(embed_cache_open(&c, folder, max_bytes, &f), &f);
    return c;
}

static struct embed_cache_key key_of(int number) {
    return embed_cache_key(encoder, (const int32_t[]){number, 1}, 2);
}

static void fill(float values[N], int number) {
    for (int i = 0; i < N; i++)
        values[i] = (float)(number * 100 + i);
}

static void add(const struct embed_cache *c, int number) {
    float values[N];
    struct fail f = {0};
    struct embed_cache_key key = key_of(number);
    fill(values, number);
    CHECK_OK(embed_cache_add(c, &key, ROWS, COLS, values, &f), &f);
}

/* Whether it is there; if so it is right. */
static bool has(const struct embed_cache *c, int number) {
    float got[N], want[N];
    struct embed_cache_key key = key_of(number);
    if (!embed_cache_find(c, &key, ROWS, COLS, got)) return false;
    fill(want, number);
    CHECK(memcmp(got, want, sizeof got) == 0);
    return true;
}

static void path_of(char out[512], const struct embed_cache *c, int number) {
    struct embed_cache_key key = key_of(number);
    snprintf(out, 512, "%.400s/%s.emb", c->folder, key.hex);
}

static void what_was_kept_comes_back(void) {
    char folder[512];
    snprintf(folder, sizeof folder, "%s/a/b/c", temp_dir());
    struct embed_cache c = open_cache(folder, 0);
    CHECK(!has(&c, 1));
    add(&c, 1);
    add(&c, 2);
    CHECK(has(&c, 1) && has(&c, 2) && !has(&c, 3));
    struct embed_cache again = open_cache(folder, 0);
    CHECK(has(&again, 1));
    struct stat st;
    char path[512];
    path_of(path, &c, 1);
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    CHECK_INT(st.st_size, FILE_BYTES);
}

static void keys_depend_on_encoder_and_ids(void) {
    static const unsigned char other[SHA256_BYTES] = {1, 2, 4};
    const int32_t ids[] = {5, 6, 1};
    struct embed_cache_key keys[] = {
        embed_cache_key(encoder, ids, 3), embed_cache_key(other, ids, 3),
        embed_cache_key(encoder, ids, 2), embed_cache_key(encoder, ids + 1, 2)};
    for (int i = 0; i < COUNT_OF(keys); i++)
        for (int k = 0; k < i; k++)
            CHECK(strcmp(keys[i].hex, keys[k].hex) != 0);
}

static void a_cache_that_is_switched_off_keeps_nothing(void) {
    struct embed_cache c = open_cache(NULL, 0);
    add(&c, 1);
    CHECK(!has(&c, 1));
    c = open_cache("", 0);
    add(&c, 1);
    CHECK(!has(&c, 1));
}

static void write_at(const char *path, long at, char byte) {
    FILE *file = fopen(path, "r+b");
    CHECK(file && fseek(file, at, SEEK_SET) == 0 && fputc(byte, file) != EOF);
    if (file) fclose(file);
}

static void damaged_files_are_ignored_and_replaced(void) {
    struct embed_cache c = open_cache(temp_dir(), 0);
    char path[512];
    path_of(path, &c, 1);
    for (long at = 0; at < FILE_BYTES; at += at < HEADER ? 1 : 13) {
        add(&c, 1);
        CHECK(has(&c, 1));
        write_at(path, at, (char)0xa5);
        CHECK(!has(&c, 1));
    }
    for (off_t n = 0; n < FILE_BYTES; n += 17) {
        add(&c, 1);
        CHECK_INT(truncate(path, n), 0);
        CHECK(!has(&c, 1));
    }
    add(&c, 1);
    CHECK_INT(truncate(path, FILE_BYTES + 1), 0);
    CHECK(!has(&c, 1));
    add(&c, 1);
    CHECK(has(&c, 1));
}

static void another_shape_is_not_found(void) {
    struct embed_cache c = open_cache(temp_dir(), 0);
    float got[N];
    struct embed_cache_key key = key_of(1);
    add(&c, 1);
    CHECK(!embed_cache_find(&c, &key, COLS, ROWS, got));
    CHECK(!embed_cache_find(&c, &key, ROWS, COLS / 2, got));
}

static void things_that_are_no_files_do_no_harm(void) {
    struct embed_cache c = open_cache(temp_dir(), 0);
    char path[512];
    struct fail f = {0};
    float values[N] = {0};
    struct embed_cache_key key = key_of(1);
    path_of(path, &c, 1);
    CHECK_INT(mkdir(path, 0700), 0);
    CHECK(!has(&c, 1));
    CHECK_INT(embed_cache_add(&c, &key, ROWS, COLS, values, &f), ERR_IO);
    CHECK_HAS(f.text, key.hex);
    rmdir(path);
    CHECK_INT(mkfifo(path, 0600), 0);
    CHECK(!has(&c, 1));
    add(&c, 1); /* rename puts the file in its place */
    CHECK(has(&c, 1));
}

static void the_oldest_go_when_there_is_no_room(void) {
    struct embed_cache c = open_cache(temp_dir(), 3 * FILE_BYTES);
    char foreign[512];
    snprintf(foreign, sizeof foreign, "%.400s/notes.txt", c.folder);
    FILE *file = fopen(foreign, "w");
    CHECK(file != NULL);
    if (file) fclose(file);
    for (int i = 1; i <= 3; i++) {
        char path[512];
        add(&c, i);
        path_of(path, &c, i);
        const struct timespec when[2] = {{1000 + i, 0}, {1000 + i, 0}};
        CHECK_INT(utimensat(AT_FDCWD, path, when, 0), 0);
    }
    CHECK(has(&c, 1)); /* used now: 2 is the oldest */
    add(&c, 4);
    CHECK(has(&c, 1) && !has(&c, 2) && has(&c, 3) && has(&c, 4));
    CHECK_INT(access(foreign, F_OK), 0);
    struct embed_cache tight = open_cache(c.folder, FILE_BYTES - 1);
    add(&tight, 9); /* larger than the cap: not kept, and nothing else goes */
    CHECK(!has(&c, 9) && has(&c, 4));
}

static void files_left_half_written_go_after_a_while(void) {
    struct embed_cache c = open_cache(temp_dir(), 0);
    struct embed_cache_key key = key_of(5);
    char path[2][512];
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof path[i], "%.400s/%s.%d.0.tmp", c.folder, key.hex, i);
        FILE *file = fopen(path[i], "w");
        CHECK(file != NULL);
        if (file) fclose(file);
    }
    const struct timespec old[2] = {{1000, 0}, {1000, 0}};
    CHECK_INT(utimensat(AT_FDCWD, path[0], old, 0), 0);
    add(&c, 1);
    CHECK(access(path[0], F_OK) != 0);
    CHECK_INT(access(path[1], F_OK), 0);
}

/* Several processes write and read the same few entries: nobody ever sees half a file. */
static void processes_share_a_folder(void) {
    enum { PROCESSES = 4, ROUNDS = 100 };
    const char *folder = temp_dir();
    pid_t kid[PROCESSES];
    for (int p = 0; p < PROCESSES; p++) {
        kid[p] = fork();
        if (kid[p] != 0) continue;
        struct embed_cache c = open_cache(folder, 2 * FILE_BYTES);
        for (int i = 0; i < ROUNDS; i++) {
            add(&c, i % 3);
            (void)has(&c, (i + p) % 3);
        }
        _exit(check_failed != 0);
    }
    for (int p = 0; p < PROCESSES; p++) {
        int status = -1;
        CHECK_INT(waitpid(kid[p], &status, 0), kid[p]);
        CHECK_INT(status, 0);
    }
}

static void a_folder_that_cannot_be_made_is_told(void) {
    struct embed_cache c;
    struct fail f = {0};
    CHECK_INT(embed_cache_open(&c, "/proc/none/cache", 0, &f), ERR_IO);
    CHECK_HAS(f.text, "/proc/none");
    CHECK_STR(c.folder, "");
}

static void every_failed_allocation_leaves_nothing_behind(void) {
    struct embed_cache c = open_cache(temp_dir(), 0);
    int64_t before = mem_alive();
    for (int nth = 1; nth < 4; nth++) {
        mem_fail_nth(nth);
        add(&c, 1);
        mem_fail_nth(0);
        CHECK_INT(mem_alive(), before);
        CHECK(has(&c, 1));
    }
}

static const struct test tests[] = {
    TEST(what_was_kept_comes_back),
    TEST(keys_depend_on_encoder_and_ids),
    TEST(a_cache_that_is_switched_off_keeps_nothing),
    TEST(damaged_files_are_ignored_and_replaced),
    TEST(another_shape_is_not_found),
    TEST(things_that_are_no_files_do_no_harm),
    TEST(the_oldest_go_when_there_is_no_room),
    TEST(files_left_half_written_go_after_a_while),
    TEST(processes_share_a_folder),
    TEST(a_folder_that_cannot_be_made_is_told),
    TEST(every_failed_allocation_leaves_nothing_behind),
};
TEST_MAIN(tests)
