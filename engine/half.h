/* half.h - 16-bit and 8-bit floating point, as it lies in weight files and between products.
 * Arithmetic. */
#ifndef ENGINE_HALF_H
#define ENGINE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float half_from_bits(uint32_t bits) {
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static inline float half_bf16(uint16_t h) {
    return half_from_bits((uint32_t)h << 16);
}

/* To the nearest, ties to even; what is no number stays none. */
static inline uint16_t half_to_bf16(float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* IEEE half: subnormals are scaled by a power of two, infinities and NaN keep their kind. */
static inline float half_f16(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, fraction = h & 1023;
    if (exponent == 31) return half_from_bits(sign | 0x7f800000u | fraction << 13);
    if (exponent) return half_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float small = (float)fraction * 0x1p-24f;
    return sign ? -small : small;
}

/* 4 bits of exponent, 3 of fraction, no infinities. */
static inline float half_f8_e4m3(uint8_t h) {
    uint32_t sign = (uint32_t)(h & 0x80) << 24, exponent = (h >> 3) & 15, fraction = h & 7;
    if ((h & 0x7f) == 0x7f) return half_from_bits(sign | 0x7fc00000u);
    if (exponent) return half_from_bits(sign | (exponent + 120) << 23 | fraction << 20);
    float small = (float)fraction * 0x1p-9f;
    return sign ? -small : small;
}

/* The upper half of an IEEE half. */
static inline float half_f8_e5m2(uint8_t h) {
    return half_f16((uint16_t)(h << 8));
}

#endif
