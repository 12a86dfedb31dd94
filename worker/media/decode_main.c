/* misora-decode WIDTHxHEIGHT < image > 'K' + RGB, or 'E' + reason. Started by decode.c for every
 * single file; lives in tight limits and dies with them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "worker/media/decode.h"
#include "worker/media/jail.h"
#include "worker/media/picture.h"

enum { PADDING = 64, EXIT_REFUSED = 65, EXIT_WRONG_USE = 64, FILES_MAX = 16 };

static const struct jail_limits limits = {
    .memory_bytes = DECODE_MEMORY_BYTES, .cpu_s = DECODE_CPU_S, .n_files = FILES_MAX};

static bool write_all(const void *p, size_t n) {
    const char *at = p;
    while (n > 0) {
        ssize_t w = write(STDOUT_FILENO, at, n);
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) return false;
        at += w;
        n -= (size_t)w;
    }
    return true;
}

/* One byte more than allowed is read, so that the decoder sees that it is too long. */
static size_t read_input(uint8_t *data) {
    size_t n = 0;
    while (n <= PICTURE_BYTES_MAX) {
        ssize_t k = read(STDIN_FILENO, data + n, PICTURE_BYTES_MAX + 1 - n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) break;
        n += (size_t)k;
    }
    return n;
}

static bool read_size(const char *text, int64_t *width, int64_t *height) {
    struct str rest = str_of(text), w, h;
    return str_split(&rest, 'x', &w) && str_split(&rest, 'x', &h) && rest.n == 0 &&
           str_parse_i64(w, 1, PICTURE_OUT_SIDE_MAX, width) &&
           str_parse_i64(h, 1, PICTURE_OUT_SIDE_MAX, height);
}

int main(int argc, char **argv) {
    int64_t width = 0, height = 0;
    struct fail f = {0};
    if (argc != 2 || !read_size(argv[1], &width, &height)) {
        fputs("usage: misora-decode WIDTHxHEIGHT < image > pixels\n", stderr);
        return EXIT_WRONG_USE;
    }
    uint8_t *data = jail_enter(&limits) ? mem_take(1, PICTURE_BYTES_MAX + 1 + PADDING) : NULL;
    uint8_t *rgb = mem_take((size_t)(width * height), 3);
    enum err rc = data && rgb
                      ? picture_decode(rgb, (int)width, (int)height, data, read_input(data), &f)
                      : FAIL(&f, ERR_NOMEM, "no memory to decode the image");
    bool is_sent = rc == ERR_OK ? write_all("K", 1) && write_all(rgb, (size_t)(width * height) * 3)
                                : write_all("E", 1) && write_all(f.text, strlen(f.text));
    mem_free(rgb);
    mem_free(data);
    return rc == ERR_OK && is_sent ? 0 : EXIT_REFUSED;
}
