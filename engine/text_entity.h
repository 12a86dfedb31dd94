/* text_entity.h - the names of characters in HTML 4, as a table. */
#ifndef ENGINE_TEXT_ENTITY_H
#define ENGINE_TEXT_ENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

enum { TEXT_ENTITY_NAME_MAX = 8 };

struct text_entity {
    const char *name;
    uint16_t point; /* code point */
    bool is_old;    /* browsers take it without the semicolon too */
};

/* NULL when there is no such name; case matters. */
const struct text_entity *text_entity_find(struct str name);

#endif
