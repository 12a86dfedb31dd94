#include "server/sniff.h"

#include <string.h>

#include "common/base/assert.h"

static int be16(const unsigned char *p) {
    return p[0] << 8 | p[1];
}
static int le16(const unsigned char *p) {
    return p[0] | p[1] << 8;
}
static int le24(const unsigned char *p) {
    return p[0] | p[1] << 8 | p[2] << 16;
}

/* Clamped, so that a picture of 2^31 pixels stays a positive number that is too large. */
static int be32(const unsigned char *p) {
    unsigned v = (unsigned)p[0] << 24 | (unsigned)p[1] << 16 | (unsigned)p[2] << 8 | p[3];
    return v > 0x7fffffff ? 0x7fffffff : (int)v;
}

static void read_png(struct sniff_image *out, const unsigned char *p, size_t n) {
    if (n < 24 || memcmp(p + 12, "IHDR", 4) != 0) return;
    out->width = be32(p + 16);
    out->height = be32(p + 20);
}

/* Walks the segments up to the first start of frame; C4, C8 and CC are other tables. */
static void read_jpeg(struct sniff_image *out, const unsigned char *p, size_t n) {
    size_t i = 2;
    while (i + 9 < n && p[i] == 0xFF) {
        int marker = p[i + 1];
        if (marker == 0xFF) {
            i++;
            continue;
        }
        bool is_frame =
            marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
        if (is_frame) {
            out->height = be16(p + i + 5);
            out->width = be16(p + i + 7);
            return;
        }
        int length = be16(p + i + 2);
        if (length < 2) return;
        i += 2 + (size_t)length;
    }
}

static void read_webp(struct sniff_image *out, const unsigned char *p, size_t n) {
    if (n < 30) return;
    if (memcmp(p + 12, "VP8 ", 4) == 0) {
        out->width = le16(p + 26) & 0x3FFF;
        out->height = le16(p + 28) & 0x3FFF;
    } else if (memcmp(p + 12, "VP8L", 4) == 0) {
        unsigned bits = (unsigned)le24(p + 21) | (unsigned)p[24] << 24;
        out->width = (int)(bits & 0x3FFF) + 1;
        out->height = (int)(bits >> 14 & 0x3FFF) + 1;
    } else if (memcmp(p + 12, "VP8X", 4) == 0) {
        out->width = le24(p + 24) + 1;
        out->height = le24(p + 27) + 1;
    }
}

bool sniff_image(struct sniff_image *out, const unsigned char *p, size_t n) {
    *out = (struct sniff_image){0};
    if (n >= 8 && memcmp(p, "\x89PNG\r\n\x1a\n", 8) == 0) {
        *out = (struct sniff_image){.type = "image/png", .extension = "png"};
        read_png(out, p, n);
    } else if (n >= 3 && memcmp(p, "\xFF\xD8\xFF", 3) == 0) {
        *out = (struct sniff_image){.type = "image/jpeg", .extension = "jpg"};
        read_jpeg(out, p, n);
    } else if (n >= 12 && memcmp(p, "RIFF", 4) == 0 && memcmp(p + 8, "WEBP", 4) == 0) {
        *out = (struct sniff_image){.type = "image/webp", .extension = "webp"};
        read_webp(out, p, n);
    }
    return out->type != NULL;
}

static bool has(const unsigned char *p, size_t n, const char *text, size_t len) {
    for (size_t i = 0; i + len <= n; i++)
        if (memcmp(p + i, text, len) == 0) return true;
    return false;
}

const struct sniff_video *sniff_video(const unsigned char *p, size_t n) {
    static const struct sniff_video mp4 = {"video/mp4", "mp4"}, mov = {"video/quicktime", "mov"},
                                    webm = {"video/webm", "webm"},
                                    mkv = {"video/x-matroska", "mkv"};
    /* HEIF pictures are ISO files too: their brands are refused here. */
    static const char *const pictures[] = {"heic", "heix", "mif1", "msf1", "avif", "avis"};
    enum { DOC_TYPE_WITHIN = 64 };
    if (n >= 12 && memcmp(p + 4, "ftyp", 4) == 0) {
        for (int i = 0; i < COUNT_OF(pictures); i++)
            if (memcmp(p + 8, pictures[i], 4) == 0) return NULL;
        return memcmp(p + 8, "qt  ", 4) == 0 ? &mov : &mp4;
    }
    if (n < 4 || memcmp(p, "\x1A\x45\xDF\xA3", 4) != 0) return NULL;
    return has(p, n < DOC_TYPE_WITHIN ? n : DOC_TYPE_WITHIN, "webm", 4) ? &webm : &mkv;
}

static const struct {
    size_t at;
    const char *magic;
    const char *name;
} kinds[] = {
    {0, "GIF8", "a GIF"},
    {4, "ftyp", "an MP4 or HEIF file"},
    {0, "%PDF", "a PDF"},
    {0, "\x1A\x45\xDF\xA3", "a WebM or Matroska video"},
    {0, "PK\x03\x04", "a ZIP"},
    {0,
     "\x7f"
     "ELF",
     "a program"},
    {0, "BM", "a BMP"},
    {0, "II*", "a TIFF"},
    {0, "MM", "a TIFF"},
    {0, "<svg", "an SVG"},
    {0, "<?xml", "XML"},
    {0, "<html", "HTML"},
    {0, "<!DOCTYPE", "HTML"},
    {0, "#EXTM3U", "a playlist"},
};

const char *sniff_describe(const unsigned char *p, size_t n) {
    for (int i = 0; i < COUNT_OF(kinds); i++) {
        size_t len = strlen(kinds[i].magic);
        if (n >= kinds[i].at + len && memcmp(p + kinds[i].at, kinds[i].magic, len) == 0)
            return kinds[i].name;
    }
    return "not a known kind of file";
}
