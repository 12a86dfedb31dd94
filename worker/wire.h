/* wire.h - what supervisor and compute child say to each other over their socket pair.
 *
 *   "MW" | type u8 | 0 | length u32, little endian | body: JSON
 *
 *   supervisor -> child: HELLO (once), JOB, CANCEL
 *   child -> supervisor: READY (once), then per job PROGRESS.., DONE or ERR
 *
 * Neither side believes the other: lengths are capped, an unknown type or a body that does not read
 * is ERR_CORRUPT, and the supervisor then treats the child as crashed. Pure but for wire_send and
 * wire_fill; no thread of its own. */
#ifndef WORKER_WIRE_H
#define WORKER_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/guard.h"

enum {
    WIRE_HEAD = 8,
    WIRE_BODY_MAX = 512 * 1024, /* a request of 192 KiB, escaped */
    WIRE_SEND_MS = 2000,        /* a peer that does not read for so long is dead */
    WIRE_PATH_MAX = 1024,
    WIRE_LORAS_MAX = 4096,
    WIRE_PHASE_MAX = 32
};

enum wire_type {
    WIRE_HELLO,
    WIRE_JOB,
    WIRE_CANCEL,
    WIRE_READY,
    WIRE_PROGRESS,
    WIRE_DONE, /* body: a receipt whose keys are file names in the job's directory */
    WIRE_ERR,
    WIRE_TYPE_COUNT
};

/* Where the store has its objects; endpoint "": in store_dir. */
struct wire_s3 {
    char endpoint[264], bucket[64], prefix[152], region[64], access_key[132], secret_key[132];
};

struct wire_hello {
    char model_dir[WIRE_PATH_MAX], store_dir[WIRE_PATH_MAX], decode_program[WIRE_PATH_MAX];
    char device[16];
    int n_threads;
    char precision[8];
    char cache_dir[WIRE_PATH_MAX]; /* "": none */
    struct wire_s3 s3;
    struct guard_rules url_rules; /* of the addresses that clients give */
    char loras[WIRE_LORAS_MAX], loras_late[WIRE_LORAS_MAX]; /* as lora_list_parse() reads them */
};

struct wire_job {
    char dir[WIRE_PATH_MAX]; /* where the files go */
    struct str spec;         /* canonical request; borrowed from the frame when read */
};

struct wire_progress {
    char phase[WIRE_PHASE_MAX];
    int step, n_steps, percent; /* percent 0..99 */
    int64_t eta_ms;             /* -1 unknown */
};

/* ---- bodies; the write calls append JSON ---- */
MUST_CHECK enum err wire_write_hello(struct buf *out, const struct wire_hello *m, struct fail *f);
MUST_CHECK enum err wire_read_hello(struct wire_hello *m, struct str body, struct fail *f);
MUST_CHECK enum err wire_write_job(struct buf *out, const struct wire_job *m, struct fail *f);
/* `own` keeps the text of m->spec; free it with buf_free. */
MUST_CHECK enum err wire_read_job(struct wire_job *m, struct buf *own, struct str body,
                                  struct fail *f);
MUST_CHECK enum err wire_write_progress(struct buf *out, const struct wire_progress *m,
                                        struct fail *f);
MUST_CHECK enum err wire_read_progress(struct wire_progress *m, struct str body, struct fail *f);
/* A failure travels as a failure: code and text. */
MUST_CHECK enum err wire_write_err(struct buf *out, const struct fail *m, struct fail *f);
MUST_CHECK enum err wire_read_err(struct fail *m, struct str body, struct fail *f);

/* ---- frames ---- */
MUST_CHECK enum err wire_send(int fd, enum wire_type type, struct str body, struct fail *f);

struct wire_reader {
    struct buf buf;
};
struct wire_frame {
    enum wire_type type;
    struct str body; /* borrowed until the next wire_fill or wire_drop */
    size_t n_bytes;  /* of the whole frame */
};

void wire_reader_make(struct wire_reader *r);
void wire_reader_free(struct wire_reader *r);
/* Reads once, at most 64 KiB. ERR_IO: the other side closed. ERR_TIMEOUT: nothing there now. */
MUST_CHECK enum err wire_fill(struct wire_reader *r, int fd, struct fail *f);
/* The next whole frame, or ERR_NOT_FOUND; drop it before the next. ERR_CORRUPT: hang up. */
MUST_CHECK enum err wire_next(const struct wire_reader *r, struct wire_frame *out, struct fail *f);
void wire_drop(struct wire_reader *r, const struct wire_frame *frame);

#endif
