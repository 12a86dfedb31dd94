#include "common/base/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encoded_bytes(size_t n) {
    return (n + 2) / 3 * 4;
}

void base64_encode(const void *data, size_t n, char *out) {
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t group = (uint32_t)p[i] << 16;
        if (i + 1 < n) group |= (uint32_t)p[i + 1] << 8;
        if (i + 2 < n) group |= p[i + 2];
        *out++ = alphabet[group >> 18];
        *out++ = alphabet[group >> 12 & 63];
        *out++ = i + 1 < n ? alphabet[group >> 6 & 63] : '=';
        *out++ = i + 2 < n ? alphabet[group & 63] : '=';
    }
    *out = 0;
}

static int digit_of(unsigned char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(struct str s, void *out, size_t *n_out) {
    unsigned char *p = out;
    if (s.n % 4 != 0) return false;
    size_t n_pad = 0;
    while (n_pad < 2 && n_pad < s.n && s.p[s.n - 1 - n_pad] == '=')
        n_pad++;
    for (size_t i = 0; i < s.n; i += 4) {
        size_t n_digits = i + 4 == s.n ? 4 - n_pad : 4;
        uint32_t group = 0;
        for (size_t j = 0; j < 4; j++) {
            int d = j < n_digits ? digit_of((unsigned char)s.p[i + j]) : 0;
            if (d < 0) return false;
            group = group << 6 | (uint32_t)d;
        }
        if ((n_digits == 3 && group & 0xff) || (n_digits == 2 && group & 0xffff)) return false;
        *p++ = (unsigned char)(group >> 16);
        if (n_digits > 2) *p++ = (unsigned char)(group >> 8);
        if (n_digits > 3) *p++ = (unsigned char)group;
    }
    *n_out = (size_t)(p - (unsigned char *)out);
    return true;
}
