#include "worker/media/picture.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavutil/frame.h>
#include <libswscale/swscale.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "worker/media/crop.h"
#include "worker/media/libav.h"

static const struct {
    const char *magic; /* '?' matches any byte */
    size_t n;
    enum AVCodecID codec;
} formats[] = {
    {"\x89PNG\r\n\x1a\n", 8, AV_CODEC_ID_PNG},
    {"\xff\xd8\xff", 3, AV_CODEC_ID_MJPEG},
    {"RIFF????WEBP", 12, AV_CODEC_ID_WEBP},
};

static bool has_magic(const uint8_t *data, size_t n, const char *magic, size_t n_magic) {
    if (n < n_magic) return false;
    for (size_t i = 0; i < n_magic; i++)
        if (magic[i] != '?' && (uint8_t)magic[i] != data[i]) return false;
    return true;
}

static enum err find_codec(const AVCodec **out, const uint8_t *data, size_t n, struct fail *f) {
    for (int i = 0; i < COUNT_OF(formats); i++)
        if (has_magic(data, n, formats[i].magic, formats[i].n)) {
            *out = avcodec_find_decoder(formats[i].codec);
            return *out ? ERR_OK : FAIL(f, ERR_UNSUPPORTED, "no decoder for this image");
        }
    return FAIL(f, ERR_MEDIA, "the file is not a jpeg, png or webp image");
}

/* The whole file is one packet to libav's decoders of stills: no demuxer, no probing, no name. */
static enum err decode_first(AVFrame *out, const AVCodec *codec, const uint8_t *data, size_t n,
                             struct fail *f) {
    AVCodecContext *c = avcodec_alloc_context3(codec);
    AVPacket *packet = av_packet_alloc();
    enum err rc = ERR_OK;
    if (!c || !packet) {
        rc = FAIL(f, ERR_NOMEM, "no memory to decode the image");
    } else {
        c->max_pixels = PICTURE_PIXELS_MAX;
        c->thread_count = 1;
        packet->data = (uint8_t *)(uintptr_t)data; /* not written: the packet is not ref-counted */
        packet->size = (int)n;
        int e = avcodec_open2(c, codec, NULL);
        if (e >= 0) e = avcodec_send_packet(c, packet);
        if (e >= 0) e = avcodec_send_packet(c, NULL);
        if (e >= 0) e = avcodec_receive_frame(c, out);
        if (e < 0)
            rc =
                FAIL(f, ERR_MEDIA, "the image is damaged, too large or of a kind that is not read");
    }
    av_packet_free(&packet);
    avcodec_free_context(&c);
    return rc;
}

/* EXIF: 1 upright .. 8; values from 5 on exchange the sides. */
static int orientation_of(const AVFrame *frame) {
    const AVDictionaryEntry *e = av_dict_get(frame->metadata, "Orientation", NULL, 0);
    long n = e ? strtol(e->value, NULL, 10) : 1;
    return n >= 1 && n <= 8 ? (int)n : 1;
}

/* Cuts the middle and scales it to width x height as it lies in the file. */
static enum err to_rgb(uint8_t *rgb, int width, int height, AVFrame *frame, struct fail *f) {
    struct crop c = crop_to_shape(frame->width, frame->height, width, height);
    frame->crop_left = (size_t)c.x;
    frame->crop_top = (size_t)c.y;
    frame->crop_right = (size_t)(frame->width - c.x - c.width);
    frame->crop_bottom = (size_t)(frame->height - c.y - c.height);
    if (av_frame_apply_cropping(frame, AV_FRAME_CROP_UNALIGNED) < 0)
        return FAIL(f, ERR_MEDIA, "the image cannot be cut to shape");
    struct SwsContext *sws = sws_getContext(
        frame->width, frame->height, frame->format, width, height, AV_PIX_FMT_RGB24,
        SWS_LANCZOS | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    if (!sws) return FAIL(f, ERR_MEDIA, "the image has a pixel format that is not read");
    uint8_t *dst[4] = {rgb};
    const int stride[4] = {width * 3};
    int n = sws_scale(sws, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height,
                      dst, stride);
    sws_freeContext(sws);
    return n == height ? ERR_OK : FAIL(f, ERR_MEDIA, "the image cannot be scaled");
}

/* Where pixel (x, y) of the upright picture lies in the file, sides w x h of the file. */
static void source_of(int orientation, int x, int y, int w, int h, int *sx, int *sy) {
    bool is_turned = orientation >= 5;
    int a = is_turned ? y : x, b = is_turned ? x : y;
    static const bool flip_x[9] = {0, 0, 1, 1, 0, 0, 0, 1, 1};
    static const bool flip_y[9] = {0, 0, 0, 1, 1, 0, 1, 1, 0};
    *sx = flip_x[orientation] ? w - 1 - a : a;
    *sy = flip_y[orientation] ? h - 1 - b : b;
}

static void turn(uint8_t *out, int width, int height, const uint8_t *in, int orientation) {
    int w = orientation >= 5 ? height : width, h = orientation >= 5 ? width : height;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int sx, sy;
            source_of(orientation, x, y, w, h, &sx, &sy);
            memcpy(out + ((size_t)y * (size_t)width + (size_t)x) * 3,
                   in + ((size_t)sy * (size_t)w + (size_t)sx) * 3, 3);
        }
}

static enum err to_upright(uint8_t *rgb, int width, int height, AVFrame *frame, struct fail *f) {
    int orientation = orientation_of(frame);
    if (orientation == 1) return to_rgb(rgb, width, height, frame, f);
    uint8_t *lying = mem_take((size_t)width * (size_t)height, 3);
    if (!lying) return FAIL(f, ERR_NOMEM, "no memory to turn the image");
    bool is_turned = orientation >= 5;
    enum err rc = to_rgb(lying, is_turned ? height : width, is_turned ? width : height, frame, f);
    if (rc == ERR_OK) turn(rgb, width, height, lying, orientation);
    mem_free(lying);
    return rc;
}

enum err picture_decode(uint8_t *rgb, int width, int height, const uint8_t *data, size_t n,
                        struct fail *f) {
    enum err rc = ERR_OK;
    const AVCodec *codec = NULL;
    AVFrame *frame = NULL;
    ASSERT(width > 0 && width <= PICTURE_OUT_SIDE_MAX && height > 0 &&
           height <= PICTURE_OUT_SIDE_MAX);
    if (n == 0 || n > PICTURE_BYTES_MAX)
        return FAIL(f, ERR_MEDIA, "the image has %zu bytes, 1 to %d are read", n,
                    PICTURE_BYTES_MAX);

    av_log_set_level(AV_LOG_QUIET); /* strangers do not write to our log, nor fill it (V14) */
    TRY(find_codec(&codec, data, n, f));
    frame = av_frame_alloc();
    if (!frame) return FAIL(f, ERR_NOMEM, "no memory to decode the image");
    TRY(decode_first(frame, codec, data, n, f));
    if (frame->width > PICTURE_SIDE_MAX || frame->height > PICTURE_SIDE_MAX) {
        rc = FAIL(f, ERR_MEDIA, "the image is %dx%d, at most %d pixels a side are read",
                  frame->width, frame->height, PICTURE_SIDE_MAX);
        goto out;
    }
    TRY(to_upright(rgb, width, height, frame, f));
out:
    av_frame_free(&frame);
    return rc;
}
