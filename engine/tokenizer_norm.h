/* tokenizer_norm.h - the text normaliser that comes inside spiece.model.
 *
 * The charsmap is a blob:  u32 trie_bytes | double-array trie | NUL-separated replacements
 * Each unit of the trie is a u32 as Darts-clone writes it: bits 0..7 and 31 label, bit 8 "has a
 * value below", bit 9 and bits 10..30 the offset to the children; a value unit holds the place of
 * a replacement. The longest matching prefix wins. On nmt_nfkc this makes full-width letters
 * narrow, composes accents and turns every kind of blank into a space.
 *
 * The blob comes from strangers: every index is checked against the table before it is read. */
#ifndef ENGINE_TOKENIZER_NORM_H
#define ENGINE_TOKENIZER_NORM_H

#include "common/base/buf.h"
#include "engine/tokenizer_model.h"

struct tokenizer_norm {
    const struct tokenizer_model *model; /* borrowed; holds the blob */
    const unsigned char *units;          /* little endian, may be unaligned */
    size_t n_units;
    struct str replacements; /* ends with NUL */
};

/* Fails with ERR_CORRUPT when the blob cannot be a charsmap. `n` borrows `model`. */
MUST_CHECK enum err tokenizer_norm_make(struct tokenizer_norm *n,
                                        const struct tokenizer_model *model, struct fail *f);
/* Appends the normalised text: charsmap, blanks collapsed and written as U+2581, dummy prefix.
 * A byte that is not UTF-8 becomes U+FFFD. */
MUST_CHECK enum err tokenizer_norm_apply(const struct tokenizer_norm *n, struct str text,
                                         struct buf *out, struct fail *f);
/* Bytes of the UTF-8 character at the start of `s`, 0 when it is malformed. */
size_t tokenizer_norm_char(struct str s);

#endif
