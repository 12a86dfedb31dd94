/* sniff.h - what kind of file the first bytes are, and how large a picture they announce.
 *
 * A client's Content-Type and file name are never believed. Only headers are looked at, nothing is
 * decoded: that happens in the worker's sandbox. Pure. */
#ifndef SERVER_SNIFF_H
#define SERVER_SNIFF_H

#include <stdbool.h>
#include <stddef.h>

enum {
    SNIFF_HEAD_MAX = 32 * 1024, /* bytes of a file worth keeping for sniff_image() */
    SNIFF_SIDE_MAX = 16384,     /* pixels; larger announcements are bombs */
    SNIFF_PIXELS_MAX = 64 * 1000 * 1000,
};

struct sniff_image {
    const char *type;      /* image/png, image/jpeg, image/webp */
    const char *extension; /* png, jpg, webp */
    int width, height;     /* 0: the head is too short to tell */
};

/* False when the bytes are no picture that we take. */
bool sniff_image(struct sniff_image *out, const unsigned char *p, size_t n);

struct sniff_video {
    const char *type;      /* video/mp4, video/quicktime, video/webm, video/x-matroska */
    const char *extension; /* mp4, mov, webm, mkv */
};

/* NULL when the bytes begin no kind of clip that we take; static storage. */
const struct sniff_video *sniff_video(const unsigned char *p, size_t n);

/* "a GIF", "a PDF", "an MP4": for the error text; "not a known kind of file" otherwise. */
const char *sniff_describe(const unsigned char *p, size_t n);

#endif
