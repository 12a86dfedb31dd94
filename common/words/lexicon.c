#include "common/words/lexicon.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/words/lexicon_place.h"
#include "common/words/lexicon_thing.h"
#include "common/words/lexicon_word.h"

static const struct lexicon_part *const parts[LEXICON_PART_COUNT] = {
    &lexicon_thing_part, &lexicon_place_part, &lexicon_word_part};

const struct lexicon_row *lexicon_row_find(enum lexicon_slot slot, int value, int cls, int lang) {
    const struct lexicon_row *general = NULL;
    for (int i = 0; i < LEXICON_PART_COUNT; i++)
        for (int k = 0; k < parts[i]->n_rows; k++) {
            const struct lexicon_row *row = &parts[i]->rows[k];
            if (row->slot != slot || row->value != value || !row->say[lang]) continue;
            if (row->cls == cls && cls != LEXICON_ANY) return row;
            if (row->cls == LEXICON_ANY && !general) general = row;
        }
    return general;
}

int lexicon_n_forms(const char *forms) {
    int n = 1;
    for (const char *p = forms; *p; p++)
        n += *p == '|';
    return n;
}

const char *lexicon_form(const char *forms, int i, size_t *n) {
    const char *p = forms;
    for (; i > 0; i--) {
        p = strchr(p, '|');
        ASSERT(p);
        p++;
    }
    *n = strcspn(p, "|");
    return p;
}

/* The direction mark belongs to the writer; the reader meets the direction as its own form. */
static void trim_mark(const char **p, size_t *n) {
    while (*n > 0 && (**p == '@' || **p == ' '))
        (*p)++, (*n)--;
    while (*n > 0 && ((*p)[*n - 1] == '@' || (*p)[*n - 1] == ' '))
        (*n)--;
}

/* Forms are compared with folded text, so a form is folded the same way: only ASCII letters have
 * a case here, and a hyphen is a space. */
static unsigned char fold(char c) {
    if (c >= 'A' && c <= 'Z') return (unsigned char)(c - 'A' + 'a');
    return c == '-' ? ' ' : (unsigned char)c;
}

static void add_forms(struct lexicon *x, const struct lexicon_row *row, const char *forms) {
    if (!forms) return;
    for (int i = 0, n = lexicon_n_forms(forms); i < n; i++) {
        size_t n_form;
        const char *p = lexicon_form(forms, i, &n_form);
        trim_mark(&p, &n_form);
        if (n_form == 0) continue;
        ASSERT(x->n_forms < LEXICON_FORM_MAX && n_form < LEXICON_FORM_BYTES_MAX);
        unsigned char first = fold(*p);
        x->form[x->n_forms] = (struct lexicon_form){
            .p = p, .row = row, .n = (uint16_t)n_form, .next = x->head[first]};
        x->head[first] = (int16_t)x->n_forms++;
    }
}

void lexicon_open(struct lexicon *x) {
    x->n_forms = 0;
    for (int i = 0; i < 256; i++)
        x->head[i] = -1;
    for (int i = 0; i < LEXICON_PART_COUNT; i++)
        for (int k = 0; k < parts[i]->n_rows; k++)
            for (int lang = 0; lang < LEXICON_LANG_COUNT; lang++) {
                add_forms(x, &parts[i]->rows[k], parts[i]->rows[k].say[lang]);
                add_forms(x, &parts[i]->rows[k], parts[i]->rows[k].hear[lang]);
            }
}

static int is_word_byte(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* How many bytes of text the form covers, 0 when it does not fit. One space of the form stands for
 * any run of spaces; a form that ends in a letter must end where the word ends. */
static size_t cover(const struct lexicon_form *form, const char *text, size_t n) {
    size_t at = 0;
    for (size_t i = 0; i < form->n; i++) {
        unsigned char c = fold(form->p[i]);
        if (at >= n || (unsigned char)text[at] != c) return 0;
        at++;
        if (c == ' ')
            while (at < n && text[at] == ' ')
                at++;
    }
    if (at < n && is_word_byte(fold(form->p[form->n - 1])) && is_word_byte((unsigned char)text[at]))
        return 0;
    return at;
}

/* Slots that only differ in the writer's grammar mean the same to the reader. */
static int meaning(int slot) {
    switch (slot) {
    case LEXICON_PLACE:
    case LEXICON_ALONG: return LEXICON_ENV;
    case LEXICON_NICK: return LEXICON_CLASS;
    case LEXICON_DOING: return LEXICON_ACTION;
    case LEXICON_AIR: return LEXICON_WEATHER;
    default: return slot;
    }
}

static void add_hit(struct lexicon_hit *hit, const struct lexicon_row *row) {
    for (int i = 0; i < hit->n_rows; i++)
        if (hit->row[i]->value == row->value && meaning(hit->row[i]->slot) == meaning(row->slot))
            return;
    if (hit->n_rows < LEXICON_HIT_MAX) hit->row[hit->n_rows++] = row;
}

size_t lexicon_match(const struct lexicon *x, const char *text, size_t n, struct lexicon_hit *hit) {
    size_t best = 0;
    hit->n_rows = 0;
    if (n == 0) return 0;
    for (int i = x->head[(unsigned char)text[0]]; i >= 0; i = x->form[i].next) {
        size_t got = cover(&x->form[i], text, n);
        if (got == 0 || got < best) continue;
        if (got > best) hit->n_rows = 0;
        best = got;
        add_hit(hit, x->form[i].row);
    }
    return best;
}
