/* caption_grammar.h - the sentence templates of caption.c, one table for each language.
 *
 * A template is text with marks, which caption.c replaces for the entity it speaks of:
 *   $N noun phrase, a new thing or a known one    $n the same with attributes left out at random
 *   $K noun phrase of a known thing               $D the thing it stands relative to
 *   $I pronoun                                    $V verb phrase    $G the same as a participle
 *   $R relation word   $B relation to the last thing spoken of
 *   $E place   $P place with preposition   $d what is to be seen there   $Z two of a kind
 *   $Q place of a movement   $O nothing else
 *   $T time    $W weather clause           $A weather adjunct            $U event clause
 *   $C camera  $S style   $L loop clause   $H wall clause   $F time-lapse
 *   $X what a player does   $Y how the picture is split
 * Sentences of English get their capital letter from caption.c. */
#ifndef COMMON_WORDS_CAPTION_GRAMMAR_H
#define COMMON_WORDS_CAPTION_GRAMMAR_H

enum { CAPTION_GRAMMAR_FORM_MAX = 12 };
enum caption_part {
    CAPTION_PART_HERO,    /* entity 0 and what it does */
    CAPTION_PART_RELATED, /* a further entity that stands relative to one already named */
    CAPTION_PART_BESIDE,  /* the same, relative to the subject of the sentence before */
    CAPTION_PART_ALSO,    /* a further entity on its own */
    CAPTION_PART_STANDS,  /* only where a named entity stands */
    CAPTION_PART_EMPTY,   /* a view without entities */
    CAPTION_PART_EVENT,
    CAPTION_PART_WALL,
    CAPTION_PART_PLACE,
    CAPTION_PART_LIGHT,
    CAPTION_PART_CAMERA,
    CAPTION_PART_STYLE,
    CAPTION_PART_LOOP,
    CAPTION_PART_LAPSE,
    CAPTION_PART_MOVE,      /* the first thing a player does */
    CAPTION_PART_MOVE_NEXT, /* and what comes after it */
    CAPTION_PART_VIEWS,
    CAPTION_PART_BRIEF,        /* short captions: one entity */
    CAPTION_PART_BRIEF_MOVE,   /* one entity that goes somewhere */
    CAPTION_PART_BRIEF_TWO,    /* two entities of one kind that do the same */
    CAPTION_PART_BRIEF_PAIR,   /* an entity that stands relative to another */
    CAPTION_PART_BRIEF_AIR,    /* one entity, weather worth a word */
    CAPTION_PART_BRIEF_STYLE,  /* one entity, style worth a word */
    CAPTION_PART_BRIEF_BATTLE, /* two of a kind that fight each other */
    CAPTION_PART_BRIEF_SPLIT,  /* one entity; the split is said after it */
    CAPTION_PART_BRIEF_VIEW,   /* no entity */
    CAPTION_PART_BRIEF_VIEW_STYLE,
    CAPTION_PART_BRIEF_EYES, /* the same two, seen by a player */
    CAPTION_PART_BRIEF_VIEW_EYES,
    CAPTION_PART_BRIEF_PLAY, /* one thing that a player does */
    CAPTION_PART_BRIEF_PLAY_STYLE,
    CAPTION_PART_COUNT
};

/* Ends with NULL. The order is free: the writer draws uniformly. */
struct caption_grammar {
    const char *part[CAPTION_PART_COUNT][CAPTION_GRAMMAR_FORM_MAX];
};
extern const struct caption_grammar caption_grammar_en, caption_grammar_zh;

#endif
