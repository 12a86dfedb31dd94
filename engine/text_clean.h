/* text_clean.h - what the reference pipeline does to a prompt before the tokenizer sees it.
 *
 * In this order: terminal escapes and control characters go, C1 controls become what Windows-1252
 * means by them, curled quotes become straight and full-width ASCII narrow (the part of
 * ftfy.fix_text that prompts meet), HTML character references are resolved twice, runs of blanks
 * become one space and the ends are trimmed.
 *
 * Of ftfy this leaves out the repair of mojibake (text decoded with the wrong charset), and what
 * the tokenizer's own normaliser does afterwards anyway: composition, ligatures, half-width kana.
 * Of HTML it knows the 252 names of HTML 4 and their forms without semicolon. */
#ifndef ENGINE_TEXT_CLEAN_H
#define ENGINE_TEXT_CLEAN_H

#include "common/base/buf.h"
#include "common/base/str.h"

/* Appends the cleaned text to `out`, whose cap bounds the result. Bytes that are not UTF-8 stay as
 * they are. */
MUST_CHECK enum err text_clean(struct buf *out, struct str text, struct fail *f);

#endif
