/* The store: objects whole or absent, names that cannot leave the directory. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/now.h"
#include "common/store.h"
#include "tests/lib/check.h"
#include "tests/lib/temp.h"

static char dir[256];
static struct store store;

static void open_fresh(void) {
    struct fail f = {0};
    snprintf(dir, sizeof(dir), "%s", temp_dir());
    CHECK_OK(store_open(&store, dir, &f), &f);
}

static int count_files(const char *sub) {
    char cmd[400], line[32] = "";
    int fds[2];
    snprintf(cmd, sizeof(cmd), "find %s/%s -type f | wc -l", dir, sub);
    if (pipe(fds) < 0) return -1;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 1);
        execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    ssize_t n = read(fds[0], line, sizeof(line) - 1);
    close(fds[0]);
    waitpid(pid, NULL, 0);
    return n > 0 ? (int)strtol(line, NULL, 10) : -1;
}

static void a_key_cannot_leave_the_directory(void) {
    static const struct {
        const char *key;
        bool is_ok;
    } rows[] = {
        {"t/video_01/3-ab12.mp4", true},
        {"u/00ff.png", true},
        {"a", true},
        {"a/b/c/d", true},
        {"", false},
        {"/", false},
        {"/etc/passwd", false},
        {"../x", false},
        {"t/../x", false},
        {"t/./x", false},
        {"t//x", false},
        {"t/x/", false},
        {"t/.hidden", false},
        {"t/x\ny", false},
        {"t/x y", false},
        {"t/\xc3\xa9", false},
        {"a/b/c/d/e", false},
        {"t/%2e%2e/x", false},
        {"t\\x", false},
        {"~", false},
    };
    struct store_object o;
    struct store_found found;
    struct fail f = {0};
    open_fresh();
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        CHECK_INT(store_key_is_ok(rows[i].key), rows[i].is_ok);
        if (rows[i].is_ok) continue;
        CHECK_INT(store_put_bytes(&store, &o, rows[i].key, "x", 1, &f), ERR_INPUT);
        CHECK_INT(store_find(&store, &found, rows[i].key, &f), ERR_INPUT);
        CHECK_INT(store_remove(&store, rows[i].key, &f), ERR_INPUT);
    }
    char longest[STORE_KEY_MAX + 2];
    memset(longest, 'a', sizeof(longest));
    longest[STORE_KEY_MAX + 1] = '\0';
    CHECK(!store_key_is_ok(longest));
    longest[STORE_KEY_MAX] = '\0';
    CHECK(store_key_is_ok(longest));
    CHECK_INT(count_files("tmp"), 0);
    CHECK_INT(count_files("obj"), 0);
    store_close(&store);
}

static void a_symlink_inside_is_not_followed(void) {
    char link[400];
    struct store_found found;
    struct store_object o;
    struct fail f = {0};
    open_fresh();
    snprintf(link, sizeof(link), "%s/obj/t", dir);
    CHECK_INT(symlink("/tmp", link), 0);
    CHECK(store_put_bytes(&store, &o, "t/evil/x", "x", 1, &f) != ERR_OK);
    CHECK(access("/tmp/evil", F_OK) != 0);
    snprintf(link, sizeof(link), "%s/obj/passwd", dir);
    CHECK_INT(symlink("/etc/passwd", link), 0);
    CHECK(store_find(&store, &found, "passwd", &f) != ERR_OK);
    store_close(&store);
}

static void what_was_put_is_found(void) {
    struct store_object o;
    struct store_found found;
    struct fail f = {0};
    char text[8] = "";
    open_fresh();
    CHECK_OK(store_put_bytes(&store, &o, "t/video_1/1-ab.mp4", "abc", 3, &f), &f);
    CHECK_STR(o.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK_INT(o.size_bytes, 3);
    CHECK_OK(store_find(&store, &found, o.key, &f), &f);
    CHECK_INT(found.size_bytes, 3);
    CHECK_STR(found.type, "video/mp4");
    CHECK_STR(found.sha256, "");
    CHECK_INT(read(found.fd, text, sizeof(text)), 3);
    CHECK_STR(text, "abc");
    CHECK_INT(access(found.path, R_OK), 0);
    store_found_close(&found);
    CHECK_INT(store_find(&store, &found, "t/video_1/none.mp4", &f), ERR_NOT_FOUND);
    CHECK_INT(store_find(&store, &found, "t/nobody/none.mp4", &f), ERR_NOT_FOUND);
    CHECK_INT(store_find(&store, &found, "t/video_1", &f), ERR_NOT_FOUND);
    store_close(&store);
}

static void a_name_never_changes_its_meaning(void) {
    struct store_object o;
    struct fail f = {0};
    open_fresh();
    CHECK_OK(store_put_bytes(&store, &o, "t/v/1.mp4", "abc", 3, &f), &f);
    CHECK_OK(store_put_bytes(&store, &o, "t/v/1.mp4", "abc", 3, &f), &f); /* our own resend */
    CHECK_INT(store_put_bytes(&store, &o, "t/v/1.mp4", "abd", 3, &f), ERR_CONFLICT);
    CHECK_INT(count_files("tmp"), 0);
    store_close(&store);
}

static void removing_twice_is_fine_and_leaves_nothing(void) {
    struct store_object o;
    struct fail f = {0};
    char path[400];
    open_fresh();
    CHECK_OK(store_put_bytes(&store, &o, "t/v/1.mp4", "abc", 3, &f), &f);
    CHECK_OK(store_put_bytes(&store, &o, "t/v/1.webp", "abc", 3, &f), &f);
    CHECK_OK(store_remove(&store, "t/v/1.mp4", &f), &f);
    CHECK_OK(store_remove(&store, "t/v/1.mp4", &f), &f);
    snprintf(path, sizeof(path), "%s/obj/t/v", dir);
    CHECK_INT(access(path, F_OK), 0);
    CHECK_OK(store_remove(&store, "t/v/1.webp", &f), &f);
    CHECK_INT(access(path, F_OK), -1);
    CHECK_OK(store_remove(&store, "x/y/z", &f), &f);
    store_close(&store);
}

static void the_same_upload_twice_is_one_object(void) {
    struct store_upload up;
    struct store_object a, b;
    struct store_found found;
    struct fail f = {0};
    char key[STORE_KEY_MAX + 1];
    open_fresh();
    for (int i = 0; i < 2; i++) {
        CHECK_OK(store_upload_begin(&store, &up, 100, &f), &f);
        CHECK_OK(store_upload_add(&up, "ab", 2, &f), &f);
        CHECK_OK(store_upload_add(&up, "c", 1, &f), &f);
        CHECK_OK(store_upload_end(&up, i ? &b : &a, "png", &f), &f);
    }
    CHECK_STR(a.key, b.key);
    store_upload_key(key, a.sha256, "image/png");
    CHECK_STR(key, a.key);
    CHECK_INT(count_files("obj"), 1);
    CHECK_OK(store_find(&store, &found, a.key, &f), &f);
    CHECK_STR(found.sha256, a.sha256);
    store_found_close(&found);
    store_close(&store);
}

static void old_uploads_go_and_those_put_again_stay(void) {
    struct store_upload up;
    struct store_object o;
    struct store_found found;
    struct fail f = {0};
    char path[600];
    static const struct timespec long_ago[2] = {{1000, 0}, {1000, 0}};
    open_fresh();
    for (int i = 0; i < 3; i++) { /* put, made old, put again; then made old for good */
        CHECK_OK(store_upload_begin(&store, &up, 100, &f), &f);
        CHECK_OK(store_upload_add(&up, "abc", 3, &f), &f);
        CHECK_OK(store_upload_end(&up, &o, "png", &f), &f);
        CHECK_INT(store_expire_uploads(&store, 3600), 0);
        snprintf(path, sizeof(path), "%s/obj/%s", dir, o.key);
        CHECK_INT(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    }
    CHECK_INT(store_expire_uploads(&store, 3600), 1);
    CHECK_INT(store_find(&store, &found, o.key, &f), ERR_NOT_FOUND);
    store_close(&store);
}

static void an_upload_over_its_cap_leaves_nothing(void) {
    struct store_upload up;
    struct fail f = {0};
    open_fresh();
    CHECK_OK(store_upload_begin(&store, &up, 3, &f), &f);
    CHECK_OK(store_upload_add(&up, "abc", 3, &f), &f);
    CHECK_INT(store_upload_add(&up, "d", 1, &f), ERR_LIMIT);
    store_upload_drop(&up);
    store_upload_drop(&up);
    CHECK_INT(count_files("tmp"), 0);
    CHECK_INT(count_files("obj"), 0);
    store_close(&store);
}

static void a_full_disk_is_said_and_leaves_nothing(void) {
    open_fresh();
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) { /* a limit on file size stands for a full disk */
        static char big[1 << 20];
        struct store_object o;
        struct fail f = {0};
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){1 << 18, 1 << 18});
        signal(SIGXFSZ, SIG_IGN);
        _exit(store_put_bytes(&store, &o, "t/v/1.mp4", big, sizeof(big), &f) == ERR_DISK ? 0 : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    CHECK_INT(status, 0);
    CHECK_INT(count_files("tmp"), 0);
    CHECK_INT(count_files("obj"), 0);
    store_close(&store);
}

/* A writer is killed at some moment of many puts: every object that exists is whole. */
static void kill_9_while_writing_leaves_whole_objects_only(void) {
    static char data[300000];
    struct store_found found;
    struct fail f = {0};
    memset(data, 'x', sizeof(data));
    open_fresh();
    int n_found = 0;
    for (int round = 0; round < 8; round++) {
        char key[64];
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0)
            for (int i = 0;; i++) {
                struct store_object o;
                snprintf(key, sizeof(key), "t/r%d/%d.mp4", round, i);
                if (store_put_bytes(&store, &o, key, data, sizeof(data), NULL) != ERR_OK) _exit(1);
            }
        snprintf(key, sizeof(key), "t/r%d/0.mp4", round);
        for (int i = 0; i < 1000 && store_find(&store, &found, key, NULL) != ERR_OK; i++)
            now_sleep_ms(5); /* a loaded machine is slow to begin */
        store_found_close(&found);
        now_sleep_ms(7 * round);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        for (int i = 0;; i++) {
            snprintf(key, sizeof(key), "t/r%d/%d.mp4", round, i);
            if (store_find(&store, &found, key, &f) != ERR_OK) break;
            CHECK_INT(found.size_bytes, sizeof(data));
            store_found_close(&found);
            n_found++;
        }
    }
    CHECK(n_found > 0);
    CHECK_INT(store_sweep(&store, 3600), 0); /* young files may belong to a living writer */
    store_sweep(&store, -1);
    CHECK_INT(count_files("tmp"), 0);
    store_close(&store);
}

static void a_directory_that_cannot_be_written_is_refused(void) {
    struct store s;
    struct fail f = {0};
    CHECK(store_open(&s, "/proc/nope", &f) != ERR_OK);
    CHECK_HAS(f.text, "/proc/nope");
    CHECK(store_open(&s, "/etc/hostname", &f) != ERR_OK);
}

static const struct test tests[] = {
    TEST(a_key_cannot_leave_the_directory),
    TEST(a_symlink_inside_is_not_followed),
    TEST(what_was_put_is_found),
    TEST(a_name_never_changes_its_meaning),
    TEST(removing_twice_is_fine_and_leaves_nothing),
    TEST(the_same_upload_twice_is_one_object),
    TEST(old_uploads_go_and_those_put_again_stay),
    TEST(an_upload_over_its_cap_leaves_nothing),
    TEST(a_full_disk_is_said_and_leaves_nothing),
    TEST(kill_9_while_writing_leaves_whole_objects_only),
    TEST(a_directory_that_cannot_be_written_is_refused),
};
TEST_MAIN(tests)
