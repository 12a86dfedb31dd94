/* fetch.c - see fetch.h. Written to libcurl 7.88.
 *
 * CURLOPT_OPENSOCKETFUNCTION is the only hook that sees the real address before a packet leaves:
 * PREREQFUNCTION fires after connect, and spellings like 0x7f.1 are resolved behind our back. */
#include "common/fetch.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <curl/curl.h>

#include "common/base/assert.h"

enum { HEADER_BYTES_MAX = 64 * 1024 };

struct exchange {
    const struct fetch_request *request;
    struct fetch_reply *reply;
    bool is_blocked; /* an address was refused */
    bool is_cut;     /* the reply was long enough */
    size_t header_bytes;
    char why[CURL_ERROR_SIZE];
};

enum err fetch_start(struct fail *f) {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return FAIL(f, ERR_BUG, "fetch: libcurl does not start");
    return ERR_OK;
}

void fetch_stop(void) {
    curl_global_cleanup();
}

static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a) {
    struct exchange *x = ctx;
    if (purpose != CURLSOCKTYPE_IPCXN) return CURL_SOCKET_BAD;
    if (!x->request->rules.allow_private && !guard_address_is_public(&a->addr, a->addrlen)) {
        x->is_blocked = true;
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static size_t take_body(char *data, size_t size, size_t n, void *ctx) {
    struct exchange *x = ctx;
    struct buf *b = &x->reply->body;
    size_t bytes = size * n, room = b->max - b->len;
    if (buf_add(b, data, bytes < room ? bytes : room, NULL) != ERR_OK) return 0;
    x->is_cut = bytes > room;
    return x->is_cut ? 0 : bytes;
}

/* Endless headers are as bad as an endless body. */
static size_t take_header(char *data, size_t size, size_t n, void *ctx) {
    struct exchange *x = ctx;
    (void)data;
    x->header_bytes += size * n;
    return x->header_bytes > HEADER_BYTES_MAX ? 0 : size * n;
}

static struct curl_slist *headers_of(const struct fetch_request *r) {
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* no 100-continue round trip */
    for (int i = 0; list && i < FETCH_HEADERS_MAX && r->headers[i]; i++) {
        struct curl_slist *more = curl_slist_append(list, r->headers[i]);
        if (!more) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = more;
    }
    return list;
}

/* What never changes: the environment and the server decide nothing. */
static void set_manners(CURL *c) {
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(c, CURLOPT_HTTP09_ALLOWED, 0L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "misora/1");
}

static void set_request(CURL *c, struct exchange *x, struct curl_slist *headers) {
    const struct fetch_request *r = x->request;
    curl_easy_setopt(c, CURLOPT_URL, r->url);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)r->connect_ms);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)r->total_ms);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, x);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, x->why);
    if (!r->body) return;
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->n_body);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, r->body);
}

static void read_reply(CURL *c, struct fetch_reply *reply) {
    long status = 0;
    struct curl_header *h = NULL;
    curl_off_t wait = 0;
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    reply->status = (int)status;
    if (curl_easy_header(c, "Retry-After", 0, CURLH_HEADER, -1, &h) != CURLHE_OK) return;
    if (curl_easy_getinfo(c, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK) reply->retry_after_s = wait;
}

static enum err verdict(const struct exchange *x, CURLcode code, struct fail *f) {
    if (x->is_blocked && x->reply->status == 0)
        return FAIL(f, ERR_FORBIDDEN,
                    "blocked_address: the host has an address that is not public");
    bool has_answer = code == CURLE_OK || (code == CURLE_WRITE_ERROR && x->is_cut);
    if (has_answer && x->reply->status > 0) return ERR_OK;
    x->reply->status = 0;
    const char *why = x->why[0] ? x->why : curl_easy_strerror(code);
    return FAIL(f, code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_IO, "no answer: %s", why);
}

enum err fetch_call(struct fetch_reply *reply, const struct fetch_request *request,
                    struct fail *f) {
    struct exchange x = {.request = request, .reply = reply};
    ASSERT(request->total_ms > 0 && request->connect_ms > 0);
    *reply = (struct fetch_reply){.retry_after_s = -1};
    buf_make(&reply->body, request->reply_max);
    enum err rc = guard_url(NULL, request->url, &request->rules, f);
    if (rc != ERR_OK) return rc;

    CURL *c = curl_easy_init();
    struct curl_slist *headers = headers_of(request);
    if (!c || !headers) {
        rc = FAIL(f, ERR_NOMEM, "fetch: no memory");
    } else {
        set_manners(c);
        set_request(c, &x, headers);
        CURLcode code = curl_easy_perform(c);
        read_reply(c, reply);
        rc = verdict(&x, code, f);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(c);
    return rc;
}

void fetch_reply_free(struct fetch_reply *reply) {
    buf_free(&reply->body);
    *reply = (struct fetch_reply){.retry_after_s = -1};
}
