/* lexicon_word.h - rows of lexicon.h for the small words: articles, numbers, relations, fillers. */
#ifndef COMMON_WORDS_LEXICON_WORD_H
#define COMMON_WORDS_LEXICON_WORD_H
#include "common/words/lexicon.h"
extern const struct lexicon_part lexicon_word_part;
#endif
