#include "decode/picture.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "decode/fit.h"

enum { PADDING = AV_INPUT_BUFFER_PADDING_SIZE, WEBP_FLAGS_AT = 20, WEBP_IS_ANIMATED = 2 };

static enum AVCodecID codec_of(enum source_kind kind) {
    return kind == SOURCE_PNG    ? AV_CODEC_ID_PNG
           : kind == SOURCE_JPEG ? AV_CODEC_ID_MJPEG
                                 : AV_CODEC_ID_WEBP;
}

/* Whole and with the zeros behind it that libav's readers of words need. */
static enum err read_file(uint8_t **out, const struct source *s, struct fail *f) {
    if (s->size_bytes > PICTURE_BYTES_MAX)
        return FAIL(f, ERR_MEDIA, "the image has %lld bytes, at most %d are read",
                    (long long)s->size_bytes, PICTURE_BYTES_MAX);
    size_t n = (size_t)s->size_bytes;
    *out = mem_take(1, n + PADDING);
    if (!*out) return FAIL(f, ERR_NOMEM, "no memory to decode the image");
    if (source_read_start(s, *out, n) != n)
        return FAIL(f, ERR_MEDIA, "the image cannot be read to its end");
    return ERR_OK;
}

static enum err refuse_animation(enum source_kind kind, const uint8_t *data, size_t n,
                                 struct fail *f) {
    bool is_animated = kind == SOURCE_WEBP && n > WEBP_FLAGS_AT &&
                       memcmp(data + 12, "VP8X", 4) == 0 &&
                       (data[WEBP_FLAGS_AT] & WEBP_IS_ANIMATED);
    if (!is_animated) return ERR_OK;
    return FAIL(f, ERR_MEDIA, "the image is an animated webp; need a still one, or a gif");
}

/* The whole file is one packet to libav's decoders of stills: no demuxer, no probing, no name. */
static enum err decode_first(AVFrame *out, enum source_kind kind, uint8_t *data, size_t n,
                             struct fail *f) {
    const AVCodec *codec = avcodec_find_decoder(codec_of(kind));
    AVCodecContext *c = codec ? avcodec_alloc_context3(codec) : NULL;
    AVPacket *packet = av_packet_alloc();
    enum err rc = ERR_OK;
    if (!c || !packet) {
        rc = FAIL(f, ERR_NOMEM, "no memory to decode the image");
    } else {
        c->max_pixels = PICTURE_PIXELS_MAX;
        c->thread_count = 1;
        packet->data = data;
        packet->size = (int)n;
        int e = avcodec_open2(c, codec, NULL);
        if (e >= 0) e = avcodec_send_packet(c, packet);
        if (e >= 0) e = avcodec_send_packet(c, NULL);
        if (e >= 0) e = avcodec_receive_frame(c, out);
        if (e < 0)
            rc = FAIL(
                f, ERR_MEDIA,
                "the image is damaged, has more than %d million pixels or is of a kind that is "
                "not read",
                PICTURE_PIXELS_MAX / 1000000);
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

static enum err send_frame(struct tell *tell, AVFrame *frame, int orientation,
                           const struct ask *ask, struct fail *f) {
    enum err rc = ERR_OK;
    struct fit *fit = NULL;
    struct fit_opts opts = {.width = ask->width,
                            .height = ask->height,
                            .orientation = orientation,
                            .is_still = true,
                            .tell = tell};
    uint8_t *rgb = mem_take((size_t)ask->width * (size_t)ask->height, 3);
    if (!rgb) TRY(FAIL(f, ERR_NOMEM, "no memory for %dx%d", ask->width, ask->height));
    TRY(fit_open(&fit, &opts, f));
    TRY(fit_frame(fit, rgb, frame, f));
    TRY(tell_frame(tell, rgb, (size_t)ask->width * (size_t)ask->height * 3, f));
out:
    fit_close(fit);
    mem_free(rgb);
    return rc;
}

enum err picture_send(struct tell *tell, struct source *source, enum source_kind kind,
                      const struct ask *ask, struct fail *f) {
    enum err rc = ERR_OK;
    uint8_t *data = NULL;
    struct decode_wire_head head = {.magic = DECODE_WIRE_MAGIC, .n_frames = 1};
    AVFrame *frame = av_frame_alloc();
    int width, height;
    if (!frame) TRY(FAIL(f, ERR_NOMEM, "no memory to decode the image"));
    TRY(read_file(&data, source, f));
    TRY(refuse_animation(kind, data, (size_t)source->size_bytes, f));
    TRY(decode_first(frame, kind, data, (size_t)source->size_bytes, f));
    if (frame->width > FIT_SIDE_MAX || frame->height > FIT_SIDE_MAX)
        TRY(FAIL(f, ERR_MEDIA, "the image is %dx%d, at most %d pixels a side are read",
                 frame->width, frame->height, FIT_SIDE_MAX));
    int orientation = orientation_of(frame);
    fit_look(&width, &height, frame, orientation);
    head.width = (uint32_t)width;
    head.height = (uint32_t)height;
    head.n_given = ask->width > 0;
    TRY(tell_head(tell, &head, f));
    if (head.n_given > 0) TRY(send_frame(tell, frame, orientation, ask, f));
out:
    av_frame_free(&frame);
    mem_free(data);
    return rc;
}
