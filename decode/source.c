#include "decode/source.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libavutil/error.h>
#include <libavutil/log.h>
#include <libavutil/mem.h>

#include "common/base/assert.h"

enum { HEAD_BYTES = 16, IO_BYTES = 64 * 1024 };

/* '?' matches any byte. */
static const struct {
    const char *magic;
    size_t n;
    enum source_kind kind;
} kinds[] = {
    {"\x89PNG\r\n\x1a\n", 8, SOURCE_PNG},
    {"\xff\xd8\xff", 3, SOURCE_JPEG},
    {"RIFF????WEBP", 12, SOURCE_WEBP},
    {"????ftyp", 8, SOURCE_MOV},
    {"????moov", 8, SOURCE_MOV},
    {"????mdat", 8, SOURCE_MOV},
    {"????free", 8, SOURCE_MOV},
    {"????skip", 8, SOURCE_MOV},
    {"????wide", 8, SOURCE_MOV},
    {"\x1a\x45\xdf\xa3", 4, SOURCE_MATROSKA},
    {"GIF8", 4, SOURCE_GIF},
};

/* Pictures in the clothes of a video: the brand behind "ftyp". */
static const char *const still_brands[] = {"heic", "heix", "heim", "heis", "hevc", "hevx",
                                           "mif1", "msf1", "avif", "avis", "jxl ", "crx "};

enum err source_open(struct source *out, int fd, struct fail *f) {
    struct stat st;
    av_log_set_level(AV_LOG_QUIET); /* strangers do not write to our log, nor fill it */
    *out = (struct source){.fd = fd};
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return FAIL(f, ERR_MEDIA, "what was sent is not a file");
    out->size_bytes = st.st_size;
    return ERR_OK;
}

static ssize_t read_at(const struct source *s, void *out, size_t n, int64_t at) {
    for (;;) {
        ssize_t k = pread(s->fd, out, n, (off_t)at);
        if (k >= 0 || errno != EINTR) return k;
    }
}

size_t source_read_start(const struct source *s, uint8_t *out, size_t n) {
    size_t got = 0;
    while (got < n) {
        ssize_t k = read_at(s, out + got, n - got, (int64_t)got);
        if (k <= 0) break;
        got += (size_t)k;
    }
    return got;
}

static bool has_magic(const uint8_t *head, size_t n, const char *magic, size_t n_magic) {
    if (n < n_magic) return false;
    for (size_t i = 0; i < n_magic; i++)
        if (magic[i] != '?' && (uint8_t)magic[i] != head[i]) return false;
    return true;
}

static bool is_heif(const uint8_t *head, size_t n) {
    if (n < 12 || memcmp(head + 4, "ftyp", 4) != 0) return false;
    for (int i = 0; i < COUNT_OF(still_brands); i++)
        if (memcmp(head + 8, still_brands[i], 4) == 0) return true;
    return false;
}

enum err source_find_kind(struct source *s, enum source_kind *out, struct fail *f) {
    uint8_t head[HEAD_BYTES];
    size_t n = source_read_start(s, head, sizeof(head));
    if (s->size_bytes == 0) return FAIL(f, ERR_MEDIA, "the file is empty");
    if (is_heif(head, n))
        return FAIL(f, ERR_MEDIA, "the file is a HEIC or AVIF picture; need jpeg, png or webp");
    for (int i = 0; i < COUNT_OF(kinds); i++)
        if (has_magic(head, n, kinds[i].magic, kinds[i].n)) {
            *out = kinds[i].kind;
            return ERR_OK;
        }
    return FAIL(f, ERR_MEDIA,
                "the file is not a jpeg, png or webp image, nor an mp4, mov, webm, mkv or gif");
}

static int read_packet(void *ctx, uint8_t *buf, int n) {
    struct source *s = ctx;
    ssize_t k = n > 0 ? read_at(s, buf, (size_t)n, s->at) : 0;
    if (k < 0) return AVERROR(EIO);
    if (k == 0) return AVERROR_EOF;
    s->at += k;
    return (int)k;
}

/* Going past the end fails here, so that a demuxer notices that samples are missing. */
static int64_t seek(void *ctx, int64_t offset, int whence) {
    struct source *s = ctx;
    int64_t at = offset;
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE) return s->size_bytes;
    if (whence == SEEK_CUR && __builtin_add_overflow(s->at, offset, &at)) return AVERROR(EINVAL);
    if (whence == SEEK_END && __builtin_add_overflow(s->size_bytes, offset, &at))
        return AVERROR(EINVAL);
    if (at < 0 || at > s->size_bytes) return AVERROR(EINVAL);
    return s->at = at;
}

AVIOContext *source_avio(struct source *s) {
    uint8_t *buf = av_malloc(IO_BYTES);
    AVIOContext *io = buf ? avio_alloc_context(buf, IO_BYTES, 0, s, read_packet, NULL, seek) : NULL;
    if (!io) av_free(buf);
    s->at = 0;
    return io;
}

void source_avio_free(AVIOContext **io) {
    if (*io) av_freep(&(*io)->buffer);
    avio_context_free(io);
}
