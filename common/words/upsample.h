/* upsample.h - rewrites a prompt as the embedded model was taught to read: a long caption.
 *
 * The words of the prompt are looked up in the closed vocabulary (lexicon.h), what the prompt
 * leaves open is filled in with what usually goes with it, and the scene is said by caption.h in
 * the prompt's language. Words that the vocabulary lacks are listed, never guessed. No model, no
 * I/O, no memory kept: the same prompt and seed give the same text for ever. Any thread; about
 * 140 KiB of stack. */
#ifndef COMMON_WORDS_UPSAMPLE_H
#define COMMON_WORDS_UPSAMPLE_H

#include "common/words/caption.h"
#include "common/words/parse.h"

enum upsample_kind { UPSAMPLE_VIDEO, UPSAMPLE_IMAGE, UPSAMPLE_KIND_COUNT };
struct upsample_opts {
    enum upsample_kind kind; /* an image shows no movement of the camera */
    uint64_t seed;           /* chooses among what the prompt leaves open */
};
struct upsample {
    int is_understood; /* 0: not one word was known, there is no text */
    char text[CAPTION_BYTES_MAX];
    struct parse read;  /* what was understood; read.unmapped are pieces of the caller's prompt */
    struct scene scene; /* what the text says; positions and speeds are not set */
    /* Things of the prompt that the text leaves out, because a scene holds two: the last ones of
     * read.ent. */
    int n_left_out;
};

/* The prompt ends with a NUL and may hold any bytes. */
void upsample_prompt(struct upsample *out, const char *prompt, const struct upsample_opts *opts);

#endif
