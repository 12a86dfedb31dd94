#include "engine/safetensors.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
                             uint64_t n_data, const char *what, struct fail *f) {
    int64_t at[2] = {0, 0};
    if (!json_is(j, node, JSON_ARRAY) || json_at(j, node)->n_children != 2)
        return FAIL(f, ERR_CORRUPT, "%s: %.80s needs two data_offsets", what, e->name);
    int i = json_at(j, node)->first;
    if (!json_i64(j, i, 0, INT64_MAX, &at[0]) ||
        !json_i64(j, json_at(j, i)->next, 0, INT64_MAX, &at[1]) || at[0] > at[1] ||
        (uint64_t)at[1] > n_data)
        return FAIL(f, ERR_CORRUPT, "%s: data_offsets of %.80s lie outside of %llu bytes", what,
                    e->name, (unsigned long long)n_data);
    if ((uint64_t)(at[1] - at[0]) != e->bytes)
        return FAIL(f, ERR_CORRUPT, "%s: %.80s has %lld bytes, its shape needs %zu", what, e->name,
                    (long long)(at[1] - at[0]), e->bytes);
    e->offset = (uint64_t)at[0];
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
                           uint64_t n_data, const char *what, struct fail *f) {
    enum err rc = ERR_OK;
    struct safetensors_entry *e = NULL;
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
    TRY(read_offsets(j, json_find(j, node, "data_offsets"), e, n_data, what, f));
out:
    return rc;
}

static int compare_place(const void *a, const void *b) {
    const struct safetensors_entry *x = a, *y = b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* The tensors tile the data: no hole, no overlap, nothing after the last one. Offsets, until here
 * of the data, become those of the file. */
static enum err check_tiling(struct safetensors *s, int first, uint64_t data_at, uint64_t n_data,
                             const char *what, struct fail *f) {
    uint64_t at = 0;
    if (s->n_entries > first)
        qsort(s->entry + first, (size_t)(s->n_entries - first), sizeof *s->entry, compare_place);
    for (int i = first; i < s->n_entries; i++) {
        struct safetensors_entry *e = &s->entry[i];
        if (e->offset != at)
            return FAIL(f, ERR_CORRUPT, "%s: a hole or an overlap before %.80s", what, e->name);
        at += e->bytes;
        e->offset += data_at;
    }
    if (at != n_data)
        return FAIL(f, ERR_CORRUPT, "%s: %lld bytes after the last tensor", what,
                    (long long)(n_data - at));
    return ERR_OK;
}

/* `header` holds JSON, `n_data` bytes of data follow it in the file. */
static enum err read_header(struct safetensors *s, int shard, struct str header, uint64_t n_data,
                            const char *what, struct fail *f) {
    enum err rc = ERR_OK;
    struct json j = {0};
    int first = s->n_entries;
    if (header.p[0] != '{')
        return FAIL(f, ERR_CORRUPT, "%s: the header does not start with {", what);
    TRY(json_parse(&j, header.p, header.n, what, f));
    if (!json_is(&j, 0, JSON_OBJECT)) TRY(FAIL(f, ERR_CORRUPT, "%s: no header object", what));
    for (int i = json_at(&j, 0)->first; i != JSON_NONE; i = json_at(&j, i)->next) {
        if (str_eq(json_at(&j, i)->key, "__metadata__"))
            TRY(check_metadata(&j, i, what, f));
        else
            TRY(read_entry(s, &j, i, shard, n_data, what, f));
    }
    TRY(check_tiling(s, first, LENGTH_BYTES + header.n, n_data, what, f));
out:
    json_free(&j);
    return rc;
}

/* The length of the header, from the eight bytes in front of it. */
static enum err read_length(uint64_t *n, const unsigned char *p, uint64_t file_bytes,
                            const char *what, struct fail *f) {
    *n = 0;
    for (int i = 0; i < LENGTH_BYTES; i++)
        *n |= (uint64_t)p[i] << (8 * i);
    if (*n < 2 || *n > file_bytes - LENGTH_BYTES || *n > SAFETENSORS_HEADER_MAX)
        return FAIL(f, ERR_CORRUPT, "%s: the header length %llu does not fit a file of %llu bytes",
                    what, (unsigned long long)*n, (unsigned long long)file_bytes);
    return ERR_OK;
}

enum err safetensors_parse(struct safetensors *s, int shard, const void *data, size_t size,
                           const char *what, struct fail *f) {
    enum err rc = ERR_OK;
    uint64_t n = 0;
    if (size < LENGTH_BYTES)
        return FAIL(f, ERR_CORRUPT, "%s: %zu bytes are not a safetensors file", what, size);
    TRY(read_length(&n, data, size, what, f));
    struct str header = {(const char *)data + LENGTH_BYTES, (size_t)n};
    TRY(read_header(s, shard, header, size - LENGTH_BYTES - n, what, f));
out:
    return rc;
}

static enum err parse_file(struct safetensors *s, int number, struct fail *f) {
    enum err rc = ERR_OK;
    const struct safetensors_shard *shard = &s->shard[number];
    unsigned char length[LENGTH_BYTES];
    char *text = NULL;
    uint64_t n = 0, size = (uint64_t)shard->file.size_bytes;
    if (size < LENGTH_BYTES)
        return FAIL(f, ERR_CORRUPT, "%s: %d bytes are not a safetensors file", shard->path,
                    (int)size);
    TRY(file_read(&shard->file, 0, length, LENGTH_BYTES, shard->path, f));
    TRY(read_length(&n, length, size, shard->path, f));
    text = mem_take((size_t)n, 1);
    if (!text) TRY(FAIL(f, ERR_NOMEM, "no memory for the header of %s", shard->path));
    TRY(file_read(&shard->file, LENGTH_BYTES, text, (size_t)n, shard->path, f));
    struct str header = {text, (size_t)n};
    TRY(read_header(s, number, header, size - LENGTH_BYTES - n, shard->path, f));
out:
    mem_free(text);
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
    TRY(file_open(&shard->file, shard->path, SAFETENSORS_FILE_MAX, f));
    s->n_shards++; /* from here on safetensors_close() closes it */
    TRY(parse_file(s, s->n_shards - 1, f));
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

/* Shards by an index. */
static enum err open_index(struct safetensors *s, const char *folder, const char *path,
                           struct fail *f) {
    enum err rc = ERR_OK;
    struct json j = {0};
    TRY(json_read_file(&j, path, INDEX_BYTES_MAX, f));
    TRY(open_shards(s, folder, &j, f));
    TRY(sort_entries(s, f));
    TRY(check_index(s, &j, f));
out:
    json_free(&j);
    if (rc != ERR_OK) safetensors_close(s);
    return rc;
}

static bool ends_with(const char *name, const char *end) {
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* How near a file name is to `stem`: the lower the better, UNFIT for other files. */
enum { WHOLE_INDEX, WHOLE_FILE, VARIANT_INDEX, VARIANT_FILE, OTHER_FILE, UNFIT };

static int rank_name(const char *name, const char *stem) {
    size_t n = strlen(stem);
    bool is_stem = strncmp(name, stem, n) == 0;
    if (is_stem && strcmp(name + n, ".safetensors.index.json") == 0) return WHOLE_INDEX;
    if (is_stem && strcmp(name + n, ".safetensors") == 0) return WHOLE_FILE;
    if (is_stem && strncmp(name + n, ".safetensors.index.", 19) == 0 && ends_with(name, ".json"))
        return VARIANT_INDEX;
    if (!ends_with(name, ".safetensors") || name[0] == '.') return UNFIT;
    return is_stem && name[n] == '.' ? VARIANT_FILE : OTHER_FILE;
}

/* The best name of the folder; the first of the alphabet when several are equal. */
static enum err find_name(char name[256], int *rank, int *n_equal, const char *folder,
                          const char *stem, struct fail *f) {
    DIR *dir = opendir(folder);
    struct dirent *d;
    *rank = UNFIT;
    *n_equal = 0;
    if (!dir) return FAIL(f, ERR_NOT_FOUND, "%.160s: no such folder", folder);
    while ((d = readdir(dir))) {
        int r = rank_name(d->d_name, stem);
        if (r > *rank || r == UNFIT) continue;
        *n_equal = r == *rank ? *n_equal + 1 : 1;
        if (r < *rank || strcmp(d->d_name, name) < 0) str_copy(name, 256, str_of(d->d_name));
        *rank = r;
    }
    closedir(dir);
    return ERR_OK;
}

enum err safetensors_open(struct safetensors *s, const char *folder, const char *stem,
                          struct fail *f) {
    enum err rc = ERR_OK;
    char name[256] = "", path[512];
    int rank, n_equal;
    memset(s, 0, sizeof *s);
    TRY(find_name(name, &rank, &n_equal, folder, stem, f));
    if (rank == UNFIT)
        return FAIL(f, ERR_NOT_FOUND, "%.160s/%.60s.safetensors: no such file", folder, stem);
    if (rank == OTHER_FILE && n_equal > 1)
        return FAIL(f, ERR_NOT_FOUND,
                    "%.160s/%.60s.safetensors: no such file, and %d others to choose from", folder,
                    stem, n_equal);
    snprintf(path, sizeof path, "%.250s/%.200s", folder, name);
    if (rank == WHOLE_INDEX || rank == VARIANT_INDEX)
        TRY(open_index(s, folder, path, f));
    else
        TRY(safetensors_open_file(s, path, f));
out:
    return rc;
}

enum err safetensors_rename(struct safetensors *s, safetensors_rename_fn rename, int kind,
                            struct fail *f) {
    char name[SAFETENSORS_NAME_MAX];
    for (int i = 0; i < s->n_entries; i++) {
        struct safetensors_entry *e = &s->entry[i];
        rename(name, e->name, kind);
        char *renamed = mem_take(strlen(name) + 1, 1);
        if (!renamed) return FAIL(f, ERR_NOMEM, "no memory for a tensor name");
        memcpy(renamed, name, strlen(name) + 1);
        mem_free(e->name);
        e->name = renamed;
    }
    return sort_entries(s, f);
}

void safetensors_close(struct safetensors *s) {
    for (int i = 0; i < s->n_entries; i++)
        mem_free(s->entry[i].name);
    for (int i = 0; i < s->n_shards; i++)
        file_close(&s->shard[i].file);
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

enum err safetensors_read_bytes(const struct safetensors *s, const struct safetensors_entry *e,
                                void *out, struct fail *f) {
    const struct safetensors_shard *shard = &s->shard[e->shard];
    return file_read(&shard->file, (int64_t)e->offset, out, e->bytes, shard->path, f);
}

bool safetensors_is_real(const struct safetensors_entry *e) {
    return e->dtype == DTYPE_F32 || e->dtype == DTYPE_BF16 || e->dtype == DTYPE_F16 ||
           e->dtype == DTYPE_F8_E4M3 || e->dtype == DTYPE_F8_E5M2;
}

/* Short values lie at the end of `out` and grow to floats from the front: the one that is written
 * never reaches one that is still to be read. */
static void widen(float *out, const char *halves, int64_t n, enum dtype dtype) {
    uint16_t part[256]; /* apart from `out`, so that a whole vector is widened at once */
    for (int64_t at = 0; at < n; at += COUNT_OF(part)) {
        int64_t m = n - at < COUNT_OF(part) ? n - at : COUNT_OF(part);
        memcpy(part, halves + (size_t)at * sizeof *part, (size_t)m * sizeof *part);
        for (int64_t i = 0; dtype == DTYPE_BF16 && i < m; i++)
            out[at + i] = half_bf16(part[i]);
        for (int64_t i = 0; dtype != DTYPE_BF16 && i < m; i++)
            out[at + i] = half_f16(part[i]);
    }
}

static void widen_bytes(float *out, const char *bytes, int64_t n, enum dtype dtype) {
    float value[256];
    for (int h = 0; h < 256; h++)
        value[h] = dtype == DTYPE_F8_E4M3 ? half_f8_e4m3((uint8_t)h) : half_f8_e5m2((uint8_t)h);
    for (int64_t i = 0; i < n; i++)
        memcpy(out + i, &value[(uint8_t)bytes[i]], sizeof *value);
}

enum err safetensors_read(const struct safetensors *s, const struct safetensors_entry *e,
                          int64_t first, int64_t n, float *out, struct fail *f) {
    enum err rc = ERR_OK;
    size_t each = tensor_dtype_bytes(e->dtype), bytes = (size_t)n * each;
    ASSERT(safetensors_is_real(e));
    ASSERT(first >= 0 && n >= 0 && (size_t)(first + n) * each <= e->bytes);
    char *raw = (char *)out + (size_t)n * sizeof *out - bytes;
    const struct safetensors_shard *shard = &s->shard[e->shard];
    int64_t at = (int64_t)e->offset + first * (int64_t)each;
    TRY(file_read(&shard->file, at, raw, bytes, shard->path, f));
    if (each == 2) widen(out, raw, n, e->dtype);
    if (each == 1) widen_bytes(out, raw, n, e->dtype);
out:
    return rc;
}

enum err safetensors_check_unchanged(const struct safetensors *s, struct fail *f) {
    enum err rc = ERR_OK;
    for (int i = 0; i < s->n_shards; i++)
        TRY(file_check_unchanged(&s->shard[i].file, s->shard[i].path, f));
out:
    return rc;
}
