/* lexicon_place.h - rows of lexicon.h for the frame of a scene: place, light, weather, camera,
 * style. */
#ifndef COMMON_WORDS_LEXICON_PLACE_H
#define COMMON_WORDS_LEXICON_PLACE_H
#include "common/words/lexicon.h"
extern const struct lexicon_part lexicon_place_part;
#endif
