/* caption.h - says a scene in words, for training and for the prompt upsampler.
 *
 * Pure: no I/O, no clock, no memory kept. The text is a function of (scene, kind, lang, seed) only.
 * Every word comes from lexicon.h, so parse.h can read each long caption back into the scene;
 * a caption never names a thing that the scene does not hold. English and Chinese share one
 * grammar: the same template slots in another order. */
#ifndef COMMON_WORDS_CAPTION_H
#define COMMON_WORDS_CAPTION_H

#include <stddef.h>
#include <stdint.h>

#include "common/words/world.h"

enum caption_kind { CAPTION_SHORT, CAPTION_LONG, CAPTION_KIND_COUNT };
enum caption_lang { CAPTION_EN, CAPTION_ZH, CAPTION_LANG_COUNT };
enum { CAPTION_BYTES_MAX = 1024 };

/* Writes one caption as UTF-8 with a NUL into out and returns its bytes without the NUL.
 * cap must be at least CAPTION_BYTES_MAX. SHORT: 3 to 10 words, attributes left out at random.
 * LONG: 40 to 90 words in the order subjects and actions, relations, place, light and weather,
 * camera, style; everything but the defaults (see parse_defaults) is said. In Chinese a word is
 * counted as a character and a half. */
int caption_write(const struct scene *s, enum caption_kind kind, enum caption_lang lang,
                  uint64_t seed, char *out, size_t cap);

#endif
