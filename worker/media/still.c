#include "worker/media/still.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>

#include "common/base/assert.h"
#include "common/base/crop.h"
#include "worker/media/libav.h"

enum { QUALITY = 82, EFFORT = 4, SIDE_MAX = 4096 };

static enum err to_yuv(AVFrame *out, const struct still *s, struct fail *f) {
    struct crop c = crop_to_shape(s->width, s->height, s->out_width, s->out_height);
    struct SwsContext *sws =
        libav_scaler(c.width, c.height, s->out_width, s->out_height, LIBAV_MATRIX_601);
    if (!sws) return FAIL(f, ERR_NOMEM, "media: no scaler");
    const uint8_t *src[4] = {s->rgb + ((size_t)c.y * (size_t)s->width + (size_t)c.x) * 3};
    const int stride[4] = {s->width * 3};
    sws_scale(sws, src, stride, 0, c.height, out->data, out->linesize);
    sws_freeContext(sws);
    return ERR_OK;
}

/* libwebp gives the whole RIFF file as one packet. */
static enum err to_webp(AVPacket *out, const AVFrame *frame, struct fail *f) {
    const AVCodec *webp = avcodec_find_encoder_by_name("libwebp");
    AVCodecContext *c = webp ? avcodec_alloc_context3(webp) : NULL;
    if (!c) return FAIL(f, ERR_UNSUPPORTED, "media: this FFmpeg has no libwebp");
    c->width = frame->width;
    c->height = frame->height;
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->time_base = (AVRational){1, 1};
    c->flags |= AV_CODEC_FLAG_BITEXACT;
    c->thread_count = 1;
    c->compression_level = EFFORT;
    av_opt_set_int(c->priv_data, "quality", QUALITY, 0);
    int n = avcodec_open2(c, webp, NULL);
    if (n >= 0) n = avcodec_send_frame(c, frame);
    if (n >= 0) n = avcodec_send_frame(c, NULL);
    if (n >= 0) n = avcodec_receive_packet(c, out);
    avcodec_free_context(&c);
    return n < 0 ? libav_fail(f, ERR_IO, n, "write a webp picture") : ERR_OK;
}

static enum err write_file(const char *path, const AVPacket *p, struct fail *f) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    bool is_bad = fd < 0;
    for (int at = 0; !is_bad && at < p->size;) {
        ssize_t n = write(fd, p->data + at, (size_t)(p->size - at));
        if (n < 0 && errno == EINTR) continue;
        is_bad = n < 0;
        at += (int)n;
    }
    if (!is_bad) is_bad = fsync(fd) < 0;
    int e = errno;
    if (fd >= 0) close(fd);
    if (!is_bad) return ERR_OK;
    unlink(path);
    return FAIL(f, e == ENOSPC ? ERR_DISK : ERR_IO, "media: cannot write %s: %s", path,
                strerror(e));
}

enum err still_write_webp(const char *path, const struct still *s, struct fail *f) {
    ASSERT(s->out_width % 2 == 0 && s->out_height % 2 == 0);
    ASSERT(s->out_width > 0 && s->out_width <= SIDE_MAX && s->out_height > 0 &&
           s->out_height <= SIDE_MAX);
    enum err rc = ERR_OK;
    libav_log_start();
    AVFrame *frame = libav_frame(s->out_width, s->out_height);
    AVPacket *packet = av_packet_alloc();
    if (!frame || !packet) rc = FAIL(f, ERR_NOMEM, "media: no memory for a picture");
    if (rc == ERR_OK) rc = to_yuv(frame, s, f);
    if (rc == ERR_OK) rc = to_webp(packet, frame, f);
    if (rc == ERR_OK) rc = write_file(path, packet, f);
    av_packet_free(&packet);
    av_frame_free(&frame);
    return rc;
}

static enum err to_png(AVPacket *out, const struct still *s, struct fail *f) {
    const AVCodec *png = avcodec_find_encoder(AV_CODEC_ID_PNG);
    AVCodecContext *c = png ? avcodec_alloc_context3(png) : NULL;
    AVFrame *frame = av_frame_alloc();
    int n = c && frame ? 0 : AVERROR(ENOMEM);
    if (n == 0) {
        c->width = frame->width = s->width;
        c->height = frame->height = s->height;
        c->pix_fmt = frame->format = AV_PIX_FMT_RGB24;
        c->time_base = (AVRational){1, 1};
        c->flags |= AV_CODEC_FLAG_BITEXACT;
        c->thread_count = 1;
        n = av_frame_get_buffer(frame, 0);
    }
    for (int y = 0; n >= 0 && y < s->height; y++)
        memcpy(frame->data[0] + (size_t)y * (size_t)frame->linesize[0],
               s->rgb + (size_t)y * (size_t)s->width * 3, (size_t)s->width * 3);
    if (n >= 0) n = avcodec_open2(c, png, NULL);
    if (n >= 0) n = avcodec_send_frame(c, frame);
    if (n >= 0) n = avcodec_send_frame(c, NULL);
    if (n >= 0) n = avcodec_receive_packet(c, out);
    av_frame_free(&frame);
    avcodec_free_context(&c);
    return n < 0 ? libav_fail(f, ERR_IO, n, "write a png picture") : ERR_OK;
}

enum err still_write_png(const char *path, const struct still *s, struct fail *f) {
    AVPacket *packet = av_packet_alloc();
    libav_log_start();
    enum err rc = packet ? to_png(packet, s, f) : FAIL(f, ERR_NOMEM, "media: no memory");
    if (rc == ERR_OK) rc = write_file(path, packet, f);
    av_packet_free(&packet);
    return rc;
}
