#include "engine/engine_folder.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"

enum { CONFIG_BYTES_MAX = 1 << 20 };

#define AT(member) offsetof(struct engine_folder, member)

static const struct json_field scheduler_fields[] = {
    {"_class_name", JSON_FIELD_TEXT, AT(solver_class), 0, 0},
    {"prediction_type", JSON_FIELD_TEXT, AT(prediction), 0, 0},
    {"flow_shift", JSON_FIELD_REAL, AT(flow_shift), 0, 100},
    {"shift", JSON_FIELD_REAL, AT(shift), 0, 100},
};

static const struct json_field own_fields[] = {
    {"name", JSON_FIELD_TEXT, AT(name), 0, 0},
    {"fps", JSON_FIELD_INT, AT(fps), 1, LIMIT_FPS_MAX},
    {"width", JSON_FIELD_INT, AT(width), 1, 16384},
    {"height", JSON_FIELD_INT, AT(height), 1, 16384},
    {"frames", JSON_FIELD_INT, AT(n_frames), 1, LIMIT_FRAMES_MAX},
    {"steps", JSON_FIELD_INT, AT(n_steps), 1, LIMIT_STEPS_MAX},
    {"guidance", JSON_FIELD_REAL, AT(guidance), 0, LIMIT_GUIDANCE_MAX},
    {"shift", JSON_FIELD_REAL, AT(own_shift), 0, 100},
    {"sigmas", JSON_FIELD_REALS, AT(sigmas), 0, 1},
    {"window_latents", JSON_FIELD_INT, AT(window_latents), 0, 4096},
    {"overlap_latents", JSON_FIELD_INT, AT(overlap_latents), 0, 4096},
    {"window_head", JSON_FIELD_TEXT, AT(window_head), 0, 0},
};

/* What the original repositories use, by the parts that tell them apart (flow_shift in a config is
 * what a converter wrote, so it is taken only as a default). */
static const struct engine_folder defaults = {
    .pipeline = "WanPipeline",
    .solver_class = "UniPCMultistepScheduler",
    .prediction = "flow_prediction",
    .fps = 16,
    .n_steps = 50,
    .guidance = 5,
};

enum err engine_folder_part(const struct engine_folder *m, char out[512], const char *part,
                            struct fail *f) {
    int n = snprintf(out, 512, "%s/%s", m->path, part);
    if (n < 0 || n >= 512) return FAIL(f, ERR_INPUT, "the path of %s is too long", part);
    return ERR_OK;
}

/* A file that may be missing leaves `j` empty. */
static enum err read_json(const struct engine_folder *m, struct json *j, const char *part,
                          bool must_exist, struct fail *f) {
    enum err rc = ERR_OK;
    char path[512];
    memset(j, 0, sizeof *j);
    TRY(engine_folder_part(m, path, part, f));
    rc = json_read_file(j, path, CONFIG_BYTES_MAX, f);
    if (rc == ERR_NOT_FOUND && !must_exist) return ERR_OK;
    TRY(rc);
out:
    return rc;
}

static enum err read_own(struct engine_folder *m, const struct json *j, struct fail *f) {
    int own = j->n_nodes > 0 ? json_find(j, 0, "misora") : JSON_NONE;
    if (own == JSON_NONE) return ERR_OK;
    return json_read_fields(j, own, m, own_fields, COUNT_OF(own_fields), f);
}

/* A part is there when it is named by [library, class] and not by [null, null]. */
static bool has_part(const struct json *j, const char *name) {
    int part = json_find(j, 0, name);
    return json_is(j, part, JSON_ARRAY) && json_at(j, part)->n_children == 2 &&
           json_is(j, json_at(j, part)->first, JSON_STRING);
}

static enum err read_index(struct engine_folder *m, const struct json *j, struct fail *f) {
    enum err rc = ERR_OK;
    static const struct json_field fields[] = {
        {"_class_name", JSON_FIELD_TEXT, AT(pipeline), 0, 0},
        {"expand_timesteps", JSON_FIELD_FLAG, AT(has_token_times), 0, 0},
        {"boundary_ratio", JSON_FIELD_REAL, AT(boundary), 0, 1},
    };
    TRY(json_read_fields(j, 0, m, fields, COUNT_OF(fields), f));
    m->has_low_expert = has_part(j, "transformer_2");
    m->has_image_encoder = has_part(j, "image_encoder");
    if (!m->has_low_expert) m->boundary = 0; /* a converter writes it where there is one expert */
    if (m->has_low_expert && m->boundary <= 0)
        TRY(FAIL(f, ERR_CORRUPT, "%.160s: two experts and no boundary_ratio", m->path));
out:
    return rc;
}

static const char *const heads[WINDOW_HEAD_COUNT] = {
    [WINDOW_HEAD_CARRY] = "carry",
    [WINDOW_HEAD_ANCHOR] = "anchor",
    [WINDOW_HEAD_ENCODE] = "encode",
};

enum window_head engine_folder_head(const struct engine_folder *m) {
    for (int i = 0; i < WINDOW_HEAD_COUNT; i++)
        if (strcmp(m->window_head, heads[i]) == 0) return (enum window_head)i;
    return WINDOW_HEAD_ANCHOR;
}

static enum err check(struct engine_folder *m, struct fail *f) {
    if (strcmp(m->prediction, "flow_prediction") != 0)
        return FAIL(f, ERR_UNSUPPORTED, "%.160s: prediction_type \"%s\"; only flow_prediction",
                    m->path, m->prediction);
    if (m->window_latents == 1)
        return FAIL(f, ERR_CORRUPT, "%.160s: window_latents is 1, it needs to be 0 or 2 and more",
                    m->path);
    if (m->window_latents && m->overlap_latents >= m->window_latents)
        return FAIL(f, ERR_CORRUPT,
                    "%.160s: overlap_latents %d needs to be below window_latents %d", m->path,
                    m->overlap_latents, m->window_latents);
    if (m->window_head[0] && strcmp(m->window_head, heads[engine_folder_head(m)]) != 0)
        return FAIL(f, ERR_CORRUPT, "%.160s: window_head \"%s\"; carry, anchor or encode", m->path,
                    m->window_head);
    if (!m->name[0]) str_copy(m->name, sizeof m->name, str_of(m->pipeline));
    return ERR_OK;
}

enum err engine_folder_read(struct engine_folder *m, const char *path, struct fail *f) {
    enum err rc = ERR_OK;
    struct json index = {0}, scheduler = {0}, transformer = {0};
    *m = defaults;
    if (!str_copy(m->path, sizeof m->path, str_of(path)))
        return FAIL(f, ERR_INPUT, "the path %.100s... is too long", path);
    TRY(read_json(m, &index, "model_index.json", true, f));
    TRY(read_json(m, &scheduler, "scheduler/scheduler_config.json", false, f));
    TRY(read_json(m, &transformer, "transformer/config.json", true, f));
    TRY(read_index(m, &index, f));
    if (scheduler.n_nodes > 0)
        TRY(json_read_fields(&scheduler, 0, m, scheduler_fields, COUNT_OF(scheduler_fields), f));
    TRY(read_own(m, &transformer, f));
    TRY(read_own(m, &index, f));
    TRY(check(m, f));
out:
    json_free(&index);
    json_free(&scheduler);
    json_free(&transformer);
    return rc;
}

enum engine_solver engine_folder_solver(const struct engine_folder *m) {
    return strstr(m->solver_class, "Euler") || m->sigmas.n > 0 ? ENGINE_SOLVER_EULER
                                                               : ENGINE_SOLVER_UNIPC;
}

double engine_folder_shift(const struct engine_folder *m) {
    if (m->own_shift > 0) return m->own_shift;
    double said = engine_folder_solver(m) == ENGINE_SOLVER_EULER ? m->shift : m->flow_shift;
    return said > 0 ? said : 5;
}
