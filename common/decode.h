/* decode.h - strangers' pictures and clips as frames: runs misora-decode and reads its answer.
 *
 * One process for one file. It gets the file as descriptor 0 and a pipe, no other descriptor, no
 * environment, 800 MB and 20 s of processor, and may open nothing (decode/jail.h); whatever it
 * does, the worst for us is ERR_MEDIA in words for the owner of the file. What is not as asked
 * (rate, shape, rotation, HDR, alpha, interlacing, damage) is conformed, with a warning each.
 *
 *     struct decode_request r = {.program = program, .fd = fd, .width = 832, .height = 480,
 *                                .fps = 16, .from = -25, .facts = &facts}; // the last 25
 *     TRY(decode_clip(&clip, &r, f));                                // or frame by frame:
 *     TRY(decode_open(&d, &r, f));
 *     while ((rc = decode_frame(d, rgb, &is_over, f)) == ERR_OK && !is_over) use(rgb);
 *     decode_close(d);
 *
 * Blocking; any thread, one thread per struct. Knows neither FFmpeg nor jobs. */
#ifndef COMMON_DECODE_H
#define COMMON_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/decode_wire.h"
#include "common/base/err.h"

enum {
    /* Waiting for the process, all together; it has 20 s of processor, but cores may be busy. */
    DECODE_WAIT_MS = 60000
};

enum decode_kind { DECODE_ANY, DECODE_IMAGE, DECODE_VIDEO, DECODE_KIND_COUNT };

struct decode_facts {
    bool is_video, has_audio;
    int width, height; /* as it is shown: upright, square pixels */
    double fps;        /* mean rate of the file; 0 for an image */
    double seconds;
    int frame_fps; /* of the frames that come */
    int n_frames;  /* of the whole file, at frame_fps; 1 for an image */
    int n_given;   /* frames that come */
    int n_warnings;
    char warning[DECODE_WARNINGS_MAX][DECODE_WARNING_SIZE];
};

struct decode_request {
    const char *program; /* path of misora-decode: decode_find_program() */
    int fd; /* a file or memfd; its offset neither matters nor moves; stays the caller's */
    /* Of the frames: the middle is cut to this shape and scaled. Both 0: facts only. */
    int width, height;
    enum decode_kind kind; /* ERR_MEDIA when it is something else */
    int fps;   /* of the frames; 0: the file's own, to the nearest whole number. Images: not read */
    int from;  /* the first frame that is wanted, counted at `fps`; < 0: counted from the end */
    int n_max; /* frames at most; 0: up to the end */
    struct decode_facts *facts;      /* what is learnt on the way, warnings too; may be NULL */
    bool (*is_cancelled)(void *ctx); /* asked a few times a second; may be NULL */
    void *ctx;
};

struct decode; /* opaque: a running misora-decode */

/* Reads up to the head. ERR_MEDIA: the file cannot be used, in words. ERR_BUG: the program cannot
 * be run. ERR_CANCELLED. What `request` points to lives as long as *out. */
MUST_CHECK enum err decode_open(struct decode **out, const struct decode_request *request,
                                struct fail *f);
/* The next frame, rgb [height][width][3], or *is_over after the last one. */
MUST_CHECK enum err decode_frame(struct decode *d, uint8_t *rgb, bool *is_over, struct fail *f);
/* Ends the process, also in the middle. NULL is fine. */
void decode_close(struct decode *d);

/* One picture: an image, or the first wanted frame of a video. */
MUST_CHECK enum err decode_image(uint8_t *rgb, const struct decode_request *request,
                                 struct fail *f);

struct decode_clip {
    uint8_t *rgb; /* [n_frames,height,width,3], for mem_free() or decode_clip_free() */
    int n_frames;
    struct decode_facts facts; /* the request's own `facts` are not filled */
};

/* All wanted frames in memory. ERR_LIMIT over `max_bytes`. */
MUST_CHECK enum err decode_clip(struct decode_clip *out, const struct decode_request *request,
                                uint64_t max_bytes, struct fail *f);
void decode_clip_free(struct decode_clip *clip); /* safe on a zeroed struct */

/* What a file is, without its frames: of the request only program, fd, kind and fps are read. The
 * first frame was decoded, so the codec is one that is read. */
MUST_CHECK enum err decode_probe(struct decode_facts *out, const struct decode_request *request,
                                 struct fail *f);

/* The path of misora-decode beside the running program. */
void decode_find_program(char *out, int cap);

#endif
