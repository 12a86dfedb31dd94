/* film.h - a stranger's clip as frames of the asked rate, size and span. Runs in the jail.
 *
 * Frame k of the answer shows what the clip shows at k / fps seconds after its first frame, give or
 * take half a frame, so that the small jitter of clocks doubles and drops nothing. Frames that
 * cannot be decoded leave the one before standing, with a warning; more than a tenth of such
 * packets is a refusal. */
#ifndef DECODE_FILM_H
#define DECODE_FILM_H

#include "common/base/err.h"
#include "decode/ask.h"
#include "decode/source.h"
#include "decode/tell.h"

/* Tells head and frames. ERR_MEDIA in words for the owner of the file. */
MUST_CHECK enum err film_send(struct tell *tell, struct source *source, enum source_kind kind,
                              const struct ask *ask, struct fail *f);

#endif
