#include "worker/footage.h"

#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/decode.h"

static enum err find(const struct footage *s, struct store_found *found,
                     const struct job_asset *asset, struct fail *f) {
    char key[STORE_KEY_MAX + 1];
    store_upload_key(key, asset->sha256, asset->type);
    enum err rc = store_find(s->store, found, asset->key[0] ? asset->key : key, f);
    if (rc != ERR_NOT_FOUND) return rc;
    if (asset->video_id[0])
        return FAIL(f, ERR_MEDIA, "the file of %s is no longer stored", asset->video_id);
    return FAIL(f, ERR_MEDIA, "the reference file is no longer stored");
}

static struct decode_request request_of(const struct footage *s, int fd,
                                        const struct footage_want *want) {
    return (struct decode_request){.program = s->decode_program,
                                   .fd = fd,
                                   .kind = DECODE_VIDEO,
                                   .width = want->width,
                                   .height = want->height,
                                   .fps = want->fps,
                                   .from = want->from,
                                   .n_max = want->n_max,
                                   .is_cancelled = s->is_cancelled,
                                   .ctx = s->ctx};
}

/* The same words are said once, however often a file is read. */
static void note(struct footage *s, const struct decode_facts *facts) {
    for (int i = 0; i < facts->n_warnings; i++) {
        bool is_known = s->n_notes == FOOTAGE_NOTES_MAX;
        for (int k = 0; k < s->n_notes; k++)
            if (strncmp(s->note[k], facts->warning[i], FOOTAGE_NOTE_SIZE - 1) == 0) is_known = true;
        if (is_known) continue;
        snprintf(s->note[s->n_notes++], FOOTAGE_NOTE_SIZE, "%s", facts->warning[i]);
    }
}

enum err footage_learn(struct footage *from, struct job_asset *asset, struct fail *f) {
    struct store_found found;
    struct decode_facts facts = {0};
    if (asset->width > 0) return ERR_OK;
    enum err rc = find(from, &found, asset, f);
    if (rc != ERR_OK) return rc;
    struct decode_request request = request_of(from, found.fd, &(struct footage_want){0});
    rc = decode_probe(&facts, &request, f);
    store_found_close(&found);
    if (rc != ERR_OK) return rc;
    asset->width = facts.width;
    asset->height = facts.height;
    asset->fps = facts.fps;
    asset->n_frames = facts.n_frames;
    return ERR_OK;
}

enum err footage_picture(struct footage *from, uint8_t *rgb, const struct job_asset *asset,
                         int width, int height, struct fail *f) {
    struct store_found found;
    struct decode_facts facts = {0};
    enum err rc = find(from, &found, asset, f);
    if (rc != ERR_OK) return rc;
    struct decode_request request =
        request_of(from, found.fd, &(struct footage_want){.width = width, .height = height});
    /* A clip stands for its first frame. */
    request.kind = strncmp(asset->type, "video/", 6) == 0 ? DECODE_VIDEO : DECODE_IMAGE;
    request.facts = &facts;
    rc = decode_image(rgb, &request, f);
    if (rc == ERR_OK) note(from, &facts);
    store_found_close(&found);
    return rc;
}

enum err footage_read(struct footage *from, struct footage_clip *out, const struct job_asset *asset,
                      const struct footage_want *want, struct fail *f) {
    struct store_found found;
    struct decode_clip clip = {0};
    *out = (struct footage_clip){0};
    enum err rc = find(from, &found, asset, f);
    if (rc != ERR_OK) return rc;
    struct decode_request request = request_of(from, found.fd, want);
    rc = decode_clip(&clip, &request, FOOTAGE_BYTES_MAX, f);
    store_found_close(&found);
    if (rc != ERR_OK) return rc;
    note(from, &clip.facts);
    /* A file's head may promise more frames than come: what came counts. */
    int skipped = want->from < 0 ? clip.facts.n_frames - clip.n_frames : want->from;
    out->rgb = clip.rgb;
    out->n_frames = clip.n_frames;
    out->first = skipped > 0 ? skipped : 0;
    out->n_whole = clip.facts.n_frames;
    if (out->n_whole < out->first + out->n_frames) out->n_whole = out->first + out->n_frames;
    return ERR_OK;
}

enum err footage_each(struct footage *from, const struct job_asset *asset,
                      const struct footage_want *want, footage_frame_fn each, void *ctx,
                      struct fail *f) {
    struct store_found found;
    struct decode *d = NULL;
    uint8_t *rgb = mem_take((size_t)want->width * (size_t)want->height, 3);
    enum err rc = rgb ? find(from, &found, asset, f) : FAIL(f, ERR_NOMEM, "no memory for a frame");
    bool is_over = false, has_frame = false;
    if (rc != ERR_OK) {
        mem_free(rgb);
        return rc;
    }
    struct decode_request request = request_of(from, found.fd, want);
    rc = decode_open(&d, &request, f);
    for (int i = 0; rc == ERR_OK && i < want->n_max; i++) {
        if (!is_over) rc = decode_frame(d, rgb, &is_over, f);
        if (rc == ERR_OK && is_over && !has_frame)
            rc = FAIL(f, ERR_MEDIA, "the clip has no frame %d", want->from);
        has_frame = true;
        if (rc == ERR_OK) rc = each(ctx, rgb, f);
    }
    decode_close(d);
    store_found_close(&found);
    mem_free(rgb);
    return rc;
}
