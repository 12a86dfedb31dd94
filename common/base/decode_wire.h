/* decode_wire.h - what misora-decode is asked and what it answers (common/decode.c, decode/).
 *
 *   misora-decode KIND WIDTHxHEIGHT FPS FROM N_MAX   < the file, read with pread
 *     KIND any, image or video; 0x0: only the facts; FPS 0: the file's own; FROM < 0: from the end;
 *     N_MAX 0: up to the end
 *
 *   answer = W* head (W* F)* W* Z | (any of that, cut anywhere) E
 *     'H' struct decode_wire_head, once         'F' height * width * 3 bytes of RGB
 *     'W' DECODE_WARNING_SIZE bytes of text     'Z' nothing more comes, all went well
 *     'E' up to DECODE_REASON_MAX bytes of text, then the end
 *
 * Both sides are built together on one machine: numbers lie as the machine has them. The reader
 * believes nothing: the writer has read hostile bytes. */
#ifndef BASE_DECODE_WIRE_H
#define BASE_DECODE_WIRE_H

#include <stdint.h>

enum {
    DECODE_CPU_S = 20,
    DECODE_MEMORY_BYTES = 800 * 1000 * 1000,
    DECODE_SIDE_MAX = 4096,    /* of an answer */
    DECODE_FPS_MAX = 120,      /* of an answer */
    DECODE_SECONDS_MAX = 600,  /* of a file */
    DECODE_FRAMES_MAX = 36000, /* of a file, and of an answer: 600 s at 60 fps */
    DECODE_WARNINGS_MAX = 8,
    DECODE_WARNING_SIZE = 120, /* with the final NUL */
    DECODE_REASON_MAX = 200
};

enum decode_wire_tag {
    DECODE_WIRE_HEAD = 'H',
    DECODE_WIRE_FRAME = 'F',
    DECODE_WIRE_WARNING = 'W',
    DECODE_WIRE_END = 'Z',
    DECODE_WIRE_FAIL = 'E'
};

#define DECODE_WIRE_MAGIC 0x31634544u /* "DEc1" */

struct decode_wire_head {
    uint32_t magic;
    uint32_t is_video, has_audio; /* 0 or 1 */
    uint32_t width, height;       /* upright, square pixels */
    uint32_t fps_milli;           /* mean rate of the file; 0 for an image */
    uint32_t duration_ms;         /* 0 for an image */
    uint32_t fps;                 /* of the answer */
    uint32_t n_frames;            /* that the whole file has at the rate of the answer */
    uint32_t n_given;             /* that are coming */
};

#endif
