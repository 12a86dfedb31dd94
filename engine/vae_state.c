#include "engine/vae_state.h"

#include <string.h>

#include "common/base/assert.h"

enum { STATE_MAGIC = 0x31454156 }; /* "VAE1" */

struct state_head {
    uint32_t magic, direction;
    int64_t n_latents, n_caches;
};

struct state_cache {
    int32_t dtype, oldest;
    int64_t dim[4];
};

size_t vae_state_bytes(const struct vae_stream *s) {
    size_t n = sizeof(struct state_head);
    for (int i = 0; i < s->run.net->n_slots; i++)
        n += sizeof(struct state_cache) + tensor_bytes(&s->run.cache[i]);
    return n;
}

static struct state_head head_of(const struct vae_stream *s) {
    return (struct state_head){.magic = STATE_MAGIC,
                               .direction = (uint32_t)s->direction,
                               .n_latents = s->n_latents,
                               .n_caches = s->run.net->n_slots};
}

static struct state_cache cache_of(const struct vae_stream *s, int slot) {
    const struct tensor *t = &s->run.cache[slot];
    struct state_cache c = {.dtype = (int32_t)t->dtype, .oldest = s->run.oldest[slot]};
    for (int i = 0; i < t->n_dims; i++)
        c.dim[i] = t->dim[i];
    return c;
}

void vae_state_save(const struct vae_stream *s, void *host) {
    char *to = host;
    struct state_head head = head_of(s);
    memcpy(to, &head, sizeof head);
    to += sizeof head;
    for (int i = 0; i < s->run.net->n_slots; i++) {
        struct state_cache c = cache_of(s, i);
        memcpy(to, &c, sizeof c);
        op_download(s->vae->dev, to + sizeof c, &s->run.cache[i]);
        to += sizeof c + tensor_bytes(&s->run.cache[i]);
    }
}

/* All caches are looked at before the first one is written. */
static enum err check(const struct vae_stream *s, const char *from, size_t bytes, struct fail *f) {
    struct state_head head, want = head_of(s);
    if (bytes != vae_state_bytes(s))
        return FAIL(f, ERR_INPUT, "the state of the VAE has %zu bytes, this stream needs %zu",
                    bytes, vae_state_bytes(s));
    memcpy(&head, from, sizeof head);
    if (head.magic != want.magic || head.direction != want.direction || head.n_latents < 0 ||
        head.n_caches != want.n_caches)
        return FAIL(f, ERR_INPUT, "these bytes are not the state of such a VAE stream");
    from += sizeof head;
    for (int i = 0; i < s->run.net->n_slots; i++) {
        struct state_cache c, mine = cache_of(s, i);
        memcpy(&c, from, sizeof c);
        bool fits = c.dtype == mine.dtype && memcmp(c.dim, mine.dim, sizeof c.dim) == 0;
        if (!fits || c.oldest < 0 || c.oldest >= c.dim[0])
            return FAIL(f, ERR_INPUT,
                        "cache %d of the state of the VAE is of another shape or precision", i);
        from += sizeof c + tensor_bytes(&s->run.cache[i]);
    }
    return ERR_OK;
}

enum err vae_state_restore(struct vae_stream *s, const void *host, size_t bytes, struct fail *f) {
    enum err rc = ERR_OK;
    const char *from = host;
    struct state_head head;

    TRY(check(s, from, bytes, f));
    memcpy(&head, from, sizeof head);
    from += sizeof head;
    for (int i = 0; i < s->run.net->n_slots; i++) {
        struct state_cache c;
        memcpy(&c, from, sizeof c);
        op_upload(s->vae->dev, &s->run.cache[i], from + sizeof c);
        s->run.oldest[i] = c.oldest;
        from += sizeof c + tensor_bytes(&s->run.cache[i]);
    }
    s->n_latents = head.n_latents;
    s->run.is_first = head.n_latents == 0;
out:
    return rc;
}
