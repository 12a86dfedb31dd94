/* kid.h - the compute child as its supervisor sees it: start, talk, kill, restart. Loop thread.
 *
 * Whatever is wrong on the socket (garbage, silence while sending) ends in kid_kill, and every
 * death is told once through `gone`. A dead child comes back by itself until kid_stop. */
#ifndef WORKER_KID_H
#define WORKER_KID_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/err.h"
#include "common/receipt.h"
#include "worker/loop.h"
#include "worker/wire.h"

struct kid_events {
    void *ctx;
    void (*ready)(void *ctx);
    void (*refused)(void *ctx, const struct fail *why); /* the model cannot be opened: hopeless */
    void (*progress)(void *ctx, const struct wire_progress *p);
    void (*done)(void *ctx, const struct receipt *receipt);
    void (*failed)(void *ctx, const struct fail *why);
    void (*gone)(void *ctx, int wait_status);
};

struct kid {
    struct loop *loop;
    struct kid_events on;
    struct wire_hello hello;
    struct loop_timer *restart;
    struct loop_watch *watch;
    struct wire_reader reader;
    pid_t pid; /* 0 = none lives */
    int fd, n_early_deaths;
    bool is_ready, is_busy, is_stopping;
};

/* Starts the first child. */
MUST_CHECK enum err kid_open(struct kid *k, struct loop *loop, const struct wire_hello *hello,
                             const struct kid_events *on, struct fail *f);
/* Hands a job over; the answer is done, failed or gone. */
void kid_job(struct kid *k, const struct wire_job *job);
/* Asks the running job to stop at its next step. */
void kid_cancel(struct kid *k);
void kid_kill(struct kid *k);
/* On SIGCHLD. */
void kid_reap(struct kid *k);
/* Kills and waits; no events after it. */
void kid_stop(struct kid *k);

#endif
