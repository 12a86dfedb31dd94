#include "worker/known.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "worker/media/decode.h"

/* A client's picture as pixels of the canvas. */
static enum err fetch_picture(uint8_t *rgb, const struct known_source *s,
                              const struct job_asset *asset, const struct canvas *canvas,
                              struct fail *f) {
    char key[STORE_KEY_MAX + 1];
    struct store_found found;
    store_upload_key(key, asset->sha256, asset->type);
    enum err rc = store_find(s->store, &found, key, f);
    if (rc == ERR_NOT_FOUND) return FAIL(f, ERR_MEDIA, "the reference file is no longer stored");
    if (rc != ERR_OK) return rc;
    struct decode_request request = {.program = s->decode_program,
                                     .fd = found.fd,
                                     .width = canvas->width,
                                     .height = canvas->height};
    rc = decode_image(rgb, &request, f);
    store_found_close(&found);
    return rc;
}

/* Copies the latents of one span to its place and marks them as exact. */
static void place(struct engine_known *known, const struct tensor *latent, int at) {
    int64_t n = latent->dim[0];
    ASSERT(at + n <= known->latent.dim[0] && latent->dtype == DTYPE_F32);
    struct tensor to = tensor_rows(&known->latent, at, n),
                  level = tensor_rows(&known->level, at, n);
    ASSERT(tensor_same_shape(&to, latent));
    memcpy(to.data, latent->data, tensor_bytes(latent));
    memset(level.data, 0, tensor_bytes(&level)); /* 0.0f: known and exact */
}

static enum err fetch_span(struct engine_known *known, const struct known_source *s,
                           const struct plan *plan, const struct plan_span *span, struct fail *f) {
    enum err rc = ERR_OK;
    struct tensor latent;
    struct canvas size = {
        .n_frames = 1, .width = plan->canvas.width, .height = plan->canvas.height};
    uint8_t *rgb = mem_take((size_t)size.width * (size_t)size.height, 3);
    ASSERT(span->to == 0 && span->n_frames == 1); /* the only rows that are open in the plan */
    if (!rgb)
        return FAIL(f, ERR_NOMEM, "no memory for a reference of %dx%d", size.width, size.height);
    struct engine_clip clip = {.rgb = rgb, .size = size};
    TRY(fetch_picture(rgb, s, span->asset, &size, f));
    TRY(engine_encode_video(s->engine, &latent, &clip, f));
    place(known, &latent, span->to);
out:
    mem_free(rgb);
    return rc;
}

enum err known_fetch(struct engine_known *out, bool *has_known, const struct known_source *source,
                     const struct plan *plan, struct fail *f) {
    enum err rc = ERR_OK;
    *has_known = plan->n_spans > 0;
    if (!*has_known) return ERR_OK;
    TRY(engine_known_make(source->engine, out, &plan->canvas, f));
    for (int i = 0; i < plan->n_spans; i++)
        TRY(fetch_span(out, source, plan, &plan->span[i], f));
out:
    return rc;
}
