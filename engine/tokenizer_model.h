/* tokenizer_model.h - reads `spiece.model`, the file of a SentencePiece unigram vocabulary.
 *
 * The file is a small protobuf:
 *
 *   ModelProto      1: SentencePiece, repeated    2: TrainerSpec    3: NormalizerSpec
 *   SentencePiece   1: text    2: score, float    3: type, enum tokenizer_piece_type
 *   TrainerSpec     3: model_type (1 = unigram)   24: whitespace as suffix   35: byte_fallback
 *   NormalizerSpec  2: precompiled_charsmap       3: dummy prefix
 *                   4: remove extra whitespace    5: escape whitespace
 *
 * It comes from strangers, so every length is checked against what is left before it is used and
 * the number and size of pieces are capped. Knows nothing of segmentation. Immutable after open:
 * any thread may read it. */
#ifndef ENGINE_TOKENIZER_MODEL_H
#define ENGINE_TOKENIZER_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"

enum {
    TOKENIZER_FILE_BYTES_MAX = 64 << 20, /* the real UMT5 file has 4.5 MB */
    TOKENIZER_PIECES_MAX = 1 << 20,      /* the real one has 256,000 */
    TOKENIZER_PIECE_BYTES_MAX = 512,
};

/* Values as they stand in the file. */
enum tokenizer_piece_type {
    TOKENIZER_PIECE_NORMAL = 1,
    TOKENIZER_PIECE_UNKNOWN = 2,
    TOKENIZER_PIECE_CONTROL = 3,
    TOKENIZER_PIECE_USER = 4, /* always kept whole, never normalised */
    TOKENIZER_PIECE_UNUSED = 5,
    TOKENIZER_PIECE_BYTE = 6, /* "<0x00>" ... "<0xFF>" */
};

struct tokenizer_piece {
    struct str text; /* borrowed from the file's bytes */
    float score;
    enum tokenizer_piece_type type;
};

struct tokenizer_model {
    char *bytes; /* the whole file, owned */
    size_t n_bytes;
    struct tokenizer_piece *pieces; /* index = id */
    int n_pieces;
    int32_t *sorted;      /* ids of all pieces in byte order of their text */
    int32_t byte_id[256]; /* -1 where the vocabulary has no such piece */
    int32_t unknown_id, eos_id;
    float min_score, max_score; /* of NORMAL pieces */
    struct str charsmap;        /* empty: text is taken as it is */
    bool has_byte_fallback, has_user_pieces;
    bool adds_dummy_prefix, removes_extra_spaces, escapes_spaces, space_is_suffix;
};

/* Fails with ERR_NOT_FOUND, ERR_IO, ERR_CORRUPT or ERR_UNSUPPORTED; the text names the file. */
MUST_CHECK enum err tokenizer_model_open(struct tokenizer_model *m, const char *path,
                                         struct fail *f);
/* The same from memory: `bytes` is copied. `name` stands for the file in failures. */
MUST_CHECK enum err tokenizer_model_parse(struct tokenizer_model *m, struct str bytes,
                                          const char *name, struct fail *f);
/* Safe on a zeroed model; zeroes it again. */
void tokenizer_model_close(struct tokenizer_model *m);
/* Narrows the range [*lo,*hi) of `sorted` to the pieces whose byte `depth` is `byte`. The caller
 * starts with the whole range at depth 0. False when nothing is left. */
bool tokenizer_model_narrow(const struct tokenizer_model *m, int *lo, int *hi, size_t depth,
                            unsigned char byte);

#endif
