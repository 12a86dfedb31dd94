/* loop.c - see loop.h. Written to libuv 1.44. */
#include "worker/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/base/assert.h"
#include "common/base/mem.h"

enum { BACKLOG = 16, REQUEST_MAX = 4096 };

struct loop {
    uv_loop_t uv;
    int n_working;
    uv_tcp_t listener;
    loop_page_fn page;
    void *page_ctx;
};

/* The handle comes first in each of these: libuv gives it back as a pointer to the whole. */
struct loop_timer {
    uv_timer_t uv;
    loop_fn fn;
    void *ctx;
};

struct loop_watch {
    uv_poll_t uv;
    loop_fn fn;
    void *ctx;
};

struct on_signal {
    uv_signal_t uv;
    loop_fn fn;
    void *ctx;
};

struct work {
    uv_work_t uv;
    struct loop *loop;
    loop_fn work, after;
    void *ctx;
};

struct visitor {
    uv_tcp_t uv;
    struct loop *loop;
    uv_write_t write;
    struct buf reply;
    size_t n_read;
    char chunk[REQUEST_MAX];
};

static enum err uv_fail(struct fail *f, int e, const char *what) {
    return FAIL(f, ERR_IO, "loop: %s: %s", what, uv_strerror(e));
}

enum err loop_open(struct loop **out, struct fail *f) {
    char n[8];
    struct loop *l = mem_take(1, sizeof(*l));
    *out = NULL;
    if (!l) return FAIL(f, ERR_NOMEM, "loop: no memory");
    snprintf(n, sizeof(n), "%d", LOOP_THREADS); /* webhooks of 15 s must not hold up heartbeats */
    setenv("UV_THREADPOOL_SIZE", n, 1);
    int e = uv_loop_init(&l->uv);
    if (e < 0) {
        mem_free(l);
        return uv_fail(f, e, "start");
    }
    l->uv.data = l;
    *out = l;
    return ERR_OK;
}

static void free_handle(uv_handle_t *h) {
    if (h->type == UV_TCP && h->data) { /* a visitor; the listener is part of the loop */
        buf_free(&((struct visitor *)h)->reply);
        mem_free(h);
    } else if (h->type != UV_TCP) {
        mem_free(h);
    }
}

static void close_handle(uv_handle_t *h, void *ctx) {
    (void)ctx;
    if (!uv_is_closing(h)) uv_close(h, free_handle);
}

void loop_close(struct loop *l) {
    if (!l) return;
    uv_walk(&l->uv, close_handle, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    int e = uv_loop_close(&l->uv);
    ASSERT(e == 0);
    mem_free(l);
}

void loop_run(struct loop *l) {
    uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *l) {
    uv_stop(&l->uv);
}

static void fire_timer(uv_timer_t *t) {
    struct loop_timer *own = (struct loop_timer *)t;
    own->fn(own->ctx);
}

enum err loop_timer_open(struct loop *l, struct loop_timer **out, loop_fn fn, void *ctx,
                         struct fail *f) {
    struct loop_timer *t = mem_take(1, sizeof(*t));
    *out = NULL;
    if (!t) return FAIL(f, ERR_NOMEM, "loop: no memory");
    uv_timer_init(&l->uv, &t->uv);
    t->fn = fn;
    t->ctx = ctx;
    *out = t;
    return ERR_OK;
}

void loop_timer_set(struct loop_timer *t, int64_t after_ms) {
    uv_update_time(t->uv.loop); /* the callback before us may have been slow */
    uv_timer_start(&t->uv, fire_timer, after_ms > 0 ? (uint64_t)after_ms : 0, 0);
}

void loop_timer_stop(struct loop_timer *t) {
    uv_timer_stop(&t->uv);
}

static void fire_signal(uv_signal_t *s, int signum) {
    struct on_signal *own = (struct on_signal *)s;
    (void)signum;
    own->fn(own->ctx);
}

enum err loop_signal(struct loop *l, int signum, loop_fn fn, void *ctx, struct fail *f) {
    struct on_signal *s = mem_take(1, sizeof(*s));
    if (!s) return FAIL(f, ERR_NOMEM, "loop: no memory");
    uv_signal_init(&l->uv, &s->uv);
    s->fn = fn;
    s->ctx = ctx;
    int e = uv_signal_start(&s->uv, fire_signal, signum);
    return e < 0 ? uv_fail(f, e, "signal") : ERR_OK;
}

static void fire_watch(uv_poll_t *p, int status, int events) {
    struct loop_watch *own = (struct loop_watch *)p;
    (void)status; /* an error shows again when the callback reads */
    (void)events;
    own->fn(own->ctx);
}

enum err loop_watch_open(struct loop *l, struct loop_watch **out, int fd, loop_fn fn, void *ctx,
                         struct fail *f) {
    struct loop_watch *w = mem_take(1, sizeof(*w));
    *out = NULL;
    if (!w) return FAIL(f, ERR_NOMEM, "loop: no memory");
    int e = uv_poll_init(&l->uv, &w->uv, fd);
    if (e < 0) {
        mem_free(w);
        return uv_fail(f, e, "watch");
    }
    w->fn = fn;
    w->ctx = ctx;
    *out = w;
    e = uv_poll_start(&w->uv, UV_READABLE | UV_DISCONNECT, fire_watch);
    return e < 0 ? uv_fail(f, e, "watch") : ERR_OK;
}

void loop_watch_close(struct loop_watch *w) {
    if (!w) return;
    uv_poll_stop(&w->uv);
    uv_close((uv_handle_t *)&w->uv, free_handle);
}

static void do_work(uv_work_t *w) {
    struct work *own = (struct work *)w;
    own->work(own->ctx);
}

static void end_work(uv_work_t *w, int status) {
    struct work *own = (struct work *)w;
    loop_fn after = own->after;
    void *ctx = own->ctx;
    (void)status;
    own->loop->n_working--;
    mem_free(own);
    after(ctx);
}

enum err loop_work(struct loop *l, loop_fn work, loop_fn after, void *ctx, struct fail *f) {
    struct work *w = mem_take(1, sizeof(*w));
    if (!w) return FAIL(f, ERR_NOMEM, "loop: no memory");
    *w = (struct work){.loop = l, .work = work, .after = after, .ctx = ctx};
    int e = uv_queue_work(&l->uv, &w->uv, do_work, end_work);
    if (e < 0) {
        mem_free(w);
        return uv_fail(f, e, "work");
    }
    l->n_working++;
    return ERR_OK;
}

int loop_n_working(const struct loop *l) {
    return l->n_working;
}

/* ---- the page ---- */

static void give_chunk(uv_handle_t *h, size_t size, uv_buf_t *out) {
    struct visitor *v = (struct visitor *)h;
    (void)size;
    *out = uv_buf_init(v->chunk + v->n_read, (unsigned)(REQUEST_MAX - v->n_read));
}

static void end_visit(uv_write_t *w, int status) {
    (void)status;
    close_handle((uv_handle_t *)w->handle, NULL);
}

static enum err write_reply(struct visitor *v) {
    enum err rc = ERR_OK;
    struct buf page;
    buf_make(&page, LOOP_PAGE_MAX);
    buf_make(&v->reply, LOOP_PAGE_MAX + REQUEST_MAX);
    TRY(v->loop->page(v->loop->page_ctx, &page, NULL));
    TRY(buf_addf(&v->reply, NULL,
                 "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
                 "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                 page.len));
    TRY(buf_add(&v->reply, buf_str(&page), page.len, NULL));
out:
    buf_free(&page);
    return rc;
}

/* The request itself does not matter: its end does. */
static void take_request(uv_stream_t *s, ssize_t n, const uv_buf_t *b) {
    struct visitor *v = (struct visitor *)s;
    (void)b;
    if (n > 0) v->n_read += (size_t)n;
    bool is_over = v->n_read >= 4 && memmem(v->chunk, v->n_read, "\r\n\r\n", 4) != NULL;
    if (n >= 0 && !is_over && v->n_read < REQUEST_MAX) return;
    uv_read_stop(s);
    if (!is_over || write_reply(v) != ERR_OK) {
        close_handle((uv_handle_t *)s, NULL);
        return;
    }
    uv_buf_t out = uv_buf_init(v->reply.data, (unsigned)v->reply.len);
    if (uv_write(&v->write, s, &out, 1, end_visit) < 0) close_handle((uv_handle_t *)s, NULL);
}

static void take_visitor(uv_stream_t *listener, int status) {
    struct loop *l = listener->loop->data;
    struct visitor *v = status < 0 ? NULL : mem_take(1, sizeof(*v));
    if (!v) return;
    uv_tcp_init(&l->uv, &v->uv);
    v->uv.data = v;
    v->loop = l;
    if (uv_accept(listener, (uv_stream_t *)&v->uv) < 0 ||
        uv_read_start((uv_stream_t *)&v->uv, give_chunk, take_request) < 0)
        close_handle((uv_handle_t *)&v->uv, NULL);
}

enum err loop_serve(struct loop *l, int port, loop_page_fn page, void *ctx, struct fail *f) {
    struct sockaddr_in at;
    l->page = page;
    l->page_ctx = ctx;
    uv_ip4_addr("127.0.0.1", port, &at);
    uv_tcp_init(&l->uv, &l->listener);
    int e = uv_tcp_bind(&l->listener, (const struct sockaddr *)&at, 0);
    if (e >= 0) e = uv_listen((uv_stream_t *)&l->listener, BACKLOG, take_visitor);
    return e < 0 ? FAIL(f, ERR_CONFIG, "metrics port %d: %s", port, uv_strerror(e)) : ERR_OK;
}
