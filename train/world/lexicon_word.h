/* lexicon_word.h - rows of lexicon.h for the small words: articles, numbers, relations, fillers. */
#ifndef TRAIN_WORLD_LEXICON_WORD_H
#define TRAIN_WORLD_LEXICON_WORD_H
#include "train/world/lexicon.h"
extern const struct lexicon_part lexicon_word_part;
#endif
