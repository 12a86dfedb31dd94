/* parse.h - reads a caption or a stranger's prompt into a partial scene: each slot a value or
 * unknown.
 *
 * Pure: no I/O, no clock, no memory kept, no failure; any bytes are welcome, in English, Chinese or
 * both mixed. Words that the closed vocabulary of lexicon.h does not have are listed, so a caller
 * can say honestly what was not understood. Uses about 130 KiB of stack. */
#ifndef COMMON_WORDS_PARSE_H
#define COMMON_WORDS_PARSE_H

#include <stddef.h>
#include <stdint.h>

#include "common/words/world.h"

enum {
    PARSE_TEXT_MAX = 4096, /* bytes that are read; what follows is cut, see is_cut */
    PARSE_UNMAPPED_MAX = 32,
    PARSE_NONE = -128, /* a slot of which the text says nothing */
};

/* One thing of the text; the fields are those of struct world_entity. */
struct parse_entity {
    int8_t cls; /* never PARSE_NONE */
    int8_t colour, size, material, action;
    int8_t dir;         /* -1, +1 or PARSE_NONE */
    int8_t rel, rel_to; /* rel_to is an index into ent[] or PARSE_NONE */
};
/* A piece of the text, in bytes of the caller's string. */
struct parse_word {
    uint16_t at, n;
};
struct parse {
    int8_t env, time, weather, style;
    int8_t camera, camera_dir;
    int8_t is_loop, has_wall, is_empty, is_lapse; /* 1 or PARSE_NONE */
    int8_t event[WORLD_EVENT_COUNT];              /* 1 or PARSE_NONE */
    int8_t views;                                 /* 2, 4 or PARSE_NONE */
    int8_t move[WORLD_MOVE_MAX]; /* what a player does, in order; then PARSE_NONE */
    int8_t n_ent;                /* 0: no thing was named */
    struct parse_entity ent[WORLD_ENTITY_MAX];
    int n_unmapped; /* all of them; only the first PARSE_UNMAPPED_MAX are listed */
    struct parse_word unmapped[PARSE_UNMAPPED_MAX];
    int is_cut; /* the text was longer than PARSE_TEXT_MAX */
};

/* Text ends with a NUL and belongs to the caller; out is wholly written. */
void parse_caption(const char *text, struct parse *out);

/* What a long caption of the scene tells: the slots that parse_caption must find again. */
void parse_expect(const struct scene *s, struct parse *out);

/* Fills in what captions leave unsaid because it is usual: medium size, matte, the class's own
 * colour, clear weather, plain style, no loop, no wall. Nothing else is invented. */
void parse_defaults(struct parse *p);

/* Names the first slot in which two parses differ ("ent[1].colour"), or NULL when they say the
 * same. What could not be mapped is not compared. */
const char *parse_differ(const struct parse *a, const struct parse *b);

#endif
