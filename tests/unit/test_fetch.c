/* fetch.c against a small hostile server on loopback (W8-W10 and the environment of E2), and every
 * forbidden address as a literal and behind a name, with a counter of packets (W1-W7). */
#include "common/fetch.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <linux/if_ether.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/now.h"
#include "tests/lib/check.h"

enum { ROUND = 4096 };
static const struct guard_rules open_rules = {.allow_private = true}, strict = {0};

static int listener = -1, port;
static atomic_int n_accepted, n_resolved;
static char seen[ROUND]; /* the last request */

static const char *meaning; /* what names of ssrf.example.com mean now */

/* Stands before libc's: libcurl resolves through this, and the names mean what the test says. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **res) {
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = NULL;
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
    memcpy(&real, &symbol, sizeof(real));
    bool is_ours = node && strcmp(node, "rebind.example.com") == 0;
    bool is_meant = node && meaning && strcmp(node, "ssrf.example.com") == 0;
    if (is_ours || is_meant) atomic_fetch_add(&n_resolved, 1);
    return real(is_ours ? "127.0.0.1" : is_meant ? meaning : node, service, hints, res);
}

static void drip(int fd) {
    static const char head[] = "HTTP/1.1 200 OK\r\nX-Slow: ";
    if (send(fd, head, sizeof(head) - 1, MSG_NOSIGNAL) < 0) return;
    for (int i = 0; i < 100 && send(fd, "x", 1, MSG_NOSIGNAL) == 1; i++)
        now_sleep_ms(50);
}

static void flood(int fd, const char *head, const char *line) {
    char block[8192];
    size_t n = strlen(line);
    if (send(fd, head, strlen(head), MSG_NOSIGNAL) < 0) return;
    for (size_t i = 0; i + n < sizeof(block); i += n)
        memcpy(block + i, line, n);
    for (int i = 0; i < 4000; i++)
        if (send(fd, block, sizeof(block) / n * n, MSG_NOSIGNAL) < 0) return;
}

static void answer(int fd, const char *path) {
    const char *text = NULL;
    if (strncmp(path, "/ok", 3) == 0)
        text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    else if (strncmp(path, "/302", 4) == 0)
        text =
            "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n";
    else if (strncmp(path, "/429", 4) == 0)
        text = "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
    else if (strncmp(path, "/09", 3) == 0)
        text = "no headers at all";
    else if (strncmp(path, "/big", 4) == 0)
        flood(fd, "HTTP/1.1 200 OK\r\n\r\n", "body body ");
    else if (strncmp(path, "/head", 5) == 0)
        flood(fd, "HTTP/1.1 200 OK\r\n", "X-A: aaaaaaaaaaaaaaa\r\n");
    else if (strncmp(path, "/drip", 5) == 0)
        drip(fd);
    if (text) send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void *serve(void *ctx) {
    (void)ctx;
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) return NULL;
        atomic_fetch_add(&n_accepted, 1);
        size_t n = 0;
        ssize_t got;
        memset(seen, 0, sizeof(seen));
        while (n < sizeof(seen) - 1 && !strstr(seen, "\r\n\r\n") &&
               (got = recv(fd, seen + n, sizeof(seen) - 1 - n, 0)) > 0)
            n += (size_t)got;
        char *path = strchr(seen, ' ');
        if (path) answer(fd, path + 1);
        shutdown(fd, SHUT_RDWR);
        close(fd);
    }
}

static void start_server(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    pthread_t t;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(listener, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(listener, 16) == 0);
    CHECK_INT(getsockname(listener, (struct sockaddr *)&a, &n), 0);
    port = ntohs(a.sin_port);
    CHECK_INT(pthread_create(&t, NULL, serve, NULL), 0);
    pthread_detach(t);
    CHECK_INT(fetch_start(NULL), ERR_OK);
}

static enum err call(struct fetch_reply *r, const char *host, const char *path,
                     const struct guard_rules *rules, struct fail *f) {
    char url[256];
    if (listener < 0) start_server();
    snprintf(url, sizeof(url), "http://%s:%d%s", host, port, path);
    struct fetch_request q = {.url = url,
                              .body = "{}",
                              .n_body = 2,
                              .headers = {"x-a: b"},
                              .connect_ms = 1000,
                              .total_ms = 700,
                              .reply_max = 4096,
                              .rules = *rules};
    return fetch_call(r, &q, f);
}

static void answers_and_silences_are_bounded(void) {
    static const struct {
        const char *path;
        enum err rc;
        int status;
        int64_t retry_after_s;
        size_t body;
    } rows[] = {
        {"/ok", ERR_OK, 200, -1, 2},      {"/302", ERR_OK, 302, -1, 0}, {"/429", ERR_OK, 429, 7, 0},
        {"/big", ERR_OK, 200, -1, 4096},  {"/head", ERR_IO, 0, -1, 0},  {"/09", ERR_IO, 0, -1, 0},
        {"/drip", ERR_TIMEOUT, 0, -1, 0},
    };
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        struct fetch_reply r;
        struct fail f = {0};
        int64_t t0 = now_mono_ms();
        enum err rc = call(&r, "127.0.0.1", rows[i].path, &open_rules, &f);
        if (rc != rows[i].rc) fprintf(stderr, "  %s: %s\n", rows[i].path, f.text);
        CHECK_INT(rc, rows[i].rc);
        CHECK_INT(r.status, rows[i].status);
        CHECK_INT(r.retry_after_s, rows[i].retry_after_s);
        CHECK_INT(r.body.len, rows[i].body);
        CHECK(now_mono_ms() - t0 < 2000);
        fetch_reply_free(&r);
    }
    CHECK_INT(mem_alive(), 0);
}

static void no_packet_reaches_a_private_address(void) {
    static const struct guard_rules names = {.allow_http = true, .allow_high_ports = true};
    static const char *const hosts[] = {"127.0.0.1",          "0x7f.1", "2130706433", "localhost",
                                        "[::ffff:127.0.0.1]", "127.1"};
    if (listener < 0) start_server();
    int before = atomic_load(&n_accepted);
    for (int i = 0; i < (int)(sizeof(hosts) / sizeof(hosts[0])); i++) {
        struct fetch_reply r;
        struct fail f = {0};
        CHECK_INT(call(&r, hosts[i], "/ok", &names, &f), ERR_FORBIDDEN);
        CHECK_INT(r.status, 0);
        fetch_reply_free(&r);
        CHECK_INT(call(&r, hosts[i], "/ok", &strict, &f), ERR_FORBIDDEN);
        fetch_reply_free(&r);
    }
    CHECK_INT(atomic_load(&n_accepted), before);
}

/* The gate that counts is at the socket: these names look public and mean loopback. */
static void a_name_that_means_a_private_address_is_stopped_at_the_socket(void) {
    static const struct guard_rules names = {.allow_http = true, .allow_high_ports = true};
    if (listener < 0) start_server();
    int before = atomic_load(&n_accepted), asked = atomic_load(&n_resolved);
    for (int i = 0; i < 3; i++) {
        struct fetch_reply r;
        struct fail f = {0};
        CHECK_INT(call(&r, "rebind.example.com", "/ok", &names, &f), ERR_FORBIDDEN);
        CHECK_HAS(f.text, "blocked_address");
        fetch_reply_free(&r);
    }
    CHECK(atomic_load(&n_resolved) > asked);
    CHECK_INT(atomic_load(&n_accepted), before);
}

/* Addresses that may never be called, as a resolver gives them. */
static const char *const forbidden[] = {
    "127.0.0.1",        "127.8.8.8",       "0.0.0.0",     "10.0.0.1",
    "172.16.0.1",       "172.31.255.254",  "192.168.0.1", "100.64.0.1",
    "169.254.169.254",  "192.0.0.1",       "192.0.2.1",   "192.88.99.1",
    "198.18.0.1",       "198.51.100.1",    "203.0.113.1", "224.0.0.1",
    "240.0.0.1",        "255.255.255.255", "::",          "::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "fc00::1",
    "fe80::1",          "fec0::1",         "ff02::1",     "100::1",
    "2001:db8::1",      "3fff::1",         "5f00::1",     "2002:7f00:1::",
    "64:ff9b::7f00:1",  "64:ff9b:1::1",    "2001:0::1",
};

enum { FORBIDDEN_COUNT = sizeof(forbidden) / sizeof(forbidden[0]), STRANGE_PORT = 80 };

/* True when the packet goes to `text` and, since others talk on loopback too, to our port. */
static bool goes_to(const unsigned char *packet, size_t n, const char *text) {
    unsigned char a4[4], a6[16];
    size_t head = n > 0 && packet[0] >> 4 == 4 ? (size_t)(packet[0] & 15) * 4 : 40;
    if (n < head + 4) return false;
    int to = packet[head + 2] << 8 | packet[head + 3];
    if (to != STRANGE_PORT) return false;
    if (packet[0] >> 4 == 4)
        return inet_pton(AF_INET, text, a4) == 1 && memcmp(packet + 16, a4, 4) == 0;
    return inet_pton(AF_INET6, text, a6) == 1 && memcmp(packet + 24, a6, 16) == 0;
}

/* How many of the packets that left since the last call go where none may go. */
static int count_packets(int sniffer) {
    unsigned char packet[256];
    int n_bad = 0;
    ssize_t n;
    now_sleep_ms(50);
    while ((n = recv(sniffer, packet, sizeof(packet), MSG_DONTWAIT)) > 0)
        for (int i = 0; i < FORBIDDEN_COUNT; i++)
            n_bad += goes_to(packet, (size_t)n, forbidden[i]);
    return n_bad;
}

static enum err call_strange(const char *host, const struct guard_rules *rules, struct fail *f) {
    struct fetch_reply r;
    char url[256];
    snprintf(url, sizeof(url), strchr(host, ':') ? "http://[%s]:%d/" : "http://%s:%d/", host,
             STRANGE_PORT);
    struct fetch_request q = {
        .url = url, .connect_ms = 100, .total_ms = 150, .reply_max = 100, .rules = *rules};
    enum err rc = fetch_call(&r, &q, f);
    fetch_reply_free(&r);
    return rc;
}

static void no_packet_leaves_for_a_forbidden_address(void) {
    static const struct guard_rules names = {.allow_http = true};
    int sniffer = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL));
    if (sniffer < 0) {
        test_skip("counting packets needs CAP_NET_RAW");
        return;
    }
    if (listener < 0) start_server();
    CHECK_INT(count_packets(sniffer), 0);
    for (int i = 0; i < FORBIDDEN_COUNT; i++) {
        struct fail f = {0};
        CHECK_INT(call_strange(forbidden[i], &names, &f), ERR_FORBIDDEN);
        meaning = forbidden[i];
        enum err rc = call_strange("ssrf.example.com", &names, &f);
        if (rc != ERR_FORBIDDEN) fprintf(stderr, "  a name for %s: %s\n", meaning, f.text);
        CHECK_INT(rc, ERR_FORBIDDEN);
        CHECK_HAS(f.text, "blocked_address");
        CHECK_INT(count_packets(sniffer), 0);
    }
    /* The counter counts: where the rules allow it, a packet is seen. */
    CHECK(call_strange("127.0.0.1", &open_rules, NULL) != ERR_FORBIDDEN);
    CHECK(count_packets(sniffer) > 0);
    meaning = NULL;
    close(sniffer);
}

static void the_environment_decides_nothing(void) {
    struct fetch_reply r;
    struct fail f = {0};
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    setenv("CURL_HOME", "/nonexistent", 1);
    CHECK_OK(call(&r, "127.0.0.1", "/ok", &open_rules, &f), &f);
    CHECK_INT(r.status, 200);
    CHECK(strncmp(seen, "POST /ok HTTP/1.1\r\n", 19) == 0);
    CHECK_HAS(seen, "\r\nx-a: b\r\n");
    fetch_reply_free(&r);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
}

static const struct test tests[] = {
    TEST(answers_and_silences_are_bounded),
    TEST(no_packet_reaches_a_private_address),
    TEST(a_name_that_means_a_private_address_is_stopped_at_the_socket),
    TEST(no_packet_leaves_for_a_forbidden_address),
    TEST(the_environment_decides_nothing),
};
TEST_MAIN(tests)
