#include <string.h>

#include "common/base/assert.h"
#include "engine/tokenizer.h"
#include "tests/fuzz/fuzz.h"

enum { MOST = 16 };

static const char *const texts[] = {"", " a  b ", "A red ball， cafe\xcc\x81",
                                    "\xff\xf0\x9f\x99\x82 \xe4", "abcabcabcabcabcabcabcabcabcabc"};

/* At most MOST ids that the tokenizer has, the last of them its end mark, and the same again. */
static void check(const struct tokenizer *t, struct str text) {
    struct tokenizer_ids a = {0}, b = {0};
    struct fail f = {0};
    enum err rc = tokenizer_encode(t, &a, text, MOST, &f);
    /* A charsmap may point outside itself where only this text leads. */
    ASSERT(rc == ERR_OK || ((rc == ERR_CORRUPT || rc == ERR_LIMIT) && f.text[0]));
    ASSERT(tokenizer_encode(t, &b, text, MOST, NULL) == rc);
    if (rc == ERR_OK) {
        ASSERT(a.n >= 1 && a.n <= MOST && a.id[a.n - 1] == tokenizer_eos(t));
        for (int i = 0; i < a.n; i++)
            ASSERT(a.id[i] >= 0);
        ASSERT(a.n == b.n && memcmp(a.id, b.id, (size_t)a.n * sizeof *a.id) == 0);
    }
    tokenizer_ids_free(&a);
    tokenizer_ids_free(&b);
}

void fz_tokenizer(const uint8_t *data, size_t size) {
    struct tokenizer *t = NULL;
    struct fail f = {0};
    enum err rc = tokenizer_open_bytes(&t, (struct str){(const char *)data, size}, "fuzz", &f);
    if (rc != ERR_OK) {
        ASSERT((rc == ERR_CORRUPT || rc == ERR_UNSUPPORTED) && f.text[0] && !t);
        return;
    }
    for (int i = 0; i < COUNT_OF(texts); i++)
        check(t, str_of(texts[i]));
    tokenizer_close(t);
}
