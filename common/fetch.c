/* fetch.c - see fetch.h. Written to libcurl 7.88.
 *
 * CURLOPT_OPENSOCKETFUNCTION is the only hook that sees the real address before a packet leaves:
 * PREREQFUNCTION fires after connect, and spellings like 0x7f.1 are resolved behind our back. */
#include "common/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include "common/base/assert.h"

enum {
    HEADER_BYTES_MAX = 64 * 1024,
    SLOW_BYTES_PER_S = 1000, /* of files: slower than this for SLOW_S is a failure */
    SLOW_S = 30
};

struct exchange {
    const struct fetch_request *request;
    struct fetch_reply *reply;
    bool is_blocked; /* an address was refused */
    bool is_cut;     /* the reply was long enough */
    CURL *curl;
    int64_t n_sent; /* of the file */
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

static size_t give_file(char *out, size_t size, size_t n, void *ctx) {
    struct exchange *x = ctx;
    const struct fetch_file *file = x->request->file;
    int64_t left = file->n_bytes - x->n_sent;
    size_t want = size * n;
    if ((int64_t)want > left) want = (size_t)left;
    for (;;) {
        ssize_t k = pread(file->fd, out, want, (off_t)(file->from + x->n_sent));
        if (k < 0 && errno == EINTR) continue;
        if (k < 0 || (k == 0 && want > 0)) return CURL_READFUNC_ABORT;
        x->n_sent += k;
        return (size_t)k;
    }
}

/* The status is known before the body comes. */
static bool is_to_save(const struct exchange *x) {
    long status = 0;
    if (x->request->save_fd <= 0) return false;
    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300;
}

static size_t save(struct exchange *x, const char *data, size_t n) {
    size_t done = 0;
    if (n > x->request->reply_max - (size_t)x->reply->n_saved) return 0;
    while (done < n) {
        ssize_t k = write(x->request->save_fd, data + done, n - done);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return 0;
        done += (size_t)k;
    }
    x->reply->n_saved += (int64_t)n;
    return n;
}

static size_t take_body(char *data, size_t size, size_t n, void *ctx) {
    struct exchange *x = ctx;
    struct buf *b = &x->reply->body;
    size_t bytes = size * n, room = b->max - b->len;
    if (is_to_save(x)) return save(x, data, bytes);
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

static void set_body(CURL *c, struct exchange *x) {
    const struct fetch_request *r = x->request;
    if (r->file) {
        curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(c, CURLOPT_READFUNCTION, give_file);
        curl_easy_setopt(c, CURLOPT_READDATA, x);
        curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->file->n_bytes);
    } else if (r->body) {
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->n_body);
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, r->body);
    }
    if (r->file || r->save_fd > 0) {
        curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES_PER_S);
        curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)SLOW_S);
    }
    if (r->method && strcmp(r->method, "HEAD") == 0)
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    else if (r->method)
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, r->method);
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
    set_body(c, x);
}

static void read_reply(CURL *c, const struct fetch_request *request, struct fetch_reply *reply) {
    long status = 0;
    struct curl_header *h = NULL;
    for (int i = 0; i < FETCH_ASKED_MAX && request->asked[i]; i++)
        if (curl_easy_header(c, request->asked[i], 0, CURLH_HEADER, -1, &h) == CURLHE_OK)
            snprintf(reply->told[i], FETCH_ASKED_SIZE, "%s", h->value);
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
    buf_make(&reply->body, request->save_fd > 0 ? HEADER_BYTES_MAX : request->reply_max);
    enum err rc = guard_url(NULL, request->url, &request->rules, f);
    if (rc != ERR_OK) return rc;

    CURL *c = curl_easy_init();
    struct curl_slist *headers = headers_of(request);
    if (!c || !headers) {
        rc = FAIL(f, ERR_NOMEM, "fetch: no memory");
    } else {
        x.curl = c;
        set_manners(c);
        set_request(c, &x, headers);
        CURLcode code = curl_easy_perform(c);
        read_reply(c, request, reply);
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

int64_t fetch_parse_date(const char *text) {
    return (int64_t)curl_getdate(text, NULL);
}
