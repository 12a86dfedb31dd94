#include "engine/rng.h"

#include <math.h>

enum { PHILOX_ROUNDS = 10 };

static const uint32_t philox_mul[2] = {0xD2511F53u, 0xCD9E8D57u};
static const uint32_t philox_add[2] = {0x9E3779B9u, 0xBB67AE85u};

void rng_block(uint64_t seed, uint64_t stream, uint64_t index, uint32_t out[4]) {
    uint32_t c[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream,
                     (uint32_t)(stream >> 32)};
    uint32_t k[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (int r = 0; r < PHILOX_ROUNDS; r++) {
        uint64_t a = (uint64_t)philox_mul[0] * c[0], b = (uint64_t)philox_mul[1] * c[2];
        uint32_t n[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b,
                         (uint32_t)(a >> 32) ^ c[3] ^ k[1], (uint32_t)a};
        for (int i = 0; i < 4; i++)
            c[i] = n[i];
        k[0] += philox_add[0];
        k[1] += philox_add[1];
    }
    for (int i = 0; i < 4; i++)
        out[i] = c[i];
}

uint64_t rng_stream_at(enum rng_stream stream, int step) {
    return (uint64_t)stream + ((uint64_t)(unsigned)step << 32);
}

/* In (0,1): never 0, because of the logarithm. */
static double unit_of(uint32_t hi, uint32_t lo) {
    uint64_t bits = ((uint64_t)hi << 21) ^ (lo >> 11);
    return ((double)(bits & ((1ull << 53) - 1)) + 0.5) * 0x1p-53;
}

/* Two independent standard normals: elements 2*pair and 2*pair+1 of the stream. */
static void normal_pair(uint64_t seed, uint64_t stream, uint64_t pair, float out[2]) {
    uint32_t b[4];
    rng_block(seed, stream, pair, b);
    double radius = sqrt(-2.0 * log(unit_of(b[0], b[1])));
    double angle = 2.0 * M_PI * unit_of(b[2], b[3]);
    out[0] = (float)(radius * cos(angle));
    out[1] = (float)(radius * sin(angle));
}

void rng_normal_fill(uint64_t seed, uint64_t stream, uint64_t first, float *out, int64_t n) {
    float pair[2] = {0};
    uint64_t have = UINT64_MAX;
    for (int64_t i = 0; i < n; i++) {
        uint64_t at = first + (uint64_t)i;
        if (at / 2 != have) normal_pair(seed, stream, have = at / 2, pair);
        out[i] = pair[at % 2];
    }
}
