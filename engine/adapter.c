#include "engine/adapter.h"

#include "common/base/assert.h"

static const struct row {
    const char *name;
    unsigned can;
} rows[ADAPTER_KIND_COUNT] = {
    [ADAPTER_TOKENS] = {"is told a timestep per token", ADAPTER_FRAMES},
    [ADAPTER_REPAINT] = {"has what is known painted over", ADAPTER_FRAMES},
    [ADAPTER_CHANNELS] = {"is told first and last frames", ADAPTER_HEAD | ADAPTER_TAIL},
    [ADAPTER_CONTROL] = {"is told a control volume",
                         ADAPTER_NOTHING | ADAPTER_HEAD | ADAPTER_TAIL | ADAPTER_MIDDLE |
                             ADAPTER_REGION | ADAPTER_SOFT | ADAPTER_GUIDE | ADAPTER_REFERENCE},
    [ADAPTER_SOURCE] = {"is told a whole source clip", ADAPTER_SOFT},
};

static const char *const needs_words[] = {
    "words alone",
    "frames at the beginning",
    "frames at the end",
    "frames in the middle",
    "a region of the picture",
    "a whole clip to begin from",
    "noise on a part of what is given",
    "a clip to follow",
    "pictures for reference",
};

unsigned adapter_can(enum adapter_kind kind) {
    return rows[kind].can;
}

const char *adapter_name(enum adapter_kind kind) {
    return rows[kind].name;
}

enum err adapter_check(enum adapter_kind kind, unsigned needs, const char *model, struct fail *f) {
    unsigned missing = needs & ~rows[kind].can;
    ASSERT(needs > 0 && needs <= ADAPTER_ALL);
    for (int i = 0; i < COUNT_OF(needs_words); i++)
        if (missing & 1u << i)
            return FAIL(f, ERR_UNSUPPORTED, "%.100s cannot make this from %s: it %s", model,
                        needs_words[i], rows[kind].name);
    return ERR_OK;
}
