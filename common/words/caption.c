#include "common/words/caption.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/words/caption_grammar.h"
#include "common/words/lexicon.h"

enum {
    TRY_MAX = 64,   /* drafts until one has the right length */
    TRY_TERSE = 24, /* short captions are terse from this draft on */
    TRY_BARE = 48,  /* and do not say that they are a time-lapse from this one on */
    SHORT_WORDS_MIN = 3,
    SHORT_WORDS_MAX = 10,
    LONG_WORDS_MIN = 40,
    LONG_WORDS_MAX = 90,
};

/* One draft. `is_known` marks the entities that have been named; `i` is the one spoken of. */
struct draft {
    const struct scene *s;
    const struct caption_grammar *grammar;
    enum caption_lang lang;
    int i;
    int is_brief; /* attributes may be left out */
    int is_terse; /* the shortest form of everything: longer drafts failed */
    int is_bare;  /* even those failed */
    int has_detail;
    uint64_t state;
    uint8_t is_known[WORLD_ENTITY_MAX];
    size_t n;
    char text[2 * CAPTION_BYTES_MAX];
};

/* PCG32: the same numbers on every machine for ever. */
static uint32_t draw(struct draft *d) {
    uint64_t old = d->state;
    d->state = old * 6364136223846793005u + 1442695040888963407u;
    uint32_t x = (uint32_t)(((old >> 18) ^ old) >> 27);
    uint32_t turn = (uint32_t)(old >> 59);
    return (x >> turn) | (x << ((32 - turn) & 31));
}

static int draw_below(struct draft *d, int n) {
    return (int)(draw(d) % (uint32_t)n);
}
static int draw_percent(struct draft *d, int percent) {
    return draw_below(d, 100) < percent;
}

static void put(struct draft *d, const char *p, size_t n) {
    ASSERT(d->n + n < sizeof(d->text)); /* no template grows past twice the limit */
    memcpy(d->text + d->n, p, n);
    d->n += n;
    d->text[d->n] = 0;
}

static void put_str(struct draft *d, const char *s) {
    put(d, s, strlen(s));
}

/* English words are kept apart by one space, Chinese ones by nothing. */
static void put_gap(struct draft *d) {
    if (d->lang == CAPTION_EN && d->n > 0 && d->text[d->n - 1] != ' ') put(d, " ", 1);
}

static void drop_gap(struct draft *d) {
    while (d->n > 0 && d->text[d->n - 1] == ' ')
        d->text[--d->n] = 0;
}

static void put_word(struct draft *d, enum lexicon_slot slot, int value, int cls);

/* Writes one form; its '@' becomes the direction the entity moves in. */
static void put_form(struct draft *d, const char *p, size_t n, int dir) {
    const char *mark = memchr(p, '@', n);
    if (!mark) {
        put(d, p, n);
        return;
    }
    put(d, p, (size_t)(mark - p));
    if (dir && !(d->is_brief && draw_percent(d, 40))) put_word(d, LEXICON_DIR, dir, LEXICON_ANY);
    drop_gap(d);
    put(d, mark + 1, n - (size_t)(mark + 1 - p));
}

static int choose_form(struct draft *d, const char *forms) {
    int n = lexicon_n_forms(forms), best = 0;
    size_t n_best, n_form;
    if (!d->is_terse) return draw_percent(d, 50) ? 0 : draw_below(d, n);
    lexicon_form(forms, 0, &n_best);
    for (int i = 1; i < n; i++) {
        lexicon_form(forms, i, &n_form);
        if (n_form < n_best) best = i, n_best = n_form;
    }
    return best;
}

static void put_slot(struct draft *d, enum lexicon_slot slot, int value, int cls, int dir) {
    const struct lexicon_row *row = lexicon_row_find(slot, value, cls, d->lang);
    if (!row) return;
    size_t n_form;
    const char *form = lexicon_form(row->say[d->lang], choose_form(d, row->say[d->lang]), &n_form);
    put_form(d, form, n_form, dir);
}

static void put_word(struct draft *d, enum lexicon_slot slot, int value, int cls) {
    put_slot(d, slot, value, cls, 0);
}

/* ---- noun phrases ---- */

static int is_alive(int cls) {
    return cls == WORLD_CLASS_PERSON || cls == WORLD_CLASS_RED_COAT_WOMAN ||
           cls == WORLD_CLASS_CORGI || cls == WORLD_CLASS_BIRD || cls == WORLD_CLASS_TREE ||
           cls == WORLD_CLASS_BURGER;
}

static void put_adjective(struct draft *d, enum lexicon_slot slot, int value, int percent) {
    if (!draw_percent(d, percent)) return;
    put_word(d, slot, value, LEXICON_ANY);
    put_gap(d);
}

/* Some things wear their colour: a person in red clothes. A canvas shows it only when painted. A
 * picture without colours has none to speak of. */
static int has_colour_before(const struct draft *d, int cls) {
    enum caption_lang lang = d->lang;
    if (d->s->style == WORLD_STYLE_BLACK_WHITE) return 0;
    if (cls == WORLD_CLASS_PERSON) return lang == CAPTION_ZH;
    return cls != WORLD_CLASS_CANVAS && world_own_colour((enum world_class)cls) < 0;
}

/* Attributes of a thing that is new. What is usual (middle size, matte) is said half of the time.
 */
static void put_attributes(struct draft *d, const struct world_entity *e) {
    int usual = d->is_brief ? 0 : 50, other = d->is_terse ? 0 : d->is_brief ? 40 : 100;
    int is_dull = e->material == WORLD_MATERIAL_MATTE;
    put_adjective(d, LEXICON_SIZE, e->size, e->size == WORLD_SIZE_MEDIUM ? usual : other);
    if (!is_dull || !is_alive(e->cls))
        put_adjective(d, LEXICON_MATERIAL, e->material, is_dull ? usual : other);
    if (!has_colour_before(d, e->cls) || !draw_percent(d, d->is_brief ? 80 : 100)) return;
    if (e->cls == WORLD_CLASS_PERSON) put_str(d, "穿");
    put_adjective(d, LEXICON_COLOUR, e->colour, 100);
    if (e->cls == WORLD_CLASS_PERSON) put_str(d, "衣服的");
}

/* " in red clothes" after a new person. */
static void put_clothes(struct draft *d, const struct world_entity *e) {
    if (d->lang != CAPTION_EN || e->cls != WORLD_CLASS_PERSON) return;
    if (d->s->style == WORLD_STYLE_BLACK_WHITE) return;
    if (!draw_percent(d, d->is_brief ? 60 : 100)) return;
    put_str(d, " in ");
    put_adjective(d, LEXICON_COLOUR, e->colour, 100);
    put_word(d, LEXICON_TINT, 0, LEXICON_ANY);
}

/* "a" before a vowel becomes "an": looks at what was written after the article. */
static void mend_article(struct draft *d, size_t at) {
    if (d->lang != CAPTION_EN || at + 2 >= d->n || !strchr("aeiou", d->text[at + 2])) return;
    put(d, "n", 1);
    memmove(d->text + at + 2, d->text + at + 1, d->n - at - 2);
    d->text[at + 1] = 'n';
}

/* How many other entities are of this class, and of this class and colour; `order` counts from 1.
 */
static void count_alike(const struct scene *s, int i, int *n_class, int *n_colour, int *order) {
    *n_class = *n_colour = 0;
    *order = 1;
    for (int k = 0; k < s->n_ent; k++) {
        if (k == i || s->ent[k].cls != s->ent[i].cls) continue;
        ++*n_class;
        *n_colour += s->ent[k].colour == s->ent[i].colour;
        *order += k < i;
    }
}

static void put_new(struct draft *d, int i) {
    const struct world_entity *e = &d->s->ent[i];
    size_t at = d->n;
    int n_class, n_colour, order;
    count_alike(d->s, i, &n_class, &n_colour, &order);
    int has_article = n_class > 0 || !(d->is_brief && draw_percent(d, 15));
    if (has_article) {
        put_word(d, LEXICON_ARTICLE, 0, e->cls);
        put_gap(d);
    }
    put_attributes(d, e);
    int has_nick = d->is_brief && e->cls != WORLD_CLASS_BIRD && e->cls != WORLD_CLASS_TREE;
    put_word(d, has_nick && draw_percent(d, 30) ? LEXICON_NICK : LEXICON_CLASS, e->cls,
             LEXICON_ANY);
    if (has_article) mend_article(d, at);
    put_clothes(d, e);
    d->is_known[i] = 1;
}

/* Names a known thing with no more words than it takes to tell it from the others. */
static void put_known(struct draft *d, int i) {
    const struct world_entity *e = &d->s->ent[i];
    int n_class, n_colour, order;
    count_alike(d->s, i, &n_class, &n_colour, &order);
    int has_colour = has_colour_before(d, e->cls) && e->cls != WORLD_CLASS_PERSON;
    int has_order = n_class > 0 && (n_colour > 0 || !has_colour);
    if (!has_order || d->lang == CAPTION_EN) put_word(d, LEXICON_ARTICLE, 1, e->cls);
    put_gap(d);
    if (has_order)
        put_adjective(d, LEXICON_OTHER, order, 100);
    else if (has_colour)
        put_adjective(d, LEXICON_COLOUR, e->colour, n_class > 0 ? 100 : 50);
    put_word(d, LEXICON_CLASS, e->cls, LEXICON_ANY);
}

static void put_noun(struct draft *d, int i) {
    if (d->is_known[i])
        put_known(d, i);
    else
        put_new(d, i);
}

static void put_pronoun(struct draft *d, int i) {
    static const char *const words[][CAPTION_LANG_COUNT] = {
        {"it", "它"}, {"she", "她"}, {"he", "他"}};
    int cls = d->s->ent[i].cls, n_class, n_colour, order;
    count_alike(d->s, i, &n_class, &n_colour, &order);
    if (cls == WORLD_CLASS_PERSON && n_class == 0)
        put_known(d, i);
    else
        put_str(d, words[cls == WORLD_CLASS_RED_COAT_WOMAN ? 1 : 2 * (cls == WORLD_CLASS_PERSON)]
                        [d->lang]);
}

/* ---- verb phrases ---- */

static int is_special(int action) {
    return action == WORLD_ACTION_COLLIDE || action == WORLD_ACTION_BEHIND ||
           action == WORLD_ACTION_LEAVE;
}

static int has_target(int action) {
    return action == WORLD_ACTION_COLLIDE || action == WORLD_ACTION_BATTLE;
}

/* What a collision runs into and a battle is fought with. */
static int find_target(const struct scene *s, int i) {
    return i == 0 && s->n_ent > 1 ? 1 : -1;
}

/* "moves to the left and ..." - the special actions say their direction with a verb of its own. */
static void put_move(struct draft *d, int i, enum lexicon_slot slot) {
    const struct world_entity *e = &d->s->ent[i];
    const char *joint = e->action == WORLD_ACTION_COLLIDE ? " and " : ", ";
    int dir = e->dir;
    if (!dir || (d->is_brief && draw_percent(d, 60))) return;
    put_slot(d, slot, LEXICON_MOVE, LEXICON_ANY, dir);
    put_str(d, d->lang == CAPTION_ZH ? "，" : joint);
}

/* " in blue paint": the canvas itself is white. */
static void put_paint(struct draft *d, const struct world_entity *e) {
    static const char *const with[CAPTION_LANG_COUNT] = {" in ", "，用的是"};
    if (d->s->style == WORLD_STYLE_BLACK_WHITE || (d->is_brief && draw_percent(d, 40))) return;
    put_str(d, with[d->lang]);
    put_adjective(d, LEXICON_COLOUR, e->colour, 100);
    put_word(d, LEXICON_TINT, 1, LEXICON_ANY);
}

static void put_verb(struct draft *d, int i, enum lexicon_slot slot) {
    const struct world_entity *e = &d->s->ent[i];
    if (d->lang == CAPTION_ZH) slot = LEXICON_ACTION;
    if (is_special(e->action)) put_move(d, i, slot);
    put_slot(d, slot, e->action, e->cls, e->dir);
    if (e->cls == WORLD_CLASS_CANVAS && e->action == WORLD_ACTION_PAINTED) put_paint(d, e);
    int target = has_target(e->action) ? find_target(d->s, i) : -1;
    if (target < 0) return;
    put_gap(d);
    put_noun(d, target);
}

/* ---- templates ---- */

static void put_plural(struct draft *d) {
    const struct world_entity *e = &d->s->ent[0];
    if (has_colour_before(d, e->cls) && e->cls != WORLD_CLASS_PERSON &&
        d->s->ent[1].colour == e->colour)
        put_adjective(d, LEXICON_COLOUR, e->colour, 60);
    put_word(d, d->lang == CAPTION_EN ? LEXICON_PLURAL : LEXICON_CLASS, e->cls, LEXICON_ANY);
}

static int find_event(const struct draft *d) {
    return d->i < d->s->n_event ? d->s->event[d->i].kind : 0;
}

static void put_mark(struct draft *d, char mark) {
    const struct scene *s = d->s;
    const struct world_entity *e = &s->ent[d->i];
    const struct world_camera_path *cam = &s->cam;
    switch (mark) {
    case 'N':
    case 'n': put_noun(d, d->i); break;
    case 'K': put_known(d, d->i); break;
    case 'D': put_noun(d, e->rel_to); break;
    case 'I': put_pronoun(d, d->i); break;
    case 'V': put_verb(d, d->i, LEXICON_ACTION); break;
    case 'G': put_verb(d, d->i, LEXICON_DOING); break;
    case 'R': put_word(d, LEXICON_RELATION, e->rel, LEXICON_ANY); break;
    case 'B': put_word(d, LEXICON_BESIDE, e->rel, LEXICON_ANY); break;
    case 'E': put_word(d, LEXICON_ENV, s->env, LEXICON_ANY); break;
    case 'P': put_word(d, LEXICON_PLACE, s->env, LEXICON_ANY); break;
    case 'd':
        if (d->has_detail) put_word(d, LEXICON_DETAIL, s->env, LEXICON_ANY);
        break;
    case 'Q': put_word(d, LEXICON_ALONG, s->env, LEXICON_ANY); break;
    case 'Z': put_plural(d); break;
    case 'T': put_word(d, LEXICON_TIME, s->time, LEXICON_ANY); break;
    case 'W': put_word(d, LEXICON_WEATHER, s->weather, LEXICON_ANY); break;
    case 'A': put_word(d, LEXICON_AIR, s->weather, LEXICON_ANY); break;
    case 'U': put_word(d, LEXICON_EVENT, find_event(d), LEXICON_ANY); break;
    case 'C':
        put_word(d, LEXICON_CAMERA, LEXICON_CAMERA_VALUE(cam->kind, cam->dir), LEXICON_ANY);
        break;
    case 'S': put_word(d, LEXICON_STYLE, s->style, LEXICON_ANY); break;
    case 'L': put_word(d, LEXICON_LOOP, 1, LEXICON_ANY); break;
    case 'F': put_word(d, LEXICON_LAPSE, 1, LEXICON_ANY); break;
    case 'H': put_word(d, LEXICON_WALL, 1, LEXICON_ANY); break;
    case 'X': put_word(d, LEXICON_PLAY, s->move[d->i].kind, LEXICON_ANY); break;
    case 'Y': put_word(d, LEXICON_VIEWS, s->n_view, LEXICON_ANY); break;
    case 'O': put_word(d, LEXICON_EMPTY, 1, LEXICON_ANY); break;
    default: ASSERT(0); /* no template has another mark */
    }
}

static void put_template(struct draft *d, const char *t) {
    for (; *t; t++) {
        if (*t == '$')
            put_mark(d, *++t);
        else
            put(d, t, 1);
    }
}

static const char *draw_template(struct draft *d, enum caption_part part) {
    const char *const *list = d->grammar->part[part];
    int n = 0;
    while (n < CAPTION_GRAMMAR_FORM_MAX && list[n])
        n++;
    ASSERT(n > 0);
    return list[draw_below(d, n)];
}

/* One or more whole sentences about entity i. */
static void say(struct draft *d, enum caption_part part, int i) {
    d->i = i;
    if (d->lang == CAPTION_EN && d->n > 0) put_gap(d);
    put_template(d, draw_template(d, part));
}

/* ---- long captions ---- */

static enum caption_part choose_part(struct draft *d, int i, int last) {
    const struct world_entity *e = &d->s->ent[i];
    int cls = e->rel_to >= 0 ? d->s->ent[e->rel_to].cls : -1;
    int is_thing = cls != WORLD_CLASS_PERSON && cls != WORLD_CLASS_RED_COAT_WOMAN;
    if (e->rel == WORLD_RELATION_NONE || e->rel_to < 0 || !d->is_known[e->rel_to])
        return CAPTION_PART_ALSO;
    if (e->rel_to == last && is_thing && draw_percent(d, 40)) return CAPTION_PART_BESIDE;
    return CAPTION_PART_RELATED;
}

static void say_subjects(struct draft *d) {
    const struct scene *s = d->s;
    if (s->n_ent > 0)
        say(d, CAPTION_PART_HERO, 0);
    else if (s->n_move == 0)
        say(d, CAPTION_PART_EMPTY, 0);
    for (int i = 1; i < s->n_ent; i++)
        say(d, choose_part(d, i, i - 1), i);
    for (int i = 0; i < s->n_ent; i++) /* relations to a thing that is named later */
        if (s->ent[i].rel != WORLD_RELATION_NONE && s->ent[i].rel_to > i)
            say(d, CAPTION_PART_STANDS, i);
}

/* Bites and strokes are said by their actions, what a player does by its moves. */
static void say_events(struct draft *d) {
    unsigned said = 0;
    for (int i = 0; i < d->s->n_move; i++)
        say(d, i ? CAPTION_PART_MOVE_NEXT : CAPTION_PART_MOVE, i);
    if (d->s->n_move) return;
    for (int i = 0; i < d->s->n_event; i++) {
        int kind = d->s->event[i].kind;
        if ((kind != WORLD_EVENT_DIG && kind != WORLD_EVENT_PLACE) || (said & (1u << kind)))
            continue;
        said |= 1u << kind;
        say(d, CAPTION_PART_EVENT, i);
    }
}

static int has_behind(const struct scene *s) {
    for (int i = 0; i < s->n_ent; i++)
        if (s->ent[i].action == WORLD_ACTION_BEHIND) return 1;
    return 0;
}

/* The frame keeps its order nine times out of ten; else two neighbours change places. */
static void say_frame(struct draft *d) {
    enum caption_part order[] = {CAPTION_PART_PLACE, CAPTION_PART_LIGHT, CAPTION_PART_CAMERA};
    if (draw_percent(d, 10)) {
        int k = draw_below(d, 2);
        enum caption_part first = order[k];
        order[k] = order[k + 1];
        order[k + 1] = first;
    }
    for (int i = 0; i < 3; i++)
        if (order[i] != CAPTION_PART_PLACE || d->s->n_ent + d->s->n_move > 0) say(d, order[i], 0);
}

static void draft_long(struct draft *d) {
    const struct scene *s = d->s;
    say_subjects(d);
    say_events(d);
    if (s->has_wall && !has_behind(s)) say(d, CAPTION_PART_WALL, 0);
    say_frame(d);
    if (s->style != WORLD_STYLE_PLAIN || draw_percent(d, 40)) say(d, CAPTION_PART_STYLE, 0);
    if (s->n_view > 1) say(d, CAPTION_PART_VIEWS, 0);
    if (s->is_loop) say(d, CAPTION_PART_LOOP, 0);
    if (world_is_lapse(s)) say(d, CAPTION_PART_LAPSE, 0);
}

/* ---- short captions ---- */

/* Style, split, time-lapse and a player's eyes are always said: a short prompt must not get them by
 * chance. */
static enum caption_part choose_brief(struct draft *d) {
    const struct scene *s = d->s;
    const struct world_entity *a = &s->ent[0], *b = &s->ent[1];
    int has_style = s->style != WORLD_STYLE_PLAIN;
    if (s->n_move > 0) return has_style ? CAPTION_PART_BRIEF_PLAY_STYLE : CAPTION_PART_BRIEF_PLAY;
    if (s->cam.kind == WORLD_CAMERA_PLAYER && !has_style && s->n_view <= 1)
        return s->n_ent ? CAPTION_PART_BRIEF_EYES : CAPTION_PART_BRIEF_VIEW_EYES;
    if (s->n_ent == 0) return has_style ? CAPTION_PART_BRIEF_VIEW_STYLE : CAPTION_PART_BRIEF_VIEW;
    if (has_style) return CAPTION_PART_BRIEF_STYLE;
    if (s->n_view > 1) return CAPTION_PART_BRIEF_SPLIT;
    if (s->n_ent == 2 && a->action == WORLD_ACTION_BATTLE && a->cls == b->cls &&
        a->cls == WORLD_CLASS_PIRATE_SHIP && draw_percent(d, 75))
        return CAPTION_PART_BRIEF_BATTLE;
    if (s->n_ent == 2 && a->cls == b->cls && a->action == b->action && a->dir == b->dir &&
        draw_percent(d, 60))
        return CAPTION_PART_BRIEF_TWO;
    if (s->n_ent > 1 && b->rel != WORLD_RELATION_NONE && b->rel_to == 0 && draw_percent(d, 20))
        return CAPTION_PART_BRIEF_PAIR;
    if (s->weather != WORLD_WEATHER_CLEAR && draw_percent(d, 35)) return CAPTION_PART_BRIEF_AIR;
    if (a->dir && !is_special(a->action) && a->action != WORLD_ACTION_SPIN && draw_percent(d, 45))
        return CAPTION_PART_BRIEF_MOVE;
    return CAPTION_PART_BRIEF;
}

static void put_tail(struct draft *d, char mark) {
    put_str(d, d->lang == CAPTION_EN ? ", " : "，");
    put_mark(d, mark);
}

static void draft_short(struct draft *d) {
    enum caption_part part = choose_brief(d);
    int is_play = part == CAPTION_PART_BRIEF_PLAY || part == CAPTION_PART_BRIEF_PLAY_STYLE;
    d->is_brief = 1;
    say(d, part, is_play ? draw_below(d, d->s->n_move) : part == CAPTION_PART_BRIEF_PAIR);
    if (d->s->n_view > 1) put_tail(d, 'Y');
    if (world_is_lapse(d->s) && !d->is_bare) put_tail(d, 'F');
    if (draw_percent(d, 30)) put_str(d, d->lang == CAPTION_EN ? "." : "。");
}

/* ---- finish ---- */

/* Takes out what an empty mark leaves behind: doubled spaces, a comma before a full stop. */
static void tidy(struct draft *d) {
    static const char comma[] = "，", stop[] = "。";
    size_t out = 0;
    for (size_t i = 0; i < d->n;) {
        if (strchr(" ,", d->text[i]) && strchr(" ,.", d->text[i + 1])) {
            if (d->text[i] == ',' && d->text[i + 1] == ' ' && !strchr(",.", d->text[i + 2]))
                d->text[out++] = d->text[i];
            i++;
        } else if (strncmp(d->text + i, comma, 3) == 0 && strncmp(d->text + i + 3, stop, 3) == 0) {
            i += 3;
        } else {
            d->text[out++] = d->text[i++];
        }
    }
    while (out > 0 && strchr(" ,", d->text[out - 1]))
        out--;
    d->n = out;
    d->text[out] = 0;
}

static void raise_capitals(struct draft *d) {
    int is_start = !d->is_brief || d->text[d->n - 1] == '.';
    for (size_t i = 0; i < d->n; i++) {
        char c = d->text[i];
        if (is_start && c >= 'a' && c <= 'z') d->text[i] = (char)(c - 'a' + 'A');
        if (c != ' ') is_start = c == '.';
    }
}

/* A Chinese word is counted as a character and a half. */
static int count_words(const struct draft *d) {
    int n_words = d->n > 0, n_chars = 0;
    for (size_t i = 0; i < d->n; i++) {
        n_words += d->text[i] == ' ';
        n_chars += ((unsigned char)d->text[i] & 0xC0) == 0xC0;
    }
    return d->lang == CAPTION_EN ? n_words : n_chars * 2 / 3;
}

static void make_draft(struct draft *d, enum caption_kind kind, uint64_t seed, int attempt) {
    static const struct caption_grammar *const grammar[CAPTION_LANG_COUNT] = {&caption_grammar_en,
                                                                              &caption_grammar_zh};
    d->grammar = grammar[d->lang];
    d->n = 0;
    d->is_brief = 0;
    d->is_bare = kind == CAPTION_SHORT && attempt >= TRY_BARE;
    d->is_terse = kind == CAPTION_SHORT && attempt >= TRY_TERSE;
    memset(d->is_known, 0, sizeof(d->is_known));
    d->state = (seed ^ 0x5ca1ab1e0ddba11u) * 0x9e3779b97f4a7c15u +
               (uint64_t)attempt * 0xd1342543de82ef95u + (uint64_t)kind * 2 + (uint64_t)d->lang;
    draw(d);
    draw(d);
    d->has_detail =
        d->s->n_ent == 0 || draw_percent(d, d->s->n_ent == 1 && d->s->n_move < 2 ? 80 : 40);
    if (kind == CAPTION_LONG)
        draft_long(d);
    else
        draft_short(d);
    tidy(d);
    if (d->lang == CAPTION_EN) raise_capitals(d);
}

int caption_write(const struct scene *s, enum caption_kind kind, enum caption_lang lang,
                  uint64_t seed, char *out, size_t cap) {
    struct draft d = {.s = s, .lang = lang};
    int low = kind == CAPTION_LONG ? LONG_WORDS_MIN : SHORT_WORDS_MIN;
    int high = kind == CAPTION_LONG ? LONG_WORDS_MAX : SHORT_WORDS_MAX;
    ASSERT(cap >= CAPTION_BYTES_MAX);
    ASSERT(kind < CAPTION_KIND_COUNT && lang < CAPTION_LANG_COUNT && s->n_ent <= WORLD_ENTITY_MAX);
    for (int attempt = 0; attempt < TRY_MAX; attempt++) {
        make_draft(&d, kind, seed, attempt);
        int n = count_words(&d);
        if (n >= low && n <= high && d.n < CAPTION_BYTES_MAX) break;
    }
    ASSERT(d.n < CAPTION_BYTES_MAX);
    memcpy(out, d.text, d.n + 1);
    return (int)d.n;
}
