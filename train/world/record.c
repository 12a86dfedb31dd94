#include "train/world/record.h"

#include <errno.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/words/caption.h"

enum { TILE = 16 };

/* Eight bytes at a time. The tables are made anew for every sum: that is nothing beside a clip. */
uint32_t record_crc(uint32_t crc, const void *data, size_t n) {
    uint32_t table[8][256];
    const uint8_t *p = data;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = (c >> 1) ^ (c & 1 ? 0xEDB88320u : 0);
        table[0][i] = c;
    }
    for (int k = 1; k < 8; k++)
        for (uint32_t i = 0; i < 256; i++)
            table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 255];
    crc = ~crc;
    for (; n >= 8; n -= 8, p += 8) {
        uint32_t lo = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                             (uint32_t)p[3] << 24);
        crc = table[7][lo & 255] ^ table[6][lo >> 8 & 255] ^ table[5][lo >> 16 & 255] ^
              table[4][lo >> 24] ^ table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^
              table[0][p[7]];
    }
    for (; n; n--, p++)
        crc = (crc >> 8) ^ table[0][(crc ^ *p) & 255];
    return ~crc;
}

enum err record_make(struct record *r, const struct world_opts *o, struct fail *f) {
    size_t area = (size_t)o->W * (size_t)o->H,
           tiles = (size_t)(o->W / TILE) * (size_t)(o->H / TILE);
    *r =
        (struct record){.n_rgb = area * 3 * (size_t)o->frames, .n_tile = tiles * (size_t)o->frames};
    r->rgb = mem_take(r->n_rgb, 1);
    r->ids = mem_take(area, 1);
    r->depth = mem_take(area, sizeof *r->depth);
    r->flow = mem_take(area, 2 * sizeof *r->flow);
    r->tile_id = mem_take(r->n_tile + 1, 1);
    r->tile_near = mem_take(r->n_tile + 1, sizeof *r->tile_near);
    r->tile_flow = mem_take(r->n_tile + 1, 2 * sizeof *r->tile_flow);
    r->text = mem_take(RECORD_TEXT_MAX, 1);
    if (r->rgb && r->ids && r->depth && r->flow && r->tile_id && r->tile_near && r->tile_flow &&
        r->text)
        return ERR_OK;
    record_free(r);
    return FAIL(f, ERR_NOMEM, "no memory for %d frames of %dx%d", o->frames, o->W, o->H);
}

void record_free(struct record *r) {
    mem_free(r->rgb);
    mem_free(r->ids);
    mem_free(r->depth);
    mem_free(r->flow);
    mem_free(r->tile_id);
    mem_free(r->tile_near);
    mem_free(r->tile_flow);
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

static float mean_near(const float *depth, int stride) {
    float sum = 0;
    for (int y = 0; y < TILE; y++)
        for (int x = 0; x < TILE; x++) {
            float far = depth[y * stride + x];
            sum += far < WORLD_DEPTH_FAR ? 1 / far : 0;
        }
    return sum / (TILE * TILE);
}

static void mean_flow(const float *flow, int stride, float out[2]) {
    out[0] = out[1] = 0;
    for (int y = 0; y < TILE; y++)
        for (int x = 0; x < TILE; x++)
            for (int k = 0; k < 2; k++)
                out[k] += flow[2 * (y * stride + x) + k] / (TILE * TILE);
}

static void render_all(struct record *r, const struct scene *s, const struct record_opts *o) {
    size_t frame_bytes = (size_t)s->W * s->H * 3, n = 0;
    for (int i = 0; i < s->frames; i++) {
        world_render(s, i, r->rgb + (size_t)i * frame_bytes, o->has_ids ? r->ids : NULL,
                     o->has_depth ? r->depth : NULL, o->has_flow ? r->flow : NULL);
        for (int y = 0; y + TILE <= s->H; y += TILE)
            for (int x = 0; x + TILE <= s->W; x += TILE, n++) {
                size_t at = (size_t)y * s->W + (size_t)x;
                if (o->has_ids) r->tile_id[n] = most_frequent(r->ids + at, s->W);
                if (o->has_depth) r->tile_near[n] = mean_near(r->depth + at, s->W);
                if (o->has_flow) mean_flow(r->flow + 2 * at, s->W, r->tile_flow + 2 * n);
            }
    }
}

/* Captions and JSON into r->text; their lengths into the header. Returns all bytes. */
static size_t write_texts(struct record *r, const struct scene *s, struct world_record *h) {
    size_t n = 0, json;
    uint64_t seed = s->seed ^ RECORD_CAPTION_SALT;
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
                      const struct record_opts *opts, struct fail *f) {
    enum err rc = ERR_OK;
    struct scene s;
    struct world_record h = {
        .magic = {'M', 'W', 'L', 'D'}, .version = WORLD_RECORD_VERSION, .world = WORLD_VERSION};
    size_t n_text;
    TRY(world_scene_make(&s, seed, o, f));
    world_scene_turn(&s, opts->turn);
    render_all(r, &s, opts);
    h.seed = seed;
    h.W = s.W;
    h.H = s.H;
    h.frames = s.frames;
    h.channels = 3;
    h.fps = s.fps;
    h.n_rgb = (uint32_t)r->n_rgb;
    h.rgb_crc = record_crc(0, r->rgb, r->n_rgb);
    h.n_ids = opts->has_ids ? (uint32_t)r->n_tile : 0;
    h.n_near = opts->has_depth ? (uint32_t)(r->n_tile * sizeof *r->tile_near) : 0;
    h.n_flow = opts->has_flow ? (uint32_t)(r->n_tile * 2 * sizeof *r->tile_flow) : 0;
    n_text = write_texts(r, &s, &h);
    if (fwrite(&h, sizeof h, 1, out) != 1 || fwrite(r->rgb, 1, r->n_rgb, out) != r->n_rgb ||
        fwrite(r->text, 1, n_text, out) != n_text ||
        fwrite(r->tile_id, 1, h.n_ids, out) != h.n_ids ||
        fwrite(r->tile_near, 1, h.n_near, out) != h.n_near ||
        fwrite(r->tile_flow, 1, h.n_flow, out) != h.n_flow)
        rc = FAIL(f, ERR_IO, "the reader of the records is gone: %s", strerror(errno));
out:
    return rc;
}
