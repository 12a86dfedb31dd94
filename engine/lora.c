#include "engine/lora.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "engine/names.h"

enum { SAID_MAX = 64, POOL_BLOCK_BYTES = 1 << 20 };

enum role { ROLE_DOWN, ROLE_UP, ROLE_ALPHA, ROLE_DIFF, ROLE_COUNT };

/* What a key ends with, its role, and what the name of the changed tensor ends with instead. */
static const struct {
    const char *end;
    enum role role;
    const char *target;
} endings[] = {
    {".lora_A.weight", ROLE_DOWN, ".weight"},
    {".lora_B.weight", ROLE_UP, ".weight"},
    {".lora_A.default.weight", ROLE_DOWN, ".weight"},
    {".lora_B.default.weight", ROLE_UP, ".weight"},
    {".lora_down.weight", ROLE_DOWN, ".weight"},
    {".lora_up.weight", ROLE_UP, ".weight"},
    {".lora.down.weight", ROLE_DOWN, ".weight"},
    {".lora.up.weight", ROLE_UP, ".weight"},
    {".lora_B.bias", ROLE_DIFF, ".bias"},
    {".alpha", ROLE_ALPHA, ".weight"},
    {".diff", ROLE_DIFF, ".weight"},
    {".diff_b", ROLE_DIFF, ".bias"},
    {".diff_m", ROLE_DIFF, ".modulation"},
};

/* What one file does to one tensor. */
struct part {
    int file;
    const struct safetensors_entry *target, *role[ROLE_COUNT];
};

/* A name of a tensor of the model without its dots. */
struct flat {
    char name[SAFETENSORS_NAME_MAX];
    const struct safetensors_entry *entry;
};

/* A pair at work: rows of `up` times `down`, on the device. */
struct pair {
    const struct part *part;
    float *up; /* host [O,r], scaled */
    int64_t r;
    struct tensor down, x, out; /* [K,r], [rows,r], [rows,K] */
};

struct lora {
    int n_files;
    struct {
        struct safetensors file;
        double scale;
        const char *path; /* of its shard */
    } file[LORA_FILES_MAX];
    struct part *part;
    int n_parts;
    struct device *dev;                    /* of the last match */
    struct pool pool;                      /* of one tensor */
    const struct safetensors_entry *entry; /* at work */
    struct pair pair[LORA_FILES_MAX];
    int n_pairs;
    float *scratch;
    size_t n_scratch;
};

enum err lora_source_parse(struct lora_source *out, char path[512], const char *source,
                           struct fail *f) {
    const char *colon = strrchr(source, ':');
    struct str name = str_of(source);
    out->scale = 1;
    if (colon && str_parse_f64(str_of(colon + 1), -100, 100, &out->scale))
        name.n = (size_t)(colon - source);
    if (name.n == 0 || !str_copy(path, 512, name))
        return FAIL(f, ERR_INPUT, "\"%.100s\" is no FILE or FILE:SCALE", source);
    out->path = path;
    return ERR_OK;
}

enum err lora_open(struct lora **out, const struct lora_source *sources, int n, struct fail *f) {
    enum err rc = ERR_OK;
    struct lora *l = mem_take(1, sizeof *l);
    *out = NULL;
    if (!l) return FAIL(f, ERR_NOMEM, "no memory for LoRA files");
    if (n > LORA_FILES_MAX)
        TRY(FAIL(f, ERR_INPUT, "%d LoRA files, %d are allowed", n, LORA_FILES_MAX));
    for (; l->n_files < n; l->n_files++) {
        struct safetensors *file = &l->file[l->n_files].file;
        TRY(safetensors_open_file(file, sources[l->n_files].path, f));
        l->file[l->n_files].scale = sources[l->n_files].scale;
        l->file[l->n_files].path = file->shard[0].path;
    }
    *out = l;
    l = NULL;
out:
    lora_close(l);
    return rc;
}

enum err lora_list_parse(struct lora_list *out, const char *text, struct fail *f) {
    enum err rc = ERR_OK;
    char one[600];
    struct str rest = str_of(text), part;
    out->n = 0;
    while (rest.n > 0 && str_split(&rest, ',', &part)) {
        if (out->n == LORA_FILES_MAX || !str_copy(one, sizeof one, part))
            return FAIL(f, ERR_INPUT, "\"%.100s\": at most %d times FILE[:SCALE]", text,
                        LORA_FILES_MAX);
        TRY(lora_source_parse(&out->source[out->n], out->path[out->n], one, f));
        out->n++;
    }
out:
    return rc;
}

static void end_tensor(struct lora *l) {
    for (int i = 0; i < l->n_pairs; i++)
        mem_free(l->pair[i].up);
    l->n_pairs = 0;
    l->entry = NULL;
    pool_reset(&l->pool);
}

void lora_rest(struct lora *l) {
    end_tensor(l);
    pool_trim(&l->pool, 0);
    mem_free(l->scratch);
    l->scratch = NULL;
    l->n_scratch = 0;
}

void lora_close(struct lora *l) {
    if (!l) return;
    lora_rest(l);
    for (int i = 0; i < l->n_files; i++)
        safetensors_close(&l->file[i].file);
    mem_free(l->part);
    mem_free(l);
}

static void flatten(char *name) {
    for (; *name; name++)
        if (*name == '.') *name = '_';
}

static int compare_flat(const void *a, const void *b) {
    return strcmp(((const struct flat *)a)->name, ((const struct flat *)b)->name);
}

/* Our name and the original one of every tensor, for the binary search. */
static enum err list_names(struct flat **out, int *n, const struct safetensors *model,
                           struct fail *f) {
    struct flat *list = mem_take((size_t)(2 * model->n_entries + 1), sizeof *list);
    *out = list;
    *n = 0;
    if (!list) return FAIL(f, ERR_NOMEM, "no memory for the names of %d tensors", model->n_entries);
    for (int i = 0; i < model->n_entries; i++) {
        const struct safetensors_entry *e = &model->entry[i];
        struct flat *ours = &list[(*n)++], *theirs = &list[*n];
        ours->entry = theirs->entry = e;
        snprintf(ours->name, sizeof ours->name, "%s", e->name);
        flatten(ours->name);
        if (!names_find_original(theirs->name, e->name, NAMES_TRANSFORMER)) continue;
        flatten(theirs->name);
        ++*n;
    }
    qsort(list, (size_t)*n, sizeof *list, compare_flat);
    return ERR_OK;
}

/* The tensor that a key is about, and its role; NULL when there is none. */
static const struct safetensors_entry *find_target(const struct flat *list, int n, const char *key,
                                                   enum role *role) {
    struct flat want;
    key = names_bare(key);
    if (strncmp(key, "lora_unet_", 10) == 0) key += 10;
    for (int i = 0; i < COUNT_OF(endings); i++) {
        size_t all = strlen(key), end = strlen(endings[i].end);
        if (all <= end || strcmp(key + all - end, endings[i].end) != 0) continue;
        snprintf(want.name, sizeof want.name, "%.*s%s", (int)(all - end), key, endings[i].target);
        flatten(want.name);
        const struct flat *at = bsearch(&want, list, (size_t)n, sizeof want, compare_flat);
        *role = endings[i].role;
        return at ? at->entry : NULL;
    }
    return NULL;
}

static struct part *find_part(struct lora *l, int file, const struct safetensors_entry *target) {
    for (int i = 0; i < l->n_parts; i++)
        if (l->part[i].file == file && l->part[i].target == target) return &l->part[i];
    struct part *p = &l->part[l->n_parts++];
    *p = (struct part){.file = file, .target = target};
    return p;
}

static int64_t count(const struct safetensors_entry *e) {
    return (int64_t)(e->bytes / tensor_dtype_bytes(e->dtype));
}

static const char *shape_text(const struct safetensors_entry *e, char out[TENSOR_SHAPE_TEXT_MAX]) {
    struct tensor t = tensor_of(NULL, e->dtype, e->n_dims, e->dim);
    return tensor_shape_text(&t, out);
}

static enum err refuse(const struct lora *l, const struct part *p,
                       const struct safetensors_entry *e, struct fail *f) {
    char have[TENSOR_SHAPE_TEXT_MAX], want[TENSOR_SHAPE_TEXT_MAX];
    const char *path = l->file[p->file].path, *slash = strrchr(path, '/');
    return FAIL(f, ERR_CORRUPT, "%.80s: %.100s is %.40s, it does not fit a tensor of %.40s",
                slash ? slash + 1 : path, e->name, shape_text(e, have),
                shape_text(p->target, want));
}

/* down [r,K...], up [O,r...], alpha one value, diff as many as the tensor. */
static enum err check_part(const struct lora *l, const struct part *p, struct fail *f) {
    const struct safetensors_entry *down = p->role[ROLE_DOWN], *up = p->role[ROLE_UP];
    const struct safetensors_entry *alpha = p->role[ROLE_ALPHA], *diff = p->role[ROLE_DIFF];
    int64_t O = p->target->n_dims ? p->target->dim[0] : 1, K = O ? count(p->target) / O : 0;
    if (!down != !up)
        return FAIL(f, ERR_CORRUPT, "%.160s: %.80s has no partner", l->file[p->file].path,
                    down ? down->name : up->name);
    for (int i = 0; i < ROLE_COUNT; i++)
        if (p->role[i] && !safetensors_is_real(p->role[i])) return refuse(l, p, p->role[i], f);
    if (alpha && count(alpha) != 1) return refuse(l, p, alpha, f);
    if (diff && count(diff) != O * K) return refuse(l, p, diff, f);
    if (!down) return ERR_OK;
    int64_t r = down->n_dims ? down->dim[0] : 0;
    if (r < 1 || r > LORA_RANK_MAX || count(down) != r * K) return refuse(l, p, down, f);
    if (up->n_dims < 2 || up->dim[0] != O || count(up) != O * r) return refuse(l, p, up, f);
    return ERR_OK;
}

static void say(const struct device *dev, const char *event, const char *text) {
    if (dev->say) dev->say(dev->say_ctx, event, text);
}

static enum err match_file(struct lora *l, int number, const struct flat *list, int n,
                           struct fail *f) {
    enum err rc = ERR_OK;
    char line[512];
    const struct safetensors *file = &l->file[number].file;
    int first = l->n_parts, n_unknown = 0;
    for (int i = 0; i < file->n_entries; i++) {
        enum role role;
        const struct safetensors_entry *e = &file->entry[i];
        const struct safetensors_entry *target = find_target(list, n, e->name, &role);
        if (target) {
            find_part(l, number, target)->role[role] = e;
            continue;
        }
        if (++n_unknown > SAID_MAX) continue;
        snprintf(line, sizeof line, "%.200s: no tensor for %.200s", l->file[number].path, e->name);
        say(l->dev, "lora.unknown", line);
    }
    for (int i = first; i < l->n_parts; i++)
        TRY(check_part(l, &l->part[i], f));
    if (l->n_parts == first)
        TRY(FAIL(f, ERR_CORRUPT, "%.200s: none of its %d keys is about a tensor of the model",
                 l->file[number].path, file->n_entries));
    snprintf(line, sizeof line, "%.200s: %d tensors, %d keys unknown, scale %g",
             l->file[number].path, l->n_parts - first, n_unknown, l->file[number].scale);
    say(l->dev, "lora.merge", line);
out:
    return rc;
}

enum err lora_match(struct lora *l, const struct safetensors *model, struct device *dev,
                    struct fail *f) {
    enum err rc = ERR_OK;
    struct flat *list = NULL;
    int n = 0, n_keys = 0;
    lora_rest(l);
    mem_free(l->part);
    l->dev = dev;
    pool_make(&l->pool, dev, POOL_BLOCK_BYTES, (size_t)1 << 34);
    l->n_parts = 0;
    for (int i = 0; i < l->n_files; i++)
        n_keys += l->file[i].file.n_entries;
    l->part = mem_take((size_t)n_keys + 1, sizeof *l->part);
    if (!l->part) TRY(FAIL(f, ERR_NOMEM, "no memory for %d LoRA keys", n_keys));
    TRY(list_names(&list, &n, model, f));
    for (int i = 0; i < l->n_files; i++)
        TRY(match_file(l, i, list, n, f));
out:
    mem_free(list);
    return rc;
}

/* A whole tensor of a file in scratch memory, until the next call. */
static enum err read_all(struct lora *l, int file, const struct safetensors_entry *e, float **out,
                         struct fail *f) {
    enum err rc = ERR_OK;
    size_t n = (size_t)count(e);
    if (n > l->n_scratch) {
        mem_free(l->scratch);
        l->n_scratch = 0;
        l->scratch = mem_grow(NULL, n, sizeof *l->scratch);
        if (!l->scratch) return FAIL(f, ERR_NOMEM, "no memory for %zu values of a LoRA", n);
        l->n_scratch = n;
    }
    TRY(safetensors_read(&l->file[file].file, e, 0, (int64_t)n, l->scratch, f));
    *out = l->scratch;
out:
    return rc;
}

/* The factors of one pair: `down` turned round on the device, `up` scaled in host memory. */
static enum err begin_pair(struct lora *l, struct pair *w, const struct part *p, struct fail *f) {
    enum err rc = ERR_OK;
    const struct safetensors_entry *down = p->role[ROLE_DOWN], *up = p->role[ROLE_UP];
    float *values, *turned = NULL;
    int64_t O = up->dim[0], r = down->dim[0], K = count(down) / r;
    double scale = l->file[p->file].scale;
    if (p->role[ROLE_ALPHA]) {
        TRY(read_all(l, p->file, p->role[ROLE_ALPHA], &values, f));
        scale *= (double)values[0] / (double)r;
    }
    w->part = p;
    w->r = r;
    turned = mem_take((size_t)(K * r), sizeof *turned);
    w->up = mem_take((size_t)(O * r), sizeof *w->up);
    if (!turned || !w->up)
        TRY(FAIL(f, ERR_NOMEM, "no memory for a LoRA of rank %lld", (long long)r));
    TRY(read_all(l, p->file, down, &values, f));
    for (int64_t i = 0; i < r; i++)
        for (int64_t k = 0; k < K; k++)
            turned[k * r + i] = values[i * K + k];
    TRY(pool_take_2d(&l->pool, &w->down, K, r, f));
    TRY(pool_take_2d(&l->pool, &w->x, OP_PACK_ROWS, r, f));
    TRY(pool_take_2d(&l->pool, &w->out, OP_PACK_ROWS, K, f));
    op_upload(l->dev, &w->down, turned);
    TRY(read_all(l, p->file, up, &values, f));
    for (int64_t i = 0; i < O * r; i++)
        w->up[i] = (float)(scale * (double)values[i]);
out:
    mem_free(turned);
    return rc;
}

static enum err begin_tensor(struct lora *l, const struct safetensors_entry *e, struct fail *f) {
    enum err rc = ERR_OK;
    end_tensor(l);
    l->entry = e;
    for (int i = 0; i < l->n_parts; i++) {
        if (l->part[i].target != e || !l->part[i].role[ROLE_DOWN]) continue;
        l->n_pairs++;
        TRY(begin_pair(l, &l->pair[l->n_pairs - 1], &l->part[i], f));
    }
out:
    return rc;
}

static enum err add_pair(struct lora *l, const struct pair *w, float *rows, int64_t first,
                         int64_t n, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t K = w->down.dim[0];
    float *delta = mem_take((size_t)(OP_PACK_ROWS * K), sizeof *delta);
    if (!delta) return FAIL(f, ERR_NOMEM, "no memory for rows of a LoRA");
    for (int64_t at = 0; at < n; at += OP_PACK_ROWS) {
        int64_t part = n - at < OP_PACK_ROWS ? n - at : OP_PACK_ROWS;
        struct tensor x = tensor_rows(&w->x, 0, part), out = tensor_rows(&w->out, 0, part);
        op_upload(l->dev, &x, w->up + (first + at) * w->r);
        TRY(op_linear(l->dev, &out, &x, &w->down, NULL, ACT_NONE, f));
        op_download(l->dev, delta, &out);
        for (int64_t i = 0; i < part * K; i++)
            rows[at * K + i] += delta[i];
    }
out:
    mem_free(delta);
    return rc;
}

static enum err add_diff(struct lora *l, const struct part *p, float *rows, int64_t first,
                         int64_t n, struct fail *f) {
    enum err rc = ERR_OK;
    const struct safetensors_entry *e = p->target, *diff = p->role[ROLE_DIFF];
    int64_t K = e->n_dims && e->dim[0] ? count(e) / e->dim[0] : 1;
    float *values, scale = (float)l->file[p->file].scale;
    TRY(read_all(l, p->file, diff, &values, f));
    for (int64_t i = 0; i < n * K; i++)
        rows[i] += scale * values[first * K + i];
out:
    return rc;
}

enum err lora_add(struct lora *l, const struct safetensors_entry *e, float *rows, int64_t first,
                  int64_t n, struct fail *f) {
    enum err rc = ERR_OK;
    if (l->entry != e) TRY(begin_tensor(l, e, f));
    for (int i = 0; i < l->n_pairs; i++)
        TRY(add_pair(l, &l->pair[i], rows, first, n, f));
    for (int i = 0; i < l->n_parts; i++)
        if (l->part[i].target == e && l->part[i].role[ROLE_DIFF])
            TRY(add_diff(l, &l->part[i], rows, first, n, f));
out:
    return rc;
}
