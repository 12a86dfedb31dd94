/* models.h - which models a client may name, and what each can do.
 *
 * A model is a folder of --models-dir in the diffusers layout; its id is "misora-" and the folder's
 * name. Names that clients of other services have built in are aliases. Read once at start, then
 * constant: any thread. */
#ifndef SERVER_MODELS_H
#define SERVER_MODELS_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/doc.h"

enum { MODELS_MAX = 32, MODELS_ID_MAX = 96 };

struct models_row {
    char id[MODELS_ID_MAX];
    char target[MODELS_ID_MAX]; /* of an alias: the id of the real model; "" for a real one */
    int64_t created_s;
};

struct models {
    int n_rows; /* real models first */
    struct models_row rows[MODELS_MAX];
};

/* `aliases` is "name=id,name=id". A folder that cannot be read is an error in words; one without
 * models is not: then the ids that aliases point at are taken as they are, since workers may have
 * their models elsewhere. */
MUST_CHECK enum err models_load(struct models *m, const char *dir, const char *aliases,
                                struct fail *f);

/* NULL: no such model. */
const struct models_row *models_find(const struct models *m, struct str name);
/* The real model that a row stands for: its own id, or the alias's target. */
const char *models_real_id(const struct models_row *row);

/* The OpenAI model object, with `capabilities`. */
void models_put(struct doc_out *o, const char *key, const struct models_row *row);

#endif
