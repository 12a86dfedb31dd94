/* lora.h - changes to the weights of a model, from files, added while the model is loaded.
 *
 *   W += s * alpha/rank * up down        pairs: lora_up/lora_down, lora_B/lora_A
 *   W += s * diff,  b += s * diff_b      full deltas; diff_m is one of a modulation table
 *
 * Keys may be named like our tensors or like those of the original repository, with any of the
 * prefixes of tools, with dots or (kohya) underscores between the parts. A set of files may be
 * matched against one model after the other; it works on one tensor at a time. */
#ifndef ENGINE_LORA_H
#define ENGINE_LORA_H

#include "engine/pool.h"
#include "engine/safetensors.h"

enum { LORA_FILES_MAX = 16, LORA_RANK_MAX = 4096 };

struct lora;

struct lora_source {
    const char *path;
    double scale;
};

/* As command lines and configuration files say it; the sources point into it. */
struct lora_list {
    int n;
    struct lora_source source[LORA_FILES_MAX];
    char path[LORA_FILES_MAX][512];
};

/* "FILE[:SCALE],FILE[:SCALE]"; none for NULL and for "". ERR_INPUT when it is something else. */
MUST_CHECK enum err lora_list_parse(struct lora_list *out, const char *text, struct fail *f);
/* "FILE" or "FILE:SCALE"; the path goes into `path`. ERR_INPUT when it is neither. */
MUST_CHECK enum err lora_source_parse(struct lora_source *out, char path[512], const char *text,
                                      struct fail *f);
/* The caller owns *out: lora_close(). */
MUST_CHECK enum err lora_open(struct lora **out, const struct lora_source *sources, int n,
                              struct fail *f);
void lora_close(struct lora *l); /* NULL is fine */

/* Finds the tensors of `model` (in our names) that each key changes. Keys for which there is none
 * are told to the log of `dev` ("lora.unknown"); ERR_CORRUPT, naming file, tensor and both shapes,
 * for one that does not fit. */
MUST_CHECK enum err lora_match(struct lora *l, const struct safetensors *model, struct device *dev,
                               struct fail *f);
/* Rows first .. first+n-1 of `e`, an entry of that model, in host memory: what the files say is
 * added.
 */
MUST_CHECK enum err lora_add(struct lora *l, const struct safetensors_entry *e, float *rows,
                             int64_t first, int64_t n, struct fail *f);
/* The model is loaded, or a part of it: gives memory back. Goes on with the next tensor, or is
 * matched again. */
void lora_rest(struct lora *l);

#endif
