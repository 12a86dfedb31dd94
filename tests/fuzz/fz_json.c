#include <stddef.h>
#include <stdlib.h>

#include "common/base/assert.h"
#include "engine/json.h"
#include "tests/fuzz/fuzz.h"

struct conf {
    int n;
    double x;
    bool on;
    char name[JSON_TEXT_MAX];
    struct json_ints list;
    struct json_reals reals;
};

static const struct json_field fields[] = {
    {"n", JSON_FIELD_INT, offsetof(struct conf, n), -5, 10},
    {"x", JSON_FIELD_REAL, offsetof(struct conf, x), 0, 1},
    {"on", JSON_FIELD_FLAG, offsetof(struct conf, on), 0, 0},
    {"name", JSON_FIELD_TEXT, offsetof(struct conf, name), 0, 0},
    {"list", JSON_FIELD_INTS, offsetof(struct conf, list), 0, 9},
    {"reals", JSON_FIELD_REALS, offsetof(struct conf, reals), -1, 1},
};

/* The tree is a tree: children are counted right, keys are of objects only and found again. */
static void check(const struct json *j, size_t size) {
    int n_reached = 1;
    for (int i = 0; i < j->n_nodes; i++) {
        const struct json_node *node = json_at(j, i);
        int n = 0;
        ASSERT(node->text.n <= size && node->key.n <= size);
        for (int k = node->first; k != JSON_NONE; k = json_at(j, k)->next) {
            ASSERT(k > i && k < j->n_nodes);
            n++;
        }
        ASSERT(n == node->n_children);
        n_reached += n;
    }
    ASSERT(n_reached == j->n_nodes);
}

void fz_json(const uint8_t *data, size_t size) {
    struct json j = {0};
    struct conf c = {0};
    struct fail f = {0};
    enum err rc = json_parse(&j, (const char *)data, size, "fuzz", &f);
    if (rc == ERR_OK) {
        check(&j, size);
        rc = json_read_fields(&j, 0, &c, fields, COUNT_OF(fields), &f);
        if (rc == ERR_OK) ASSERT(c.n >= -5 && c.n <= 10 && c.x >= 0 && c.x <= 1);
        if (rc == ERR_OK) ASSERT(c.list.n >= 0 && c.list.n <= JSON_INTS_MAX);
    }
    ASSERT(rc == ERR_OK || (rc == ERR_CORRUPT && f.text[0]));
    json_free(&j);
}
