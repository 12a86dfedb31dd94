/* Routes: the raw path decides, literals win over ids, and what is no route says what would be. */
#include "server/routes.h"
#include "server/server.h"
#include "tests/lib/check.h"

static const struct {
    const char *method, *path;
    enum route_verdict verdict;
    const char *name, *id, *allow;
} rows[] = {
    {"GET", "/", ROUTE_FOUND, "page", "", ""},
    {"GET", "/web/app.js", ROUTE_FOUND, "page.file", "app.js", ""},
    {"POST", "/v1/videos", ROUTE_FOUND, "videos.create", "", ""},
    {"GET", "/v1/videos", ROUTE_FOUND, "videos.list", "", ""},
    {"HEAD", "/v1/videos", ROUTE_FOUND, "videos.list", "", ""},
    {"GET", "/v1/videos/x", ROUTE_FOUND, "videos.get", "x", ""},
    {"DELETE", "/v1/videos/x", ROUTE_FOUND, "videos.delete", "x", ""},
    {"POST", "/v1/videos/edits", ROUTE_FOUND, "videos.edit", "", ""},
    {"GET", "/v1/videos/edits", ROUTE_NO_METHOD, NULL, "", "POST, OPTIONS"},
    {"GET", "/v1/videos/characters/c", ROUTE_FOUND, "characters.get", "c", ""},
    {"GET", "/v1/videos/x/content", ROUTE_FOUND, "videos.content", "x", ""},
    {"POST", "/v1/videos/x/remix", ROUTE_FOUND, "videos.remix", "x", ""},
    {"PUT", "/v1/videos", ROUTE_NO_METHOD, NULL, "", "POST, GET, HEAD, OPTIONS"},
    {"get", "/v1/videos", ROUTE_NO_METHOD, NULL, "", "POST, GET, HEAD, OPTIONS"},
    {"OPTIONS", "/v1/videos/x", ROUTE_OPTIONS, NULL, "", "GET, HEAD, DELETE, OPTIONS"},
    {"OPTIONS", "/nothing", ROUTE_NO_PATH, NULL, "", ""},
    {"GET", "", ROUTE_NO_PATH, NULL, "", ""},
    {"GET", "//", ROUTE_NO_PATH, NULL, "", ""},
    {"GET", "/v1/videos/", ROUTE_NO_PATH, NULL, "", ""},
    {"GET", "//v1/videos", ROUTE_NO_PATH, NULL, "", ""},
    {"GET", "/v1//videos", ROUTE_NO_PATH, NULL, "", ""},
    {"GET", "/v1/./videos", ROUTE_NO_PATH, NULL, "", ""},
    {"GET", "/v1/videos%00", ROUTE_NO_PATH, NULL, "", ""},
    {"GET", "/V1/videos", ROUTE_NO_PATH, NULL, "", ""},
    {"GET", "/v1/videos/x/content/y", ROUTE_NO_PATH, NULL, "", ""},
    {"GET", "/v1/videos/x%2fcontent", ROUTE_FOUND, "videos.get", "x%2fcontent", ""},
};

static void the_raw_path_decides(void) {
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        char allow[ROUTE_ALLOW_MAX];
        struct request req = {.method = str_of(rows[i].method), .path = str_of(rows[i].path)};
        req.is_head = str_eq(req.method, "HEAD");
        enum route_verdict got = route_find(&routes_api, &req, allow);
        if (got != rows[i].verdict) fprintf(stderr, "  %s %s\n", rows[i].method, rows[i].path);
        CHECK_INT(got, rows[i].verdict);
        if (got == ROUTE_FOUND) {
            CHECK_STR(req.route->name, rows[i].name);
            CHECK(str_eq(req.path_id, rows[i].id));
        } else {
            CHECK_STR(allow, rows[i].allow);
        }
    }
}

static void a_path_longer_than_any_route_is_nobodys(void) {
    char path[REQUEST_PATH_MAX + 2], allow[ROUTE_ALLOW_MAX];
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    struct request req = {.method = str_of("GET"), .path = {path, sizeof(path)}};
    CHECK_INT(route_find(&routes_api, &req, allow), ROUTE_NO_PATH);
}

static void rows_of_one_path_have_one_place_and_names_of_their_own(void) {
    for (int i = 0; i < routes_api.n_rows; i++)
        for (int j = 0; j < i; j++) {
            const struct route *a = &routes_api.rows[i], *b = &routes_api.rows[j];
            CHECK(strcmp(a->name, b->name) != 0);
            CHECK(strcmp(a->path, b->path) != 0 || strcmp(a->method, b->method) != 0);
        }
}

static const struct test tests[] = {
    TEST(the_raw_path_decides),
    TEST(a_path_longer_than_any_route_is_nobodys),
    TEST(rows_of_one_path_have_one_place_and_names_of_their_own),
};
TEST_MAIN(tests)
