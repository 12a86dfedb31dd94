/* revise.h - a client's prompt in the words that the model reads best.
 *
 * By default the built-in rewriter of common/words; with chat_url an OpenAI-compatible chat
 * endpoint, which has a time limit and a limit of calls at once. Whatever is wrong with it, the
 * built-in rewriter answers instead, and a warning says so. Blocking; any thread. */
#ifndef SERVER_REVISE_H
#define SERVER_REVISE_H

#include <stdint.h>

#include "common/base/arena.h"
#include "server/server.h"

enum { REVISE_WARNINGS_MAX = 3, REVISE_WARNING_SIZE = 160, REVISE_CHARS_MAX = 4000 };

enum revise_kind { REVISE_VIDEO, REVISE_IMAGE };

struct revise {
    const char *text;  /* in the arena; the prompt itself when nothing could be done with it */
    const char *model; /* who wrote it: "built-in" or the model of the endpoint */
    int64_t n_input_tokens, n_output_tokens; /* as the endpoint counts; 0: nobody counted */
    int n_warnings;
    char warning[REVISE_WARNINGS_MAX][REVISE_WARNING_SIZE];
};

/* ERR_NOMEM only. */
MUST_CHECK enum err revise_prompt(struct revise *out, struct server *s, struct arena *mem,
                                  const char *prompt, enum revise_kind kind, uint64_t seed,
                                  struct fail *f);

/* POST /v1/prompts/upsample: the words are seen, and may be changed, before anything is made. */
void revise_preview(struct server *s, struct request *req);

#endif
