/* routes.h - all routes of the API in one table; api-spec/openapi.yaml lists the same ones. */
#ifndef SERVER_ROUTES_H
#define SERVER_ROUTES_H

#include <stdio.h>

#include "server/route.h"

extern const struct route_table routes_api;

/* One "METHOD path" a line: `misora-server --routes`, for the test that compares. `--problems`
 * prints the rows of server/problem.h in the same way. */
void routes_print(FILE *to);

#endif
