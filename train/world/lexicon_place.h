/* lexicon_place.h - rows of lexicon.h for the frame of a scene: place, light, weather, camera,
 * style. */
#ifndef TRAIN_WORLD_LEXICON_PLACE_H
#define TRAIN_WORLD_LEXICON_PLACE_H
#include "train/world/lexicon.h"
extern const struct lexicon_part lexicon_place_part;
#endif
