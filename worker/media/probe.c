#include "worker/media/probe.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "worker/media/libav.h"

enum { BOXES_MAX = 64 };

static uint64_t big_endian(const unsigned char *p, int n) {
    uint64_t v = 0;
    for (int i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* Walks the top boxes (size 32 bit, type 32 bit, size 64 bit when the first is 1): true when moov
 * comes before mdat, so that a player can start before the end has arrived. */
static bool moov_is_first(int fd) {
    uint64_t at = 0;
    for (int i = 0; i < BOXES_MAX; i++) {
        unsigned char h[16];
        if (pread(fd, h, sizeof(h), (off_t)at) < 8) return false;
        if (memcmp(h + 4, "moov", 4) == 0) return true;
        if (memcmp(h + 4, "mdat", 4) == 0) return false;
        uint64_t size = big_endian(h, 4);
        if (size == 1) size = big_endian(h + 8, 8);
        if (size < 8 || size > INT64_MAX - at) return false;
        at += size;
    }
    return false;
}

static enum err look_at_file(struct probe *out, const char *path, struct fail *f) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        if (fd >= 0) close(fd);
        return FAIL(f, ERR_IO, "media: cannot open %s", path);
    }
    out->size_bytes = (uint64_t)st.st_size;
    out->is_moov_first = moov_is_first(fd);
    close(fd);
    return ERR_OK;
}

static enum err look_at_stream(struct probe *out, AVFormatContext *c, struct fail *f) {
    int i = av_find_best_stream(c, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (i < 0) return FAIL(f, ERR_CORRUPT, "media: no video stream");
    const AVCodecParameters *p = c->streams[i]->codecpar;
    AVRational rate = c->streams[i]->avg_frame_rate;
    out->width = p->width;
    out->height = p->height;
    out->fps = rate.den > 0 ? (double)rate.num / rate.den : 0;
    out->is_h264 = p->codec_id == AV_CODEC_ID_H264;
    out->is_yuv420p = p->format == AV_PIX_FMT_YUV420P;
    AVPacket *packet = av_packet_alloc();
    if (!packet) return FAIL(f, ERR_NOMEM, "media: no memory");
    while (av_read_frame(c, packet) == 0) {
        if (packet->stream_index == i) out->n_frames++;
        av_packet_unref(packet);
    }
    av_packet_free(&packet);
    return ERR_OK;
}

enum err probe_mp4(struct probe *out, const char *path, struct fail *f) {
    char url[LIBAV_PATH_MAX + 8];
    AVFormatContext *c = NULL;
    *out = (struct probe){0};
    libav_log_start();
    enum err rc = look_at_file(out, path, f);
    if (rc != ERR_OK) return rc;
    snprintf(url, sizeof(url), "file:%s", path);
    int n = avformat_open_input(&c, url, av_find_input_format("mov"), NULL);
    if (n >= 0) n = avformat_find_stream_info(c, NULL);
    rc = n < 0 ? libav_fail(f, ERR_CORRUPT, n, "read our mp4") : look_at_stream(out, c, f);
    avformat_close_input(&c);
    return rc;
}
