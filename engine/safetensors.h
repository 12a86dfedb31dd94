/* safetensors.h - the tensors of one model component, read from its files.
 *
 * A component is a folder with one file `stem.safetensors`, or shards named by
 * `stem.safetensors.index.json`; failing that a variant of either (`stem.fp16.safetensors`,
 * `stem.safetensors.index.fp16.json`), or the only .safetensors file there. Everything in the
 * header is checked before anything is believed: lengths, types, shapes, that the tensors tile the
 * data without gap or overlap.
 *
 * Files are read, not mapped: one that is cut or written to while it is in use is an answer in
 * words and not a signal. One that is replaced by another of its name stays readable, being open.
 * Thread safe once open. */
#ifndef ENGINE_SAFETENSORS_H
#define ENGINE_SAFETENSORS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "engine/file.h"
#include "engine/tensor.h"

enum {
    SAFETENSORS_SHARDS_MAX = 256,
    SAFETENSORS_TENSORS_MAX = 65536,
    SAFETENSORS_HEADER_MAX = 100 << 20,
    SAFETENSORS_NAME_MAX = 256,
};
#define SAFETENSORS_FILE_MAX ((int64_t)256 << 30) /* bytes of one shard */

struct safetensors_entry {
    char *name;
    int shard;
    int n_dims; /* 0 is a scalar */
    int64_t dim[TENSOR_DIMS_MAX];
    enum dtype dtype;
    uint64_t offset; /* of the first byte in the file of the shard */
    size_t bytes;
    bool is_used; /* set by weights.c */
};

struct safetensors_shard {
    char path[512];
    struct file file;
};

struct safetensors {
    struct safetensors_entry *entry; /* sorted by name */
    int n_entries, cap_entries;
    struct safetensors_shard shard[SAFETENSORS_SHARDS_MAX];
    int n_shards;
};

/* `stem` is "model" or "diffusion_pytorch_model". ERR_NOT_FOUND when no file fits, ERR_CORRUPT
 * naming file, tensor and reason. */
MUST_CHECK enum err safetensors_open(struct safetensors *s, const char *folder, const char *stem,
                                     struct fail *f);
MUST_CHECK enum err safetensors_open_file(struct safetensors *s, const char *path, struct fail *f);
void safetensors_close(struct safetensors *s); /* safe on a zeroed struct */
struct safetensors_entry *safetensors_find(const struct safetensors *s, const char *name);

/* Gives every tensor the name that `rename` writes; ERR_CORRUPT when two become one. */
typedef void (*safetensors_rename_fn)(char out[SAFETENSORS_NAME_MAX], const char *name, int kind);
MUST_CHECK enum err safetensors_rename(struct safetensors *s, safetensors_rename_fn rename,
                                       int kind, struct fail *f);

/* True for F32, F16, BF16 and the two kinds of F8: what safetensors_read() reads. */
bool safetensors_is_real(const struct safetensors_entry *e);
/* Values first .. first + n - 1 of such a tensor as floats. ERR_CORRUPT when the file
 * has become shorter. */
MUST_CHECK enum err safetensors_read(const struct safetensors *s, const struct safetensors_entry *e,
                                     int64_t first, int64_t n, float *out, struct fail *f);
/* The bytes of a tensor of any type, as they are in the file: e->bytes of them. */
MUST_CHECK enum err safetensors_read_bytes(const struct safetensors *s,
                                           const struct safetensors_entry *e, void *out,
                                           struct fail *f);
/* ERR_CORRUPT, naming the file, when size or time of one are not what they were at open. */
MUST_CHECK enum err safetensors_check_unchanged(const struct safetensors *s, struct fail *f);

/* Checks the bytes of one whole file and lists its tensors: the part that the fuzzer drives.
 * Entries are appended to `s` with `shard` as their number. */
MUST_CHECK enum err safetensors_parse(struct safetensors *s, int shard, const void *data,
                                      size_t size, const char *what, struct fail *f);

#endif
