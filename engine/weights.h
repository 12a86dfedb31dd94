/* weights.h - binds the tensors of a file to the fields of a model.
 *
 * A model states what it wants as rows: name, field, shape. Binding goes on after a problem, so
 * that weights_finish() can name all of them: missing tensors, wrong shapes with both shapes,
 * tensors nobody asked for. Weights are converted to f32, or packed (op_pack), and live in the pool
 * given (the process pool), except WEIGHT_STORED, whose rows are read from the file when they are
 * needed. Packing goes a few rows at a time: no tensor lies in memory twice.
 *
 * 8-bit weights may have a scale beside them: `x.scale_weight` or `x.weight_scale` for `x.weight`,
 * one value or one a row; what else goes with such files (scales of activations) is not needed. */
#ifndef ENGINE_WEIGHTS_H
#define ENGINE_WEIGHTS_H

#include "common/base/buf.h"
#include "engine/lora.h"
#include "engine/pool.h"
#include "engine/safetensors.h"

enum weight_form {
    WEIGHT_PLAIN,         /* as stored, f32 */
    WEIGHT_VECTOR,        /* any shape, flattened to one dimension: [C,1,1] -> [C] */
    WEIGHT_CONV,          /* torch [O,C,(kt,)kh,kw] -> [O,kt,kh,kw,C]; 2-D kernels get kt 1 */
    WEIGHT_MATRIX,        /* 1x1 kernels and patch embeddings: [O,C,1,..] -> [O, C*...] */
    WEIGHT_STORED,        /* only checked; the tensor says its shape and has no data */
    WEIGHT_OPTIONAL = 64, /* flag: absent is fine, the tensor stays empty (data NULL) */
    WEIGHT_PACK = 128,    /* flag: for op_linear() or op_conv(), kept as the device wants it */
    WEIGHT_INT8 = 256,    /* flag with PACK: 8 bits are enough when the device is asked for them */
    WEIGHT_LATE = 512     /* flag: works once a job, see enum weight_turn */
};

/* Which rows weights_bind() loads. A big model is opened with EARLY and stays open: what is marked
 * LATE then has a shape and no data. Before a job it is bound again with LATE, into a pool that is
 * rewound when it has done its work; w->pool is the caller's to set. */
enum weight_turn { WEIGHT_TURN_ALL, WEIGHT_TURN_EARLY, WEIGHT_TURN_LATE };

/* In a row a shape entry > 0 is a number, WEIGHT_SIZE(i) stands for sizes[i]. */
#define WEIGHT_SIZE(i) (-(i)-1)

struct weight_row {
    const char *name; /* what follows the prefix */
    size_t field;     /* offset of a struct tensor in the object */
    int form;         /* enum weight_form, may be or-ed with the flags */
    int n_dims;       /* of the tensor in the file; 0 = the row only flattens what is there */
    int dim[TENSOR_DIMS_MAX];
};

struct weights {
    struct safetensors file;
    struct device *dev;
    struct pool *pool;
    const char *folder;
    bool only_checks;  /* while set, tensors are checked, but not loaded: they have a shape, no data
                        */
    enum weight_turn turn;
    float *scratch[2]; /* a tensor on its way: as f32, and turned */
    size_t n_scratch[2];
    struct lora *lora;   /* added to what the file says; borrowed, or NULL */
    struct buf problems; /* one line each */
    int n_problems;
};

/* Opens the files; nothing is bound yet. `folder` must outlive the struct. */
MUST_CHECK enum err weights_open(struct weights *w, struct device *dev, struct pool *pool,
                                 const char *folder, const char *stem, struct fail *f);
/* From now on `lora` (may be NULL), borrowed until weights_close(), is added to what is loaded; the
 * tensors have our names by now. */
MUST_CHECK enum err weights_merge(struct weights *w, struct lora *lora, struct fail *f);
/* Every row is tried; problems are noted, only NOMEM fails at once. */
MUST_CHECK enum err weights_bind(struct weights *w, void *object, const char *prefix,
                                 const struct weight_row *rows, int n_rows, const int64_t *sizes,
                                 struct fail *f);
/* One tensor by full name; dims as in the file. A problem is noted and `out` stays empty. */
MUST_CHECK enum err weights_take(struct weights *w, struct tensor *out, const char *name, int form,
                                 int n_dims, const int64_t *dims, struct fail *f);
/* The same for n rows of it from `first` on, which become a tensor of their own. */
MUST_CHECK enum err weights_take_rows(struct weights *w, struct tensor *out, const char *name,
                                      int form, const int64_t *dims, int n_dims, int64_t first,
                                      int64_t n, struct fail *f);
/* What the file holds, or NULL: for architecture by presence. */
const struct safetensors_entry *weights_find(const struct weights *w, const char *name);
/* Marks tensors with this prefix as known but not needed. */
void weights_ignore(struct weights *w, const char *prefix);
/* ERR_CORRUPT when there were problems or unused tensors, or when a file changed meanwhile; the
 * text holds the first and the count, w->problems all of them, and each goes to the log of the
 * device's owner. Gives scratch back; more may be bound afterwards, and finished again. */
MUST_CHECK enum err weights_finish(struct weights *w, struct fail *f);
/* Closes the files. Safe on a zeroed struct. */
void weights_close(struct weights *w);

#endif
