#include "decode/tone.h"

#include <math.h>

static const float WHITE_NITS = 203, PEAK_NITS = 1000, KNEE = 0.7f, GAMMA = 2.4f;

/* SMPTE ST 2084: signal 0..1 to nits. */
static float pq_nits(float e) {
    const float m1 = 2610.0f / 16384, m2 = 2523.0f / 32;
    const float c1 = 3424.0f / 4096, c2 = 2413.0f / 128, c3 = 2392.0f / 128;
    float p = powf(e, 1 / m2), top = p - c1;
    return 10000 * powf((top > 0 ? top : 0) / (c2 - c3 * p), 1 / m1);
}

/* BT.2100 HLG: signal 0..1 to light of the scene 0..1. */
static float hlg_scene(float e) {
    const float a = 0.17883277f, b = 1 - 4 * a, c = 0.55991073f;
    return e <= 0.5f ? e * e / 3 : (expf((e - c) / a) + b) / 12;
}

void tone_make(struct tone *t, enum tone_curve curve, bool is_wide) {
    t->is_hlg = curve == TONE_HLG;
    t->is_wide = is_wide;
    for (int i = 0; i < TONE_STEPS; i++) {
        float e = (float)i / (TONE_STEPS - 1);
        t->light[i] = curve == TONE_PQ    ? pq_nits(e) / WHITE_NITS
                      : curve == TONE_HLG ? hlg_scene(e)
                                          : powf(e, GAMMA);
        t->code[i] = (uint8_t)(255 * powf(e, 2 / GAMMA) + 0.5f);
    }
}

/* Straight up to KNEE, then a curve of the same slope that reaches 1 at the peak:
 * f(u) = u (1 + s) / (u + s), u = 0..1 between knee and peak, f'(0) = (1 + s) / s. */
static float shoulder(float x) {
    const float peak = PEAK_NITS / WHITE_NITS;
    const float s = 1 / ((peak - KNEE) / (1 - KNEE) - 1);
    if (x <= KNEE) return x;
    if (x >= peak) return 1;
    float u = (x - KNEE) / (peak - KNEE);
    return KNEE + (1 - KNEE) * u * (1 + s) / (u + s);
}

static float above_zero(float x) {
    return x > 0 ? x : 0;
}

/* BT.2087: BT.2020 primaries to BT.709. What lies outside is cut. */
static void narrow(float c[3]) {
    float r = c[0], g = c[1], b = c[2];
    c[0] = above_zero(1.6605f * r - 0.5876f * g - 0.0728f * b);
    c[1] = above_zero(-0.1246f * r + 1.1329f * g - 0.0083f * b);
    c[2] = above_zero(-0.0182f * r - 0.1006f * g + 1.1187f * b);
}

/* The screen of HLG shows light by the brightness of the whole pixel (system gamma 1.2). */
static void show_hlg(float c[3]) {
    float y = 0.2627f * c[0] + 0.6780f * c[1] + 0.0593f * c[2];
    float gain = PEAK_NITS / WHITE_NITS * powf(y, 0.2f);
    for (int i = 0; i < 3; i++)
        c[i] *= gain;
}

void tone_map(const struct tone *t, uint8_t *rgb, const uint16_t *deep, size_t n) {
    for (size_t i = 0; i < n; i++, rgb += 3, deep += 3) {
        float c[3], top = 0;
        for (int k = 0; k < 3; k++)
            c[k] = t->light[deep[k] >> 4];
        if (t->is_hlg) show_hlg(c);
        if (t->is_wide) narrow(c);
        for (int k = 0; k < 3; k++)
            if (c[k] > top) top = c[k];
        float gain = top > KNEE ? shoulder(top) / top : 1;
        for (int k = 0; k < 3; k++) {
            float x = c[k] * gain;
            rgb[k] = t->code[(int)(sqrtf(x < 1 ? x : 1) * (TONE_STEPS - 1) + 0.5f)];
        }
    }
}
