/* reel.h - the container of a stranger's clip: its video stream, packet by packet. Runs in the
 * jail.
 *
 * The demuxer is named by the first bytes of the file, never probed; it can open nothing (no
 * protocol, io_open refuses), and streams are not probed by decoding either. Before any frame is
 * decoded all packets are counted once: that is where endless, hour-long and cut files show, and it
 * gives times that no header can lie about. Times are seconds from the first frame. */
#ifndef DECODE_REEL_H
#define DECODE_REEL_H

#include <stdbool.h>
#include <stdint.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "common/base/err.h"
#include "decode/source.h"
#include "decode/tell.h"

enum { REEL_PIXELS_MAX = 4096 * 2304, REEL_STREAMS_MAX = 100, REEL_REORDER_MAX = 16 };

struct reel {
    struct source *source;
    enum source_kind kind;
    AVIOContext *io;
    AVFormatContext *file;
    AVStream *stream; /* borrowed from `file` */
    const AVCodec *codec;
    int n_packets, reorder;       /* counted; how far frames are stored out of their order */
    double first_s;               /* time of the first frame as the file counts */
    double seconds, frame_s;      /* of all; between two frames, mean */
    bool has_audio, is_irregular; /* frames do not come at one rate */
    int orientation;              /* as EXIF counts */
};

/* ERR_MEDIA in words. The caller closes it in any case. */
MUST_CHECK enum err reel_open(struct reel *r, struct source *source, enum source_kind kind,
                              struct tell *tell, struct fail *f);
/* Back to the first packet, or to the key frame before `at_s`; false when that cannot be done. */
bool reel_go_to_start(struct reel *r, struct fail *f);
bool reel_go_before(struct reel *r, double at_s);
/* The next packet of the video; false at the end, also when the file breaks off. */
bool reel_next(struct reel *r, AVPacket *out);
double reel_time(const struct reel *r, int64_t timestamp);
void reel_close(struct reel *r);

#endif
