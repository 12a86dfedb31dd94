/* page.h - the web page: files of web/ that were built into the program.
 *
 * "/" is index.html, "/web/{name}" the files that it asks for. They are public: what the page does
 * it does through the API, with the visitor's key. The headers allow it nothing but this server:
 * no inline script or style, no other origin, no frame around it. Pure; any thread. */
#ifndef SERVER_PAGE_H
#define SERVER_PAGE_H

#include <stddef.h>

struct server;
struct request;

struct page_file {
    const char *name; /* NULL: the end of the table */
    const char *type;
    const char *sha256; /* hex; the ETag */
    const unsigned char *bytes;
    size_t n_bytes;
};

/* Made from web/ by tools/embed_page.sh. */
extern const struct page_file page_files[];

void page_root(struct server *s, struct request *req);
void page_get(struct server *s, struct request *req);

#endif
