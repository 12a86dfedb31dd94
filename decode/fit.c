#include "decode/fit.h"

#include <string.h>

#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include "common/base/assert.h"
#include "common/base/crop.h"
#include "common/base/mem.h"
#include "decode/tone.h"

enum { SAR_MAX = 8, FLAGS = SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT };

/* How pixels leave the scaler, before the last step. */
enum way { WAY_PLAIN, WAY_ALPHA, WAY_TONE, WAY_COUNT };

static const struct {
    enum AVPixelFormat format;
    int pixel_bytes;
} ways[WAY_COUNT] = {
    [WAY_PLAIN] = {AV_PIX_FMT_RGB24, 3},
    [WAY_ALPHA] = {AV_PIX_FMT_RGBA, 4},
    [WAY_TONE] = {AV_PIX_FMT_RGB48, 6},
};

struct fit {
    struct fit_opts opts;
    int lying_width, lying_height; /* of the answer, as the file lies */
    int last_width, last_height;   /* of the frame before */
    struct SwsContext *scaler;
    struct tone *tone; /* NULL until it is needed */
    enum tone_curve curve;
    bool is_wide;
    uint8_t *pixels; /* what the scaler gives on the ways that need another step */
    uint8_t *lying;  /* before it is turned; NULL when it lies well */
};

static bool is_turned(int orientation) {
    return orientation >= 5;
}

/* Pixels of odd shapes beyond belief are taken as square. */
static int square_width(const AVFrame *frame) {
    AVRational r = frame->sample_aspect_ratio;
    if (r.num <= 0 || r.den <= 0 || r.num == r.den) return frame->width;
    if (r.num / r.den >= SAR_MAX || r.den / r.num >= SAR_MAX) return frame->width;
    int64_t w = ((int64_t)frame->width * r.num + r.den / 2) / r.den;
    return w < 1 ? 1 : w > FIT_SIDE_MAX ? FIT_SIDE_MAX : (int)w;
}

void fit_look(int *width, int *height, const AVFrame *frame, int orientation) {
    int w = square_width(frame);
    *width = is_turned(orientation) ? frame->height : w;
    *height = is_turned(orientation) ? w : frame->height;
}

enum err fit_open(struct fit **out, const struct fit_opts *opts, struct fail *f) {
    ASSERT(opts->orientation >= 1 && opts->orientation <= 8);
    ASSERT(opts->width > 0 && opts->height > 0);
    struct fit *fit = mem_take(1, sizeof(*fit));
    size_t n = (size_t)opts->width * (size_t)opts->height;
    bool is_side = is_turned(opts->orientation);
    *out = fit;
    if (fit) {
        fit->opts = *opts;
        fit->lying_width = is_side ? opts->height : opts->width;
        fit->lying_height = is_side ? opts->width : opts->height;
        if (opts->orientation != 1) fit->lying = mem_take(n, 3);
    }
    if (fit && (fit->lying || opts->orientation == 1)) return ERR_OK;
    fit_close(fit);
    *out = NULL;
    return FAIL(f, ERR_NOMEM, "no memory for a frame of %dx%d", opts->width, opts->height);
}

void fit_close(struct fit *fit) {
    if (!fit) return;
    sws_freeContext(fit->scaler);
    mem_free(fit->tone);
    mem_free(fit->pixels);
    mem_free(fit->lying);
    mem_free(fit);
}

/* One field stands for the whole frame: no combs, half the lines. */
static void take_field(struct fit *fit, AVFrame *frame) {
    if (fit->opts.is_still || !frame->interlaced_frame || frame->height < 4) return;
    for (int i = 0; i < 4; i++)
        frame->linesize[i] *= 2;
    frame->height /= 2;
    frame->sample_aspect_ratio =
        (AVRational){frame->sample_aspect_ratio.num > 0 ? frame->sample_aspect_ratio.num : 1,
                     2 * (frame->sample_aspect_ratio.den > 0 ? frame->sample_aspect_ratio.den : 1)};
    tell_warning(fit->opts.tell, "it is interlaced: one field of each frame is used");
}

/* Cuts the middle that has the shape of the answer, as the frame lies in the file. */
static enum err cut(const struct fit *fit, AVFrame *frame, struct fail *f) {
    int width = square_width(frame);
    struct crop c = crop_to_shape(width, frame->height, fit->lying_width, fit->lying_height);
    int x = (int)((int64_t)c.x * frame->width / width);
    int w = (int)((int64_t)c.width * frame->width / width);
    if (w < 1) w = 1;
    frame->crop_left = (size_t)x;
    frame->crop_right = (size_t)(frame->width - x - w);
    frame->crop_top = (size_t)c.y;
    frame->crop_bottom = (size_t)(frame->height - c.y - c.height);
    if (av_frame_apply_cropping(frame, AV_FRAME_CROP_UNALIGNED) < 0)
        return FAIL(f, ERR_MEDIA, "a frame cannot be cut to shape");
    return ERR_OK;
}

static enum tone_curve curve_of(const AVFrame *frame) {
    return frame->color_trc == AVCOL_TRC_SMPTE2084      ? TONE_PQ
           : frame->color_trc == AVCOL_TRC_ARIB_STD_B67 ? TONE_HLG
                                                        : TONE_GAMMA;
}

/* What stands before the colours of a plain screen, and says so. */
static enum way find_way(struct fit *fit, const AVFrame *frame, const AVPixFmtDescriptor *d) {
    static const char *const names[] = {[TONE_PQ] = "PQ", [TONE_HLG] = "HLG"};
    enum tone_curve curve = curve_of(frame);
    bool is_wide = frame->color_primaries == AVCOL_PRI_BT2020;
    struct tell *tell = fit->opts.tell;
    if (curve != TONE_GAMMA)
        tell_warning(tell, "its HDR (%s) colours were mapped to those of a plain screen (BT.709)",
                     names[curve]);
    else if (is_wide)
        tell_warning(tell, "its wide colours (BT.2020) were mapped to BT.709");
    else if (d->comp[0].depth > 8)
        tell_warning(tell, "its %d bits a colour became 8", d->comp[0].depth);
    if (curve != TONE_GAMMA || is_wide) return WAY_TONE;
    return d->flags & AV_PIX_FMT_FLAG_ALPHA ? WAY_ALPHA : WAY_PLAIN;
}

/* Files that do not name their matrix: by habit small pictures are BT.601, large ones BT.709. */
static int matrix_of(const struct fit *fit, const AVFrame *frame) {
    switch (frame->colorspace) {
    case AVCOL_SPC_BT709: return SWS_CS_ITU709;
    case AVCOL_SPC_FCC: return SWS_CS_FCC;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M: return SWS_CS_ITU601;
    case AVCOL_SPC_SMPTE240M: return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL: return SWS_CS_BT2020;
    default: break;
    }
    bool is_large = frame->width >= 1280 || frame->height > 576;
    return is_large && !fit->opts.is_still ? SWS_CS_ITU709 : SWS_CS_ITU601;
}

/* The formats whose names say full range. */
static bool is_full_range(const AVFrame *frame) {
    switch (frame->format) {
    case AV_PIX_FMT_YUVJ420P:
    case AV_PIX_FMT_YUVJ422P:
    case AV_PIX_FMT_YUVJ444P:
    case AV_PIX_FMT_YUVJ440P:
    case AV_PIX_FMT_YUVJ411P: return true;
    default: return frame->color_range == AVCOL_RANGE_JPEG;
    }
}

/* Lanczos; but where two pixels and more become one, their mean is as good and takes half the time:
 * a minute of 1080p at 24 fps to 480p is then 12 s of processor, not 19 of the 20. */
static int flags_of(const struct fit *fit, const AVFrame *frame) {
    return FLAGS | (frame->width > 2 * fit->lying_width ? SWS_AREA : SWS_LANCZOS);
}

static enum err make_scaler(struct fit *fit, const AVFrame *frame, enum way way, int matrix,
                            struct fail *f) {
    fit->scaler = sws_getCachedContext(fit->scaler, frame->width, frame->height, frame->format,
                                       fit->lying_width, fit->lying_height, ways[way].format,
                                       flags_of(fit, frame), NULL, NULL, NULL);
    if (!fit->scaler) return FAIL(f, ERR_MEDIA, "its pixels are of a kind that is not read");
    const int *k = sws_getCoefficients(matrix);
    sws_setColorspaceDetails(fit->scaler, k, is_full_range(frame),
                             sws_getCoefficients(SWS_CS_ITU709), 1, 0, 1 << 16, 1 << 16);
    return ERR_OK;
}

static enum err make_room(struct fit *fit, enum way way, struct fail *f) {
    size_t n = (size_t)fit->opts.width * (size_t)fit->opts.height;
    if (way == WAY_PLAIN) return ERR_OK;
    if (!fit->pixels) fit->pixels = mem_take(n, (size_t)ways[WAY_TONE].pixel_bytes);
    if (way == WAY_TONE && !fit->tone) fit->tone = mem_take(1, sizeof(*fit->tone));
    if (!fit->pixels || (way == WAY_TONE && !fit->tone))
        return FAIL(f, ERR_NOMEM, "no memory for a frame of %dx%d", fit->opts.width,
                    fit->opts.height);
    return ERR_OK;
}

static void set_tone(struct fit *fit, const AVFrame *frame) {
    enum tone_curve curve = curve_of(frame);
    bool is_wide = frame->color_primaries == AVCOL_PRI_BT2020;
    bool is_set = fit->tone->code[TONE_STEPS - 1] != 0;
    if (is_set && curve == fit->curve && is_wide == fit->is_wide) return;
    tone_make(fit->tone, curve, is_wide);
    fit->curve = curve;
    fit->is_wide = is_wide;
}

/* Transparent pictures are shown on white, as on paper. */
static void lay_on_white(struct fit *fit, uint8_t *rgb, const uint8_t *rgba, size_t n) {
    bool is_seen = false;
    for (size_t i = 0; i < n; i++, rgb += 3, rgba += 4) {
        unsigned a = rgba[3];
        is_seen = is_seen || a < 255;
        for (int k = 0; k < 3; k++)
            rgb[k] = (uint8_t)((rgba[k] * a + 255 * (255 - a) + 127) / 255);
    }
    if (is_seen) tell_warning(fit->opts.tell, "its transparent parts are shown on white");
}

/* Where pixel (x, y) of the upright picture lies in the file, sides w x h of the file. */
static void source_of(int orientation, int x, int y, int w, int h, int *sx, int *sy) {
    static const bool flip_x[9] = {0, 0, 1, 1, 0, 0, 0, 1, 1};
    static const bool flip_y[9] = {0, 0, 0, 1, 1, 0, 1, 1, 0};
    int a = is_turned(orientation) ? y : x, b = is_turned(orientation) ? x : y;
    *sx = flip_x[orientation] ? w - 1 - a : a;
    *sy = flip_y[orientation] ? h - 1 - b : b;
}

static void turn(const struct fit *fit, uint8_t *out, const uint8_t *in) {
    int w = fit->lying_width, h = fit->lying_height;
    for (int y = 0; y < fit->opts.height; y++)
        for (int x = 0; x < fit->opts.width; x++) {
            int sx, sy;
            source_of(fit->opts.orientation, x, y, w, h, &sx, &sy);
            memcpy(out + ((size_t)y * (size_t)fit->opts.width + (size_t)x) * 3,
                   in + ((size_t)sy * (size_t)w + (size_t)sx) * 3, 3);
        }
}

static void say_shape(struct fit *fit, const AVFrame *frame) {
    struct tell *tell = fit->opts.tell;
    if (fit->last_width > 0 &&
        (fit->last_width != frame->width || fit->last_height != frame->height))
        tell_warning(tell, "its size changes on the way; every frame is shown at one size");
    if (square_width(frame) != frame->width)
        tell_warning(tell, "its pixels are not square: %dx%d is shown as %dx%d", frame->width,
                     frame->height, square_width(frame), frame->height);
    fit->last_width = frame->width;
    fit->last_height = frame->height;
}

enum err fit_frame(struct fit *fit, uint8_t *rgb, AVFrame *frame, struct fail *f) {
    enum err rc = ERR_OK;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(frame->format);
    size_t n = (size_t)fit->opts.width * (size_t)fit->opts.height;
    if (!d || (d->flags & AV_PIX_FMT_FLAG_HWACCEL))
        return FAIL(f, ERR_MEDIA, "its pixels are of a kind that is not read");
    int matrix = matrix_of(fit, frame);
    enum way way = find_way(fit, frame, d);
    say_shape(fit, frame);
    take_field(fit, frame);
    TRY(cut(fit, frame, f));
    TRY(make_room(fit, way, f));
    TRY(make_scaler(fit, frame, way, matrix, f));
    uint8_t *flat = fit->lying ? fit->lying : rgb;
    uint8_t *dst[4] = {way == WAY_PLAIN ? flat : fit->pixels};
    const int stride[4] = {fit->lying_width * ways[way].pixel_bytes};
    if (sws_scale(fit->scaler, (const uint8_t *const *)frame->data, frame->linesize, 0,
                  frame->height, dst, stride) != fit->lying_height)
        return FAIL(f, ERR_MEDIA, "a frame cannot be scaled");
    if (way == WAY_ALPHA) lay_on_white(fit, flat, fit->pixels, n);
    if (way == WAY_TONE) {
        set_tone(fit, frame);
        tone_map(fit->tone, flat, (const uint16_t *)(const void *)fit->pixels, n);
    }
    if (fit->lying) turn(fit, rgb, fit->lying);
out:
    return rc;
}
