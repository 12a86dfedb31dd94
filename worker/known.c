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

static enum err fetch_span(struct known *k, const struct known_source *s, const struct plan *plan,
                           int i, struct fail *f) {
    const struct plan_span *span = &plan->span[i];
    struct canvas size = {
        .n_frames = 1, .width = plan->canvas.width, .height = plan->canvas.height};
    ASSERT(span->n_frames == 1); /* the only rows that are open in the plan */
    k->rgb[i] = mem_take((size_t)size.width * (size_t)size.height, 3);
    if (!k->rgb[i])
        return FAIL(f, ERR_NOMEM, "no memory for a reference of %dx%d", size.width, size.height);
    k->span[i] = (struct engine_span){.clip = {k->rgb[i], size}, .at = span->to};
    return fetch_picture(k->rgb[i], s, span->asset, &size, f);
}

enum err known_fetch(struct known *out, const struct known_source *source, const struct plan *plan,
                     struct fail *f) {
    enum err rc = ERR_OK;
    *out = (struct known){.given = {.n_spans = plan->n_spans}};
    out->given.span = out->span;
    for (int i = 0; i < plan->n_spans; i++)
        TRY(fetch_span(out, source, plan, i, f));
out:
    return rc;
}

void known_free(struct known *k) {
    for (int i = 0; i < PLAN_SPANS_MAX; i++)
        mem_free(k->rgb[i]);
    memset(k, 0, sizeof *k);
}
