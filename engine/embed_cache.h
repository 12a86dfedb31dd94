/* embed_cache.h - rows of text that were encoded before, on disk, by hash.
 *
 * A file is named by what was encoded and by whom: sha256 of the encoder's identity and the ids. It
 * holds
 *
 *   "MISOEMB1" | u32 rows | u32 columns | sha256 of the values | f32 values, little endian
 *
 * and is believed only when name, size, shape and hash agree; anything else of that name counts as
 * absent and is replaced. Files appear whole (rename), so any number of processes may share a
 * folder. When it grows over its cap, what was not used for longest goes. A cache never fails a
 * job: what it could not do, its caller may log. One thread per struct. */
#ifndef ENGINE_EMBED_CACHE_H
#define ENGINE_EMBED_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/sha256.h"

enum {
    EMBED_CACHE_BYTES_MAX = 256 << 20, /* by default; about 500 prompts of UMT5-XXL */
    EMBED_CACHE_FILES_MAX = 16384,     /* that are looked at when there is no room */
    EMBED_CACHE_PATH_MAX = 1024,
};

struct embed_cache {
    char folder[EMBED_CACHE_PATH_MAX]; /* "": no cache, nothing is found or kept */
    int64_t max_bytes;
};

struct embed_cache_key {
    char hex[SHA256_HEX + 1];
};

/* Makes the folder, and those above it, if it is not there; private to the user. max_bytes 0 means
 * EMBED_CACHE_BYTES_MAX. NULL or "": a cache that is switched off. */
MUST_CHECK enum err embed_cache_open(struct embed_cache *c, const char *folder, int64_t max_bytes,
                                     struct fail *f);
/* `encoder` is whatever tells one encoder from another. */
struct embed_cache_key embed_cache_key(const unsigned char encoder[SHA256_BYTES],
                                       const int32_t *ids, int n);
/* rows x cols values into `out`; false when they are not there, and `out` may hold anything. */
bool embed_cache_find(const struct embed_cache *c, const struct embed_cache_key *key, int rows,
                      int cols, float *out);
MUST_CHECK enum err embed_cache_add(const struct embed_cache *c, const struct embed_cache_key *key,
                                    int rows, int cols, const float *values, struct fail *f);

#endif
