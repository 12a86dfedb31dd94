/* base64.h - base64 of RFC 4648 section 4: padded, strict alphabet, no line breaks. Pure. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

/* Bytes of the encoded text without NUL. */
size_t base64_encoded_bytes(size_t n);
/* Writes the text and a NUL; out holds base64_encoded_bytes(n) + 1. */
void base64_encode(const void *p, size_t n, char *out);
/* Decodes whole or refuses: wrong alphabet, missing padding, bits behind the end. out holds
 * 3 * (s.n / 4) bytes. */
bool base64_decode(struct str s, void *out, size_t *n_out);

#endif
