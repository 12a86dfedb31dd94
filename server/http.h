/* http.h - the libmicrohttpd door: sockets, HTTP/1.1 framing, threads, suspended connections.
 *
 * The library accepts more than HTTP allows, so every request head is checked again here, and a
 * request whose framing is in doubt is answered and its connection closed. Routes, keys and JSON
 * are the app's. An answer is sent only after the body was read (up to HTTP_DRAIN_MAX), because a
 * proxy in front turns an earlier one into its own 502.
 *
 * Threads: a pool of workers runs the app's callbacks; one exchange stays on one thread. */
#ifndef SERVER_HTTP_H
#define SERVER_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "server/request.h"

enum {
    HTTP_DRAIN_MAX = 36 * 1024 * 1024, /* bytes of an unwanted body that are read and thrown away;
                                          more than the proxy in front lets through */
    HTTP_HEAD_MEMORY = 64 * 1024,      /* per connection, for the request head and buffers */
    HTTP_BACKLOG = 511,
    HTTP_STREAM_BLOCK = 4096,
};

/* The callbacks of one exchange, in this order: begin, body*, finish+, done. Any of the first
 * three may set a reply; after that the app hears no more of the body. finish() may park the
 * exchange instead and is then called again after http_wake(). */
struct http_app {
    void *ctx;
    void (*begin)(void *ctx, struct request *req);
    void (*body)(void *ctx, struct request *req, const char *bytes, size_t n);
    void (*finish)(void *ctx, struct request *req);
    /* The exchange is over; is_sent: the library handed all bytes to the socket. */
    void (*done)(void *ctx, struct request *req, bool is_sent);
};

struct http_opts {
    const char *address; /* 127.0.0.1, ::1, 0.0.0.0 */
    int port;            /* 0: the kernel chooses */
    int n_threads;
    int max_connections;
    int idle_timeout_s;
};

struct http;

MUST_CHECK enum err http_start(struct http **out, const struct http_app *app,
                               const struct http_opts *opts, struct fail *f);
int http_port(const struct http *h);

/* Closes the port without losing anybody: who has connected is served, who comes later is refused
 * by the kernel, so that a proxy takes another server. Open connections live on. */
void http_quiesce(struct http *h);
/* Exchanges between begin and done. */
int http_count_active(const struct http *h);
/* Every parked exchange must have been woken. */
void http_stop(struct http *h);

/* Takes the exchange off its thread's work until http_wake(). The caller holds the lock under which
 * the waker looks, so that a wake cannot come before the park. */
void http_park(struct request *req);
void http_wake(struct request *req);
/* True when the other end closed its socket; the library does not look while an exchange is
 * parked. */
bool http_is_gone(const struct request *req);

/* True for addresses that only this machine can reach: 127.0.0.0/8 and ::1. */
bool http_is_loopback(const char *address);

#endif
