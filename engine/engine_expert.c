#include "engine/engine_expert.h"

#include "common/base/assert.h"
#include "engine/room.h"

enum { EXPERT_BLOCK_BYTES = 256 << 20 }; /* what nothing fits into costs no memory */

static const char *const parts[2] = {"transformer", "transformer_2"};
static const size_t pool_max_bytes = (size_t)1 << 40;

/* The struct stays, for the sizes that it knows. */
static void drop(struct engine *e, int which) {
    e->experts.is_loaded[which] = false;
    pool_free(&e->experts.pool[which]);
}

/* Whatever is told once about a model is true of both. */
static enum err check_pair(const struct engine *e, const struct dit *a, const struct dit *b,
                           struct fail *f) {
    const struct dit_config *c = &a->config, *d = &b->config;
    bool is_same = c->in_channels == d->in_channels && c->out_channels == d->out_channels &&
                   c->n_layers == d->n_layers && dit_config_width(c) == dit_config_width(d) &&
                   c->head_dim == d->head_dim && c->text_dim == d->text_dim &&
                   a->caps.image_dim == b->caps.image_dim &&
                   a->caps.vace_channels == b->caps.vace_channels;
    if (is_same) return ERR_OK;
    return FAIL(f, ERR_CORRUPT, "%.160s: the two experts have different sizes", e->folder.path);
}

static enum err load(struct engine *e, int which, struct fail *f) {
    enum err rc = ERR_OK;
    struct engine_experts *x = &e->experts;
    struct dit *fresh = NULL;
    struct dit_opts o = {.lora = x->lora[which]};
    char path[512];
    double need;
    TRY(engine_folder_part(&e->folder, path, parts[which], f));
    TRY(room_weights_bytes(&need, path, "diffusion_pytorch_model", e->dev.precision, f));
    TRY(room_check(need, room_free_on(&e->dev), path, f));
    pool_make(&x->pool[which], &e->dev, EXPERT_BLOCK_BYTES, pool_max_bytes);
    TRY(dit_open(&fresh, &e->dev, &x->pool[which], path, &o, f));
    if (which > 0) TRY(check_pair(e, x->dit[0], fresh, f));
    dit_close(x->dit[which]);
    x->dit[which] = fresh;
    x->is_loaded[which] = true;
    fresh = NULL;
out:
    dit_close(fresh);
    if (rc != ERR_OK) drop(e, which);
    e->dit = x->dit[0];
    return rc;
}

enum err engine_expert_open(struct engine *e, const struct engine_opts *o, struct fail *f) {
    enum err rc = ERR_OK;
    struct engine_experts *x = &e->experts;
    bool is_pair = e->folder.has_low_expert;
    if (o->n_loras_late > 0 && !is_pair)
        return FAIL(f, ERR_INPUT, "%.160s has no second transformer for LoRA files",
                    e->folder.path);
    if (o->n_loras > 0) TRY(lora_open(&x->lora[0], o->loras, o->n_loras, f));
    if (o->n_loras_late > 0) TRY(lora_open(&x->lora[1], o->loras_late, o->n_loras_late, f));
    TRY(load(e, 0, f));
    if (!is_pair) return ERR_OK;
    double both = (double)x->pool[0].total_bytes + (double)e->job_budget.max_bytes;
    x->stays = o->experts == ENGINE_EXPERTS_BOTH ||
               (o->experts == ENGINE_EXPERTS_AUTO && both < room_free_on(&e->dev));
    engine_say(e, "engine.experts", x->stays ? "both stay loaded" : "one at a time");
    if (x->stays) TRY(load(e, 1, f));
out:
    return rc;
}

void engine_expert_close(struct engine *e) {
    for (int i = 0; i < 2; i++) {
        drop(e, i);
        dit_close(e->experts.dit[i]);
        e->experts.dit[i] = NULL;
        lora_close(e->experts.lora[i]);
        e->experts.lora[i] = NULL;
    }
    e->dit = NULL;
}

enum err engine_expert_load(struct engine *e, bool is_late, struct fail *f) {
    struct engine_experts *x = &e->experts;
    if (x->is_loaded[is_late]) return ERR_OK;
    ASSERT(!is_late || e->folder.has_low_expert);
    if (!x->stays) drop(e, !is_late);
    engine_say(e, "engine.expert", parts[is_late]);
    return load(e, is_late, f);
}
