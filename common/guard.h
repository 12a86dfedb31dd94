/* guard.h - which addresses we may call for a stranger (SSRF). Pure: no socket, no DNS, no libcurl.
 *
 * Two gates. guard_url() reads a URL when a client hands it in: only plain https (or http where the
 * rules allow), a host that is a public name or a public literal in its usual form, a usual port.
 * guard_address() looks at the address that a socket is really about to connect to; it is the gate
 * that counts, because a name may mean another address each time it is asked. Blocked by default:
 * whatever is not plainly public. Any thread. */
#ifndef COMMON_GUARD_H
#define COMMON_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/err.h"

enum { GUARD_HOST_MAX = 253 };

/* All false is the strict rule of production. */
struct guard_rules {
    bool allow_http;    /* plain http too */
    bool allow_private; /* private, loopback and local names, any port: for tests and closed nets */
    bool allow_high_ports; /* 10000..65535 beside 80, 443 and 8443 */
};

struct guard_target {
    bool is_https;
    char host[GUARD_HOST_MAX + 1]; /* lower case, without brackets and without a final dot */
    int port;
};

/* ERR_FORBIDDEN with words for the caller when the URL may not be used. `out` may be NULL. */
MUST_CHECK enum err guard_url(struct guard_target *out, const char *url,
                              const struct guard_rules *rules, struct fail *f);

/* True for a globally reachable unicast address; an IPv4 inside an IPv6 (mapped, compatible, 6to4,
 * NAT64, Teredo) is judged by itself, and those of our blocked ranges stay blocked. */
bool guard_address_is_public(const struct sockaddr *addr, socklen_t n);
bool guard_v4_is_public(uint32_t host_order);
bool guard_v6_is_public(const unsigned char addr[16]);

#endif
