/* probe.h - what every core can do at this very moment: the yardstick of the benchmarks.
 *
 * Multiply-add loops that live in registers, one thread pinned to each core, all at once, so that a
 * neighbour on a core shows as a low number of that core. Knows nothing of the engine. */
#ifndef TESTS_BENCH_PROBE_H
#define TESTS_BENCH_PROBE_H

#include <stdbool.h>

enum probe_kind {
    PROBE_F32_AVX2,
    PROBE_F32_AVX512,
    PROBE_BF16,
    PROBE_INT8,
    PROBE_READ, /* bytes of memory read in order, far larger than any cache */
    PROBE_COUNT
};

enum { PROBE_CORES_MAX = 256 };

struct probe {
    int n_cores;
    /* Of each core: GF/s, GOP/s for int8, GB/s for reading. By the clock on the wall, and by the
     * time that the core was ours. */
    double rate[PROBE_CORES_MAX], core_rate[PROBE_CORES_MAX];
};

const char *probe_name(enum probe_kind kind);
/* By name; false when there is none. */
bool probe_find(enum probe_kind *out, const char *name);
/* False when this processor cannot do it. About 60 ms. */
bool probe_run(struct probe *out, enum probe_kind kind);

#endif
