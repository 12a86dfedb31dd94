/* sha256.h - SHA-256 (FIPS 180-4) and HMAC-SHA256 (RFC 2104). Pure; any thread. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32, SHA256_HEX = 64 };

struct sha256 {
    uint32_t state[8];
    uint64_t n_bytes;
    unsigned char block[64];
};

void sha256_start(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *p, size_t n);
void sha256_end(struct sha256 *s, unsigned char out[SHA256_BYTES]);
/* 64 lower-case digits and NUL. */
void sha256_hex(const void *p, size_t n, char out[SHA256_HEX + 1]);
void sha256_to_hex(const unsigned char digest[SHA256_BYTES], char out[SHA256_HEX + 1]);
void sha256_hmac(const void *key, size_t n_key, const void *p, size_t n,
                 unsigned char out[SHA256_BYTES]);
/* Compares in constant time. */
bool sha256_equal(const void *a, const void *b, size_t n);

#endif
