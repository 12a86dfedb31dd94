#include "worker/media/film.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "common/base/mem.h"
#include "worker/media/crop.h"
#include "worker/media/libav.h"

enum { GROW_FRAMES = 64 };

/* A file that is being read. */
struct reading {
    const struct film_opts *opts;
    struct film *film;
    int cap; /* frames that film->rgb has room for */
    AVFormatContext *file;
    AVCodecContext *codec;
    struct SwsContext *scaler;
    AVPacket *packet;
    AVFrame *frame;
    int stream;
    double started_s; /* of the first frame */
};

static size_t frame_bytes(const struct film_opts *o) {
    return (size_t)o->width * (size_t)o->height * 3;
}

static enum err open_stream(struct reading *r, const char *path, struct fail *f) {
    char url[LIBAV_PATH_MAX + 8];
    const AVCodec *codec = NULL;
    snprintf(url, sizeof url, "file:%s", path);
    int n = avformat_open_input(&r->file, url, NULL, NULL);
    if (n >= 0) n = avformat_find_stream_info(r->file, NULL);
    if (n >= 0) n = r->stream = av_find_best_stream(r->file, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    if (n >= 0 && !(r->codec = avcodec_alloc_context3(codec))) n = AVERROR(ENOMEM);
    if (n >= 0) n = avcodec_parameters_to_context(r->codec, r->file->streams[r->stream]->codecpar);
    if (n >= 0) n = avcodec_open2(r->codec, codec, NULL);
    r->packet = av_packet_alloc();
    r->frame = av_frame_alloc();
    if (n < 0) {
        char why[AV_ERROR_MAX_STRING_SIZE];
        return FAIL(f, ERR_MEDIA, "%.160s: no video that can be read: %s", path,
                    av_make_error_string(why, sizeof why, n));
    }
    return r->packet && r->frame ? ERR_OK : FAIL(f, ERR_NOMEM, "media: no memory");
}

/* Room for one more frame. */
static enum err grow(struct reading *r, struct fail *f) {
    if (r->film->n_frames < r->cap) return ERR_OK;
    size_t n = frame_bytes(r->opts);
    uint8_t *more = mem_take((size_t)(r->cap + GROW_FRAMES) * n, 1);
    if (!more) return FAIL(f, ERR_NOMEM, "no memory for %d frames", r->cap + GROW_FRAMES);
    if (r->film->rgb) memcpy(more, r->film->rgb, (size_t)r->film->n_frames * n);
    mem_free(r->film->rgb);
    r->film->rgb = more;
    r->cap += GROW_FRAMES;
    return ERR_OK;
}

static enum err take_picture(struct reading *r, uint8_t *rgb, struct fail *f) {
    AVFrame *p = r->frame;
    const struct film_opts *o = r->opts;
    struct crop c = crop_to_shape(p->width, p->height, o->width, o->height);
    p->crop_left = (size_t)c.x;
    p->crop_top = (size_t)c.y;
    p->crop_right = (size_t)(p->width - c.x - c.width);
    p->crop_bottom = (size_t)(p->height - c.y - c.height);
    if (av_frame_apply_cropping(p, AV_FRAME_CROP_UNALIGNED) < 0)
        return FAIL(f, ERR_MEDIA, "media: a frame cannot be cut to shape");
    r->scaler = sws_getCachedContext(
        r->scaler, p->width, p->height, p->format, o->width, o->height, AV_PIX_FMT_RGB24,
        SWS_LANCZOS | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    if (!r->scaler) return FAIL(f, ERR_MEDIA, "media: a pixel format that is not read");
    uint8_t *dst[4] = {rgb};
    const int stride[4] = {o->width * 3};
    sws_scale(r->scaler, (const uint8_t *const *)p->data, p->linesize, 0, p->height, dst, stride);
    return ERR_OK;
}

/* Puts a decoded frame wherever the asked rate shows it, at first over those that it follows. */
static enum err place_frame(struct reading *r, struct fail *f) {
    enum err rc = ERR_OK;
    struct film *film = r->film;
    size_t n = frame_bytes(r->opts);
    AVRational unit = r->file->streams[r->stream]->time_base;
    double at_s = (double)r->frame->best_effort_timestamp * av_q2d(unit);
    if (film->n_frames == 0) r->started_s = at_s;
    int slot = (int)((at_s - r->started_s) * r->opts->fps + 0.5);
    if (slot >= r->opts->n_max) slot = r->opts->n_max - 1;
    while (film->n_frames > 0 && film->n_frames < slot) { /* what was shown goes on being shown */
        TRY(grow(r, f));
        memcpy(film->rgb + (size_t)film->n_frames * n, film->rgb + (size_t)(film->n_frames - 1) * n,
               n);
        film->n_frames++;
    }
    if (slot < film->n_frames) return ERR_OK;
    TRY(grow(r, f));
    TRY(take_picture(r, film->rgb + (size_t)film->n_frames * n, f));
    film->n_frames++;
out:
    return rc;
}

static enum err read_frames(struct reading *r, struct fail *f) {
    enum err rc = ERR_OK;
    bool is_over = false;
    while (!is_over && r->film->n_frames < r->opts->n_max) {
        is_over = av_read_frame(r->file, r->packet) < 0;
        if (!is_over && r->packet->stream_index != r->stream) {
            av_packet_unref(r->packet);
            continue;
        }
        avcodec_send_packet(r->codec, is_over ? NULL : r->packet);
        av_packet_unref(r->packet);
        while (avcodec_receive_frame(r->codec, r->frame) == 0 &&
               r->film->n_frames < r->opts->n_max) {
            TRY(place_frame(r, f));
            av_frame_unref(r->frame);
        }
    }
out:
    return rc;
}

enum err film_read(struct film *out, const char *path, const struct film_opts *opts,
                   struct fail *f) {
    enum err rc = ERR_OK;
    struct reading r = {.opts = opts, .film = out};
    *out = (struct film){0};
    libav_log_start();
    TRY(open_stream(&r, path, f));
    TRY(read_frames(&r, f));
    if (out->n_frames == 0) TRY(FAIL(f, ERR_MEDIA, "%.160s holds no frame", path));
out:
    av_frame_free(&r.frame);
    av_packet_free(&r.packet);
    sws_freeContext(r.scaler);
    avcodec_free_context(&r.codec);
    avformat_close_input(&r.file);
    if (rc != ERR_OK) {
        mem_free(out->rgb);
        *out = (struct film){0};
    }
    return rc;
}
