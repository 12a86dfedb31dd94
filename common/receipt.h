/* receipt.h - what a finished job left in the store: the result pointer a worker publishes and
 * the server reads to answer content requests. Plain values only, so nothing is freed.
 *
 *   {"video":{"key","bytes","sha256","type"},"thumbnail":{..}?,"spritesheet":{..}?,"width":W,
 *    "height":H,"fps":24.0,"num_frames":97,"seed":7,"compute_ms":1234,"seam":{"error","usual"}?,"work":{..}?,"warnings":["..."]}
 *
 * Pure: no I/O, no clock. */
#ifndef COMMON_RECEIPT_H
#define COMMON_RECEIPT_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/estimate.h"

enum {
    RECEIPT_JSON_MAX = 16 * 1024, /* bytes */
    RECEIPT_WARNINGS_MAX = 8,
    RECEIPT_WARNING_SIZE = 200,
};

enum receipt_variant {
    RECEIPT_VIDEO,
    RECEIPT_THUMBNAIL,
    RECEIPT_SPRITESHEET,
    RECEIPT_VARIANT_COUNT
};

/* One stored object; key[0] == 0: this job has none. */
struct receipt_object {
    char key[160];   /* name in the store */
    char sha256[65]; /* hex, also the strong ETag */
    char type[32];   /* video/mp4, image/webp, image/jpeg */
    int64_t n_bytes;
};

struct receipt {
    struct receipt_object objects[RECEIPT_VARIANT_COUNT];
    int width; /* of the delivered video, pixels */
    int height;
    double fps;
    int num_frames;
    uint32_t seed;
    int64_t compute_ms;
    double seam_error, seam_usual; /* of a loop: end to beginning, and neighbours; 0: no loop */
    struct estimate_work work;     /* width 0: not measured */
    int n_warnings;
    char warnings[RECEIPT_WARNINGS_MAX][RECEIPT_WARNING_SIZE];
};

/* "video", "thumbnail", "spritesheet": names on the wire and in the JSON. */
const char *receipt_variant_name(enum receipt_variant v);

/* Appends the JSON form; the video object must be there. */
MUST_CHECK enum err receipt_write(const struct receipt *r, struct buf *out, struct fail *f);

/* Fails with ERR_CORRUPT on anything receipt_write() would not write. */
MUST_CHECK enum err receipt_parse(struct receipt *r, const char *json, size_t n, struct fail *f);

#endif
