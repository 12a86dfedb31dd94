#include "worker/media/scale.h"

#include "common/base/crop.h"
#include "common/base/mem.h"
#include "worker/media/libav.h"

struct scale {
    struct scale_opts o;
    struct crop crop;
    struct SwsContext *sws;
    uint8_t *rgb;
};

enum err scale_open(struct scale **out, const struct scale_opts *opts, struct fail *f) {
    struct scale *s = mem_take(1, sizeof(*s));
    *out = NULL;
    if (!s) return FAIL(f, ERR_NOMEM, "media: no memory for a scaler");
    s->o = *opts;
    s->crop = crop_to_shape(opts->width, opts->height, opts->out_width, opts->out_height);
    s->sws = sws_getContext(s->crop.width, s->crop.height, AV_PIX_FMT_RGB24, opts->out_width,
                            opts->out_height, AV_PIX_FMT_RGB24,
                            SWS_LANCZOS | SWS_ACCURATE_RND | SWS_BITEXACT, NULL, NULL, NULL);
    s->rgb = mem_take((size_t)opts->out_width * (size_t)opts->out_height, 3);
    if (!s->sws || !s->rgb) {
        scale_close(s);
        return FAIL(f, ERR_NOMEM, "media: no memory for a scaler");
    }
    *out = s;
    return ERR_OK;
}

const uint8_t *scale_frame(struct scale *s, const uint8_t *rgb) {
    size_t stride = (size_t)s->o.width * 3;
    const uint8_t *src[4] = {rgb + (size_t)s->crop.y * stride + (size_t)s->crop.x * 3};
    const int src_stride[4] = {(int)stride}, dst_stride[4] = {s->o.out_width * 3};
    uint8_t *dst[4] = {s->rgb};
    sws_scale(s->sws, src, src_stride, 0, s->crop.height, dst, dst_stride);
    return s->rgb;
}

void scale_close(struct scale *s) {
    if (!s) return;
    sws_freeContext(s->sws);
    mem_free(s->rgb);
    mem_free(s);
}
