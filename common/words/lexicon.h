/* lexicon.h - the closed vocabulary: which surface form means which value of which slot.
 *
 * One table for both directions. `say` forms are written by caption.c and read by parse.c, `hear`
 * forms are only read: they are the words strangers type. Forms are separated by '|'. In a form
 * '-' and ' ' are the same to the reader; '@' (only at an end) marks where the writer puts the
 * direction. A form may stand in several rows; then all of them hold.
 * Constant data and pure functions; any thread. */
#ifndef COMMON_WORDS_LEXICON_H
#define COMMON_WORDS_LEXICON_H

#include <stddef.h>
#include <stdint.h>

enum lexicon_slot {
    LEXICON_ENV,      /* noun phrase of a place: "a snowy village" */
    LEXICON_PLACE,    /* the same with its preposition: "in a snowy village" */
    LEXICON_ALONG,    /* place of a movement: "through a snowy village" */
    LEXICON_DETAIL,   /* what is to be seen in a place; value is the place, says nothing new */
    LEXICON_ENV_HINT, /* weak word for a place ("street"), used when nothing better comes */
    LEXICON_CLASS,    /* singular noun */
    LEXICON_NICK,     /* the same in other words, for short captions: "dog" */
    LEXICON_PLURAL,
    LEXICON_COLOUR,
    LEXICON_SIZE,
    LEXICON_MATERIAL,
    LEXICON_ACTION, /* finite verb phrase: "bounces up and down" */
    LEXICON_DOING,  /* the same as a participle: "bouncing up and down" (English only) */
    LEXICON_DIR,    /* value -1 left, +1 right */
    LEXICON_RELATION,
    LEXICON_BESIDE, /* relation to what was just spoken of: "to its left" */
    LEXICON_TIME,
    LEXICON_WEATHER, /* clause: "snow is falling" */
    LEXICON_AIR,     /* the same as an adjunct: "in falling snow" */
    LEXICON_STYLE,   /* noun phrase: "pixel art" */
    LEXICON_CAMERA,  /* clause; value is LEXICON_CAMERA_VALUE(kind, dir) */
    LEXICON_LOOP,
    LEXICON_LAPSE, /* noun: "time-lapse" */
    LEXICON_WALL,
    LEXICON_EVENT,
    LEXICON_PLAY,    /* clause: what a player does; value is enum world_move */
    LEXICON_VIEWS,   /* the picture is split; value is how many views */
    LEXICON_EMPTY,   /* nothing but the place is to be seen */
    LEXICON_ARTICLE, /* value 0: a new thing, 1: a known thing */
    LEXICON_OTHER,   /* "other", "second": not the one spoken of before */
    LEXICON_NUMBER,  /* value is how many */
    LEXICON_TINT, /* gives the colour before it to a thing: 0 the one named last, 1 the subject */
    LEXICON_PRONOUN,
    LEXICON_AT,   /* Chinese words that open a place: the next noun is not the subject */
    LEXICON_SKIP, /* words that carry no slot */
    LEXICON_SLOT_COUNT
};
enum { LEXICON_EN, LEXICON_ZH, LEXICON_LANG_COUNT };
enum { LEXICON_ANY = -1, LEXICON_MOVE = 100 }; /* MOVE: an action word that only says "it moves" */
enum { LEXICON_FORM_BYTES_MAX = 96, LEXICON_FORM_MAX = 4096 };
#define LEXICON_CAMERA_VALUE(kind, dir) ((kind)*3 + (dir) + 1)

struct lexicon_row {
    uint8_t slot;
    int8_t value;
    int8_t cls; /* the writer uses this row for this class only, or LEXICON_ANY */
    const char *say[LEXICON_LANG_COUNT];
    const char *hear[LEXICON_LANG_COUNT];
};
/* A list of rows of one file of the table. */
struct lexicon_part {
    const struct lexicon_row *rows;
    int n_rows;
};
enum { LEXICON_PART_COUNT = 3 };

/* The row the writer takes for (slot, value) and a class: the row of this very class before the
 * general one. NULL when the vocabulary has no words for it. */
const struct lexicon_row *lexicon_row_find(enum lexicon_slot slot, int value, int cls, int lang);

/* A list "a|b|c": how many forms, and form i as a pointer with its length. */
int lexicon_n_forms(const char *forms);
const char *lexicon_form(const char *forms, int i, size_t *n);

/* All forms sorted into chains by their first byte, for the reader. About 100 KiB: the caller
 * decides where it lives. */
struct lexicon_form {
    const char *p;
    const struct lexicon_row *row;
    uint16_t n;
    int16_t next;
};
struct lexicon {
    int n_forms;
    int16_t head[256];
    struct lexicon_form form[LEXICON_FORM_MAX];
};
void lexicon_open(struct lexicon *x);

/* The longest form that text[0..n) begins with, and the rows that share it, one per meaning.
 * Returns the bytes of text it covers, 0 when none does. Text must be folded as parse.c does: lower
 * case. */
enum { LEXICON_HIT_MAX = 4 };
struct lexicon_hit {
    int n_rows;
    const struct lexicon_row *row[LEXICON_HIT_MAX];
};
size_t lexicon_match(const struct lexicon *x, const char *text, size_t n, struct lexicon_hit *hit);

#endif
