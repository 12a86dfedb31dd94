#include "decode/ask.h"

#include <stdint.h>

#include "common/base/decode_wire.h"
#include "common/base/str.h"

enum { ARGS = 6, FROM_MAX = 2 * DECODE_FRAMES_MAX };

static bool read_kind(enum ask_kind *out, const char *text) {
    static const char *const names[] = {
        [ASK_ANY] = "any", [ASK_IMAGE] = "image", [ASK_VIDEO] = "video"};
    for (int i = ASK_ANY; i <= ASK_VIDEO; i++)
        if (str_eq(str_of(text), names[i])) {
            *out = (enum ask_kind)i;
            return true;
        }
    return false;
}

bool ask_parse(struct ask *out, int argc, char **argv) {
    struct str size, w, h;
    int64_t width, height, fps, from, n_max;
    if (argc != ARGS || !read_kind(&out->kind, argv[1])) return false;
    size = str_of(argv[2]);
    bool is_ok = str_split(&size, 'x', &w) && str_split(&size, 'x', &h) && size.n == 0 &&
                 str_parse_i64(w, 0, DECODE_SIDE_MAX, &width) &&
                 str_parse_i64(h, 0, DECODE_SIDE_MAX, &height) &&
                 str_parse_i64(str_of(argv[3]), 0, DECODE_FPS_MAX, &fps) &&
                 str_parse_i64(str_of(argv[4]), -FROM_MAX, FROM_MAX, &from) &&
                 str_parse_i64(str_of(argv[5]), 0, FROM_MAX, &n_max);
    if (!is_ok || (width == 0) != (height == 0)) return false;
    out->width = (int)width;
    out->height = (int)height;
    out->fps = (int)fps;
    out->from = (int)from;
    out->n_max = (int)n_max;
    return true;
}
