/* spool.h - attempts on disk: what a worker must remember over its own death.
 *
 *   DIR/lock                     held while a supervisor lives: two never share a spool; holds the
 *                                8 hex digits that name this worker over restarts
 *   DIR/ID.EPOCH-NONCE8/         one attempt: the files of the result, and
 *       attempt.json             {"id","lease"}: written at the claim
 *       deliver.json             the same and the receipt: written when the result is whole
 *
 * After a crash an attempt with deliver.json is delivered, one without is given back to the queue.
 * Both files appear whole or not at all. No thread of its own; one caller at a time per entry. */
#ifndef WORKER_SPOOL_H
#define WORKER_SPOOL_H

#include <stdbool.h>

#include "common/base/err.h"
#include "common/queue.h"
#include "common/receipt.h"
#include "common/store.h"

enum { SPOOL_PATH_MAX = 1024, SPOOL_NAME_MAX = 128, SPOOL_ENTRIES_MAX = 64, SPOOL_ID_HEX = 8 };

struct spool {
    int dir_fd, lock_fd;
    char name[SPOOL_ID_HEX + 1]; /* drawn once per spool */
    char dir[SPOOL_PATH_MAX - SPOOL_NAME_MAX - 64];
};

struct spool_entry {
    char id[QUEUE_ID_MAX], lease[QUEUE_LEASE_MAX];
    char name[SPOOL_NAME_MAX]; /* ID.EPOCH-NONCE8 */
    char path[SPOOL_PATH_MAX]; /* DIR/NAME */
    bool is_sealed;
    struct receipt receipt; /* when sealed; keys are those of the store */
};

/* "video.mp4", "thumbnail.webp", "spritesheet.webp": names inside an attempt. */
const char *spool_file_name(enum receipt_variant v);
/* t/ID/EPOCH-NONCE8.mp4 and kin: the lease is in the name, so two attempts never share an object.
 */
void spool_object_key(char out[STORE_KEY_MAX + 1], const struct spool_entry *e,
                      enum receipt_variant v, const char *type);

/* ERR_CONFIG when another worker holds the lock or the directory cannot be used. */
MUST_CHECK enum err spool_open(struct spool *s, const char *dir, struct fail *f);
void spool_close(struct spool *s);
/* Bytes that may still be written there; -1 when the file system does not say. */
int64_t spool_free_bytes(const struct spool *s);

/* Makes the directory of an attempt. */
MUST_CHECK enum err spool_begin(struct spool *s, struct spool_entry *e, const char *id,
                                const char *lease, struct fail *f);
/* Makes the result durable: `receipt` with file names for keys becomes e->receipt with store keys.
 */
MUST_CHECK enum err spool_seal(struct spool *s, struct spool_entry *e,
                               const struct receipt *receipt, struct fail *f);
/* Attempts left by a predecessor, at most SPOOL_ENTRIES_MAX; what cannot be read is removed. */
int spool_list(struct spool *s, struct spool_entry *out, int max);
/* Removes the attempt with all its files; a missing one is fine. */
void spool_drop(struct spool *s, const struct spool_entry *e);

#endif
