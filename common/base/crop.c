#include "common/base/crop.h"

#include <stdint.h>

#include "common/base/assert.h"

struct crop crop_to_shape(int width, int height, int out_width, int out_height) {
    ASSERT(width > 0 && height > 0 && out_width > 0 && out_height > 0);
    struct crop c = {.width = width, .height = height};
    int64_t wide = (int64_t)width * out_height, tall = (int64_t)height * out_width;
    if (wide > tall) c.width = (int)((tall + out_height / 2) / out_height);
    if (wide < tall) c.height = (int)((wide + out_width / 2) / out_width);
    if (c.width < 1) c.width = 1;
    if (c.height < 1) c.height = 1;
    c.x = (width - c.width) / 2;
    c.y = (height - c.height) / 2;
    return c;
}

static int even(int64_t n) {
    return n < 2 ? 2 : (int)(n / 2 * 2);
}

struct crop_size crop_to_side(int width, int height, int max_side) {
    ASSERT(width > 0 && height > 0 && max_side >= 2);
    int side = width > height ? width : height;
    if (side <= max_side) return (struct crop_size){even(width), even(height)};
    return (struct crop_size){even((int64_t)width * max_side / side),
                              even((int64_t)height * max_side / side)};
}
