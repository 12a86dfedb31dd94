#include "engine/weights.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/str.h"

enum { PROBLEMS_BYTES_MAX = 1 << 20, PROBLEMS_SAID_MAX = 64, FORM_MASK = WEIGHT_OPTIONAL - 1 };
enum { PACK_VALUES = 1 << 20 }; /* that many are read at once: enough to share out among threads */

enum err weights_open(struct weights *w, struct device *dev, struct pool *pool, const char *folder,
                      const char *stem, struct fail *f) {
    memset(w, 0, sizeof *w);
    w->dev = dev;
    w->pool = pool;
    w->folder = folder;
    buf_make(&w->problems, PROBLEMS_BYTES_MAX);
    return safetensors_open(&w->file, folder, stem, f);
}

enum err weights_merge(struct weights *w, struct lora *lora, struct fail *f) {
    w->lora = lora;
    return lora ? lora_match(lora, &w->file, w->dev, f) : ERR_OK;
}

/* The list may be cut at its cap; the count is exact. */
static void note_problem(struct weights *w, const char *text) {
    w->n_problems++;
    if (buf_addf(&w->problems, NULL, "%s\n", text) != ERR_OK) return;
}

static int entry_fits(const struct safetensors_entry *e, int n_dims, const int64_t *dims) {
    if (n_dims == 0) return 1;
    if (e->n_dims != n_dims) return 0;
    for (int i = 0; i < n_dims; i++)
        if (e->dim[i] != dims[i]) return 0;
    return 1;
}

static void note_shape(struct weights *w, const struct safetensors_entry *e, int n_dims,
                       const int64_t *dims) {
    char have[TENSOR_SHAPE_TEXT_MAX], want[TENSOR_SHAPE_TEXT_MAX], line[512];
    struct tensor in_file = tensor_of(NULL, e->dtype, e->n_dims, e->dim);
    struct tensor needed = tensor_of(NULL, e->dtype, n_dims, dims);
    snprintf(line, sizeof line, "%.200s: %.100s is %s in the file, the model needs %s", w->folder,
             e->name, tensor_shape_text(&in_file, have), tensor_shape_text(&needed, want));
    note_problem(w, line);
}

/* The shape in memory, by the shape in the file and the form. */
static struct tensor form_shape(const struct safetensors_entry *e, int form) {
    struct tensor t = tensor_of(NULL, DTYPE_F32, e->n_dims, e->dim);
    int64_t n = tensor_count(&t), rows = e->n_dims ? e->dim[0] : 1;
    switch (form) {
    case WEIGHT_VECTOR: return tensor_1d(NULL, n);
    case WEIGHT_MATRIX: return tensor_2d(NULL, rows, rows ? n / rows : 0);
    case WEIGHT_CONV: {
        int64_t kt = e->n_dims == 5 ? e->dim[2] : 1;
        int64_t kh = e->n_dims >= 4 ? e->dim[e->n_dims - 2] : 1;
        int64_t kw = e->n_dims >= 4 ? e->dim[e->n_dims - 1] : 1;
        return tensor_of(NULL, DTYPE_F32, 5, (int64_t[]){rows, kt, kh, kw, e->dim[1]});
    }
    default: return t;
    }
}

/* Weights that are not numbers are suspicious but not forbidden: the velocity is checked anyway. */
static void warn_infinite(const struct weights *w, const float *v, size_t n, const char *name) {
    uint32_t is_bad = 0;
    char line[512];
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, v + i, sizeof bits);
        is_bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    if (!is_bad || !w->dev->say) return;
    snprintf(line, sizeof line, "%.200s: %.200s holds values that are not numbers", w->folder,
             name);
    w->dev->say(w->dev->say_ctx, "weights.infinite", line);
}

/* Buffers grow to the largest tensor and are not zeroed: loading is bound by memory. */
static enum err take_scratch(struct weights *w, int which, size_t n, float **out, struct fail *f) {
    if (n > w->n_scratch[which]) {
        mem_free(w->scratch[which]);
        w->n_scratch[which] = 0;
        w->scratch[which] = mem_grow(NULL, n, sizeof **out);
        if (!w->scratch[which]) return FAIL(f, ERR_NOMEM, "no memory to load %zu weights", n);
        w->n_scratch[which] = n;
    }
    *out = w->scratch[which];
    return ERR_OK;
}

/* Names beside `x.weight`: scales, and what only kernels of 8-bit products need. */
static struct safetensors_entry *find_beside(struct weights *w, const struct safetensors_entry *e,
                                             const char *end) {
    char name[SAFETENSORS_NAME_MAX];
    size_t n = strlen(e->name), cut = strlen("weight");
    if (n < cut || strcmp(e->name + n - cut, "weight") != 0) return NULL;
    snprintf(name, sizeof name, "%.*s%s", (int)(n - cut), e->name, end);
    return safetensors_find(&w->file, name);
}

/* The scales of a tensor, or NULL; what goes with it has been asked for. */
static const struct safetensors_entry *find_scale(struct weights *w,
                                                  const struct safetensors_entry *e) {
    static const char *const ends[] = {"scale_weight", "weight_scale"};
    static const char *const unused[] = {"scale_input", "input_scale"};
    struct safetensors_entry *scale = NULL, *other;
    for (int i = 0; i < COUNT_OF(ends) && !scale; i++)
        scale = find_beside(w, e, ends[i]);
    for (int i = 0; i < COUNT_OF(unused); i++)
        if ((other = find_beside(w, e, unused[i]))) other->is_used = true;
    if (scale) scale->is_used = true;
    return scale;
}

/* One scale for all, or one for each row. */
static enum err scale_rows(struct weights *w, const struct safetensors_entry *e, float *rows,
                           int64_t first, int64_t n, int64_t row, struct fail *f) {
    enum err rc = ERR_OK;
    const struct safetensors_entry *scale = find_scale(w, e);
    float by = 1;
    if (!scale) return ERR_OK;
    int64_t n_scales = (int64_t)(scale->bytes / tensor_dtype_bytes(scale->dtype));
    if (!safetensors_is_real(scale) || (n_scales != 1 && n_scales != e->dim[0]))
        return FAIL(f, ERR_CORRUPT, "%.120s: %.100s holds %lld scales", w->folder, scale->name,
                    (long long)n_scales);
    for (int64_t r = 0; r < n; r++) {
        if (r == 0 || n_scales > 1)
            TRY(safetensors_read(&w->file, scale, n_scales > 1 ? first + r : 0, 1, &by, f));
        for (int64_t i = 0; i < row; i++)
            rows[r * row + i] *= by;
    }
out:
    return rc;
}

/* Rows first .. first+n-1 of what lies in the file, as f32 in the order of `want`. */
static enum err read_rows(struct weights *w, const struct safetensors_entry *e,
                          const struct tensor *want, int form, int64_t first, int64_t n,
                          float **out, struct fail *f) {
    enum err rc = ERR_OK;
    float *turned = NULL;
    int64_t row = want->dim[0] ? tensor_count(want) / want->dim[0] : 0;
    size_t room = n * row > 0 ? (size_t)(n * row) : 1;
    TRY(take_scratch(w, 0, room, out, f));
    TRY(safetensors_read(&w->file, e, first * row, n * row, *out, f));
    TRY(scale_rows(w, e, *out, first, n, row, f));
    if (w->lora) TRY(lora_add(w->lora, e, *out, first, n, f));
    warn_infinite(w, *out, (size_t)(n * row), e->name);
    if (form != WEIGHT_CONV) return ERR_OK;
    TRY(take_scratch(w, 1, room, &turned, f));
    op_conv_weight(turned, *out, n, want->dim[4], want->dim[1] * want->dim[2] * want->dim[3]);
    *out = turned;
out:
    return rc;
}

/* Some of the rows of a tensor. */
struct part {
    int64_t first, n;
};

static struct tensor part_shape(const struct safetensors_entry *e, int form,
                                const struct part *part) {
    struct tensor t = form_shape(e, form);
    if (part) t.dim[0] = part->n;
    return t;
}

static enum err load_packed(struct weights *w, struct tensor *out,
                            const struct safetensors_entry *e, int flags, const struct part *part,
                            struct fail *f) {
    enum err rc = ERR_OK;
    int form = flags & FORM_MASK;
    struct tensor want = part_shape(e, form, part), room;
    int64_t skipped = part ? part->first : 0;
    want.dtype = flags & WEIGHT_INT8 ? DTYPE_I8 : DTYPE_F32;
    int64_t bytes = (int64_t)op_packed(w->dev, &want);
    TRY(pool_take(w->pool, &room, DTYPE_U8, 1, &bytes, f));
    want.data = room.data;
    int64_t row = want.dim[0] ? tensor_count(&want) / want.dim[0] : 0;
    int64_t step = (PACK_VALUES / (row + 1) / OP_PACK_ROWS + 1) * OP_PACK_ROWS;
    for (int64_t first = 0; first < want.dim[0]; first += step) {
        int64_t n = want.dim[0] - first < step ? want.dim[0] - first : step;
        float *rows = NULL;
        TRY(read_rows(w, e, &want, form, skipped + first, n, &rows, f));
        op_pack(w->dev, &want, rows, first, n);
    }
    *out = want;
out:
    return rc;
}

static enum err load_entry(struct weights *w, struct tensor *out, const struct safetensors_entry *e,
                           int form, const struct part *part, struct fail *f) {
    enum err rc = ERR_OK;
    struct tensor want = part_shape(e, form, part);
    float *rows = NULL;
    struct tensor whole = want.n_dims ? want : tensor_1d(NULL, 1);
    TRY(pool_take(w->pool, out, DTYPE_F32, want.n_dims, want.dim, f));
    TRY(read_rows(w, e, &whole, form, part ? part->first : 0, whole.dim[0], &rows, f));
    op_upload(w->dev, out, rows);
out:
    return rc;
}

static enum err take_part(struct weights *w, struct tensor *out, const char *name, int form,
                          int n_dims, const int64_t *dims, const struct part *part,
                          struct fail *f) {
    char line[512];
    struct safetensors_entry *e = safetensors_find(&w->file, name);
    memset(out, 0, sizeof *out);
    if (!e) {
        if (form & WEIGHT_OPTIONAL) return ERR_OK;
        snprintf(line, sizeof line, "%.200s: %.200s is missing", w->folder, name);
        note_problem(w, line);
        return ERR_OK;
    }
    e->is_used = true;
    int flags = form;
    form &= FORM_MASK;
    if (!entry_fits(e, n_dims, dims) || (form == WEIGHT_CONV && e->n_dims < 2)) {
        note_shape(w, e, n_dims, dims);
        return ERR_OK;
    }
    if (!safetensors_is_real(e)) {
        snprintf(line, sizeof line, "%.200s: %.100s is stored as %s, not as numbers", w->folder,
                 e->name, tensor_dtype_name(e->dtype));
        note_problem(w, line);
        return ERR_OK;
    }
    if (form == WEIGHT_STORED) {
        *out = tensor_of(NULL, e->dtype, e->n_dims, e->dim);
        return ERR_OK;
    }
    if (w->only_checks || (w->turn == WEIGHT_TURN_EARLY && flags & WEIGHT_LATE)) {
        (void)find_scale(w, e);
        *out = part_shape(e, form, part);
        return ERR_OK;
    }
    return flags & WEIGHT_PACK ? load_packed(w, out, e, flags, part, f)
                               : load_entry(w, out, e, form, part, f);
}

enum err weights_take(struct weights *w, struct tensor *out, const char *name, int form, int n_dims,
                      const int64_t *dims, struct fail *f) {
    return take_part(w, out, name, form, n_dims, dims, NULL, f);
}

enum err weights_take_rows(struct weights *w, struct tensor *out, const char *name, int form,
                           const int64_t *dims, int n_dims, int64_t first, int64_t n,
                           struct fail *f) {
    ASSERT(n_dims >= 2 && first >= 0 && n >= 0 && first + n <= dims[0]);
    return take_part(w, out, name, form, n_dims, dims, &(struct part){first, n}, f);
}

enum err weights_bind(struct weights *w, void *object, const char *prefix,
                      const struct weight_row *rows, int n_rows, const int64_t *sizes,
                      struct fail *f) {
    enum err rc = ERR_OK;
    char name[SAFETENSORS_NAME_MAX];
    for (int i = 0; i < n_rows; i++) {
        const struct weight_row *r = &rows[i];
        int64_t dims[TENSOR_DIMS_MAX];
        if (w->turn == WEIGHT_TURN_LATE && !(r->form & WEIGHT_LATE)) continue;
        for (int d = 0; d < r->n_dims; d++)
            dims[d] = r->dim[d] > 0 ? r->dim[d] : sizes[-r->dim[d] - 1];
        snprintf(name, sizeof name, "%s%s", prefix, r->name);
        TRY(weights_take(w, (struct tensor *)((char *)object + r->field), name, r->form, r->n_dims,
                         dims, f));
    }
out:
    return rc;
}

const struct safetensors_entry *weights_find(const struct weights *w, const char *name) {
    return safetensors_find(&w->file, name);
}

void weights_ignore(struct weights *w, const char *prefix) {
    for (int i = 0; i < w->file.n_entries; i++)
        if (strncmp(w->file.entry[i].name, prefix, strlen(prefix)) == 0)
            w->file.entry[i].is_used = true;
}

/* Each problem is a line of the owner's log; the failure itself has room for the first only. */
static void say_problems(const struct weights *w) {
    char line[512];
    struct str rest = str_of(buf_str(&w->problems)), part;
    for (int i = 0; w->dev->say && i < PROBLEMS_SAID_MAX && str_split(&rest, '\n', &part); i++) {
        if (part.n == 0) continue;
        snprintf(line, sizeof line, "%.*s", (int)(part.n > 500 ? 500 : part.n), part.p);
        w->dev->say(w->dev->say_ctx, "weights.problem", line);
    }
}

static void drop_scratch(struct weights *w) {
    if (w->lora) lora_rest(w->lora);
    for (int i = 0; i < 2; i++) {
        mem_free(w->scratch[i]);
        w->scratch[i] = NULL;
        w->n_scratch[i] = 0;
    }
}

enum err weights_finish(struct weights *w, struct fail *f) {
    char line[512];
    drop_scratch(w);
    for (int i = 0; i < w->file.n_entries; i++)
        if (!w->file.entry[i].is_used) {
            snprintf(line, sizeof line, "%.200s: nobody asked for %.200s", w->folder,
                     w->file.entry[i].name);
            note_problem(w, line);
        }
    if (w->n_problems == 0) return safetensors_check_unchanged(&w->file, f);
    say_problems(w);
    const char *all = buf_str(&w->problems);
    int n = (int)strcspn(all, "\n");
    return FAIL(f, ERR_CORRUPT, "%.*s (%d problem%s in all)", n > 190 ? 190 : n, all, w->n_problems,
                w->n_problems == 1 ? "" : "s");
}

void weights_close(struct weights *w) {
    safetensors_close(&w->file);
    buf_free(&w->problems);
    drop_scratch(w);
    memset(w, 0, sizeof *w);
}
