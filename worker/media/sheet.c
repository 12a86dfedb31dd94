#include "worker/media/sheet.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/crop.h"
#include "common/base/mem.h"
#include "worker/media/libav.h"
#include "worker/media/still.h"

enum { COLUMNS_MAX = 5 };

struct sheet {
    struct sheet_opts opts;
    struct crop crop;
    struct crop_size tile;
    int n_tiles, n_columns, n_rows;
    int n_seen, n_taken;
    struct SwsContext *sws; /* RGB to RGB, frame to tile */
    uint8_t *grid;          /* [n_rows * tile.height][n_columns * tile.width][3] */
};

static int columns_of(int n_tiles) {
    int n = 1;
    while (n < COLUMNS_MAX && n * n < n_tiles)
        n++;
    return n;
}

/* The frame that tile i shows: first and last frame are always there. */
static int frame_of(const struct sheet *s, int tile) {
    if (s->n_tiles == 1) return 0;
    return (int)((int64_t)tile * (s->opts.n_frames - 1) / (s->n_tiles - 1));
}

enum err sheet_open(struct sheet **out, const struct sheet_opts *opts, struct fail *f) {
    ASSERT(opts->n_frames > 0 && opts->width > 0 && opts->height > 0);
    struct sheet *s = mem_take(1, sizeof(*s));
    *out = NULL;
    if (!s) return FAIL(f, ERR_NOMEM, "media: no memory for a sheet");
    s->opts = *opts;
    s->n_tiles = opts->n_frames < SHEET_TILES_MAX ? opts->n_frames : SHEET_TILES_MAX;
    s->n_columns = columns_of(s->n_tiles);
    s->n_rows = (s->n_tiles + s->n_columns - 1) / s->n_columns;
    s->tile = crop_to_side(opts->out_width, opts->out_height, SHEET_TILE_SIDE_MAX);
    s->crop = crop_to_shape(opts->width, opts->height, s->tile.width, s->tile.height);
    s->grid = mem_take((size_t)s->n_columns * (size_t)s->n_rows,
                       (size_t)s->tile.width * (size_t)s->tile.height * 3);
    s->sws = sws_getContext(s->crop.width, s->crop.height, AV_PIX_FMT_RGB24, s->tile.width,
                            s->tile.height, AV_PIX_FMT_RGB24,
                            SWS_LANCZOS | SWS_ACCURATE_RND | SWS_BITEXACT, NULL, NULL, NULL);
    if (!s->grid || !s->sws) {
        sheet_drop(s);
        return FAIL(f, ERR_NOMEM, "media: no memory for a sheet");
    }
    *out = s;
    return ERR_OK;
}

static void take_tile(struct sheet *s, int tile, const uint8_t *rgb, size_t stride) {
    size_t grid_stride = (size_t)s->n_columns * (size_t)s->tile.width * 3;
    uint8_t *at = s->grid + (size_t)(tile / s->n_columns) * (size_t)s->tile.height * grid_stride +
                  (size_t)(tile % s->n_columns) * (size_t)s->tile.width * 3;
    const uint8_t *src[4] = {rgb + (size_t)s->crop.y * stride + (size_t)s->crop.x * 3};
    const int src_stride[4] = {(int)stride}, dst_stride[4] = {(int)grid_stride};
    uint8_t *dst[4] = {at};
    sws_scale(s->sws, src, src_stride, 0, s->crop.height, dst, dst_stride);
}

enum err sheet_frame(struct sheet *s, const uint8_t *rgb, size_t stride, struct fail *f) {
    if (s->n_seen >= s->opts.n_frames)
        return FAIL(f, ERR_BUG, "media: more than the %d frames promised", s->opts.n_frames);
    while (s->n_taken < s->n_tiles && frame_of(s, s->n_taken) == s->n_seen)
        take_tile(s, s->n_taken++, rgb, stride);
    s->n_seen++;
    return ERR_OK;
}

enum err sheet_close(struct sheet *s, const char *path, struct fail *f) {
    int width = s->n_columns * s->tile.width, height = s->n_rows * s->tile.height;
    struct still still = {
        .rgb = s->grid, .width = width, .height = height, .out_width = width, .out_height = height};
    enum err rc = still_write_webp(path, &still, f);
    sheet_drop(s);
    return rc;
}

void sheet_drop(struct sheet *s) {
    if (!s) return;
    sws_freeContext(s->sws);
    mem_free(s->grid);
    mem_free(s);
}
