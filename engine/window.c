#include "engine/window.h"

#include "common/base/assert.h"

int64_t window_count(const struct window_plan *p) {
    ASSERT(p->L > 0 && (p->longest == 0 || (p->overlap > 0 && p->overlap < p->longest)));
    if (p->longest == 0 || p->L <= p->longest) return 1;
    int64_t step = p->longest - p->overlap;
    return (p->L - p->overlap + step - 1) / step;
}

struct window window_at(const struct window_plan *p, int64_t i) {
    int64_t n_windows = window_count(p);
    ASSERT(i >= 0 && i < n_windows);
    if (n_windows == 1) return (struct window){0, p->L, 0};
    int64_t n_new = p->L - p->overlap; /* the windows share these, each with a head before them */
    int64_t first = i * n_new / n_windows, next = (i + 1) * n_new / n_windows;
    return (struct window){first, next - first + p->overlap, i > 0 ? p->overlap : 0};
}
