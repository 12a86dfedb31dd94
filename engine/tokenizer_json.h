/* tokenizer_json.h - reads `tokenizer.json`, the file of the tokenizers library, for folders that
 * come without spiece.model.
 *
 *   model        {"type":"Unigram","unk_id":I,"byte_fallback":B,"vocab":[["text",score],...]}
 *   normalizer   Precompiled with its charsmap in base64, alone or in a Sequence with Strip and
 * with Replace of runs of blanks, which our normaliser does anyway pre_tokenizer  Metaspace, alone
 * or after WhitespaceSplit added_tokens   the special ones are control pieces, the others user
 * pieces
 *
 * What would segment otherwise than this is refused: ERR_UNSUPPORTED. The same vocabulary gives the
 * same ids as its spiece.model. */
#ifndef ENGINE_TOKENIZER_JSON_H
#define ENGINE_TOKENIZER_JSON_H

#include "engine/tokenizer_model.h"

/* m->bytes hold the text of the file; they become what pieces and charsmap borrow. Pieces are
 * filled, not yet sorted. On failure the caller closes `m`. */
MUST_CHECK enum err tokenizer_json_read(struct tokenizer_model *m, const char *name,
                                        struct fail *f);

#endif
