#include "decode/film.h"

#include <math.h>
#include <stdbool.h>

#include "common/base/mem.h"
#include "decode/fit.h"
#include "decode/reel.h"

static const double RUN_UP_S = 1, HAIR_S = 1e-6;

struct film {
    struct tell *tell;
    const struct ask *ask;
    struct reel reel;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame, *shown; /* just decoded; on the screen until the next one */
    struct fit *fit;
    uint8_t *rgb;      /* `shown`, once it was needed */
    bool is_rgb_shown; /* rgb holds it */
    bool has_shown;
    int fps, n_frames;    /* of the answer; of the whole file at that rate */
    int next, end;        /* slots that are still to be told */
    int n_packets, n_bad; /* given to the decoder; that it choked on */
    bool is_drained;
};

static enum err open_codec(struct film *m, struct fail *f) {
    const AVCodecParameters *p = m->reel.stream->codecpar;
    avcodec_free_context(&m->codec);
    m->codec = avcodec_alloc_context3(m->reel.codec);
    int n = m->codec ? avcodec_parameters_to_context(m->codec, p) : AVERROR(ENOMEM);
    if (n >= 0) {
        m->codec->max_pixels = REEL_PIXELS_MAX;
        m->codec->thread_count = 1;
        m->codec->pkt_timebase = m->reel.stream->time_base;
        if (m->codec->has_b_frames < m->reel.reorder) m->codec->has_b_frames = m->reel.reorder;
        n = avcodec_open2(m->codec, m->reel.codec, NULL);
    }
    m->is_drained = false;
    return n >= 0 ? ERR_OK
                  : FAIL(f, ERR_MEDIA, "the video is damaged: its %s decoder does not start",
                         m->reel.codec->name);
}

static void note_bad(struct film *m, int averror) {
    if (averror < 0 && averror != AVERROR(EAGAIN) && averror != AVERROR_EOF) m->n_bad++;
}

/* The next frame in order of showing, in m->frame; false when there is none left. */
static bool decode_next(struct film *m) {
    for (;;) {
        int n = avcodec_receive_frame(m->codec, m->frame);
        if (n >= 0) return true;
        if (n == AVERROR_EOF || (n != AVERROR(EAGAIN) && m->is_drained)) return false;
        note_bad(m, n);
        if (m->is_drained) return false;
        if (reel_next(&m->reel, m->packet)) {
            m->n_packets++;
            note_bad(m, avcodec_send_packet(m->codec, m->packet));
            av_packet_unref(m->packet);
        } else {
            avcodec_send_packet(m->codec, NULL);
            m->is_drained = true;
        }
    }
}

static double frame_time(const struct film *m) {
    int64_t t = m->frame->best_effort_timestamp;
    if (t == AV_NOPTS_VALUE) t = m->frame->pts;
    if (t == AV_NOPTS_VALUE) return m->codec->frame_number / 25.0;
    return reel_time(&m->reel, t);
}

static enum err tell_slot(struct film *m, struct fail *f) {
    enum err rc = ERR_OK;
    const struct ask *ask = m->ask;
    if (!m->is_rgb_shown) TRY(fit_frame(m->fit, m->rgb, m->shown, f));
    m->is_rgb_shown = true;
    TRY(tell_frame(m->tell, m->rgb, (size_t)ask->width * (size_t)ask->height * 3, f));
    m->next++;
out:
    return rc;
}

/* Until when a slot waits for its frame: half a frame of the faster of the two rates. */
static double patience(const struct film *m) {
    double ours = 0.5 / m->fps, theirs = 0.5 * m->reel.frame_s;
    return ours < theirs ? ours : theirs;
}

/* Slots that the new frame comes too late for show the one before. */
static enum err show(struct film *m, double at_s, struct fail *f) {
    enum err rc = ERR_OK;
    double late = patience(m) - HAIR_S;
    while (m->has_shown && m->next < m->end && (double)m->next / m->fps + late < at_s)
        TRY(tell_slot(m, f));
    av_frame_unref(m->shown);
    av_frame_move_ref(m->shown, m->frame);
    m->has_shown = true;
    m->is_rgb_shown = false;
out:
    return rc;
}

/* After a jump the first frame must not be later than what the first slot shows; else all is
 * decoded from the beginning. */
static enum err start_at(struct film *m, bool *has_frame, struct fail *f) {
    enum err rc = ERR_OK;
    double first_s = (double)m->next / m->fps;
    bool is_jump = first_s > 2 * RUN_UP_S && reel_go_before(&m->reel, first_s - RUN_UP_S);
    if (is_jump) {
        TRY(open_codec(m, f));
        *has_frame = decode_next(m);
        if (*has_frame && frame_time(m) <= first_s) return ERR_OK;
    }
    if (!reel_go_to_start(&m->reel, f)) return ERR_MEDIA;
    m->n_bad = m->n_packets = 0;
    TRY(open_codec(m, f));
    *has_frame = decode_next(m);
out:
    return rc;
}

static enum err judge_damage(struct film *m, struct fail *f) {
    if (m->n_bad == 0) return ERR_OK;
    if (m->n_bad * 10 > m->n_packets)
        return FAIL(f, ERR_MEDIA, "the video is damaged: %d of %d frames cannot be decoded",
                    m->n_bad, m->n_packets);
    tell_warning(m->tell, "%d of %d frames are damaged; the ones before were held", m->n_bad,
                 m->n_packets);
    return ERR_OK;
}

static enum err send_frames(struct film *m, struct fail *f) {
    enum err rc = ERR_OK;
    bool has_frame = false;
    TRY(start_at(m, &has_frame, f));
    while (has_frame && m->next < m->end) {
        TRY(show(m, frame_time(m), f));
        has_frame = m->next < m->end && decode_next(m);
    }
    if (!m->has_shown) TRY(FAIL(f, ERR_MEDIA, "the video is damaged: no frame can be decoded"));
    while (m->next < m->end)
        TRY(tell_slot(m, f));
    rc = judge_damage(m, f);
out:
    return rc;
}

/* Which slots are wanted of how many. */
static void find_span(struct film *m) {
    const struct ask *ask = m->ask;
    double mean = 1 / m->reel.frame_s;
    int own = mean > DECODE_FPS_MAX ? DECODE_FPS_MAX : (int)(mean + 0.5);
    m->fps = ask->fps > 0 ? ask->fps : own > 0 ? own : 1;
    m->n_frames = (int)(m->reel.seconds * m->fps + 0.5);
    if (m->n_frames < 1) m->n_frames = 1;
    m->next = ask->from >= 0 ? ask->from : m->n_frames + ask->from;
    if (m->next < 0) m->next = 0;
    if (m->next > m->n_frames) m->next = m->n_frames;
    m->end = m->n_frames;
    if (ask->n_max > 0 && ask->n_max < m->end - m->next) m->end = m->next + ask->n_max;
    if (ask->width == 0) m->end = m->next;
}

/* What a file is changed by beyond its pictures. */
static void say_changes(const struct film *m) {
    double mean = 1 / m->reel.frame_s;
    if (m->reel.is_irregular)
        tell_warning(m->tell, "its frames come irregularly (%.2f fps on average); %d fps is used",
                     mean, m->fps);
    else if (fabs(mean - m->fps) > 0.01 * m->fps)
        tell_warning(m->tell, "its %.2f fps became %d", mean, m->fps);
    if (m->reel.orientation != 1) tell_warning(m->tell, "it is stored turned and was set upright");
}

/* The first frame must decode before anything is promised. */
static enum err tell_facts(struct film *m, struct fail *f) {
    enum err rc = ERR_OK;
    int width, height;
    double mean = 1000 / m->reel.frame_s;
    TRY(open_codec(m, f));
    if (!decode_next(m))
        TRY(FAIL(f, ERR_MEDIA, "the video is damaged: none of its %d frames can be decoded",
                 m->reel.n_packets));
    if (m->frame->sample_aspect_ratio.num == 0)
        m->frame->sample_aspect_ratio = m->reel.stream->sample_aspect_ratio;
    fit_look(&width, &height, m->frame, m->reel.orientation);
    av_frame_unref(m->frame);
    struct decode_wire_head head = {.magic = DECODE_WIRE_MAGIC,
                                    .is_video = 1,
                                    .has_audio = m->reel.has_audio,
                                    .width = (uint32_t)width,
                                    .height = (uint32_t)height,
                                    .fps_milli = (uint32_t)(mean < 1e6 ? mean + 0.5 : 1e6),
                                    .duration_ms = (uint32_t)(m->reel.seconds * 1000 + 0.5),
                                    .fps = (uint32_t)m->fps,
                                    .n_frames = (uint32_t)m->n_frames,
                                    .n_given = (uint32_t)(m->end - m->next)};
    rc = tell_head(m->tell, &head, f);
out:
    return rc;
}

static enum err take_memory(struct film *m, struct fail *f) {
    const struct ask *ask = m->ask;
    struct fit_opts opts = {.width = ask->width,
                            .height = ask->height,
                            .orientation = m->reel.orientation,
                            .tell = m->tell};
    m->packet = av_packet_alloc();
    m->frame = av_frame_alloc();
    m->shown = av_frame_alloc();
    if (ask->width > 0) m->rgb = mem_take((size_t)ask->width * (size_t)ask->height, 3);
    if (!m->packet || !m->frame || !m->shown || (ask->width > 0 && !m->rgb))
        return FAIL(f, ERR_NOMEM, "no memory for %dx%d", ask->width, ask->height);
    return ask->width > 0 ? fit_open(&m->fit, &opts, f) : ERR_OK;
}

enum err film_send(struct tell *tell, struct source *source, enum source_kind kind,
                   const struct ask *ask, struct fail *f) {
    enum err rc = ERR_OK;
    struct film m = {.tell = tell, .ask = ask};
    TRY(reel_open(&m.reel, source, kind, tell, f));
    find_span(&m);
    TRY(take_memory(&m, f));
    say_changes(&m);
    TRY(tell_facts(&m, f));
    if (m.next < m.end) TRY(send_frames(&m, f));
out:
    fit_close(m.fit);
    mem_free(m.rgb);
    av_frame_free(&m.shown);
    av_frame_free(&m.frame);
    av_packet_free(&m.packet);
    avcodec_free_context(&m.codec);
    reel_close(&m.reel);
    return rc;
}
