#include "common/base/assert.h"
#include "common/base/buf.h"
#include "engine/text_clean.h"
#include "engine/tokenizer.h"
#include "tests/fuzz/fuzz.h"

enum { MOST = 512, IDS_MAX = 1 << 20 };

void fz_prompt(const uint8_t *data, size_t size) {
    static struct tokenizer *t; /* opened once; it is the program's */
    struct tokenizer_ids ids = {0};
    struct buf clean, again;
    if (!t) ASSERT(tokenizer_open(&t, "tests/golden/mini/tokenizer/spiece.model", NULL) == ERR_OK);
    if (size > TOKENIZER_TEXT_BYTES_MAX) return;
    buf_make(&clean, TOKENIZER_TEXT_BYTES_MAX);
    buf_make(&again, TOKENIZER_TEXT_BYTES_MAX);
    ASSERT(text_clean(&clean, (struct str){(const char *)data, size}, NULL) == ERR_OK);
    struct str text = {buf_str(&clean), clean.len};
    ASSERT(tokenizer_encode(t, &ids, text, MOST, NULL) == ERR_OK);
    ASSERT(ids.n >= 1 && ids.n <= MOST && ids.id[ids.n - 1] == tokenizer_eos(t));
    for (int i = 0; i < ids.n; i++)
        ASSERT(ids.id[i] >= 0 && ids.id[i] < IDS_MAX);
    tokenizer_ids_free(&ids);
    buf_free(&clean);
    buf_free(&again);
}
