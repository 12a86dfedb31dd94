/* One table: defaults, file, environment, flags; every wrong value is refused at its place. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/config.h"
#include "tests/lib/check.h"

struct sample {
    int64_t port, lease_ms, body_bytes;
    double share;
    bool is_open;
    char *name, *key;
};

static const struct config_row rows[] = {
    {"port", CONFIG_INT, offsetof(struct sample, port), "8080", 1, 65535, "where to listen"},
    {"lease", CONFIG_MS, offsetof(struct sample, lease_ms), "30s", 1000, 600000, "how long"},
    {"max_body", CONFIG_BYTES, offsetof(struct sample, body_bytes), "64K", 1, 1e12, "how much"},
    {"share", CONFIG_REAL, offsetof(struct sample, share), "0.5", 0, 1, "which part"},
    {"open", CONFIG_BOOL, offsetof(struct sample, is_open), "off", 0, 0, "whether"},
    {"name", CONFIG_TEXT, offsetof(struct sample, name), "", 0, 20, "who"},
    {"key", CONFIG_SECRET, offsetof(struct sample, key), "", 0, 64, "the secret"},
};
static const struct config_table table = {"sample", "a sample", rows, COUNT_OF(rows)};

static enum err read_args(struct sample *s, int argc, char **argv, int *code, struct fail *f) {
    enum config_verdict verdict;
    *s = (struct sample){0};
    return config_read(&table, s, argc, argv, &verdict, code, f);
}

static void write_file(char path[64], const char *text, mode_t mode) {
    snprintf(path, 64, "/tmp/misora-test-XXXXXX");
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    CHECK_INT(fchmod(fd, mode), 0);
    close(fd);
}

static void later_sources_win(void) {
    struct sample s;
    struct fail f = {0};
    int code;
    char path[64];
    write_file(path, "# note\nport = 1111\n  name=from file \nlease = 2m\n", 0644);
    setenv("MISORA_NAME", "from env", 1);
    char *argv[] = {"sample", "--config", path, "--share=0.25", "--open", "--max-body", "2M"};
    CHECK_OK(read_args(&s, 7, argv, &code, &f), &f);
    CHECK_INT(s.port, 1111);
    CHECK_INT(s.lease_ms, 120000);
    CHECK_INT(s.body_bytes, 2 * 1024 * 1024);
    CHECK_NEAR(s.share, 0.25, 0);
    CHECK(s.is_open);
    CHECK_STR(s.name, "from env");
    config_free(&table, &s);
    unsetenv("MISORA_NAME");
    unlink(path);
}

static void wrong_lines_are_refused_at_their_place(void) {
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"port = 0\n", ":1: port is \"0\", need a whole number from 1 to 65535"},
        {"\nport = 80a\n", ":2: port is \"80a\""},
        {"port = 65536\n", ":1: port is"},
        {"prot = 80\n", ":1: unknown option \"prot\""},
        {"port 80\n", ":1: \"port 80\" is not of the form key = value"},
        {"port = 80\nport = 81\n", ":2: port is set twice"},
        {"lease = 5 parsecs\n", ":1: lease is \"5 parsecs\", need a time"},
        {"lease = -1\n", ":1: lease is"},
        {"lease = 1000000000000000000s\n", ":1: lease is"},
        {"max_body = 10Q\n", ":1: max_body is \"10Q\", need a size"},
        {"open = maybe\n", ":1: open is \"maybe\", need on or off"},
        {"share = 1,5\n", ":1: share is"},
        {"name = aaaaaaaaaaaaaaaaaaaaaaaaa\n", "name has 25 bytes, 0 to 20 are allowed"},
        {"key = x\n", "key is a secret"},
        {"name = \xff\n", "not UTF-8"},
    };
    for (int i = 0; i < COUNT_OF(cases); i++) {
        struct sample s;
        struct fail f = {0};
        int code = 0;
        char path[64];
        write_file(path, cases[i].text, 0644);
        char *argv[] = {"sample", "--config", path};
        CHECK_INT(read_args(&s, 3, argv, &code, &f), ERR_CONFIG);
        CHECK_INT(code, EXIT_CODE_CONFIG);
        CHECK_HAS(f.text, cases[i].want);
        config_free(&table, &s);
        unlink(path);
    }
}

static void a_wrong_command_line_is_usage(void) {
    static char *const cases[][2] = {
        {"--unknown", "x"}, {"stray", NULL}, {"--port", NULL}, {"--key", "x"}, {"--", NULL}};
    for (int i = 0; i < COUNT_OF(cases); i++) {
        struct sample s;
        struct fail f = {0};
        int code = 0;
        char *argv[] = {"sample", cases[i][0], cases[i][1]};
        CHECK_INT(read_args(&s, cases[i][1] ? 3 : 2, argv, &code, &f), ERR_CONFIG);
        CHECK_INT(code, EXIT_CODE_USAGE);
        config_free(&table, &s);
    }
}

static void a_missing_or_odd_file_is_named(void) {
    struct sample s;
    struct fail f = {0};
    int code;
    char *missing[] = {"sample", "--config", "/nonexistent/x"}, *folder[] = {"sample", "--config", "/tmp"};
    CHECK_INT(read_args(&s, 3, missing, &code, &f), ERR_CONFIG);
    CHECK_HAS(f.text, "/nonexistent/x: cannot be opened");
    config_free(&table, &s);
    CHECK_INT(read_args(&s, 3, folder, &code, &f), ERR_CONFIG);
    CHECK_HAS(f.text, "/tmp: not a regular file");
    config_free(&table, &s);
}

static void a_secret_comes_from_a_private_file_only(void) {
    struct sample s;
    struct fail f = {0};
    int code;
    char path[64], *argv[] = {"sample"};
    write_file(path, "hush\r\n", 0600);
    setenv("MISORA_KEY_FILE", path, 1);
    CHECK_OK(read_args(&s, 1, argv, &code, &f), &f);
    CHECK_STR(s.key, "hush");
    config_free(&table, &s);
    CHECK_INT(chmod(path, 0644), 0);
    CHECK_INT(read_args(&s, 1, argv, &code, &f), ERR_CONFIG);
    CHECK_HAS(f.text, "others may read");
    config_free(&table, &s);
    unsetenv("MISORA_KEY_FILE");
    unlink(path);
}

static void every_failed_allocation_is_reported_and_nothing_leaks(void) {
    char *argv[] = {"sample", "--name", "somebody"};
    int64_t before = mem_alive();
    enum err rc = ERR_NOMEM;
    for (int nth = 1; rc != ERR_OK && nth < 50; nth++) {
        struct sample s;
        struct fail f = {0};
        int code;
        mem_fail_nth(nth);
        rc = read_args(&s, 3, argv, &code, &f);
        mem_fail_nth(0);
        CHECK(rc == ERR_OK || rc == ERR_NOMEM);
        config_free(&table, &s);
        CHECK_INT(mem_alive(), before);
    }
    CHECK_INT(rc, ERR_OK);
}

static const struct test tests[] = {
    TEST(later_sources_win),
    TEST(wrong_lines_are_refused_at_their_place),
    TEST(a_wrong_command_line_is_usage),
    TEST(a_missing_or_odd_file_is_named),
    TEST(a_secret_comes_from_a_private_file_only),
    TEST(every_failed_allocation_is_reported_and_nothing_leaks),
};
TEST_MAIN(tests)
