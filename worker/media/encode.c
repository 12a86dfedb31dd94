/* encode.c - see encode.h. Written to libavcodec 59 (FFmpeg 5.1). */
#include "worker/media/encode.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>

#include "common/base/assert.h"
#include "common/base/crop.h"
#include "common/base/mem.h"
#include "worker/media/libav.h"

enum {
    CRF_DEFAULT = 17,
    THREADS = 2, /* fixed: x264's output depends on it */
    SIDE_MIN = 16,
    SIDE_MAX = 4096,
    GOP_SECONDS = 2, /* a player can seek that finely */
};

struct encode {
    AVFormatContext *mux;
    AVCodecContext *codec;
    AVStream *stream;
    struct SwsContext *sws;
    AVFrame *frame;
    AVPacket *packet;
    struct crop crop;
    int64_t n_frames;
    char path[LIBAV_PATH_MAX];
};

static enum err check_opts(const struct encode_opts *o, struct fail *f) {
    int sides[] = {o->width, o->height, o->out_width, o->out_height};
    for (int i = 0; i < COUNT_OF(sides); i++)
        if (sides[i] < SIDE_MIN || sides[i] > SIDE_MAX)
            return FAIL(f, ERR_INPUT, "encode: a side of %d pixels, %d to %d are possible",
                        sides[i], SIDE_MIN, SIDE_MAX);
    if (o->out_width % 2 || o->out_height % 2)
        return FAIL(f, ERR_INPUT, "encode: %dx%d is not even", o->out_width, o->out_height);
    if (o->fps_num < 1 || o->fps_den < 1 || o->fps_num > 240 * o->fps_den)
        return FAIL(f, ERR_INPUT, "encode: %d/%d frames per second", o->fps_num, o->fps_den);
    return ERR_OK;
}

static enum err open_codec(struct encode *e, const struct encode_opts *o, struct fail *f) {
    const AVCodec *x264 = avcodec_find_encoder_by_name("libx264");
    if (!x264) return FAIL(f, ERR_UNSUPPORTED, "encode: this FFmpeg has no libx264");
    AVCodecContext *c = e->codec = avcodec_alloc_context3(x264);
    if (!c) return FAIL(f, ERR_NOMEM, "encode: no memory");
    c->width = o->out_width;
    c->height = o->out_height;
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->time_base = (AVRational){o->fps_den, o->fps_num};
    c->framerate = (AVRational){o->fps_num, o->fps_den};
    c->sample_aspect_ratio = (AVRational){1, 1};
    c->gop_size = GOP_SECONDS * o->fps_num / o->fps_den;
    if (c->gop_size < 1) c->gop_size = 1;
    c->thread_count = THREADS;
    c->color_range = AVCOL_RANGE_MPEG;
    c->color_primaries = AVCOL_PRI_BT709;
    c->color_trc = AVCOL_TRC_BT709;
    c->colorspace = AVCOL_SPC_BT709;
    c->flags |= AV_CODEC_FLAG_BITEXACT | AV_CODEC_FLAG_GLOBAL_HEADER;
    int crf = o->crf > 0 ? o->crf : CRF_DEFAULT;
    const char *preset = o->preset ? o->preset : "medium";
    av_opt_set(c->priv_data, "preset", preset, 0);
    av_opt_set_int(c->priv_data, "crf", crf, 0);
    int n = avcodec_open2(c, x264, NULL); /* looks at preset and crf only now */
    if (n == AVERROR(EINVAL))
        return FAIL(f, ERR_INPUT, "encode: preset %s with crf %d is not possible", preset, crf);
    return n < 0 ? libav_fail(f, ERR_IO, n, "open the H.264 encoder") : ERR_OK;
}

static enum err open_mux(struct encode *e, struct fail *f) {
    char url[LIBAV_PATH_MAX + 8];
    snprintf(url, sizeof(url), "file:%s", e->path);
    int n = avformat_alloc_output_context2(&e->mux, NULL, "mp4", url);
    if (n < 0) return libav_fail(f, ERR_IO, n, "make the mp4 writer");
    e->mux->flags |= AVFMT_FLAG_BITEXACT;
    e->stream = avformat_new_stream(e->mux, NULL);
    if (!e->stream) return FAIL(f, ERR_NOMEM, "encode: no memory");
    e->stream->time_base = e->codec->time_base;
    e->stream->avg_frame_rate = e->codec->framerate;
    if ((n = avcodec_parameters_from_context(e->stream->codecpar, e->codec)) < 0)
        return libav_fail(f, ERR_IO, n, "describe the stream");
    if ((n = avio_open(&e->mux->pb, url, AVIO_FLAG_WRITE)) < 0)
        return libav_fail(f, n == AVERROR(ENOSPC) ? ERR_DISK : ERR_IO, n, e->path);
    AVDictionary *opts = NULL;
    av_dict_set(&opts, "movflags", "+faststart", 0);
    n = avformat_write_header(e->mux, &opts);
    av_dict_free(&opts);
    return n < 0 ? libav_fail(f, ERR_IO, n, "write the mp4 header") : ERR_OK;
}

static enum err open_frames(struct encode *e, const struct encode_opts *o, struct fail *f) {
    e->packet = av_packet_alloc();
    e->frame = libav_frame(o->out_width, o->out_height);
    if (!e->packet || !e->frame) return FAIL(f, ERR_NOMEM, "encode: no memory");
    e->crop = crop_to_shape(o->width, o->height, o->out_width, o->out_height);
    e->sws =
        libav_scaler(e->crop.width, e->crop.height, o->out_width, o->out_height, LIBAV_MATRIX_709);
    return e->sws ? ERR_OK : FAIL(f, ERR_NOMEM, "encode: no scaler");
}

enum err encode_open(struct encode **out, const char *path, const struct encode_opts *opts,
                     struct fail *f) {
    enum err rc = ERR_OK;
    struct encode_opts o = *opts;
    struct encode *e = NULL;
    if (o.out_width == 0) o.out_width = o.width;
    if (o.out_height == 0) o.out_height = o.height;
    *out = NULL;
    libav_log_start();

    TRY(check_opts(&o, f));
    if (strlen(path) >= LIBAV_PATH_MAX) return FAIL(f, ERR_LIMIT, "encode: the path is too long");
    e = mem_take(1, sizeof(*e));
    if (!e) return FAIL(f, ERR_NOMEM, "encode: no memory");
    memcpy(e->path, path, strlen(path) + 1);
    TRY(open_codec(e, &o, f));
    TRY(open_mux(e, f));
    TRY(open_frames(e, &o, f));
    *out = e;
out:
    if (rc != ERR_OK) encode_drop(e);
    return rc;
}

/* Moves finished packets into the file. `frame` NULL ends the stream. */
static enum err push(struct encode *e, const AVFrame *frame, struct fail *f) {
    int n = avcodec_send_frame(e->codec, frame);
    if (n < 0) return libav_fail(f, ERR_IO, n, "encode a frame");
    while ((n = avcodec_receive_packet(e->codec, e->packet)) == 0) {
        e->packet->stream_index = e->stream->index;
        e->packet->duration = 1;
        av_packet_rescale_ts(e->packet, e->codec->time_base, e->stream->time_base);
        n = av_interleaved_write_frame(e->mux, e->packet);
        if (n < 0) return libav_fail(f, n == AVERROR(ENOSPC) ? ERR_DISK : ERR_IO, n, e->path);
    }
    if (n != AVERROR(EAGAIN) && n != AVERROR_EOF) return libav_fail(f, ERR_IO, n, "take a packet");
    return ERR_OK;
}

enum err encode_frame(struct encode *e, const uint8_t *rgb, size_t stride, struct fail *f) {
    ASSERT(e && rgb && stride >= (size_t)e->crop.width * 3);
    int n = av_frame_make_writable(e->frame); /* the encoder may still hold the last one */
    if (n < 0) return libav_fail(f, ERR_NOMEM, n, "take a frame");
    const uint8_t *src[4] = {rgb + (size_t)e->crop.y * stride + (size_t)e->crop.x * 3};
    const int src_stride[4] = {(int)stride};
    sws_scale(e->sws, src, src_stride, 0, e->crop.height, e->frame->data, e->frame->linesize);
    e->frame->pts = e->n_frames++;
    return push(e, e->frame, f);
}

static enum err sync_path(const char *path, struct fail *f) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_bad = fd < 0 || fsync(fd) < 0;
    int e = errno;
    if (fd >= 0) close(fd);
    return is_bad ? FAIL(f, ERR_IO, "encode: fsync %s: %s", path, strerror(e)) : ERR_OK;
}

static enum err finish(struct encode *e, struct fail *f) {
    if (e->n_frames == 0) return FAIL(f, ERR_BUG, "encode: closed without a frame");
    enum err rc = push(e, NULL, f);
    if (rc != ERR_OK) return rc;
    int n = av_write_trailer(e->mux);
    if (n >= 0) n = avio_closep(&e->mux->pb); /* a full disk may show only here */
    if (n < 0) return libav_fail(f, n == AVERROR(ENOSPC) ? ERR_DISK : ERR_IO, n, e->path);
    return sync_path(e->path, f);
}

static void release(struct encode *e) {
    sws_freeContext(e->sws);
    av_frame_free(&e->frame);
    av_packet_free(&e->packet);
    avcodec_free_context(&e->codec);
    if (e->mux) avio_closep(&e->mux->pb);
    avformat_free_context(e->mux);
    mem_free(e);
}

enum err encode_close(struct encode *e, struct fail *f) {
    if (!e) return ERR_OK;
    enum err rc = finish(e, f);
    if (rc == ERR_OK)
        release(e);
    else
        encode_drop(e);
    return rc;
}

void encode_drop(struct encode *e) {
    if (!e) return;
    if (e->mux) unlink(e->path);
    release(e);
}
