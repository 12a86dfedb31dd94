/* loop.h - the libuv door: timers, signals, descriptors, blocking work beside the loop, and one
 * page of text over HTTP for metrics.
 *
 * All callbacks run on the thread of loop_run(), one at a time, so the state behind them needs no
 * lock; only the `work` part of loop_work() runs elsewhere and may touch nothing but its context.
 */
#ifndef WORKER_LOOP_H
#define WORKER_LOOP_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

enum { LOOP_THREADS = 8, LOOP_PAGE_MAX = 256 * 1024 };

struct loop;
struct loop_timer;
struct loop_watch;
typedef void (*loop_fn)(void *ctx);
typedef enum err (*loop_page_fn)(void *ctx, struct buf *out, struct fail *f);

MUST_CHECK enum err loop_open(struct loop **out, struct fail *f);
/* Closes every handle and waits for running work. NULL is fine. */
void loop_close(struct loop *l);
/* Returns after loop_stop(). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

/* Timers live until loop_close(). */
MUST_CHECK enum err loop_timer_open(struct loop *l, struct loop_timer **out, loop_fn fn, void *ctx,
                                    struct fail *f);
/* Fires once after `after_ms`; setting it again moves it. */
void loop_timer_set(struct loop_timer *t, int64_t after_ms);
void loop_timer_stop(struct loop_timer *t);

MUST_CHECK enum err loop_signal(struct loop *l, int signum, loop_fn fn, void *ctx, struct fail *f);

/* Calls fn whenever fd can be read or was closed by its peer. The caller closes fd after unwatch.
 */
MUST_CHECK enum err loop_watch_open(struct loop *l, struct loop_watch **out, int fd, loop_fn fn,
                                    void *ctx, struct fail *f);
void loop_watch_close(struct loop_watch *w); /* NULL is fine */

/* Runs work(ctx) on another thread and then after(ctx) on ours. */
MUST_CHECK enum err loop_work(struct loop *l, loop_fn work, loop_fn after, void *ctx,
                              struct fail *f);
int loop_n_working(const struct loop *l);

/* Answers every HTTP request on 127.0.0.1:port with the page. */
MUST_CHECK enum err loop_serve(struct loop *l, int port, loop_page_fn page, void *ctx,
                               struct fail *f);

#endif
