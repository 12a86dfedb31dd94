/* decode.h - runs misora-decode on a stranger's file and takes the pixels.
 *
 * The file goes in as descriptor 0 and the answer comes out of descriptor 1: 'K' and the pixels, or
 * 'E' and a reason. The program gets no other descriptor, no environment, 800 MB, 20 s of processor
 * and 30 s of time; whatever it does, the worst for us is ERR_MEDIA. Blocking; any thread. */
#ifndef WORKER_MEDIA_DECODE_H
#define WORKER_MEDIA_DECODE_H

#include <stdint.h>

#include "common/base/err.h"

enum {
    DECODE_WALL_MS = 30000,
    DECODE_CPU_S = 20,
    DECODE_MEMORY_BYTES = 800 * 1000 * 1000,
    DECODE_REASON_MAX = 200
};

struct decode_request {
    const char *program; /* path of misora-decode */
    int fd;              /* the file, read from its start; stays the caller's */
    int width, height;   /* of the answer */
};

/* rgb [height][width][3], made by the caller. */
MUST_CHECK enum err decode_image(uint8_t *rgb, const struct decode_request *request,
                                 struct fail *f);

/* The path of misora-decode beside the running program. */
void decode_find_program(char *out, int cap);

#endif
