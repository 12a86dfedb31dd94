#include "worker/clip.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/crop.h"
#include "common/base/mem.h"
#include "common/base/sha256.h"
#include "worker/media/encode.h"
#include "worker/media/probe.h"
#include "worker/media/scale.h"
#include "worker/media/sheet.h"
#include "worker/media/still.h"
#include "worker/seam.h"
#include "worker/spool.h"

enum { PATH_SIZE = 1100, THUMBNAIL_SIDE_MAX = 640, CHUNK = 1 << 16 };

static const char *const types[RECEIPT_VARIANT_COUNT] = {
    [RECEIPT_THUMBNAIL] = "image/webp",
    [RECEIPT_SPRITESHEET] = "image/webp",
};

struct clip {
    const struct plan *plan;
    struct encode *video;
    struct sheet *sheet;
    struct scale *scale; /* from the canvas to the result, where both kinds of frames meet */
    int width, height;   /* of the frames that go into the encoder */
    struct seam seam;    /* of a loop */
    int n_seen;
    char path[RECEIPT_VARIANT_COUNT][PATH_SIZE];
};

static bool has_source_pieces(const struct plan *p) {
    for (int i = 0; i < p->task.n_pieces; i++)
        if (p->task.piece[i].asset != TASK_CANVAS) return true;
    return false;
}

/* A still, not a clip: one file and its thumbnail. */
static bool is_picture(const struct plan *p) {
    return p->format == JOB_PNG || p->format == JOB_WEBP;
}

/* Frames of sources keep their pixels, so what was rendered is scaled before it joins them. */
static enum err open_scale(struct clip *c, struct fail *f) {
    const struct plan *p = c->plan;
    const struct scale_opts o = {p->canvas.width, p->canvas.height, p->out_width, p->out_height};
    bool needs_size = has_source_pieces(p) || is_picture(p);
    bool is_same = p->canvas.width == p->out_width && p->canvas.height == p->out_height;
    c->width = p->canvas.width;
    c->height = p->canvas.height;
    if (is_same || !needs_size) return ERR_OK;
    c->width = p->out_width;
    c->height = p->out_height;
    return scale_open(&c->scale, &o, f);
}

enum err clip_open(struct clip **out, const char *dir, const struct plan *plan, int crf,
                   struct fail *f) {
    enum err rc = ERR_OK;
    struct clip *c = mem_take(1, sizeof(*c));
    *out = NULL;
    if (!c) return FAIL(f, ERR_NOMEM, "clip: no memory");
    c->plan = plan;
    for (int i = 0; i < RECEIPT_VARIANT_COUNT; i++)
        snprintf(c->path[i], PATH_SIZE, "%s/%s", dir, spool_file_name((enum receipt_variant)i));
    TRY(open_scale(c, f));
    struct encode_opts video = {.width = c->width,
                                .height = c->height,
                                .out_width = plan->out_width,
                                .out_height = plan->out_height,
                                .fps_num = plan->out_fps,
                                .fps_den = 1,
                                .crf = crf > 0 ? crf : 0,
                                .preset = "faster"};
    struct sheet_opts sheet = {.width = c->width,
                               .height = c->height,
                               .out_width = plan->out_width,
                               .out_height = plan->out_height,
                               .n_frames = plan->n_out_frames};
    if (!is_picture(plan)) {
        TRY(encode_open(&c->video, c->path[RECEIPT_VIDEO], &video, f));
        TRY(sheet_open(&c->sheet, &sheet, f));
    }
    if (plan->is_ring || plan->kind == TASK_LOOP)
        TRY(seam_make(&c->seam, (size_t)c->width * (size_t)c->height * 3, f));
    *out = c;
out:
    if (rc != ERR_OK) clip_drop(c);
    return rc;
}

static enum err write_thumbnail(const struct clip *c, const uint8_t *rgb, struct fail *f) {
    struct crop_size size =
        crop_to_side(c->plan->out_width, c->plan->out_height, THUMBNAIL_SIDE_MAX);
    struct still s = {.rgb = rgb,
                      .width = c->width,
                      .height = c->height,
                      .out_width = size.width,
                      .out_height = size.height};
    return still_write_webp(c->path[RECEIPT_THUMBNAIL], &s, f);
}

static enum err write_picture(const struct clip *c, const uint8_t *rgb, struct fail *f) {
    const struct still s = {.rgb = rgb,
                            .width = c->width,
                            .height = c->height,
                            .out_width = c->width,
                            .out_height = c->height};
    return c->plan->format == JOB_PNG ? still_write_png(c->path[RECEIPT_VIDEO], &s, f)
                                      : still_write_webp(c->path[RECEIPT_VIDEO], &s, f);
}

/* One frame of the result. */
static enum err add_frame(struct clip *c, const uint8_t *rgb, struct fail *f) {
    enum err rc = ERR_OK;
    size_t stride = (size_t)c->width * 3;
    if (c->n_seen >= c->plan->n_out_frames)
        return FAIL(f, ERR_BUG, "clip: more than the %d planned frames", c->plan->n_out_frames);
    if (is_picture(c->plan)) {
        TRY(write_picture(c, rgb, f));
    } else {
        TRY(encode_frame(c->video, rgb, stride, f));
        TRY(sheet_frame(c->sheet, rgb, stride, f));
    }
    if (c->n_seen == c->plan->n_out_frames / 2) TRY(write_thumbnail(c, rgb, f));
    seam_frame(&c->seam, rgb);
    c->n_seen++;
out:
    return rc;
}

enum err clip_frame(struct clip *c, const uint8_t *rgb, int n_copies, struct fail *f) {
    enum err rc = ERR_OK;
    if (n_copies > 0 && c->scale) rgb = scale_frame(c->scale, rgb);
    for (int i = 0; i < n_copies; i++)
        TRY(add_frame(c, rgb, f));
out:
    return rc;
}

enum err clip_out_frame(struct clip *c, const uint8_t *rgb, struct fail *f) {
    ASSERT(c->width == c->plan->out_width && c->height == c->plan->out_height);
    return add_frame(c, rgb, f);
}

static enum err describe(const struct clip *c, struct receipt_object *out, enum receipt_variant v,
                         struct fail *f) {
    const char *path = c->path[v];
    struct sha256 h;
    unsigned char digest[SHA256_BYTES];
    char chunk[CHUNK];
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return FAIL(f, ERR_IO, "clip: cannot read %s", path);
    *out = (struct receipt_object){0};
    sha256_start(&h);
    while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
        sha256_add(&h, chunk, (size_t)n);
        out->n_bytes += n;
    }
    close(fd);
    if (n < 0) return FAIL(f, ERR_IO, "clip: cannot read %s", path);
    sha256_end(&h, digest);
    sha256_to_hex(digest, out->sha256);
    snprintf(out->key, sizeof(out->key), "%s", spool_file_name(v));
    snprintf(out->type, sizeof(out->type), "%s",
             v == RECEIPT_VIDEO ? job_format_type(c->plan->format) : types[v]);
    return ERR_OK;
}

/* What we wrote must be what we promised; a client sees only what passed here. */
static enum err check_video(const struct clip *c, struct fail *f) {
    struct probe p;
    enum err rc = probe_mp4(&p, c->path[RECEIPT_VIDEO], f);
    if (rc != ERR_OK) return rc;
    if (p.n_frames != c->plan->n_out_frames || p.width != c->plan->out_width ||
        p.height != c->plan->out_height || !p.is_moov_first || !p.is_h264 || !p.is_yuv420p)
        return FAIL(f, ERR_CORRUPT,
                    "clip: the mp4 has %d frames of %dx%d, %d of %dx%d were planned", p.n_frames,
                    p.width, p.height, c->plan->n_out_frames, c->plan->out_width,
                    c->plan->out_height);
    return ERR_OK;
}

static void release(struct clip *c) {
    encode_drop(c->video);
    sheet_drop(c->sheet);
    scale_close(c->scale);
    seam_free(&c->seam);
    mem_free(c);
}

static enum err end_video(struct clip *c, struct fail *f) {
    struct encode *video = c->video;
    c->video = NULL;
    return encode_close(video, f);
}

static enum err end_sheet(struct clip *c, struct fail *f) {
    struct sheet *sheet = c->sheet;
    c->sheet = NULL;
    return sheet_close(sheet, c->path[RECEIPT_SPRITESHEET], f);
}

enum err clip_close(struct clip *c, struct receipt *out, struct fail *f) {
    enum err rc = ERR_OK;
    if (c->n_seen != c->plan->n_out_frames) {
        rc = FAIL(f, ERR_BUG, "clip: %d of %d frames came", c->n_seen, c->plan->n_out_frames);
        goto out;
    }
    bool is_still = is_picture(c->plan);
    if (!is_still) {
        TRY(end_video(c, f));
        TRY(end_sheet(c, f));
        TRY(check_video(c, f));
    }
    for (int i = 0; i < RECEIPT_VARIANT_COUNT; i++)
        if (!is_still || i != RECEIPT_SPRITESHEET)
            TRY(describe(c, &out->objects[i], (enum receipt_variant)i, f));
    struct seam_result seam = seam_end(&c->seam);
    out->seam_error = seam.error;
    out->seam_usual = seam.usual;
    out->width = c->plan->out_width;
    out->height = c->plan->out_height;
    out->fps = c->plan->out_fps;
    out->num_frames = c->plan->n_out_frames;
out:
    if (rc == ERR_OK)
        release(c);
    else
        clip_drop(c);
    return rc;
}

void clip_drop(struct clip *c) {
    if (!c) return;
    for (int i = 0; i < RECEIPT_VARIANT_COUNT; i++)
        unlink(c->path[i]);
    release(c);
}
