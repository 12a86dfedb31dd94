/* names.h - the names that the original Wan repository gives its tensors, and ours, which are those
 * of diffusers. Tables of patterns and the code that walks them; pure.
 *
 * In a pattern '#' is a number, which is copied. A pattern fits the beginning of a name, up to a
 * dot or the end; what follows is kept. */
#ifndef ENGINE_NAMES_H
#define ENGINE_NAMES_H

#include <stdbool.h>

#include "engine/safetensors.h"

enum names_kind { NAMES_TRANSFORMER, NAMES_VAE, NAMES_TEXT, NAMES_KIND_COUNT };

/* Files of the original repository get our names; others stay as they are, but for a prefix that
 * tools put in front of everything ("model.diffusion_model."). */
MUST_CHECK enum err names_to_ours(struct safetensors *s, enum names_kind kind, struct fail *f);
/* One name, without that prefix; false when no pattern fits it, it is copied then. */
bool names_find_ours(char out[SAFETENSORS_NAME_MAX], const char *original, enum names_kind kind);
bool names_find_original(char out[SAFETENSORS_NAME_MAX], const char *ours, enum names_kind kind);
/* `name` without the prefixes that tools put in front of a transformer's names. */
const char *names_bare(const char *name);

#endif
