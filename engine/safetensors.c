#include "engine/safetensors.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/half.h"
#include "engine/json.h"

enum { LENGTH_BYTES = 8, INDEX_BYTES_MAX = 64 << 20 };

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool find_dtype(struct str name, enum dtype *out) {
    for (int i = 0; i < DTYPE_COUNT; i++)
        if (str_eq(name, tensor_dtype_name((enum dtype)i))) {
            *out = (enum dtype)i;
            return true;
        }
    return false;
}

/* Fills dims and the size in bytes; every product is checked. */
static enum err read_shape(const struct json *j, int node, struct safetensors_entry *e,
                           const char *what, struct fail *f) {
    if (!json_is(j, node, JSON_ARRAY))
        return FAIL(f, ERR_CORRUPT, "%s: %.80s has no shape", what, e->name);
    if (json_at(j, node)->n_children > TENSOR_DIMS_MAX)
        return FAIL(f, ERR_CORRUPT, "%s: %.80s has %d dimensions, %d are allowed", what, e->name,
                    json_at(j, node)->n_children, TENSOR_DIMS_MAX);
    e->bytes = tensor_dtype_bytes(e->dtype);
    for (int i = json_at(j, node)->first; i != JSON_NONE; i = json_at(j, i)->next) {
        int64_t d;
        if (!json_i64(j, i, 0, INT64_MAX, &d) ||
            __builtin_mul_overflow(e->bytes, (size_t)d, &e->bytes))
            return FAIL(f, ERR_CORRUPT, "%s: the shape of %.80s is not valid", what, e->name);
        e->dim[e->n_dims++] = d;
    }
    return ERR_OK;
}

static enum err read_offsets(const struct json *j, int node, struct safetensors_entry *e,
                             size_t n_data, const char *what, uint64_t *begin, struct fail *f) {
    int64_t at[2] = {0, 0};
    if (!json_is(j, node, JSON_ARRAY) || json_at(j, node)->n_children != 2)
        return FAIL(f, ERR_CORRUPT, "%s: %.80s needs two data_offsets", what, e->name);
    int i = json_at(j, node)->first;
    if (!json_i64(j, i, 0, INT64_MAX, &at[0]) ||
        !json_i64(j, json_at(j, i)->next, 0, INT64_MAX, &at[1]) || at[0] > at[1] ||
        (uint64_t)at[1] > n_data)
        return FAIL(f, ERR_CORRUPT, "%s: data_offsets of %.80s lie outside of %zu bytes", what,
                    e->name, n_data);
    if ((uint64_t)(at[1] - at[0]) != e->bytes)
        return FAIL(f, ERR_CORRUPT, "%s: %.80s has %lld bytes, its shape needs %zu", what, e->name,
                    (long long)(at[1] - at[0]), e->bytes);
    *begin = (uint64_t)at[0];
    return ERR_OK;
}

static enum err add_entry(struct safetensors *s, struct safetensors_entry **out, const char *what,
                          struct fail *f) {
    if (s->n_entries == s->cap_entries) {
        int cap = s->cap_entries ? 2 * s->cap_entries : 64;
        if (cap > SAFETENSORS_TENSORS_MAX)
            return FAIL(f, ERR_CORRUPT, "%s: more than %d tensors", what, SAFETENSORS_TENSORS_MAX);
        struct safetensors_entry *grown = mem_grow(s->entry, (size_t)cap, sizeof *grown);
        if (!grown) return FAIL(f, ERR_NOMEM, "no memory for the tensors of %s", what);
        s->entry = grown;
        s->cap_entries = cap;
    }
    *out = &s->entry[s->n_entries++];
    memset(*out, 0, sizeof **out);
    return ERR_OK;
}

static enum err check_metadata(const struct json *j, int node, const char *what, struct fail *f) {
    bool is_good = json_is(j, node, JSON_OBJECT);
    for (int i = is_good ? json_at(j, node)->first : JSON_NONE; i != JSON_NONE;
         i = json_at(j, i)->next)
        is_good = is_good && json_is(j, i, JSON_STRING);
    return is_good ? ERR_OK : FAIL(f, ERR_CORRUPT, "%s: __metadata__ must hold strings", what);
}

static enum err read_entry(struct safetensors *s, const struct json *j, int node, int shard,
                           struct str data, const char *what, struct fail *f) {
    enum err rc = ERR_OK;
    struct safetensors_entry *e = NULL;
    uint64_t begin = 0;
    struct str key = json_at(j, node)->key;
    int type = json_find(j, node, "dtype");
    if (key.n == 0 || key.n >= SAFETENSORS_NAME_MAX)
        return FAIL(f, ERR_CORRUPT, "%s: a tensor name has %zu bytes", what, key.n);
    TRY(add_entry(s, &e, what, f));
    e->shard = shard;
    e->name = mem_take(key.n + 1, 1);
    if (!e->name) return FAIL(f, ERR_NOMEM, "no memory for a tensor name");
    memcpy(e->name, key.p, key.n);
    if (!json_is(j, type, JSON_STRING) || !find_dtype(json_at(j, type)->text, &e->dtype))
        return FAIL(f, ERR_CORRUPT, "%s: the dtype of %.80s is unknown", what, e->name);
    TRY(read_shape(j, json_find(j, node, "shape"), e, what, f));
    TRY(read_offsets(j, json_find(j, node, "data_offsets"), e, data.n, what, &begin, f));
    e->data = data.p + begin;
out:
    return rc;
}

static int compare_place(const void *a, const void *b) {
    const struct safetensors_entry *x = a, *y = b;
    if (x->data != y->data) return (const char *)x->data < (const char *)y->data ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* The tensors tile the data: no hole, no overlap, nothing after the last one. */
static enum err check_tiling(struct safetensors *s, int first, struct str data, const char *what,
                             struct fail *f) {
    const char *at = data.p;
    if (s->n_entries > first)
        qsort(s->entry + first, (size_t)(s->n_entries - first), sizeof *s->entry, compare_place);
    for (int i = first; i < s->n_entries; i++) {
        const struct safetensors_entry *e = &s->entry[i];
        if (e->data != at)
            return FAIL(f, ERR_CORRUPT, "%s: a hole or an overlap before %.80s", what, e->name);
        at += e->bytes;
    }
    if (at != data.p + data.n)
        return FAIL(f, ERR_CORRUPT, "%s: %lld bytes after the last tensor", what,
                    (long long)(data.p + data.n - at));
    return ERR_OK;
}

static enum err read_header(struct safetensors *s, const struct json *j, int shard, struct str data,
                            const char *what, struct fail *f) {
    enum err rc = ERR_OK;
    int first = s->n_entries;
    if (!json_is(j, 0, JSON_OBJECT)) return FAIL(f, ERR_CORRUPT, "%s: no header object", what);
    for (int i = json_at(j, 0)->first; i != JSON_NONE; i = json_at(j, i)->next) {
        if (str_eq(json_at(j, i)->key, "__metadata__"))
            TRY(check_metadata(j, i, what, f));
        else
            TRY(read_entry(s, j, i, shard, data, what, f));
    }
    TRY(check_tiling(s, first, data, what, f));
out:
    return rc;
}

enum err safetensors_parse(struct safetensors *s, int shard, const void *data, size_t size,
                           const char *what, struct fail *f) {
    enum err rc = ERR_OK;
    struct json j = {0};
    const unsigned char *p = data;
    uint64_t n = 0;
    if (size < LENGTH_BYTES)
        return FAIL(f, ERR_CORRUPT, "%s: %zu bytes are not a safetensors file", what, size);
    for (int i = 0; i < LENGTH_BYTES; i++)
        n |= (uint64_t)p[i] << (8 * i);
    if (n < 2 || n > size - LENGTH_BYTES || n > SAFETENSORS_HEADER_MAX)
        return FAIL(f, ERR_CORRUPT, "%s: the header length %llu does not fit a file of %zu bytes",
                    what, (unsigned long long)n, size);
    if (p[LENGTH_BYTES] != '{')
        return FAIL(f, ERR_CORRUPT, "%s: the header does not start with {", what);
    TRY(json_parse(&j, (const char *)p + LENGTH_BYTES, (size_t)n, what, f));
    struct str rest = {(const char *)p + LENGTH_BYTES + n, size - LENGTH_BYTES - (size_t)n};
    TRY(read_header(s, &j, shard, rest, what, f));
out:
    json_free(&j);
    return rc;
}

static enum err map_file(struct safetensors_shard *shard, struct fail *f) {
    enum err rc = ERR_OK;
    struct stat st;
    int fd = open(shard->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return FAIL(f, ERR_NOT_FOUND, "%s: no such file", shard->path);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        TRY(FAIL(f, ERR_CORRUPT, "%s is not a regular file", shard->path));
    /* How many blocks are stored says nothing: a fresh file has none yet, a packed one has few. */
    if (st.st_size < LENGTH_BYTES || st.st_size > SAFETENSORS_FILE_MAX)
        TRY(FAIL(f, ERR_CORRUPT, "%s: %lld bytes, need %d to %lld", shard->path,
                 (long long)st.st_size, LENGTH_BYTES, (long long)SAFETENSORS_FILE_MAX));
    shard->size = (size_t)st.st_size;
    shard->map = mmap(NULL, shard->size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (shard->map == MAP_FAILED) {
        shard->map = NULL;
        TRY(FAIL(f, ERR_NOMEM, "%s cannot be mapped", shard->path));
    }
out:
    close(fd);
    return rc;
}

static enum err add_file(struct safetensors *s, const char *path, struct fail *f) {
    enum err rc = ERR_OK;
    if (s->n_shards == SAFETENSORS_SHARDS_MAX)
        return FAIL(f, ERR_CORRUPT, "more than %d shards", SAFETENSORS_SHARDS_MAX);
    struct safetensors_shard *shard = &s->shard[s->n_shards];
    memset(shard, 0, sizeof *shard);
    if (!str_copy(shard->path, sizeof shard->path, str_of(path)))
        return FAIL(f, ERR_INPUT, "the path %.100s... is too long", path);
    TRY(map_file(shard, f));
    s->n_shards++;
    TRY(safetensors_parse(s, s->n_shards - 1, shard->map, shard->size, shard->path, f));
out:
    return rc;
}

static int compare_names(const void *a, const void *b) {
    const struct safetensors_entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static enum err sort_entries(struct safetensors *s, struct fail *f) {
    if (s->n_entries) qsort(s->entry, (size_t)s->n_entries, sizeof *s->entry, compare_names);
    for (int i = 1; i < s->n_entries; i++)
        if (strcmp(s->entry[i - 1].name, s->entry[i].name) == 0)
            return FAIL(f, ERR_CORRUPT, "%s and %s both hold %.80s",
                        base_name(s->shard[s->entry[i - 1].shard].path),
                        base_name(s->shard[s->entry[i].shard].path), s->entry[i].name);
    return ERR_OK;
}

enum err safetensors_open_file(struct safetensors *s, const char *path, struct fail *f) {
    enum err rc = ERR_OK;
    memset(s, 0, sizeof *s);
    TRY(add_file(s, path, f));
    TRY(sort_entries(s, f));
out:
    if (rc != ERR_OK) safetensors_close(s);
    return rc;
}

/* A shard is a plain file name inside the folder. */
static bool is_plain_name(struct str name) {
    return name.n > 0 && name.n < 200 && name.p[0] != '.' && !memchr(name.p, '/', name.n) &&
           name.n > 12 && memcmp(name.p + name.n - 12, ".safetensors", 12) == 0;
}

static bool has_shard(const struct safetensors *s, struct str name) {
    for (int i = 0; i < s->n_shards; i++)
        if (str_eq(name, base_name(s->shard[i].path))) return true;
    return false;
}

static enum err open_shards(struct safetensors *s, const char *folder, const struct json *j,
                            struct fail *f) {
    enum err rc = ERR_OK;
    int map = json_find(j, 0, "weight_map");
    char path[512];
    if (!json_is(j, map, JSON_OBJECT) || json_at(j, map)->n_children == 0)
        return FAIL(f, ERR_CORRUPT, "%.120s: weight_map is missing", j->what);
    for (int i = json_at(j, map)->first; i != JSON_NONE; i = json_at(j, i)->next) {
        struct str name = json_at(j, i)->text;
        if (!json_is(j, i, JSON_STRING) || !is_plain_name(name))
            return FAIL(f, ERR_CORRUPT, "%.120s: a shard is not named by a plain .safetensors name",
                        j->what);
        if (has_shard(s, name)) continue;
        snprintf(path, sizeof path, "%.300s/%.*s", folder, (int)name.n, name.p);
        TRY(add_file(s, path, f));
    }
out:
    return rc;
}

/* What the index promises must be in the shard it names. */
static enum err check_index(const struct safetensors *s, const struct json *j, struct fail *f) {
    int map = json_find(j, 0, "weight_map");
    for (int i = json_at(j, map)->first; i != JSON_NONE; i = json_at(j, i)->next) {
        char name[SAFETENSORS_NAME_MAX];
        str_copy(name, sizeof name, json_at(j, i)->key);
        const struct safetensors_entry *e = safetensors_find(s, name);
        if (!e || !str_eq(json_at(j, i)->text, base_name(s->shard[e->shard].path)))
            return FAIL(f, ERR_CORRUPT, "%.100s: %.80s is not in the shard it names", j->what,
                        name);
    }
    return ERR_OK;
}

enum err safetensors_open(struct safetensors *s, const char *folder, const char *stem,
                          struct fail *f) {
    enum err rc = ERR_OK;
    struct json j = {0};
    char path[512];
    memset(s, 0, sizeof *s);
    snprintf(path, sizeof path, "%.300s/%.100s.safetensors.index.json", folder, stem);
    rc = json_read_file(&j, path, INDEX_BYTES_MAX, f);
    if (rc == ERR_NOT_FOUND) {
        snprintf(path, sizeof path, "%.300s/%.100s.safetensors", folder, stem);
        return safetensors_open_file(s, path, f);
    }
    TRY(rc);
    TRY(open_shards(s, folder, &j, f));
    TRY(sort_entries(s, f));
    TRY(check_index(s, &j, f));
out:
    json_free(&j);
    if (rc != ERR_OK) safetensors_close(s);
    return rc;
}

void safetensors_close(struct safetensors *s) {
    for (int i = 0; i < s->n_entries; i++)
        mem_free(s->entry[i].name);
    for (int i = 0; i < SAFETENSORS_SHARDS_MAX; i++)
        if (s->shard[i].map) munmap(s->shard[i].map, s->shard[i].size);
    mem_free(s->entry);
    memset(s, 0, sizeof *s);
}

struct safetensors_entry *safetensors_find(const struct safetensors *s, const char *name) {
    int low = 0, high = s->n_entries - 1;
    while (low <= high) {
        int mid = low + (high - low) / 2, c = strcmp(name, s->entry[mid].name);
        if (c == 0) return &s->entry[mid];
        if (c < 0)
            high = mid - 1;
        else
            low = mid + 1;
    }
    return NULL;
}

void safetensors_to_f32(float *out, const struct tensor *in_file) {
    size_t n = (size_t)tensor_count(in_file);
    const char *p = in_file->data;
    if (in_file->dtype == DTYPE_F32) {
        if (n) memcpy(out, p, n * sizeof *out);
        return;
    }
    ASSERT(in_file->dtype == DTYPE_BF16 || in_file->dtype == DTYPE_F16);
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + i * sizeof h, sizeof h);
        out[i] = in_file->dtype == DTYPE_BF16 ? half_bf16(h) : half_f16(h);
    }
}
