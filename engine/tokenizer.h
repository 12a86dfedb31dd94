/* tokenizer.h - text to the ids that a text encoder was trained on.
 *
 * SentencePiece unigram, as UMT5 uses it: normalise (tokenizer_norm), take the segmentation whose
 * sum of piece scores is best (Viterbi over bytes), spell what no piece covers in byte pieces (or
 * as one unknown id), append `</s>`. No begin mark. Same ids as the sentencepiece library.
 *
 * Special pieces written out in a prompt ("</s>", "<pad>") are plain text here: a prompt cannot
 * inject control ids. Immutable after open; any thread may encode. */
#ifndef ENGINE_TOKENIZER_H
#define ENGINE_TOKENIZER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"

enum {
    TOKENIZER_TEXT_BYTES_MAX = 256 << 10, /* 32,000 characters of a prompt, and room */
    TOKENIZER_NORM_BYTES_MAX = 4 << 20,   /* one character may grow to 33 bytes */
};

struct tokenizer;

/* Ids of one text, `</s>` included. The caller owns `id`: tokenizer_ids_free(). */
struct tokenizer_ids {
    int32_t *id;
    int n;
    bool was_cut; /* true when the text had more ids than max_ids */
};

/* `path` names spiece.model or tokenizer.json. The caller owns *out: tokenizer_close(). */
MUST_CHECK enum err tokenizer_open(struct tokenizer **out, const char *path, struct fail *f);
/* spiece.model of a folder or, when it has none, its tokenizer.json. */
MUST_CHECK enum err tokenizer_open_folder(struct tokenizer **out, const char *folder,
                                          struct fail *f);
/* The same from bytes in memory, which are copied; `name` stands for the file in failures. */
MUST_CHECK enum err tokenizer_open_bytes(struct tokenizer **out, struct str bytes, const char *name,
                                         struct fail *f);
/* NULL is allowed. */
void tokenizer_close(struct tokenizer *t);
/* At most max_ids >= 1 ids: a longer text is cut and still ends with `</s>`. Fails with
 * ERR_LIMIT when the text is longer than TOKENIZER_TEXT_BYTES_MAX. */
MUST_CHECK enum err tokenizer_encode(const struct tokenizer *t, struct tokenizer_ids *out,
                                     struct str text, int max_ids, struct fail *f);
/* Safe on zeroed ids; zeroes them again. */
void tokenizer_ids_free(struct tokenizer_ids *ids);
/* What segmentation sees, as a string of the caller (mem_free). For tests and tools. */
MUST_CHECK enum err tokenizer_normalize(const struct tokenizer *t, char **out, struct str text,
                                        struct fail *f);
int32_t tokenizer_eos(const struct tokenizer *t);

#endif
