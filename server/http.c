#include "server/http.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/id.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/now.h"
#include "server/head.h"

struct http {
    struct http_app app;
    struct MHD_Daemon *daemon;
    int port;
    int listen_fd; /* after http_quiesce; else -1 */
    atomic_int n_active;
};

enum stage { STAGE_HEAD, STAGE_BODY, STAGE_END };

/* One request on one connection. Made when its first line was read, freed when it completed. */
struct exchange {
    struct request req;
    struct http *http;
    struct MHD_Connection *conn;
    enum stage stage;
    bool is_begun;
    bool is_answered;
    const char *raw, *raw_end; /* the target in the library's memory; compared only, see head.h */
    int64_t n_wanted;          /* bytes of the body that the app took */
    char target[REQUEST_TARGET_MAX];
    bool is_target_long;
    char peer[INET6_ADDRSTRLEN];
};

/* ---- the request head ---- */

static void *on_target(void *cls, const char *target, struct MHD_Connection *conn) {
    struct exchange *ex = mem_take(1, sizeof(*ex));
    (void)conn;
    if (!ex) return NULL;
    ex->http = cls;
    ex->raw = target;
    ex->raw_end = target + strlen(target); /* now: the library cuts it up later */
    ex->is_target_long = !str_copy(ex->target, sizeof(ex->target), str_of(target));
    ex->req.reply.fd = -1;
    ex->req.exchange = ex;
    ex->req.started_us = now_mono_us();
    arena_make(&ex->req.mem, REQUEST_MEMORY_MAX);
    buf_make(&ex->req.reply.body, REPLY_BODY_MAX);
    char hex[ID_HEX + 1];
    id_uuid7_hex(hex);
    snprintf(ex->req.id, sizeof(ex->req.id), "req_%s", hex);
    atomic_fetch_add(&ex->http->n_active, 1);
    return ex;
}

static void split_target(struct exchange *ex) {
    struct str rest = str_of(ex->target), path;
    if (str_split(&rest, '?', &path)) ex->req.path = path;
    ex->req.query = rest;
}

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                 size_t n_name, const char *value, size_t n_value) {
    struct request *req = cls;
    (void)kind;
    if (req->n_headers == REQUEST_HEADERS_MAX) return MHD_NO;
    req->headers[req->n_headers++] =
        (struct request_header){{name, n_name}, {value ? value : "", n_value}};
    return MHD_YES;
}

static void read_peer(struct exchange *ex) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(ex->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *sa = info ? info->client_addr : NULL;
    const void *addr = NULL;
    if (sa && sa->sa_family == AF_INET)
        addr = &((const struct sockaddr_in *)(const void *)sa)->sin_addr;
    if (sa && sa->sa_family == AF_INET6)
        addr = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
    if (addr) (void)inet_ntop(sa->sa_family, addr, ex->peer, sizeof(ex->peer));
    ex->req.peer = str_of(ex->peer);
}

/* Fills the request from what the library parsed and checks it again. */
static void read_head(struct exchange *ex, const char *method, const char *version) {
    struct request *req = &ex->req;
    struct problem p;
    int n = MHD_get_connection_values_n(ex->conn, MHD_HEADER_KIND, on_header, req);
    req->method = str_of(method);
    req->is_head = str_eq(req->method, "HEAD");
    split_target(ex);
    read_peer(ex);
    struct head head = {.version = version,
                        .target = ex->raw,
                        .target_end = ex->raw_end,
                        .n_headers_seen = n,
                        .is_target_long = ex->is_target_long};
    if (head_check(&head, req, &p) == ERR_OK) return;
    req->reply.must_close = true;
    request_reply_problem(req, &p);
}

/* ---- the reply ---- */

static ssize_t on_stream(void *cls, uint64_t pos, char *out, size_t max) {
    struct exchange *ex = cls;
    (void)pos;
    ssize_t n = ex->req.reply.stream.read(ex->req.reply.stream.ctx, out, max);
    return n < 0 ? MHD_CONTENT_READER_END_OF_STREAM : n;
}

/* To HEAD the library would send the last chunk of a stream that has none, and the next reply on
 * the connection would begin with it: so no chunks, and the connection ends. */
static struct MHD_Response *make_stream(struct exchange *ex) {
    struct MHD_Response *resp =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, HTTP_STREAM_BLOCK, on_stream, ex, NULL);
    if (resp && ex->req.is_head)
        (void)!MHD_set_response_options(resp, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    return resp;
}

/* The body's bytes stay with the request, which outlives the response. The response owns a file. */
static struct MHD_Response *make_response(struct exchange *ex) {
    struct reply *r = &ex->req.reply;
    if (r->stream.read) return make_stream(ex);
    if (r->fd >= 0) {
        struct MHD_Response *resp = MHD_create_response_from_fd_at_offset64(
            (uint64_t)r->n_file, r->fd, (uint64_t)r->offset);
        if (resp) r->fd = -1;
        return resp;
    }
    return MHD_create_response_from_buffer(r->body.len, r->body.data ? r->body.data : (char *)"",
                                           MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result send_reply(struct exchange *ex) {
    struct reply *r = &ex->req.reply;
    ASSERT(r->status >= 200 && r->status <= 599 && !ex->is_answered);
    struct MHD_Response *resp = make_response(ex);
    if (!resp) return MHD_NO;
    enum MHD_Result ok = MHD_YES;
    for (int i = 0; i < r->n_headers && ok == MHD_YES; i++)
        ok = MHD_add_response_header(resp, r->headers[i].name, r->headers[i].value);
    if (ok == MHD_YES) ok = MHD_add_response_header(resp, "x-request-id", ex->req.id);
    if (ok == MHD_YES && r->must_close) ok = MHD_add_response_header(resp, "Connection", "close");
    if (ok == MHD_YES) ok = MHD_queue_response(ex->conn, (unsigned)r->status, resp);
    MHD_destroy_response(resp);
    ex->is_answered = true;
    return ok;
}

/* ---- the exchange ---- */

/* A reply that must not wait for the body: framing in doubt, a client that waits for 100 Continue
 * and will not send, or more bytes announced than we are willing to throw away. */
static bool must_answer_now(const struct request *req) {
    return req->reply.must_close || req->n_body > HTTP_DRAIN_MAX ||
           (req->n_body != 0 && request_header(req, "expect").n > 0);
}

static enum MHD_Result on_begin(struct exchange *ex, const char *method, const char *version) {
    struct request *req = &ex->req;
    ex->stage = STAGE_BODY;
    read_head(ex, method, version);
    ex->is_begun = true;
    ex->http->app.begin(ex->http->app.ctx, req);
    if (req->reply.status && must_answer_now(req)) {
        req->reply.must_close = true;
        return send_reply(ex);
    }
    return MHD_YES;
}

static enum MHD_Result on_body(struct exchange *ex, const char *bytes, size_t *n) {
    struct request *req = &ex->req;
    req->n_read += (int64_t)*n;
    if (!req->reply.status) {
        ex->http->app.body(ex->http->app.ctx, req, bytes, *n);
        ex->n_wanted = req->n_read;
    }
    if (req->n_read - ex->n_wanted > HTTP_DRAIN_MAX) return MHD_NO;
    *n = 0;
    return MHD_YES;
}

static enum MHD_Result on_end(struct exchange *ex) {
    ex->stage = STAGE_END;
    if (!ex->req.reply.status) ex->http->app.finish(ex->http->app.ctx, &ex->req);
    return ex->req.reply.status ? send_reply(ex) : MHD_YES; /* no reply yet: it is parked */
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *n, void **con_cls) {
    struct exchange *ex = *con_cls;
    (void)cls, (void)url;
    if (!ex) return MHD_NO;
    ex->conn = conn;
    if (ex->is_answered) {
        *n = 0;
        return MHD_YES;
    }
    if (ex->stage == STAGE_HEAD) return on_begin(ex, method, version);
    if (*n) return on_body(ex, bytes, n);
    return on_end(ex);
}

static void on_done(void *cls, struct MHD_Connection *conn, void **con_cls,
                    enum MHD_RequestTerminationCode code) {
    struct exchange *ex = *con_cls;
    (void)cls, (void)conn;
    if (!ex) return;
    struct request *req = &ex->req;
    bool is_sent = ex->is_answered && !req->is_gone && code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    if (req->reply.stream.end) req->reply.stream.end(req->reply.stream.ctx);
    if (ex->is_begun) ex->http->app.done(ex->http->app.ctx, req, is_sent);
    atomic_fetch_sub(&ex->http->n_active, 1);
    request_free(req);
    mem_free(ex);
    *con_cls = NULL;
}

void http_park(struct request *req) {
    struct exchange *ex = req->exchange;
    MHD_suspend_connection(ex->conn);
}

void http_wake(struct request *req) {
    struct exchange *ex = req->exchange;
    MHD_resume_connection(ex->conn);
}

bool http_is_gone(const struct request *req) {
    const struct exchange *ex = req->exchange;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(ex->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pollfd p = {.fd = info ? info->connect_fd : -1, .events = POLLRDHUP};
    return poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* ---- the daemon ---- */

static _Noreturn void on_panic(void *cls, const char *file, unsigned line, const char *reason) {
    (void)cls;
    log_line(LOG_ERROR, "http.panic", "at=%s:%u why=%s", file, line, reason ? reason : "");
    abort();
}

static bool read_address(struct sockaddr_storage *out, const char *address, int port) {
    struct sockaddr_in *v4 = (void *)out;
    struct sockaddr_in6 *v6 = (void *)out;
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return true;
    }
    if (inet_pton(AF_INET6, address, &v6->sin6_addr) != 1) return false;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    return true;
}

bool http_is_loopback(const char *address) {
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, address, &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* poll, not epoll: this release's edge-triggered loop misses a FIN that comes together with the
 * last bytes, and a broken upload would stay until the idle timeout. */
static struct MHD_Daemon *start_daemon(struct http *h, const struct http_opts *o,
                                       const struct sockaddr_storage *sa) {
    unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_SUSPEND_RESUME | MHD_USE_ITC |
                     (sa->ss_family == AF_INET6 ? MHD_USE_IPv6 : 0u);
    return MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, h, MHD_OPTION_SOCK_ADDR, (const struct sockaddr *)sa,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned)o->n_threads, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)o->max_connections, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)o->idle_timeout_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEAD_MEMORY,
        MHD_OPTION_LISTEN_BACKLOG_SIZE, (unsigned)HTTP_BACKLOG, MHD_OPTION_URI_LOG_CALLBACK,
        on_target, h, MHD_OPTION_NOTIFY_COMPLETED, on_done, h, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_END);
}

enum err http_start(struct http **out, const struct http_app *app, const struct http_opts *opts,
                    struct fail *f) {
    struct sockaddr_storage sa;
    ASSERT(app->begin && app->body && app->finish && app->done);
    if (!read_address(&sa, opts->address, opts->port))
        return FAIL(f, ERR_CONFIG, "bind %s is not an IP address", opts->address);
    struct http *h = mem_take(1, sizeof(*h));
    if (!h) return FAIL(f, ERR_NOMEM, "no memory for the HTTP server");
    h->app = *app;
    h->listen_fd = -1;
    MHD_set_panic_func(on_panic, NULL);
    h->daemon = start_daemon(h, opts, &sa);
    const union MHD_DaemonInfo *info =
        h->daemon ? MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    if (!info) {
        mem_free(h);
        return FAIL(f, ERR_CONFIG, "cannot listen on %s port %d; is the port taken?", opts->address,
                    opts->port);
    }
    h->port = info->port;
    *out = h;
    return ERR_OK;
}

int http_port(const struct http *h) {
    return h->port;
}

int http_count_active(const struct http *h) {
    return atomic_load(&((struct http *)(uintptr_t)h)->n_active);
}

/* Connections that the kernel has accepted and nobody has taken; closing would reset them. */
static void take_backlog(struct http *h) {
    for (int i = 0; i < HTTP_BACKLOG; i++) {
        struct sockaddr_storage sa;
        socklen_t n = sizeof(sa);
        struct pollfd p = {.fd = h->listen_fd, .events = POLLIN};
        if (poll(&p, 1, 0) != 1) return;
        int fd = accept4(h->listen_fd, (struct sockaddr *)&sa, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) return;
        if (MHD_add_connection(h->daemon, fd, (struct sockaddr *)&sa, n) != MHD_YES)
            log_line(LOG_WARN, "http.lost", "why=connection_limit");
    }
}

/* shutdown, not close: a thread of the library may still hold the number of this socket. */
void http_quiesce(struct http *h) {
    h->listen_fd = MHD_quiesce_daemon(h->daemon);
    if (h->listen_fd < 0) return;
    take_backlog(h);
    (void)!shutdown(h->listen_fd, SHUT_RD);
}

void http_stop(struct http *h) {
    if (!h) return;
    MHD_stop_daemon(h->daemon);
    if (h->listen_fd >= 0) close(h->listen_fd);
    mem_free(h);
}
