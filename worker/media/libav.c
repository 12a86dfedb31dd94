#include "worker/media/libav.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <libavutil/error.h>
#include <libavutil/log.h>

#include "common/base/log.h"

enum { LINE_MAX_BYTES = 200 };

enum err libav_fail(struct fail *f, enum err code, int averror, const char *what) {
    char reason[AV_ERROR_MAX_STRING_SIZE] = "unknown";
    av_strerror(averror, reason, sizeof(reason));
    return FAIL(f, code, "media: cannot %s: %s", what, reason);
}

/* libav calls this from its own threads; log_line is thread safe. Control bytes of a stranger's
 * file become dots so that one message stays one line. */
static void to_log(void *object, int level, const char *fmt, va_list ap) PRINTF_LIKE(3, 0);
static void to_log(void *object, int level, const char *fmt, va_list ap) {
    (void)object;
    if (level > AV_LOG_WARNING || level > av_log_get_level()) return;
    char line[LINE_MAX_BYTES];
    int n = vsnprintf(line, sizeof(line), fmt, ap);
    if (n <= 0) return;
    size_t len = strnlen(line, sizeof(line));
    while (len > 0 && line[len - 1] == '\n')
        line[--len] = '\0';
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == '"') line[i] = '.';
    log_line(LOG_WARN, "media.av", "text=\"%s\"", line);
}

void libav_log_start(void) {
    av_log_set_callback(to_log);
}

AVFrame *libav_frame(int width, int height) {
    AVFrame *frame = av_frame_alloc();
    if (!frame) return NULL;
    frame->format = AV_PIX_FMT_YUV420P;
    frame->width = width;
    frame->height = height;
    frame->color_range = AVCOL_RANGE_MPEG;
    if (av_frame_get_buffer(frame, 0) < 0) av_frame_free(&frame);
    return frame;
}

struct SwsContext *libav_scaler(int width, int height, int out_width, int out_height,
                                enum libav_matrix matrix) {
    int flags = SWS_LANCZOS | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INP;
    struct SwsContext *sws = sws_getContext(width, height, AV_PIX_FMT_RGB24, out_width, out_height,
                                            AV_PIX_FMT_YUV420P, flags, NULL, NULL, NULL);
    if (!sws) return NULL;
    const int *k = sws_getCoefficients(matrix == LIBAV_MATRIX_709 ? SWS_CS_ITU709 : SWS_CS_ITU601);
    sws_setColorspaceDetails(sws, k, 1, k, 0, 0, 1 << 16, 1 << 16);
    return sws;
}
