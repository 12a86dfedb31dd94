#include "server/models.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "server/operation.h"

static enum err add_row(struct models *m, struct str id, struct str target, int64_t created_s,
                        struct fail *f) {
    struct models_row *row = &m->rows[m->n_rows];
    if (m->n_rows == MODELS_MAX)
        return FAIL(f, ERR_CONFIG, "there are more than %d models and aliases", MODELS_MAX);
    if (id.n == 0 || !str_copy(row->id, sizeof(row->id), id) ||
        !str_copy(row->target, sizeof(row->target), target))
        return FAIL(f, ERR_CONFIG, "a model id is empty or longer than %d", MODELS_ID_MAX - 1);
    row->created_s = created_s;
    m->n_rows++;
    return ERR_OK;
}

/* A folder is a model when it has a model_index.json; its time of change is `created`. */
static enum err add_folder(struct models *m, const char *dir, const char *name, struct fail *f) {
    char path[1024], id[MODELS_ID_MAX];
    struct stat st;
    int n = snprintf(path, sizeof(path), "%s/%s/model_index.json", dir, name);
    if (n >= (int)sizeof(path) || stat(path, &st) != 0 || !S_ISREG(st.st_mode)) return ERR_OK;
    snprintf(id, sizeof(id), "misora-%s", name);
    return add_row(m, str_of(id), (struct str){"", 0}, st.st_mtime, f);
}

static enum err scan(struct models *m, const char *dir, struct fail *f) {
    DIR *d = opendir(dir);
    enum err rc = ERR_OK;
    if (!d) return FAIL(f, ERR_CONFIG, "models_dir %s cannot be read", dir);
    for (struct dirent *e; rc == ERR_OK && (e = readdir(d));)
        if (e->d_name[0] != '.') rc = add_folder(m, dir, e->d_name, f);
    closedir(d);
    return rc;
}

/* readdir's order is the disk's: sort by id, so that every server lists the same. */
static void sort_rows(struct models *m) {
    for (int i = 1; i < m->n_rows; i++)
        for (int j = i; j > 0 && strcmp(m->rows[j - 1].id, m->rows[j].id) > 0; j--) {
            struct models_row t = m->rows[j];
            m->rows[j] = m->rows[j - 1];
            m->rows[j - 1] = t;
        }
}

static enum err add_alias(struct models *m, struct str pair, struct fail *f) {
    struct str target = pair, name;
    if (!str_split(&target, '=', &name) || !target.p || str_trim(target).n == 0)
        return FAIL(f, ERR_CONFIG, "model_aliases has \"%.*s\"; write name=model", (int)pair.n,
                    pair.p);
    target = str_trim(target);
    if (!models_find(m, target)) {
        enum err rc = add_row(m, target, (struct str){"", 0}, 0, f);
        if (rc != ERR_OK) return rc;
    }
    return add_row(m, str_trim(name), target, models_find(m, target)->created_s, f);
}

enum err models_load(struct models *m, const char *dir, const char *aliases, struct fail *f) {
    struct str rest = str_of(aliases), pair;
    *m = (struct models){0};
    enum err rc = dir[0] ? scan(m, dir, f) : ERR_OK;
    sort_rows(m);
    while (rc == ERR_OK && str_split(&rest, ',', &pair))
        if (str_trim(pair).n) rc = add_alias(m, str_trim(pair), f);
    if (rc == ERR_OK && m->n_rows == 0)
        rc = FAIL(f, ERR_CONFIG, "models_dir %s holds no model and model_aliases names none", dir);
    return rc;
}

const struct models_row *models_find(const struct models *m, struct str name) {
    for (int i = 0; i < m->n_rows; i++)
        if (str_eq(name, m->rows[i].id)) return &m->rows[i];
    return NULL;
}

const char *models_real_id(const struct models_row *row) {
    return row->target[0] ? row->target : row->id;
}

static void put_range(struct doc_out *o, const char *key, int min, int max) {
    doc_open_object(o, key);
    doc_put_int(o, "min", min);
    doc_put_int(o, "max", max);
    doc_close_object(o);
}

static void put_capabilities(struct doc_out *o) {
    doc_open_object(o, "capabilities");
    doc_open_array(o, "operations");
    for (int i = 0; i < JOB_OPERATION_COUNT; i++)
        if (operation_has((enum job_operation)i))
            doc_put_text(o, NULL, job_operation_name((enum job_operation)i));
    doc_close_array(o);
    doc_open_array(o, "inputs");
    doc_put_text(o, NULL, "text");
    doc_put_text(o, NULL, "image");
    doc_put_text(o, NULL, "video");
    doc_close_array(o);
    doc_open_object(o, "sizes");
    doc_put_int(o, "min", LIMIT_SIDE_MIN_PX);
    doc_put_int(o, "max", LIMIT_SIDE_MAX_PX);
    doc_put_int(o, "multiple_of", 2);
    doc_close_object(o);
    doc_put_int(o, "max_pixels", LIMIT_PIXELS_MAX);
    put_range(o, "seconds", 1, LIMIT_SECONDS_MAX);
    put_range(o, "fps", 1, LIMIT_FPS_MAX);
    put_range(o, "steps", 1, LIMIT_STEPS_MAX);
    doc_put_int(o, "max_prompt_characters", LIMIT_PROMPT_CHARS);
    doc_close_object(o);
}

void models_put(struct doc_out *o, const char *key, const struct models_row *row) {
    doc_open_object(o, key);
    doc_put_text(o, "id", row->id);
    doc_put_text(o, "object", "model");
    doc_put_int(o, "created", row->created_s);
    doc_put_text(o, "owned_by", "misora");
    if (row->target[0]) doc_put_text(o, "alias_of", row->target);
    put_capabilities(o);
    doc_close_object(o);
}
