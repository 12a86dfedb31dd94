/* The S3 store behind store.h against a server that runs already: MISORA_S3_URL with a bucket
 * "clips", which checks signatures. tests/integration/test_s3.py starts one; without it only what
 * needs no server runs. */
#include "common/s3.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/sha256.h"
#include "common/fetch.h"
#include "common/store.h"
#include "tests/lib/check.h"
#include "tests/lib/temp.h"

static struct s3_conf conf = {.endpoint = "http://127.0.0.1:9",
                              .bucket = "clips",
                              .prefix = "some/where",
                              .region = "us-east-1",
                              .access_key = "tester",
                              .secret_key = "testersecret"};

/* False when there is no server to talk to. */
static bool find_server(struct s3 *out) {
    struct fail f = {0};
    char *url = getenv("MISORA_S3_URL");
    if (!url) {
        test_skip("MISORA_S3_URL names no S3 server; tests/integration/test_s3.py runs this");
        return false;
    }
    conf.endpoint = url;
    CHECK_OK(fetch_start(&f), &f);
    CHECK_OK(s3_make(out, &conf, &f), &f);
    return true;
}

static void a_configuration_is_judged_in_words(void) {
    static const struct {
        char *endpoint, *bucket, *prefix, *secret;
        const char *words;
    } rows[] = {
        {"ftp://x", "clips", "", "s", "s3_endpoint is ftp://x; need https://HOST[:PORT]"},
        {"https://h/path", "clips", "", "s", "s3_endpoint is https://h/path"},
        {"https://h:0", "clips", "", "s", "s3_endpoint is"},
        {"https://h", "Clips", "", "s", "s3_bucket is Clips"},
        {"https://h", "clips", "/a", "s", "s3_prefix is /a"},
        {"https://h", "clips", "../a", "s", "s3_prefix is ../a"},
        {"https://h", "clips", "", "", "s3_endpoint needs s3_region"},
        {"https://h:8443/", "clips", "a/b", "s", NULL},
        {"http://[::1]:9000", "", "", "s", NULL},
    };
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        struct fail f = {0};
        struct s3_conf c = {.endpoint = rows[i].endpoint,
                            .bucket = rows[i].bucket,
                            .prefix = rows[i].prefix,
                            .region = "us-east-1",
                            .access_key = "a",
                            .secret_key = rows[i].secret};
        CHECK_INT(s3_check(&c, &f), rows[i].words ? ERR_CONFIG : ERR_OK);
        if (rows[i].words) CHECK_HAS(f.text, rows[i].words);
    }
    CHECK_INT(s3_check(&(struct s3_conf){0}, NULL), ERR_OK);
}

/* n bytes that look random, and their hash. */
static int make_file(struct s3_facts *facts, size_t n, uint32_t seed) {
    char path[] = "/tmp/test_s3.XXXXXX";
    unsigned char chunk[4096], digest[SHA256_BYTES];
    struct sha256 h;
    int fd = mkstemp(path);
    unlink(path);
    sha256_start(&h);
    for (size_t done = 0; done < n;) {
        size_t k = n - done < sizeof(chunk) ? n - done : sizeof(chunk);
        for (size_t i = 0; i < k; i++)
            chunk[i] = (unsigned char)((seed = seed * 1664525u + 1013904223u) >> 24);
        CHECK_INT(write(fd, chunk, k), k);
        sha256_add(&h, chunk, k);
        done += k;
    }
    sha256_end(&h, digest);
    *facts = (struct s3_facts){.size_bytes = n};
    sha256_to_hex(digest, facts->sha256);
    return fd;
}

static void objects_go_there_and_come_back(void) {
    struct s3 s;
    struct fail f = {0};
    struct s3_facts in, other, out;
    if (!find_server(&s)) return;
    int fd = make_file(&in, 100000, 1), more = make_file(&other, 100000, 2);
    CHECK_OK(s3_put(&s, "t/job/1.mp4", fd, "video/mp4", &in, S3_ONCE, &f), &f);
    CHECK_OK(s3_put(&s, "t/job/1.mp4", fd, "video/mp4", &in, S3_ONCE, &f),
             &f); /* the answer was lost */
    CHECK_INT(s3_put(&s, "t/job/1.mp4", more, "video/mp4", &other, S3_ONCE, &f), ERR_CONFLICT);
    CHECK_HAS(f.text, "already holds other bytes");
    CHECK_OK(s3_put(&s, "u/x.mp4", fd, "video/mp4", &in, S3_AGAIN, &f), &f);
    CHECK_OK(s3_put(&s, "u/x.mp4", more, "video/mp4", &other, S3_AGAIN, &f), &f);
    CHECK_OK(s3_head(&s, &out, "t/job/1.mp4", &f), &f);
    CHECK_INT(out.size_bytes, 100000);
    CHECK_STR(out.sha256, in.sha256);
    CHECK_OK(s3_get(&s, &out, "u/x.mp4", fd, 1 << 20, &f), &f);
    CHECK_INT(out.size_bytes, 100000);
    CHECK_STR(out.sha256, other.sha256);
    CHECK_INT(s3_get(&s, &out, "u/none.mp4", fd, 1 << 20, &f), ERR_NOT_FOUND);
    CHECK(s3_get(&s, &out, "u/x.mp4", fd, 1000, &f) != ERR_OK); /* larger than we take */
    CHECK_OK(s3_remove(&s, "u/x.mp4", &f), &f);
    CHECK_OK(s3_remove(&s, "u/x.mp4", &f), &f);
    CHECK_INT(s3_head(&s, &out, "u/x.mp4", &f), ERR_NOT_FOUND);
    close(fd);
    close(more);
}

static void large_objects_go_in_parts(void) {
    struct s3 s;
    struct fail f = {0};
    struct s3_facts in, out;
    enum { PART = 5 << 20, N = 3 * PART - 12345 };
    if (!find_server(&s)) return;
    s.part_from = s.part_bytes = PART; /* S3 takes no smaller ones but the last */
    int fd = make_file(&in, N, 3), back = make_file(&out, 0, 0);
    CHECK_OK(s3_put(&s, "t/big/1.mp4", fd, "video/mp4", &in, S3_ONCE, &f), &f);
    CHECK_OK(s3_put(&s, "t/big/1.mp4", fd, "video/mp4", &in, S3_ONCE, &f), &f);
    CHECK_OK(s3_get(&s, &out, "t/big/1.mp4", back, 1 << 30, &f), &f);
    CHECK_INT(out.size_bytes, N);
    CHECK_STR(out.sha256, in.sha256);
    close(back);
    CHECK_INT(ftruncate(fd, PART + 5), 0); /* becomes shorter while it is sent: nothing stays */
    CHECK(s3_put(&s, "t/big/2.mp4", fd, "video/mp4", &in, S3_ONCE, &f) != ERR_OK);
    CHECK_INT(s3_head(&s, &out, "t/big/2.mp4", &f), ERR_NOT_FOUND);
    close(fd);
}

static void a_link_is_good_for_anybody(void) {
    struct s3 s;
    struct fail f = {0};
    struct s3_facts in;
    struct buf link;
    struct fetch_reply reply;
    if (!find_server(&s)) return;
    int fd = make_file(&in, 5000, 4);
    CHECK_OK(s3_put(&s, "t/link/1.mp4", fd, "video/mp4", &in, S3_ONCE, &f), &f);
    buf_make(&link, 4096);
    CHECK_OK(s3_link(&s, &link, "GET", "t/link/1.mp4", 60, &f), &f);
    struct fetch_request r = {.url = buf_str(&link),
                              .connect_ms = 1000,
                              .total_ms = 5000,
                              .reply_max = 10000,
                              .rules = {.allow_private = true}};
    CHECK_OK(fetch_call(&reply, &r, &f), &f);
    CHECK_INT(reply.status, 200);
    CHECK_INT(reply.body.len, 5000);
    fetch_reply_free(&reply);
    CHECK_INT(s3_link(&s, &link, "GET", "t/link/1.mp4", 604801, &f), ERR_INPUT);
    buf_free(&link);
    close(fd);
}

/* Two hosts, one S3 store: what one puts the other finds. */
static void a_store_with_s3_behind_it_loses_nothing_with_its_directory(void) {
    struct s3 a_room, b_room;
    struct store a, b;
    struct store_object o;
    struct store_upload up;
    struct store_found found;
    struct fail f = {0};
    char bytes[6];
    if (!find_server(&a_room)) return;
    CHECK_OK(store_open_backed(&a, temp_dir(), &a_room, &conf, &f), &f);
    CHECK_OK(store_open_backed(&b, temp_dir(), &b_room, &conf, &f), &f);
    CHECK_OK(store_upload_begin(&a, &up, 100, &f), &f);
    CHECK_OK(store_upload_add(&up, "hello", 5, &f), &f);
    CHECK_OK(store_upload_end(&up, &o, "png", &f), &f);
    CHECK_OK(store_put_bytes(&a, &o, "t/two/1-ab.mp4", "world", 5, &f), &f);
    CHECK_OK(store_find(&b, &found, "t/two/1-ab.mp4", &f), &f);
    CHECK_INT(pread(found.fd, bytes, 6, 0), 5);
    CHECK(memcmp(bytes, "world", 5) == 0);
    CHECK_STR(found.type, "video/mp4");
    store_found_close(&found);
    CHECK_INT(store_put_bytes(&b, &o, "t/two/1-ab.mp4", "WORLD", 5, &f), ERR_CONFLICT);
    CHECK_OK(store_remove(&b, "t/two/1-ab.mp4", &f), &f);
    CHECK_INT(store_find(&b, &found, "t/two/1-ab.mp4", &f), ERR_NOT_FOUND);
    store_close(&a);
    store_close(&b);
}

static void a_wrong_secret_is_refused(void) {
    struct s3 s;
    struct s3_facts in;
    struct fail f = {0};
    if (!find_server(&s)) return;
    int fd = make_file(&in, 10, 6);
    s.secret_key[0] ^= 1;
    CHECK_INT(s3_put(&s, "t/x/2.mp4", fd, "video/mp4", &in, S3_ONCE, &f), ERR_IO);
    CHECK_HAS(f.text, "403 SignatureDoesNotMatch");
    close(fd);
}

static void a_store_that_says_no_is_an_error_in_words(void) {
    struct s3 room;
    struct store s;
    struct fail f = {0};
    if (!find_server(&room)) return;
    struct s3_conf wrong = conf;
    wrong.bucket = "no-such-bucket-here";
    CHECK_OK(s3_make(&room, &wrong, &f), &f);
    struct s3_facts in;
    int fd = make_file(&in, 10, 5);
    CHECK(s3_put(&room, "t/x/1.mp4", fd, "video/mp4", &in, S3_ONCE, &f) != ERR_OK);
    close(fd);
    wrong.endpoint = "http://127.0.0.1:1";
    CHECK_INT(store_open_backed(&s, temp_dir(), &room, &wrong, &f), ERR_CONFIG);
    CHECK_HAS(f.text, "the S3 store cannot be used");
}

static const struct test tests[] = {
    TEST(a_configuration_is_judged_in_words),
    TEST(objects_go_there_and_come_back),
    TEST(large_objects_go_in_parts),
    TEST(a_link_is_good_for_anybody),
    TEST(a_store_with_s3_behind_it_loses_nothing_with_its_directory),
    TEST(a_wrong_secret_is_refused),
    TEST(a_store_that_says_no_is_an_error_in_words),
};
TEST_MAIN(tests)
