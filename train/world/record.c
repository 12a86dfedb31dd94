#include "train/world/record.h"

#include <errno.h>
#include <string.h>

#include "common/base/mem.h"
#include "train/world/caption.h"

enum { TILE = 16, PURPOSE_CAPTION = 0x5ca9 };

/* Four bits at a time: a table of 16 is small enough to read and fast enough beside rendering. */
uint32_t record_crc(uint32_t crc, const void *data, size_t n) {
    static const uint32_t table[16] = {0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC,
                                       0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
                                       0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
                                       0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
    const uint8_t *p = data;
    crc = ~crc;
    while (n--) {
        crc ^= *p++;
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return ~crc;
}

enum err record_make(struct record *r, const struct world_opts *o, struct fail *f) {
    size_t area = (size_t)o->W * (size_t)o->H,
           tiles = (size_t)(o->W / TILE) * (size_t)(o->H / TILE);
    *r =
        (struct record){.n_rgb = area * 3 * (size_t)o->frames, .n_tile = tiles * (size_t)o->frames};
    r->rgb = mem_take(r->n_rgb, 1);
    r->ids = mem_take(area, 1);
    r->tile = mem_take(r->n_tile + 1, 1);
    r->text = mem_take(RECORD_TEXT_MAX, 1);
    if (r->rgb && r->ids && r->tile && r->text) return ERR_OK;
    record_free(r);
    return FAIL(f, ERR_NOMEM, "no memory for %d frames of %dx%d", o->frames, o->W, o->H);
}

void record_free(struct record *r) {
    mem_free(r->rgb);
    mem_free(r->ids);
    mem_free(r->tile);
    mem_free(r->text);
    *r = (struct record){0};
}

static uint8_t most_frequent(const uint8_t *ids, int stride) {
    int count[256] = {0}, best = 0;
    for (int y = 0; y < TILE; y++)
        for (int x = 0; x < TILE; x++)
            count[ids[y * stride + x]]++;
    for (int i = 1; i < 256; i++)
        if (count[i] > count[best]) best = i;
    return (uint8_t)best;
}

static void render_all(struct record *r, const struct scene *s, int has_ids) {
    size_t frame_bytes = (size_t)s->W * s->H * 3;
    uint8_t *tile = r->tile;
    for (int i = 0; i < s->frames; i++) {
        world_render(s, i, r->rgb + (size_t)i * frame_bytes, has_ids ? r->ids : NULL, NULL, NULL);
        for (int y = 0; has_ids && y + TILE <= s->H; y += TILE)
            for (int x = 0; x + TILE <= s->W; x += TILE)
                *tile++ = most_frequent(r->ids + (size_t)y * s->W + (size_t)x, s->W);
    }
}

/* Captions and JSON into r->text; their lengths into the header. Returns all bytes. */
static size_t write_texts(struct record *r, const struct scene *s, struct world_record *h) {
    size_t n = 0, json;
    uint64_t seed = s->seed ^ PURPOSE_CAPTION;
#define CAPTION(kind, lang) \
    (uint32_t)              \
        caption_write(s, CAPTION_##kind, CAPTION_##lang, seed, r->text + n, RECORD_TEXT_MAX - n)
    n += h->n_short_en = CAPTION(SHORT, EN);
    n += h->n_long_en = CAPTION(LONG, EN);
    n += h->n_short_zh = CAPTION(SHORT, ZH);
    n += h->n_long_zh = CAPTION(LONG, ZH);
#undef CAPTION
    json = world_scene_json(s, r->text + n, RECORD_TEXT_MAX - n);
    h->n_json = (uint32_t)json;
    return n + json;
}

enum err record_write(struct record *r, FILE *out, uint64_t seed, const struct world_opts *o,
                      int has_ids, struct fail *f) {
    enum err rc = ERR_OK;
    struct scene s;
    struct world_record h = {.magic = {'M', 'W', 'L', 'D'}, .version = WORLD_RECORD_VERSION};
    size_t n_text;
    TRY(world_scene_make(&s, seed, o, f));
    render_all(r, &s, has_ids);
    h.seed = seed;
    h.W = s.W;
    h.H = s.H;
    h.frames = s.frames;
    h.channels = 3;
    h.fps = s.fps;
    h.n_rgb = (uint32_t)r->n_rgb;
    h.rgb_crc = record_crc(0, r->rgb, r->n_rgb);
    h.n_ids = has_ids ? (uint32_t)r->n_tile : 0;
    n_text = write_texts(r, &s, &h);
    if (fwrite(&h, sizeof h, 1, out) != 1 || fwrite(r->rgb, 1, r->n_rgb, out) != r->n_rgb ||
        fwrite(r->text, 1, n_text, out) != n_text || fwrite(r->tile, 1, h.n_ids, out) != h.n_ids)
        rc = FAIL(f, ERR_IO, "the reader of the records is gone: %s", strerror(errno));
out:
    return rc;
}
