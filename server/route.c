#include "server/route.h"

#include <stdio.h>
#include <string.h>

/* True when `path` has the shape of `pattern`; *id is what stands for {id}. */
static bool matches(const char *pattern, struct str path, struct str *id) {
    struct str want = str_of(pattern), w, p;
    *id = (struct str){0};
    for (;;) {
        bool has_want = str_split(&want, '/', &w), has_path = str_split(&path, '/', &p);
        if (!has_want && !has_path) return true;
        if (!has_want || !has_path) return false;
        if (str_eq(w, "{id}")) {
            if (p.n == 0) return false;
            *id = p;
        } else if (w.n != p.n || (w.n && memcmp(w.p, p.p, w.n) != 0)) {
            return false;
        }
    }
}

static void add_allow(char allow[ROUTE_ALLOW_MAX], const char *method) {
    size_t n = strlen(allow);
    const char *twin = strcmp(method, "GET") == 0 ? "GET, HEAD" : method;
    if (strstr(allow, method)) return;
    snprintf(allow + n, ROUTE_ALLOW_MAX - n, "%s%s", n ? ", " : "", twin);
}

enum route_verdict route_find(const struct route_table *table, struct request *req,
                              char allow[ROUTE_ALLOW_MAX]) {
    const char *pattern = NULL; /* the first path that fits decides, so literals win */
    struct str id;
    struct str method = req->is_head ? str_of("GET") : req->method;
    allow[0] = 0;
    if (req->path.n > REQUEST_PATH_MAX) return ROUTE_NO_PATH;
    for (int i = 0; i < table->n_rows; i++) {
        const struct route *r = &table->rows[i];
        if (pattern ? strcmp(pattern, r->path) != 0 : !matches(r->path, req->path, &id)) continue;
        pattern = r->path;
        if (str_eq(method, r->method)) {
            req->route = r;
            req->path_id = id;
            return ROUTE_FOUND;
        }
        add_allow(allow, r->method);
    }
    if (!pattern) return ROUTE_NO_PATH;
    add_allow(allow, "OPTIONS");
    return str_eq(req->method, "OPTIONS") ? ROUTE_OPTIONS : ROUTE_NO_METHOD;
}
