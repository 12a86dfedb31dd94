#include "common/queue_note.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/str.h"

enum { KEY_MAX = 400 };

static struct str note_key(char key[KEY_MAX], const struct redis *r, const struct queue_note *n) {
    int len = snprintf(key, KEY_MAX, "%snote:%s:%.120s:%.120s", redis_prefix(r), n->kind, n->tenant,
                       n->id);
    return (struct str){key, (size_t)len};
}

static struct str list_key(char key[KEY_MAX], const struct redis *r, const char *kind,
                           const char *tenant) {
    int len = snprintf(key, KEY_MAX, "%snotes:%s:%.120s", redis_prefix(r), kind, tenant);
    return (struct str){key, (size_t)len};
}

enum err queue_note_put(struct redis *r, const struct queue_note *n, const char *json,
                        int64_t ttl_ms, struct fail *f) {
    enum err rc = ERR_OK;
    char key[KEY_MAX], list[KEY_MAX], ttl[24];
    if (strlen(json) > QUEUE_NOTE_BYTES_MAX)
        return FAIL(f, ERR_INPUT, "a %s record has %zu bytes, %d are kept", n->kind, strlen(json),
                    QUEUE_NOTE_BYTES_MAX);
    snprintf(ttl, sizeof(ttl), "%" PRId64, ttl_ms);
    struct str set[] = {str_of("SET"), note_key(key, r, n), str_of(json), str_of("PX"),
                        str_of(ttl)};
    struct str add[] = {str_of("ZADD"), list_key(list, r, n->kind, n->tenant), str_of("0"),
                        str_of(n->id)};
    TRY(redis_call(r, NULL, 5, set, f));
    TRY(redis_call(r, NULL, 4, add, f));
out:
    return rc;
}

enum err queue_note_get(struct redis *r, struct buf *json, const struct queue_note *n,
                        struct fail *f) {
    char key[KEY_MAX];
    struct redis_reply *reply = NULL;
    struct str args[] = {str_of("GET"), note_key(key, r, n)};
    enum err rc = redis_call(r, &reply, 2, args, f);
    if (rc == ERR_OK && redis_reply_kind(reply) != REDIS_TEXT)
        rc = FAIL(f, ERR_NOT_FOUND, "there is no %s %s", n->kind, n->id);
    if (rc == ERR_OK) rc = buf_add_str(json, redis_reply_text(reply), f);
    redis_reply_free(reply);
    return rc;
}

static enum err forget(struct redis *r, const char *kind, const char *tenant, const char *id,
                       struct fail *f) {
    char list[KEY_MAX];
    struct str args[] = {str_of("ZREM"), list_key(list, r, kind, tenant), str_of(id)};
    return redis_call(r, NULL, 3, args, f);
}

enum err queue_note_drop(struct redis *r, const struct queue_note *n, struct fail *f) {
    enum err rc = ERR_OK;
    char key[KEY_MAX];
    struct redis_reply *reply = NULL;
    struct str args[] = {str_of("DEL"), note_key(key, r, n)};
    TRY(redis_call(r, &reply, 2, args, f));
    TRY(forget(r, n->kind, n->tenant, n->id, f));
    if (redis_reply_i64(reply, 0) == 0) rc = FAIL(f, ERR_NOT_FOUND, "there is no %s", n->kind);
out:
    redis_reply_free(reply);
    return rc;
}

/* ---- list ---- */

static enum err read_ids(struct redis *r, struct redis_reply **out,
                         const struct queue_note_query *q, struct fail *f) {
    char list[KEY_MAX], from[KEY_MAX], n[16];
    bool is_rev = q->sort == QUEUE_NEWEST_FIRST;
    snprintf(from, sizeof(from), "(%s", q->after ? q->after : "");
    if (!q->after) snprintf(from, sizeof(from), "%s", is_rev ? "+" : "-");
    snprintf(n, sizeof(n), "%d", q->limit + 1);
    struct str args[9] = {str_of("ZRANGE"), list_key(list, r, q->kind, q->tenant),
                          str_of(from),     str_of(is_rev ? "-" : "+"),
                          str_of("BYLEX"),  str_of("LIMIT"),
                          str_of("0"),      str_of(n),
                          str_of("REV")};
    return redis_call(r, out, is_rev ? 9 : 8, args, f);
}

/* All notes of one page in one command; a note whose time was over leaves the list. */
static enum err read_notes(struct redis *r, struct queue_note_page *out,
                           const struct queue_note_query *q, struct fail *f) {
    enum err rc = ERR_OK;
    char keys[QUEUE_NOTE_ROWS_MAX][KEY_MAX];
    struct str args[QUEUE_NOTE_ROWS_MAX + 1] = {str_of("MGET")};
    int n = (int)redis_reply_len(out->own[0]);
    out->has_more = n > q->limit;
    if (n > q->limit) n = q->limit;
    for (int i = 0; i < n; i++) {
        const char *id = redis_reply_text(redis_reply_at(out->own[0], (size_t)i));
        args[i + 1] = note_key(keys[i], r, &(struct queue_note){q->kind, q->tenant, id});
    }
    if (n == 0) return ERR_OK;
    TRY(redis_call(r, &out->own[1], n + 1, args, f));
    for (int i = 0; i < n; i++) {
        const struct redis_reply *note = redis_reply_at(out->own[1], (size_t)i);
        const char *id = redis_reply_text(redis_reply_at(out->own[0], (size_t)i));
        if (redis_reply_kind(note) == REDIS_TEXT)
            out->json[out->n_rows++] = redis_reply_text(note);
        else
            TRY(forget(r, q->kind, q->tenant, id, f));
    }
out:
    return rc;
}

enum err queue_note_list(struct redis *r, struct queue_note_page *out,
                         const struct queue_note_query *q, struct fail *f) {
    *out = (struct queue_note_page){0};
    enum err rc = read_ids(r, &out->own[0], q, f);
    return rc == ERR_OK ? read_notes(r, out, q, f) : rc;
}

void queue_note_page_free(struct queue_note_page *page) {
    redis_reply_free(page->own[0]);
    redis_reply_free(page->own[1]);
    *page = (struct queue_note_page){0};
}
