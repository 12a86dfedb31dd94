#include "common/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "common/base/limits.h"
#include "common/base/str.h"

struct v4_range {
    uint32_t net;
    int bits;
};
#define V4(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

/* IANA special-purpose registry: everything that is not plain unicast of the Internet. */
static const struct v4_range v4_blocked[] = {
    {V4(0, 0, 0, 0), 8},       {V4(10, 0, 0, 0), 8},     {V4(100, 64, 0, 0), 10},
    {V4(127, 0, 0, 0), 8},     {V4(169, 254, 0, 0), 16}, {V4(172, 16, 0, 0), 12},
    {V4(192, 0, 0, 0), 24},    {V4(192, 0, 2, 0), 24},   {V4(192, 31, 196, 0), 24},
    {V4(192, 52, 193, 0), 24}, {V4(192, 88, 99, 0), 24}, {V4(192, 168, 0, 0), 16},
    {V4(192, 175, 48, 0), 24}, {V4(198, 18, 0, 0), 15},  {V4(198, 51, 100, 0), 24},
    {V4(203, 0, 113, 0), 24},  {V4(224, 0, 0, 0), 3},
};

struct v6_range {
    unsigned char net[16];
    int bits;
};

/* Inside 2000::/3, the only block that is global unicast today; all outside it is blocked. */
static const struct v6_range v6_blocked[] = {
    {{0x20, 0x01}, 23},                   /* protocol assignments, with Teredo and ORCHID */
    {{0x20, 0x01, 0x0d, 0xb8}, 32},       /* documentation */
    {{0x26, 0x20, 0x00, 0x4f, 0x80}, 48}, /* AS112 */
    {{0x3f, 0xff}, 20},                   /* documentation */
};
static const struct v6_range v6_global = {{0x20}, 3};
static const struct v6_range v6_6to4 = {{0x20, 0x02}, 16};
static const struct v6_range v6_nat64 = {{0x00, 0x64, 0xff, 0x9b}, 96};

bool guard_v4_is_public(uint32_t a) {
    for (size_t i = 0; i < sizeof(v4_blocked) / sizeof(v4_blocked[0]); i++)
        if (((a ^ v4_blocked[i].net) >> (32 - v4_blocked[i].bits)) == 0) return false;
    return true;
}

static bool v6_in(const unsigned char a[16], const struct v6_range *r) {
    int whole = r->bits / 8, rest = r->bits % 8;
    if (memcmp(a, r->net, (size_t)whole) != 0) return false;
    return rest == 0 || ((a[whole] ^ r->net[whole]) >> (8 - rest)) == 0;
}

static uint32_t v4_at(const unsigned char *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

bool guard_v6_is_public(const unsigned char a[16]) {
    if (v6_in(a, &v6_nat64)) return guard_v4_is_public(v4_at(a + 12));
    if (v6_in(a, &v6_6to4)) return guard_v4_is_public(v4_at(a + 2));
    if (!v6_in(a, &v6_global))
        return false; /* with it ::, ::1, mapped, compatible, ULA, link-local */
    for (size_t i = 0; i < sizeof(v6_blocked) / sizeof(v6_blocked[0]); i++)
        if (v6_in(a, &v6_blocked[i])) return false;
    return true;
}

bool guard_address_is_public(const struct sockaddr *addr, socklen_t n) {
    if (addr->sa_family == AF_INET && n >= (socklen_t)sizeof(struct sockaddr_in)) {
        struct sockaddr_in in;
        memcpy(&in, addr, sizeof(in));
        return guard_v4_is_public(ntohl(in.sin_addr.s_addr));
    }
    if (addr->sa_family == AF_INET6 && n >= (socklen_t)sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 in;
        memcpy(&in, addr, sizeof(in));
        return guard_v6_is_public(in.sin6_addr.s6_addr);
    }
    return false;
}

/* Names that never mean a host of the Internet. A leading dot: the name itself and all below. */
static const char *const local_names[] = {
    ".localhost", ".local",   ".internal",    ".intranet",  ".lan",          ".home",
    ".corp",      ".private", ".localdomain", ".home.arpa", ".in-addr.arpa", ".ip6.arpa",
    ".test",      ".example", ".invalid",     ".onion",
};

static bool is_local_name(const char *host) {
    size_t n = strlen(host);
    for (size_t i = 0; i < sizeof(local_names) / sizeof(local_names[0]); i++) {
        const char *name = local_names[i] + 1;
        size_t m = strlen(name);
        if (n < m || strcmp(host + n - m, name) != 0) continue;
        if (n == m || host[n - m - 1] == '.') return true;
    }
    return strchr(host, '.') ==
           NULL; /* a single label depends on the search list of the resolver */
}

static enum err refuse(struct fail *f, const char *why) {
    return FAIL(f, ERR_FORBIDDEN, "the URL may not be used: %s", why);
}

/* Visible ASCII only, and none of the bytes that two URL readers understand differently. */
static enum err check_bytes(const char *url, struct fail *f) {
    size_t n = strnlen(url, LIMIT_URL_BYTES + 1);
    if (n > LIMIT_URL_BYTES) return refuse(f, "it is longer than 2048 bytes");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)url[i];
        if (c <= 0x20 || c >= 0x7f)
            return refuse(
                f, "it has blanks, control or non-ASCII characters (use punycode and %-escapes)");
        if (strchr("\\\"<>^`{|}", c)) return refuse(f, "it has a character that must be escaped");
        if (c == '#') return refuse(f, "it has a fragment");
        if (c == '%' && strncmp(url + i, "%00", 3) == 0) return refuse(f, "it has an escaped NUL");
    }
    return ERR_OK;
}

static enum err read_scheme(struct guard_target *t, struct str *rest,
                            const struct guard_rules *rules, struct fail *f) {
    static const struct {
        const char *text;
        bool is_https;
    } schemes[] = {{"https://", true}, {"http://", false}};
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(schemes[i].text);
        if (rest->n < n || !str_eq_nocase((struct str){rest->p, n}, schemes[i].text)) continue;
        t->is_https = schemes[i].is_https;
        *rest = (struct str){rest->p + n, rest->n - n};
        if (!t->is_https && !rules->allow_http && !rules->allow_private)
            return refuse(f, "only https is allowed");
        return ERR_OK;
    }
    return refuse(f, "it must begin with https://");
}

/* Splits "host:port" or "[v6]:port"; the port text may be empty only when there is no colon. */
static enum err split_port(struct str authority, struct str *host, struct str *port,
                           struct fail *f) {
    const char *end = authority.p + authority.n, *colon = NULL;
    if (authority.n > 0 && authority.p[0] == '[') {
        const char *close = memchr(authority.p, ']', authority.n);
        if (!close) return refuse(f, "its host is not closed by ]");
        *host = (struct str){authority.p, (size_t)(close + 1 - authority.p)};
        if (close + 1 < end && close[1] != ':') return refuse(f, "its host cannot be read");
        if (close + 1 < end) colon = close + 1;
    } else {
        colon = memchr(authority.p, ':', authority.n);
        *host = (struct str){authority.p, colon ? (size_t)(colon - authority.p) : authority.n};
    }
    *port = colon ? (struct str){colon + 1, (size_t)(end - colon - 1)} : (struct str){NULL, 0};
    if (colon && port->n == 0) return refuse(f, "its port is empty");
    return host->n == 0 ? refuse(f, "it has no host") : ERR_OK;
}

static enum err read_port(struct guard_target *t, struct str port, const struct guard_rules *rules,
                          struct fail *f) {
    int64_t n = t->is_https ? 443 : 80;
    if (port.p && !str_parse_i64(port, 1, 65535, &n))
        return refuse(f, "its port is not 1 to 65535");
    t->port = (int)n;
    bool is_usual = n == 80 || n == 443 || n == 8443;
    if (is_usual || rules->allow_private || (rules->allow_high_ports && n >= 10000)) return ERR_OK;
    return refuse(f, rules->allow_high_ports ? "only ports 80, 443, 8443 and from 10000 are allowed"
                                             : "only ports 80, 443 and 8443 are allowed");
}

static enum err check_v6(const char *text, const struct guard_rules *rules, struct fail *f) {
    unsigned char a[16];
    if (inet_pton(AF_INET6, text, a) != 1) return refuse(f, "its host is not an IPv6 address");
    if (rules->allow_private || guard_v6_is_public(a)) return ERR_OK;
    return refuse(f, "its address is not public");
}

/* WHATWG: a host whose last label is a number is an IPv4 address in one of many forms (0x7f.1,
 * 2130706433, 0177.0.0.1). Only a.b.c.d without leading zeros is taken; the others exist to hide.
 */
static bool ends_in_number(const char *host) {
    const char *dot = strrchr(host, '.'), *last = dot ? dot + 1 : host;
    if (last[0] == '0' && (last[1] == 'x' || last[1] == 'X')) return true;
    return last[0] != '\0' && strspn(last, "0123456789") == strlen(last);
}

static enum err check_v4(const char *host, const struct guard_rules *rules, struct fail *f) {
    unsigned char a[4];
    if (inet_pton(AF_INET, host, a) != 1)
        return refuse(f, "its host looks like an address in an unusual form");
    if (rules->allow_private || guard_v4_is_public(v4_at(a))) return ERR_OK;
    return refuse(f, "its address is not public");
}

/* Labels of letters, digits, - and _, 1..63 long. */
static bool is_name(const char *host) {
    size_t label = 0;
    for (const char *p = host; *p; p++) {
        bool is_letter = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9');
        if (*p == '.' ? label == 0 : !is_letter && *p != '-' && *p != '_') return false;
        label = *p == '.' ? 0 : label + 1;
        if (label > 63) return false;
    }
    return label > 0;
}

static enum err read_host(struct guard_target *t, struct str host, const struct guard_rules *rules,
                          struct fail *f) {
    if (host.p[0] == '[') host = (struct str){host.p + 1, host.n - 2};
    bool is_v6 = memchr(host.p, ':', host.n) != NULL;
    if (host.n == 0 || host.n > GUARD_HOST_MAX) return refuse(f, "its host is empty or too long");
    if (!is_v6 && host.n > 1 && host.p[host.n - 1] == '.') host.n--; /* the root: the same name */
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        t->host[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    t->host[host.n] = '\0';
    if (is_v6) return check_v6(t->host, rules, f);
    if (ends_in_number(t->host)) return check_v4(t->host, rules, f);
    if (!is_name(t->host)) return refuse(f, "its host is not a name");
    if (!rules->allow_private && is_local_name(t->host))
        return refuse(f, "its host is a local name");
    return ERR_OK;
}

enum err guard_url(struct guard_target *out, const char *url, const struct guard_rules *rules,
                   struct fail *f) {
    enum err rc = ERR_OK;
    struct guard_target t = {0};
    struct str rest, host = {0}, port = {0};

    TRY(check_bytes(url, f));
    rest = str_of(url);
    TRY(read_scheme(&t, &rest, rules, f));
    struct str authority = {rest.p, strcspn(rest.p, "/?")};
    if (memchr(authority.p, '@', authority.n)) return refuse(f, "it has a user name");
    TRY(split_port(authority, &host, &port, f));
    TRY(read_port(&t, port, rules, f));
    TRY(read_host(&t, host, rules, f));
    if (out) *out = t;
out:
    return rc;
}
