/* lexicon_thing.h - rows of lexicon.h for things: what they are, look like and do. */
#ifndef COMMON_WORDS_LEXICON_THING_H
#define COMMON_WORDS_LEXICON_THING_H
#include "common/words/lexicon.h"
extern const struct lexicon_part lexicon_thing_part;
#endif
