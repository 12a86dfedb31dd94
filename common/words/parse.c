#include "common/words/parse.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/words/lexicon.h"

enum { NOBODY = -1 };

/* Attributes that wait for their noun. */
struct adjectives {
    int8_t colour, size, material;
};
/* The state of the reader. Entities are indices into out->ent. */
struct reader {
    struct parse *out;
    struct adjectives adj;
    int subject;   /* what the text speaks of, kept over sentences for pronouns */
    int group;     /* how many entities from `subject` on it is: "two ships" */
    int last;      /* the entity named last */
    int target;    /* the entity named last that is not the subject */
    int is_open;   /* this sentence has its subject already */
    int is_start;  /* nothing of this clause has been read */
    int is_object; /* the next noun is an object: "behind", "hits", "in" came before it */
    int rel;       /* relation that waits for its object */
    int rel_of;    /* who stands in that relation; NOBODY: the noun after the object */
    int inverse;   /* relation that the next new subject has to inverse_to */
    int inverse_to;
    int action, dir; /* verb that came before its subject */
    int article, order, number;
    int is_camera; /* this sentence speaks of the camera: directions are not the subject's */
    int env_hint;
};

static void forget_noun(struct reader *r) {
    r->adj = (struct adjectives){PARSE_NONE, PARSE_NONE, PARSE_NONE};
    r->article = PARSE_NONE;
    r->order = 0;
    r->number = 1;
}

static void open_sentence(struct reader *r) {
    r->is_open = r->is_object = r->is_camera = 0;
    r->is_start = 1;
    r->rel = r->inverse = r->action = r->dir = PARSE_NONE;
    r->rel_of = r->inverse_to = NOBODY;
    r->target = NOBODY;
    forget_noun(r);
}

static void set(int8_t *slot, int value) {
    if (*slot == PARSE_NONE) *slot = (int8_t)value;
}

/* ---- entities ---- */

static int has_target(int action) {
    return action == WORLD_ACTION_COLLIDE || action == WORLD_ACTION_BATTLE;
}

/* 2: an action that says more than the movement it is made of; 0: only that something moves. */
static int strength(int action) {
    if (action == PARSE_NONE) return -1;
    if (action == LEXICON_MOVE) return 0;
    return has_target(action) || action == WORLD_ACTION_BEHIND || action == WORLD_ACTION_LEAVE ||
                   action == WORLD_ACTION_EATEN || action == WORLD_ACTION_PAINTED
               ? 2
               : 1;
}

static void set_action(struct parse_entity *e, int action) {
    if (strength(action) > strength(e->action)) e->action = (int8_t)action;
}

static int fits(const struct parse_entity *e, int cls, const struct adjectives *adj) {
    return e->cls == cls &&
           (adj->colour == PARSE_NONE || e->colour == PARSE_NONE || adj->colour == e->colour);
}

/* The entity that a noun phrase speaks of again, or NOBODY. */
static int find_known(const struct reader *r, int cls) {
    int order = r->order;
    if (r->article == 0) return NOBODY;
    for (int i = 0; i < r->out->n_ent; i++)
        if (fits(&r->out->ent[i], cls, &r->adj) && (order <= 1 || --order == 0)) return i;
    return NOBODY;
}

static int add_entity(struct reader *r, int cls) {
    if (r->out->n_ent == WORLD_ENTITY_MAX) return NOBODY;
    struct parse_entity *e = &r->out->ent[r->out->n_ent];
    memset(e, PARSE_NONE, sizeof(*e));
    e->cls = (int8_t)cls;
    return r->out->n_ent++;
}

static void describe(struct parse_entity *e, const struct adjectives *adj) {
    if (adj->colour != PARSE_NONE) set(&e->colour, adj->colour);
    if (adj->size != PARSE_NONE) set(&e->size, adj->size);
    if (adj->material != PARSE_NONE) set(&e->material, adj->material);
}

static void relate(struct reader *r, int who, int rel, int to) {
    if (who == NOBODY || to == NOBODY || who == to) return;
    set(&r->out->ent[who].rel, rel);
    set(&r->out->ent[who].rel_to, to);
}

static void take_subject(struct reader *r, int i, int group) {
    struct parse_entity *e = &r->out->ent[i];
    r->subject = i;
    r->group = group;
    r->is_open = 1;
    if (r->inverse != PARSE_NONE) relate(r, i, r->inverse, r->inverse_to);
    r->inverse = PARSE_NONE;
    for (int k = 0; k < group; k++) {
        if (r->action != PARSE_NONE) set_action(&e[k], r->action);
        if (r->dir != PARSE_NONE) set(&e[k].dir, r->dir);
    }
    r->action = r->dir = PARSE_NONE;
}

static void take_object(struct reader *r, int i) {
    r->target = i;
    r->is_object = 0;
    if (r->rel == PARSE_NONE) return;
    if (r->rel_of == NOBODY) {
        r->inverse = r->rel;
        r->inverse_to = i;
    } else {
        relate(r, r->rel_of, r->rel, i);
    }
    r->rel = PARSE_NONE;
}

/* Adds as many as the text says and there is room for; returns the first, NOBODY when none fits. */
static int add_group(struct reader *r, int cls, int *n_added) {
    int first = NOBODY;
    *n_added = 0;
    for (int k = 0; k < r->number; k++) {
        int fresh = add_entity(r, cls);
        if (fresh == NOBODY) break;
        describe(&r->out->ent[fresh], &r->adj);
        if (first == NOBODY) first = fresh;
        ++*n_added;
    }
    return first;
}

static void read_noun(struct reader *r, int cls) {
    int i = find_known(r, cls), group = 1;
    if (i == NOBODY)
        i = add_group(r, cls, &group);
    else
        describe(&r->out->ent[i], &r->adj);
    forget_noun(r);
    if (i == NOBODY) return;
    r->last = i;
    if (r->rel != PARSE_NONE || (r->is_object && r->is_open))
        take_object(r, i);
    else
        take_subject(r, i, group);
}

/* ---- words ---- */

static void read_adjective(struct reader *r, enum lexicon_slot slot, int value) {
    if (slot == LEXICON_COLOUR) r->adj.colour = (int8_t)value;
    if (slot == LEXICON_SIZE) r->adj.size = (int8_t)value;
    if (slot == LEXICON_MATERIAL) r->adj.material = (int8_t)value;
}

/* "in red clothes", "in blue paint": the colour comes after its noun. Before a noun ("a red hat")
 * or without a colour the word says nothing. */
static void read_tint(struct reader *r, int is_subject) {
    int i = is_subject ? r->subject : r->last;
    if (i == NOBODY || !r->is_open || r->adj.colour == PARSE_NONE) return;
    set(&r->out->ent[i].colour, r->adj.colour);
    forget_noun(r);
    r->is_object = 0;
}

static void read_action(struct reader *r, int action) {
    r->is_object = has_target(action);
    int n = has_target(action) ? 1 : r->group; /* of two that collide one hits the other */
    for (int i = 0; r->is_open && i < n; i++)
        set_action(&r->out->ent[r->subject + i], action);
    if (!r->is_open && strength(action) > strength(r->action)) r->action = action;
}

static void read_dir(struct reader *r, int dir) {
    if (r->is_camera) return;
    for (int i = 0; r->is_open && i < r->group; i++)
        set(&r->out->ent[r->subject + i].dir, dir);
    if (!r->is_open && r->dir == PARSE_NONE) r->dir = dir;
}

/* "A behind B": B comes next. Chinese says "A 在 B 的后面": B came before. */
static void read_relation(struct reader *r, int rel, int is_after) {
    if (!is_after) {
        r->rel = rel;
        r->rel_of = r->is_open ? r->subject : NOBODY;
    } else if (r->target != NOBODY) {
        relate(r, r->subject, rel, r->target);
    } else if (r->is_open) { /* "B 后面有 A": B looked like the subject */
        r->inverse = rel;
        r->inverse_to = r->subject;
        r->is_open = 0;
    }
}

/* "To its left there is B" opens a clause; in "A with B behind it" both have been named. */
static void read_beside(struct reader *r, int rel) {
    if (!r->is_open || r->is_start) {
        r->inverse = rel;
        r->inverse_to = r->subject;
        r->is_open = 0;
    } else if (r->target != NOBODY) {
        relate(r, r->target, rel, r->subject);
    } else if (r->subject > 0) {
        relate(r, r->subject, rel, r->subject - 1);
    }
}

/* A pronoun is the subject of before, and takes what waits for a subject. */
static void read_pronoun(struct reader *r) {
    if (r->subject != NOBODY && !r->is_open && r->inverse == PARSE_NONE)
        take_subject(r, r->subject, r->group);
    r->is_object = 0;
}

static void read_camera(struct reader *r, int value) {
    if (r->out->camera != PARSE_NONE) return;
    r->out->camera = (int8_t)(value / 3);
    r->out->camera_dir = (int8_t)(value % 3 - 1);
    r->is_camera = 1;
}

static void read_move(struct reader *r, int move) {
    for (int i = 0; i < WORLD_MOVE_MAX; i++)
        if (r->out->move[i] == PARSE_NONE) {
            r->out->move[i] = (int8_t)move;
            break;
        }
    r->is_object = 0;
}

/* Slots of the scene itself: the first word for each counts. */
static int8_t *find_global(struct parse *p, enum lexicon_slot slot, int value) {
    switch (slot) {
    case LEXICON_ENV:
    case LEXICON_PLACE:
    case LEXICON_ALONG: return &p->env;
    case LEXICON_TIME: return &p->time;
    case LEXICON_WEATHER:
    case LEXICON_AIR: return &p->weather;
    case LEXICON_STYLE: return &p->style;
    case LEXICON_LOOP: return &p->is_loop;
    case LEXICON_LAPSE: return &p->is_lapse;
    case LEXICON_WALL: return &p->has_wall;
    case LEXICON_EMPTY: return &p->is_empty;
    case LEXICON_EVENT: return &p->event[value];
    case LEXICON_VIEWS: return &p->views;
    default: return NULL;
    }
}

static void read_row(struct reader *r, const struct lexicon_row *row, int is_chinese) {
    int value = row->value;
    int8_t *slot = find_global(r->out, row->slot, value);
    if (slot) {
        set(slot, row->slot == LEXICON_EVENT ? 1 : value);
        r->is_object = 0;
        return;
    }
    switch ((enum lexicon_slot)row->slot) {
    case LEXICON_ENV_HINT:
        if (r->env_hint == PARSE_NONE) r->env_hint = value;
        r->is_object = 0;
        break;
    case LEXICON_PLURAL:
        if (r->number < 2) r->number = 2;
        read_noun(r, value);
        break;
    case LEXICON_CLASS:
    case LEXICON_NICK: read_noun(r, value); break;
    case LEXICON_COLOUR:
    case LEXICON_SIZE:
    case LEXICON_MATERIAL: read_adjective(r, row->slot, value); break;
    case LEXICON_TINT: read_tint(r, value); break;
    case LEXICON_ACTION:
    case LEXICON_DOING: read_action(r, value); break;
    case LEXICON_DIR: read_dir(r, value); break;
    case LEXICON_RELATION: read_relation(r, value, is_chinese); break;
    case LEXICON_BESIDE: read_beside(r, value); break;
    case LEXICON_CAMERA: read_camera(r, value); break;
    case LEXICON_PLAY: read_move(r, value); break;
    case LEXICON_ARTICLE: r->article = value; break;
    case LEXICON_OTHER: r->order = value; break;
    case LEXICON_NUMBER: r->number = value; break;
    case LEXICON_PRONOUN: read_pronoun(r); break;
    case LEXICON_AT: r->is_object = 1; break;
    default: break;
    }
}

/* ---- text ---- */

/* Bytes of the UTF-8 character at p, 0 when there is none. */
static size_t measure(const unsigned char *p, size_t n) {
    size_t need = p[0] < 0x80                   ? 1
                  : p[0] >= 0xF0 && p[0] < 0xF5 ? 4
                  : p[0] >= 0xE0                ? 3
                  : p[0] >= 0xC2                ? 2
                                                : 0;
    if (p[0] >= 0xF5 || need == 0 || need > n) return 0;
    for (size_t i = 1; i < need; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    return need;
}

/* Folds in place and keeps every offset: lower case, one kind of space, Chinese marks as ASCII
 * padded with spaces, broken UTF-8 as spaces. */
static void fold_text(char *text, size_t n) {
    static const struct {
        char from[4];
        char to;
    } marks[] = {{"。", '.'}, {"，", ','}, {"、", ','}, {"！", '.'}, {"？", '.'},
                 {"；", '.'}, {"：", ','}, {"　", ' '}, {"“", ' '},  {"”", ' '},
                 {"（", ','}, {"）", ','}, {"…", ' '},  {"—", ','},  {"《", ' '},
                 {"》", ' '}, {"·", ' '},  {"–", ','},  {"‘", ' '}};
    for (size_t i = 0; i < n;) {
        size_t step = measure((unsigned char *)text + i, n - i);
        unsigned char c = (unsigned char)text[i];
        if (step == 0) text[i] = ' ';
        if (c >= 'A' && c <= 'Z') text[i] = (char)(c - 'A' + 'a');
        if (c < 0x80 && strchr("\t\r\n-_\"()[]{}*/\\<>|~`^+=#@$%", c)) text[i] = ' ';
        if (c == '\n' || c == '!' || c == '?' || c == ';') text[i] = '.';
        if (c == '\'' && (i == 0 || text[i - 1] == ' ')) text[i] = ' ';
        if (step == 3 && memcmp(text + i, "’", 3) == 0) memcpy(text + i, "'  ", 3);
        for (size_t k = 0; step > 1 && k < sizeof(marks) / sizeof(marks[0]); k++)
            if (strlen(marks[k].from) == step && memcmp(text + i, marks[k].from, step) == 0) {
                memset(text + i, ' ', step);
                text[i] = marks[k].to;
                break;
            }
        i += step ? step : 1;
    }
}

static int is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '\'';
}
static int is_mark(char c) {
    return (unsigned char)c < 0x80 && !is_letter(c);
}

/* Bytes of the word that no form begins: a whole English word, or one character of another script.
 */
static size_t skip_unmapped(const char *text, size_t n) {
    size_t i = 0;
    if (!is_letter(text[0])) return measure((const unsigned char *)text, n);
    while (i < n && is_letter(text[i]))
        i++;
    return i;
}

/* Neighbouring characters of another script make one word; English words stay apart. */
static void note_unmapped(struct parse *out, const char *text, size_t at, size_t n) {
    struct parse_word *last = out->n_unmapped > 0 && out->n_unmapped <= PARSE_UNMAPPED_MAX
                                  ? &out->unmapped[out->n_unmapped - 1]
                                  : NULL;
    if (last && last->at + last->n == at && !is_letter(text[at])) {
        last->n = (uint16_t)(last->n + n);
        return;
    }
    if (out->n_unmapped < PARSE_UNMAPPED_MAX)
        out->unmapped[out->n_unmapped] = (struct parse_word){(uint16_t)at, (uint16_t)n};
    out->n_unmapped++;
}

/* A sentence ends at a full stop, but not inside "3.5". What still waits goes to its subject. */
static void close_sentence(struct reader *r) {
    if (r->subject != NOBODY) {
        struct parse_entity *e = &r->out->ent[r->subject];
        if (r->is_open) describe(e, &r->adj);
        if (r->action != PARSE_NONE) set_action(e, r->action);
        if (r->dir != PARSE_NONE && !r->is_camera) set(&e->dir, r->dir);
    }
    open_sentence(r);
}

static void read_text(struct reader *r, const struct lexicon *x, const char *text, size_t n) {
    struct lexicon_hit hit;
    for (size_t i = 0; i < n;) {
        size_t got;
        if (is_mark(text[i])) {
            if (text[i] == '.') close_sentence(r);
            if (text[i] == ',') {
                r->is_object = 0;
                r->is_start = 1;
            }
            i++;
            continue;
        }
        got = lexicon_match(x, text + i, n - i, &hit);
        for (int k = 0; k < hit.n_rows; k++)
            read_row(r, hit.row[k], (unsigned char)text[i] >= 0x80);
        if (hit.n_rows > 0 && hit.row[0]->slot != LEXICON_SKIP) r->is_start = 0;
        if (got == 0) {
            got = skip_unmapped(text + i, n - i);
            ASSERT(got > 0);
            note_unmapped(r->out, text, i, got);
        }
        i += got;
    }
    close_sentence(r);
}

/* ---- afterwards ---- */

static int is_directed(int action) {
    return action == WORLD_ACTION_ROLL || action == WORLD_ACTION_SLIDE ||
           action == WORLD_ACTION_WALK || action == WORLD_ACTION_RUN ||
           action == WORLD_ACTION_FLY || action == WORLD_ACTION_SAIL ||
           action == WORLD_ACTION_COLLIDE || action == WORLD_ACTION_BEHIND ||
           action == WORLD_ACTION_LEAVE || action == WORLD_ACTION_THROW;
}

/* How a thing moves of which the text says only that it moves. */
static int usual_move(int cls) {
    switch (cls) {
    case WORLD_CLASS_BALL: return WORLD_ACTION_ROLL;
    case WORLD_CLASS_PERSON:
    case WORLD_CLASS_RED_COAT_WOMAN:
    case WORLD_CLASS_CORGI: return WORLD_ACTION_WALK;
    case WORLD_CLASS_BIRD: return WORLD_ACTION_FLY;
    case WORLD_CLASS_PIRATE_SHIP:
    case WORLD_CLASS_SAILBOAT: return WORLD_ACTION_SAIL;
    default: return WORLD_ACTION_SLIDE;
    }
}

static void settle(struct reader *r) {
    struct parse *p = r->out;
    if (p->env == PARSE_NONE) p->env = (int8_t)r->env_hint;
    for (int i = 0; i < p->n_ent; i++) {
        struct parse_entity *e = &p->ent[i];
        if (e->action == LEXICON_MOVE) e->action = (int8_t)usual_move(e->cls);
        if (e->action == PARSE_NONE && e->dir != PARSE_NONE) e->action = (int8_t)usual_move(e->cls);
        if (e->action != PARSE_NONE && !is_directed(e->action)) e->dir = PARSE_NONE;
        if (e->action == WORLD_ACTION_BEHIND) p->has_wall = 1;
    }
}

static void clear(struct parse *p) {
    memset(p, 0, sizeof(*p));
    memset(p, PARSE_NONE, offsetof(struct parse, n_ent));
}

void parse_caption(const char *text, struct parse *out) {
    char folded[PARSE_TEXT_MAX + 1];
    struct lexicon x;
    struct reader r = {.out = out, .subject = NOBODY, .last = NOBODY, .env_hint = PARSE_NONE};
    size_t n = strnlen(text, PARSE_TEXT_MAX + 1);
    clear(out);
    out->is_cut = n > PARSE_TEXT_MAX;
    if (out->is_cut) n = PARSE_TEXT_MAX;
    memcpy(folded, text, n);
    folded[n] = 0;
    fold_text(folded, n);
    lexicon_open(&x);
    open_sentence(&r);
    read_text(&r, &x, folded, n);
    settle(&r);
}

/* ---- what a scene's caption tells ---- */

static void expect_entity(const struct scene *s, const struct world_entity *e,
                          struct parse_entity *out) {
    int is_grey = s->style == WORLD_STYLE_BLACK_WHITE;
    int shows = e->cls != WORLD_CLASS_CANVAS || e->action == WORLD_ACTION_PAINTED;
    memset(out, PARSE_NONE, sizeof(*out));
    out->cls = (int8_t)e->cls;
    out->size = (int8_t)e->size;
    out->material = (int8_t)e->material;
    if (shows && !is_grey) out->colour = (int8_t)e->colour;
    out->action = (int8_t)e->action;
    if (is_directed(e->action) && e->dir) out->dir = e->dir;
    if (e->rel == WORLD_RELATION_NONE) return;
    out->rel = (int8_t)e->rel;
    out->rel_to = e->rel_to;
}

void parse_expect(const struct scene *s, struct parse *out) {
    clear(out);
    out->env = (int8_t)s->env;
    out->time = (int8_t)s->time;
    out->weather = (int8_t)s->weather;
    out->style = (int8_t)s->style;
    out->camera = (int8_t)s->cam.kind;
    out->camera_dir = s->cam.dir;
    if (s->is_loop) out->is_loop = 1;
    if (world_is_lapse(s)) out->is_lapse = 1;
    if (s->has_wall) out->has_wall = 1;
    if (s->n_ent + s->n_move == 0) out->is_empty = 1;
    if (s->n_view > 1) out->views = (int8_t)s->n_view;
    for (int i = 0; i < s->n_move; i++)
        out->move[i] = (int8_t)s->move[i].kind;
    for (int i = 0; i < s->n_event && s->n_move == 0; i++)
        if (s->event[i].kind == WORLD_EVENT_DIG || s->event[i].kind == WORLD_EVENT_PLACE)
            out->event[s->event[i].kind] = 1;
    out->n_ent = (int8_t)s->n_ent;
    for (int i = 0; i < s->n_ent; i++)
        expect_entity(s, &s->ent[i], &out->ent[i]);
    for (int i = 0; i < s->n_ent; i++)
        if (s->ent[i].action == WORLD_ACTION_BEHIND) out->has_wall = 1;
    parse_defaults(out);
}

void parse_defaults(struct parse *p) {
    set(&p->weather, WORLD_WEATHER_CLEAR);
    set(&p->style, WORLD_STYLE_PLAIN);
    for (int i = 0; i < p->n_ent; i++) {
        struct parse_entity *e = &p->ent[i];
        int own = world_own_colour((enum world_class)e->cls);
        set(&e->size, WORLD_SIZE_MEDIUM);
        set(&e->material, WORLD_MATERIAL_MATTE);
        if (own >= 0) e->colour = (int8_t)own;
    }
}

const char *parse_differ(const struct parse *a, const struct parse *b) {
    static const char *const global[] = {
        "env",       "time",        "weather",  "style",    "camera",     "camera_dir",
        "is_loop",   "has_wall",    "is_empty", "is_lapse", "event.bite", "event.stroke",
        "event.dig", "event.place", "views",    "move[0]",  "move[1]",    "move[2]",
        "move[3]",   "move[4]",     "move[5]",  "n_ent"};
    static const char *const entity[WORLD_ENTITY_MAX][8] = {
#define FIELDS(e) \
    {e ".cls", e ".colour", e ".size", e ".material", e ".action", e ".dir", e ".rel", e ".rel_to"}
        FIELDS("ent[0]"), FIELDS("ent[1]"), FIELDS("ent[2]"),
        FIELDS("ent[3]"), FIELDS("ent[4]"), FIELDS("ent[5]"),
#undef FIELDS
    };
    const int8_t *x = (const int8_t *)a, *y = (const int8_t *)b; /* env is the first field */
    for (size_t i = 0; i < sizeof(global) / sizeof(global[0]); i++)
        if (x[i] != y[i]) return global[i];
    for (int i = 0; i < a->n_ent; i++) {
        const int8_t *p = (const int8_t *)&a->ent[i], *q = (const int8_t *)&b->ent[i];
        for (size_t k = 0; k < sizeof(struct parse_entity); k++)
            if (p[k] != q[k]) return entity[i][k];
    }
    return NULL;
}
