#include "decode/reel.h"

#include <math.h>
#include <string.h>

#include <libavutil/display.h>
#include <libavutil/opt.h>

#include "common/base/assert.h"
#include "decode/fit.h"

static const struct {
    const char *demuxer, *list; /* the list is what libav compares with its own name */
} demuxers[SOURCE_KIND_COUNT] = {
    [SOURCE_MOV] = {"mov", "mov,mp4,m4a,3gp,3g2,mj2"},
    [SOURCE_MATROSKA] = {"matroska", "matroska,webm"},
    [SOURCE_GIF] = {"gif", "gif"},
};

static const struct {
    enum AVCodecID id;
    const char *decoder; /* NULL: libav's own */
} codecs[] = {
    {AV_CODEC_ID_H264, NULL},  {AV_CODEC_ID_HEVC, NULL}, {AV_CODEC_ID_AV1, "libdav1d"},
    {AV_CODEC_ID_VP9, NULL},   {AV_CODEC_ID_VP8, NULL},  {AV_CODEC_ID_MPEG4, NULL},
    {AV_CODEC_ID_MJPEG, NULL}, {AV_CODEC_ID_GIF, NULL},
};
static const char codecs_in_words[] = "h264, hevc, av1, vp9, vp8, mpeg4 or mjpeg";

/* Whatever a file names, nothing is opened. */
static int refuse_open(AVFormatContext *c, AVIOContext **io, const char *url, int flags,
                       AVDictionary **options) {
    (void)c, (void)url, (void)flags, (void)options;
    *io = NULL;
    return AVERROR(EPERM);
}

static void close_file(struct reel *r) {
    avformat_close_input(&r->file);
    source_avio_free(&r->io);
    r->stream = NULL;
}

static enum err open_file(struct reel *r, struct fail *f) {
    const AVInputFormat *format = av_find_input_format(demuxers[r->kind].demuxer);
    AVDictionary *options = NULL;
    close_file(r);
    r->io = source_avio(r->source);
    r->file = avformat_alloc_context();
    if (!r->io || !r->file) return FAIL(f, ERR_NOMEM, "no memory to read the video");
    r->file->pb = r->io;
    r->file->io_open = refuse_open;
    r->file->flags |= AVFMT_FLAG_CUSTOM_IO;
    r->file->max_streams = REEL_STREAMS_MAX;
    av_dict_set(&options, "protocol_whitelist", "none", 0);
    av_dict_set(&options, "format_whitelist", demuxers[r->kind].list, 0);
    av_dict_set(&options, "codec_whitelist", "h264,hevc,libdav1d,vp9,vp8,mpeg4,mjpeg,gif", 0);
    int n = format ? avformat_open_input(&r->file, "", format, &options) : AVERROR(EINVAL);
    av_dict_free(&options);
    if (n >= 0) return ERR_OK;
    return FAIL(f, ERR_MEDIA,
                "the head of the video cannot be read: it is damaged or cut off, has more than %d "
                "streams or needs more than %d MB",
                REEL_STREAMS_MAX, DECODE_MEMORY_BYTES / 1000000);
}

static bool is_video(const AVStream *s) {
    return s->codecpar->codec_type == AVMEDIA_TYPE_VIDEO &&
           !(s->disposition & AV_DISPOSITION_ATTACHED_PIC);
}

/* The first video; all else is thrown away unread. */
static enum err pick_stream(struct reel *r, struct fail *f) {
    r->stream = NULL;
    for (unsigned i = 0; i < r->file->nb_streams; i++) {
        AVStream *s = r->file->streams[i];
        if (s->codecpar->codec_type == AVMEDIA_TYPE_AUDIO) r->has_audio = true;
        if (!r->stream && is_video(s)) r->stream = s;
        s->discard = s == r->stream ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    }
    if (!r->stream)
        return FAIL(f, ERR_MEDIA, "the file has no video%s", r->has_audio ? ", only sound" : "");
    AVRational unit = r->stream->time_base;
    if (unit.num <= 0 || unit.den <= 0)
        return FAIL(f, ERR_MEDIA, "the video counts its time in %d/%d s", unit.num, unit.den);
    return ERR_OK;
}

static enum err find_codec(struct reel *r, struct fail *f) {
    const AVCodecParameters *p = r->stream->codecpar;
    for (int i = 0; i < COUNT_OF(codecs); i++)
        if (codecs[i].id == p->codec_id)
            r->codec = codecs[i].decoder ? avcodec_find_decoder_by_name(codecs[i].decoder)
                                         : avcodec_find_decoder(p->codec_id);
    if (!r->codec)
        return FAIL(f, ERR_MEDIA, "the video is coded as %s; need %s",
                    p->codec_id ? avcodec_get_name(p->codec_id) : "something unknown",
                    codecs_in_words);
    if (p->width > FIT_SIDE_MAX || p->height > FIT_SIDE_MAX ||
        (int64_t)p->width * p->height > REEL_PIXELS_MAX)
        return FAIL(f, ERR_MEDIA, "the video is %dx%d, at most %d million pixels are read",
                    p->width, p->height, REEL_PIXELS_MAX / 1000000);
    return ERR_OK;
}

/* The matrix takes (x, y) to (a x + c y, b x + d y); the nearest right angle counts. */
static int orientation_of(const AVStream *s, struct tell *tell) {
    size_t n = 0;
    const int32_t *m =
        (const int32_t *)(const void *)av_stream_get_side_data(s, AV_PKT_DATA_DISPLAYMATRIX, &n);
    if (!m || n < 9 * sizeof(*m)) return 1;
    double a = m[0], b = m[1], c = m[3], d = m[4];
    double straight = fabs(a) + fabs(d), turned = fabs(b) + fabs(c);
    if (straight == 0 && turned == 0) return 1;
    if (straight > 0 && turned > 0)
        tell_warning(tell, "it is turned by an odd angle; the nearest right angle is shown");
    if (straight >= turned) return a >= 0 ? (d >= 0 ? 1 : 4) : (d >= 0 ? 2 : 3);
    return b >= 0 ? (c >= 0 ? 5 : 6) : (c >= 0 ? 8 : 7);
}

/* What is learnt while packets pass by. */
struct survey {
    double first_s, last_s, end_s;   /* as the file counts */
    double before_s, step_s;         /* when the last packet was stored; after how long */
    double recent[REEL_REORDER_MAX]; /* times of the last packets */
    int n, n_odd, reorder;           /* n_odd: steps that are not like the one before */
};

/* How many of the packets before this one are shown after it. */
static void note_order(struct survey *s, double at_s) {
    int later = 0, n = s->n < REEL_REORDER_MAX ? s->n : REEL_REORDER_MAX;
    for (int i = 0; i < n; i++)
        later += s->recent[i] > at_s;
    if (later > s->reorder) s->reorder = later;
    s->recent[s->n % REEL_REORDER_MAX] = at_s;
}

static void note_packet(struct survey *s, double at_s, double stored_s, double long_s) {
    note_order(s, at_s);
    if (s->n == 0 || at_s < s->first_s) s->first_s = at_s;
    if (s->n == 0 || at_s > s->last_s) s->last_s = at_s;
    if (s->n == 0 || at_s + long_s > s->end_s) s->end_s = at_s + long_s;
    double step_s = stored_s - s->before_s;
    s->n_odd += s->n > 1 && fabs(step_s - s->step_s) > 0.5 * fmax(step_s, s->step_s);
    s->step_s = step_s;
    s->before_s = stored_s;
    s->n++;
}

static enum err check_packet(const AVPacket *p, const struct survey *s, struct fail *f) {
    if (av_packet_get_side_data(p, AV_PKT_DATA_ENCRYPTION_INFO, NULL))
        return FAIL(f, ERR_MEDIA, "the video is encrypted");
    if (s->n >= DECODE_FRAMES_MAX)
        return FAIL(f, ERR_MEDIA, "the video has more than %d frames", DECODE_FRAMES_MAX);
    if (s->n > 0 && s->last_s - s->first_s > DECODE_SECONDS_MAX)
        return FAIL(f, ERR_MEDIA, "the video is longer than the %d s that are read",
                    DECODE_SECONDS_MAX);
    return ERR_OK;
}

/* Packets without any time are taken as 25 a second. */
static enum err count_packets(struct reel *r, struct survey *s, int *end, struct fail *f) {
    enum err rc = ERR_OK;
    AVPacket *p = av_packet_alloc();
    double unit = av_q2d(r->stream->time_base);
    if (!p) return FAIL(f, ERR_NOMEM, "no memory to read the video");
    while ((*end = av_read_frame(r->file, p)) >= 0) {
        if (p->stream_index == r->stream->index && !(p->flags & AV_PKT_FLAG_DISCARD)) {
            TRY(check_packet(p, s, f));
            double plain = s->n / 25.0;
            double at_s = p->pts != AV_NOPTS_VALUE   ? (double)p->pts * unit
                          : p->dts != AV_NOPTS_VALUE ? (double)p->dts * unit
                                                     : plain;
            double stored_s = p->dts != AV_NOPTS_VALUE ? (double)p->dts * unit : at_s;
            note_packet(s, at_s, stored_s, p->duration > 0 ? (double)p->duration * unit : 0);
        }
        av_packet_unref(p);
    }
out:
    av_packet_free(&p);
    return rc;
}

/* A file that breaks off: the head promises more than there is. */
static enum err check_whole(const struct reel *r, int end, struct tell *tell, struct fail *f) {
    double promised =
        r->stream->duration > 0 ? (double)r->stream->duration * av_q2d(r->stream->time_base) : 0;
    bool is_cut = end != AVERROR_EOF || (r->io && r->io->error < 0);
    if (!is_cut) return ERR_OK;
    if (promised > 0 && r->seconds < 0.9 * promised)
        return FAIL(f, ERR_MEDIA, "the video is cut off: %.2f of its %.2f s are in the file",
                    r->seconds, promised);
    tell_warning(tell, "the file is damaged near its end; %.2f s are there", r->seconds);
    return ERR_OK;
}

static enum err survey(struct reel *r, struct tell *tell, struct fail *f) {
    struct survey s = {0};
    int end = 0;
    enum err rc = count_packets(r, &s, &end, f);
    if (rc != ERR_OK) return rc;
    if (s.n == 0)
        return FAIL(f, ERR_MEDIA, "the video is cut off or empty: no frame is in the file");
    double span = s.last_s - s.first_s;
    r->n_packets = s.n;
    r->reorder = s.reorder;
    r->first_s = s.first_s;
    r->frame_s = s.n > 1 && span > 0 ? span / (s.n - 1) : s.end_s - s.first_s;
    if (!(r->frame_s > 0)) r->frame_s = 1.0 / 25;
    r->seconds = s.end_s > s.last_s ? s.end_s - s.first_s : span + r->frame_s;
    r->is_irregular = s.n_odd * 10 > s.n; /* a cut or a lost frame here and there is none */
    if (!(r->seconds <= DECODE_SECONDS_MAX))
        return FAIL(f, ERR_MEDIA, "the video is %.0f s long, at most %d s are read", r->seconds,
                    DECODE_SECONDS_MAX);
    return check_whole(r, end, tell, f);
}

enum err reel_open(struct reel *r, struct source *source, enum source_kind kind, struct tell *tell,
                   struct fail *f) {
    enum err rc = ERR_OK;
    *r = (struct reel){.source = source, .kind = kind, .orientation = 1};
    TRY(open_file(r, f));
    TRY(pick_stream(r, f));
    TRY(find_codec(r, f));
    r->orientation = orientation_of(r->stream, tell);
    TRY(survey(r, tell, f));
    if (!reel_go_to_start(r, f)) rc = f ? f->code : ERR_MEDIA;
out:
    return rc;
}

bool reel_go_to_start(struct reel *r, struct fail *f) {
    return open_file(r, f) == ERR_OK && pick_stream(r, f) == ERR_OK;
}

bool reel_go_before(struct reel *r, double at_s) {
    double unit = av_q2d(r->stream->time_base), at = (r->first_s + at_s) / unit;
    if (!(fabs(at) < 9e18)) return false;
    return av_seek_frame(r->file, r->stream->index, (int64_t)at, AVSEEK_FLAG_BACKWARD) >= 0;
}

bool reel_next(struct reel *r, AVPacket *out) {
    while (av_read_frame(r->file, out) >= 0) {
        if (out->stream_index == r->stream->index) return true;
        av_packet_unref(out);
    }
    return false;
}

double reel_time(const struct reel *r, int64_t timestamp) {
    return (double)timestamp * av_q2d(r->stream->time_base) - r->first_s;
}

void reel_close(struct reel *r) {
    close_file(r);
}
