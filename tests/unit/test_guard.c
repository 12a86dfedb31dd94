/* URLs and addresses that strangers hand us: tables W1-W5 and W12-W17 of the reliability page. */
#include <arpa/inet.h>
#include <stdlib.h>

#include "common/guard.h"
#include "tests/lib/check.h"

static const struct guard_rules strict, tests_rule = {.allow_private = true};

static void addresses_are_refused_in_every_spelling(void) {
    static const char *const rows[] = {
        /* W1 */ "127.0.0.1",
        "127.1",
        "0177.0.0.1",
        "0x7f.1",
        "2130706433",
        "0",
        "0.0.0.0",
        "0x7f000001",
        "127.0.0.1.",
        "017700000001",
        "0x7F.0.0.0x1",
        /* W2 */ "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        /* W3 */ "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        /* W4 */ "[fc00::1]",
        "[fd12::1]",
        "[fe80::1]",
        "[fe80::1%25lo]",
        "[fec0::1]",
        "[ff02::1]",
        "[100::1]",
        "[2001:db8::1]",
        "[3fff::1]",
        "[5f00::1]",
        /* W5 */ "[2002:7f00:1::]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::1]",
        "[2001:0::1]",
    };
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        char url[256];
        struct fail f = {0};
        snprintf(url, sizeof(url), "https://%s/hook", rows[i]);
        enum err rc = guard_url(NULL, url, &strict, &f);
        if (rc != ERR_FORBIDDEN) fprintf(stderr, "  accepted: %s\n", url);
        CHECK_INT(rc, ERR_FORBIDDEN);
        CHECK_HAS(f.text, "may not be used");
    }
}

static void odd_urls_are_refused(void) {
    static const char *const rows[] = {
        /* W12 */ "https://user:pass@a.com/",
        "https://a@127.0.0.1:80@1.2.3.4/",
        "https://1.2.3.4\\@127.0.0.1/",
        "https://1.2.3.4#@127.0.0.1/",
        "https://a.com/#x",
        /* W13 */ "http:///127.0.0.1/",
        "http:/127.0.0.1/",
        "127.0.0.1",
        "//127.0.0.1",
        "https://",
        "https:///a.com",
        "https://?x",
        "https://:443/",
        /* W14 */ "file:///etc/passwd",
        "ftp://a.com/",
        "gopher://a.com/",
        "dict://a.com/",
        "ldap://a.com/",
        "unix:/x",
        "data:text/plain,x",
        "javascript:1",
        "jar:https://a.com/!/",
        "smb://a.com/",
        "http://a.com/",
        /* W15 */ "https://a.com:0/",
        "https://a.com:99999/",
        "https://a.com:22/",
        "https://a.com:25/",
        "https://a.com:6379/",
        "https://a.com:11211/",
        "https://a.com:/",
        "https://a.com:80a/",
        "https://a.com:+443/",
        "https://a.com:-1/",
        "https://[2600::1]x/",
        "https://[2600::1",
        /* W16 */ "https://a.com/\r\nX: y",
        "https://a.com/%00",
        "https://a.com/a b",
        "https://a.com\\b",
        "https://a.com/\tx",
        " https://a.com/",
        "https://a.com/ ",
        "",
        /* W17 */
        "https://b\xc3\xbc"
        "cher.de/",
        "https://\xe2\x91\xa0.com/",
        "https://a\xef\xbc\x8e"
        "com/",
        "https://localhost/",
        "https://localhost./",
        "https://LOCALHOST/",
        "https://x.localhost/",
        "https://intranet/",
        "https://db.internal/",
        "https://printer.local/",
        "https://a..com/",
        "https://.com/",
        "https://a.com../",
        "https://*.com/",
        "https://redis/",
        "https://metadata.google.internal/",
        "https://a.home.arpa/",
    };
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        struct fail f = {0};
        enum err rc = guard_url(NULL, rows[i], &strict, &f);
        if (rc != ERR_FORBIDDEN) fprintf(stderr, "  accepted: %s\n", rows[i]);
        CHECK_INT(rc, ERR_FORBIDDEN);
    }
    char *longest = calloc(1, 2060);
    if (longest) {
        snprintf(longest, 2060, "https://a.com/%02036d", 0);
        CHECK_INT(strlen(longest), 2050);
        CHECK_INT(guard_url(NULL, longest, &strict, NULL), ERR_FORBIDDEN);
        longest[2048] = '\0';
        CHECK_INT(guard_url(NULL, longest, &strict, NULL), ERR_OK);
    }
    free(longest);
}

static void usual_urls_are_taken(void) {
    static const struct {
        const char *url, *host;
        int port;
    } rows[] = {
        {"https://example.com/hook?x=1", "example.com", 443},
        {"HTTPS://Example.COM", "example.com", 443},
        {"https://example.com.:8443/a%20b", "example.com", 8443},
        {"https://xn--bcher-kva.de/", "xn--bcher-kva.de", 443},
        {"https://8.8.8.8:443/", "8.8.8.8", 443},
        {"https://[2606:4700::1111]/x", "2606:4700::1111", 443},
        {"https://a_b.example.com:80?y", "a_b.example.com", 80},
        {"https://hooks.slack.com/services/T0/B0/x@y", "hooks.slack.com", 443},
    };
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        struct guard_target t;
        struct fail f = {0};
        CHECK_OK(guard_url(&t, rows[i].url, &strict, &f), &f);
        CHECK_STR(t.host, rows[i].host);
        CHECK_INT(t.port, rows[i].port);
        CHECK(t.is_https);
    }
}

static void rules_open_exactly_what_they_name(void) {
    static const struct guard_rules http = {.allow_http = true}, high = {.allow_high_ports = true};
    CHECK_INT(guard_url(NULL, "http://example.com/", &http, NULL), ERR_OK);
    CHECK_INT(guard_url(NULL, "http://127.0.0.1/", &http, NULL), ERR_FORBIDDEN);
    CHECK_INT(guard_url(NULL, "https://example.com:10000/", &high, NULL), ERR_OK);
    CHECK_INT(guard_url(NULL, "https://example.com:9999/", &high, NULL), ERR_FORBIDDEN);
    CHECK_INT(guard_url(NULL, "http://127.0.0.1:34567/", &tests_rule, NULL), ERR_OK);
    CHECK_INT(guard_url(NULL, "http://localhost:34567/", &tests_rule, NULL), ERR_OK);
    CHECK_INT(guard_url(NULL, "http://0x7f.1/", &tests_rule, NULL), ERR_FORBIDDEN);
    CHECK_INT(guard_url(NULL, "file:///etc/passwd", &tests_rule, NULL), ERR_FORBIDDEN);
}

static void addresses_at_the_edge_of_a_range(void) {
    static const struct {
        const char *text;
        bool is_public;
    } rows[] = {
        {"9.255.255.255", true},    {"10.0.0.0", false},       {"10.255.255.255", false},
        {"11.0.0.0", true},         {"100.63.255.255", true},  {"100.64.0.0", false},
        {"100.127.255.255", false}, {"100.128.0.0", true},     {"126.255.255.255", true},
        {"128.0.0.0", true},        {"169.253.255.255", true}, {"169.255.0.0", true},
        {"172.15.255.255", true},   {"172.32.0.0", true},      {"192.0.1.0", true},
        {"192.167.255.255", true},  {"192.169.0.0", true},     {"198.17.255.255", true},
        {"198.20.0.0", true},       {"223.255.255.255", true}, {"224.0.0.0", false},
        {"1.1.1.1", true},          {"2606:4700::1111", true}, {"2001:200::1", true},
        {"2001:1ff::1", false},     {"2002:808:808::", true},  {"2002:a00:1::", false},
        {"64:ff9b::808:808", true}, {"64:ff9b::a00:1", false}, {"4000::1", false},
        {"::ffff:8.8.8.8", false},  {"3ffe::1", true},         {"1fff::1", false},
    };
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        struct sockaddr_storage ss = {0};
        struct sockaddr_in *v4 = (struct sockaddr_in *)&ss;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ss;
        bool is_v6 = strchr(rows[i].text, ':') != NULL;
        ss.ss_family = is_v6 ? AF_INET6 : AF_INET;
        CHECK_INT(inet_pton(ss.ss_family, rows[i].text,
                            is_v6 ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr),
                  1);
        bool got =
            guard_address_is_public((struct sockaddr *)&ss, is_v6 ? sizeof(*v6) : sizeof(*v4));
        if (got != rows[i].is_public) fprintf(stderr, "  wrong verdict on %s\n", rows[i].text);
        CHECK_INT(got, rows[i].is_public);
    }
    struct sockaddr_storage other = {.ss_family = AF_UNIX};
    CHECK(!guard_address_is_public((struct sockaddr *)&other, sizeof(other)));
}

/* The slow truth: every bit of every prefix compared one by one, over random addresses. */
static void random_v4_equal_a_slow_reference(void) {
    static const struct {
        const char *net;
        int bits;
    } nets[] = {{"0.0.0.0", 8},       {"10.0.0.0", 8},     {"100.64.0.0", 10},
                {"127.0.0.0", 8},     {"169.254.0.0", 16}, {"172.16.0.0", 12},
                {"192.0.0.0", 24},    {"192.0.2.0", 24},   {"192.31.196.0", 24},
                {"192.52.193.0", 24}, {"192.88.99.0", 24}, {"192.168.0.0", 16},
                {"192.175.48.0", 24}, {"198.18.0.0", 15},  {"198.51.100.0", 24},
                {"203.0.113.0", 24},  {"224.0.0.0", 3}};
    uint32_t state = 12345;
    int n_wrong = 0;
    for (int i = 0; i < 200000; i++) {
        state = state * 1664525u + 1013904223u;
        uint32_t a = i % 3 ? state : (state >> 20) | 0xc0000000u;
        bool want = true;
        for (int k = 0; k < (int)(sizeof(nets) / sizeof(nets[0])); k++) {
            bool same = true;
            for (int b = 0; b < nets[k].bits; b++)
                same = same && (((ntohl(inet_addr(nets[k].net)) ^ a) >> (31 - b)) & 1) == 0;
            want = want && !same;
        }
        n_wrong += guard_v4_is_public(a) != want;
    }
    CHECK_INT(n_wrong, 0);
}

static const struct test tests[] = {
    TEST(addresses_are_refused_in_every_spelling),
    TEST(odd_urls_are_refused),
    TEST(usual_urls_are_taken),
    TEST(rules_open_exactly_what_they_name),
    TEST(addresses_at_the_edge_of_a_range),
    TEST(random_v4_equal_a_slow_reference),
};
TEST_MAIN(tests)
