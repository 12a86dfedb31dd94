/* tone.h - wide colours to those of a plain screen: PQ, HLG and BT.2020 to gamma BT.709, 8 bits.
 *
 * Signal -> light (BT.2100; 1.0 = 203 nits, the white of plain video by BT.2408) -> BT.709
 * primaries
 * -> a shoulder: below KNEE nothing changes, 1000 nits become 1.0 -> gamma 2.4 (BT.1886). The
 * brightest channel is bent and the others follow, so hues stay. Pure. */
#ifndef DECODE_TONE_H
#define DECODE_TONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tone_curve { TONE_GAMMA, TONE_PQ, TONE_HLG };

enum { TONE_STEPS = 4096 };

struct tone {
    bool is_hlg, is_wide;     /* BT.2020 primaries */
    float light[TONE_STEPS];  /* of a signal */
    uint8_t code[TONE_STEPS]; /* of the square root of light */
};

void tone_make(struct tone *t, enum tone_curve curve, bool is_wide);
/* n pixels of three 16-bit signals each to three bytes each. */
void tone_map(const struct tone *t, uint8_t *rgb, const uint16_t *deep, size_t n);

#endif
