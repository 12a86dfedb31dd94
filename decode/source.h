/* source.h - the file that was handed to us: its kind by its first bytes, its bytes for libav.
 *
 * Read with pread only: the offset of the descriptor is the parent's. A kind is never guessed from
 * a name or a score, so a playlist called .mp4 is a text file and nothing else. */
#ifndef DECODE_SOURCE_H
#define DECODE_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include <libavformat/avio.h>

#include "common/base/err.h"

enum source_kind {
    SOURCE_PNG,
    SOURCE_JPEG,
    SOURCE_WEBP,
    SOURCE_MOV,
    SOURCE_MATROSKA,
    SOURCE_GIF,
    SOURCE_KIND_COUNT
};

struct source {
    int fd;
    int64_t size_bytes, at;
};

/* ERR_MEDIA when it is not a file. Calls fstat, so before the jail. */
MUST_CHECK enum err source_open(struct source *out, int fd, struct fail *f);
/* ERR_MEDIA in words when its first bytes are of no kind that is read. */
MUST_CHECK enum err source_find_kind(struct source *s, enum source_kind *out, struct fail *f);
/* Up to n bytes from the beginning; returns how many. */
size_t source_read_start(const struct source *s, uint8_t *out, size_t n);
/* Bytes for a demuxer, from the beginning. NULL without memory; end it with source_avio_free(). */
AVIOContext *source_avio(struct source *s);
void source_avio_free(AVIOContext **io);

#endif
