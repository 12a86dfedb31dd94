/* lexicon_thing.h - rows of lexicon.h for things: what they are, look like and do. */
#ifndef TRAIN_WORLD_LEXICON_THING_H
#define TRAIN_WORLD_LEXICON_THING_H
#include "train/world/lexicon.h"
extern const struct lexicon_part lexicon_thing_part;
#endif
