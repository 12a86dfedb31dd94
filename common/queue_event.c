#include "common/queue_event.h"

#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/queue_call.h"

enum { EVENT_WAIT_MAX_MS = 20000, KEY_MAX = 320 };

/* Words of the field t; every other word is the name of an ended state. */
static const struct {
    const char *word;
    enum queue_happening what;
    enum job_state state; /* after it */
} words[] = {
    {"created", QUEUE_HAPPENING_CREATED, JOB_STATE_QUEUED},
    {"started", QUEUE_HAPPENING_STARTED, JOB_STATE_RUNNING},
    {"progress", QUEUE_HAPPENING_PROGRESS, JOB_STATE_RUNNING},
    {"canceling", QUEUE_HAPPENING_CANCELING, JOB_STATE_RUNNING},
    {"requeued", QUEUE_HAPPENING_REQUEUED, JOB_STATE_QUEUED},
    {"retried", QUEUE_HAPPENING_REQUEUED, JOB_STATE_QUEUED},
    {"deleted", QUEUE_HAPPENING_DELETED, JOB_STATE_NONE},
};

static void read_word(struct queue_event *out, const char *word) {
    out->what = QUEUE_HAPPENING_ENDED;
    out->state = job_state_parse(word);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i].word, word) != 0) continue;
        out->what = words[i].what;
        out->state = words[i].state;
    }
}

static bool copy_field(char *out, size_t cap, const struct redis_reply *fields, const char *name) {
    return str_copy(out, cap, redis_reply_str(redis_reply_field(fields, name)));
}

/* A row of a stream is {id {name value name value ..}}. False for one that makes no sense. */
static bool read_row(struct queue_event *out, const struct redis_reply *row) {
    const struct redis_reply *fields = redis_reply_at(row, 1);
    memset(out, 0, sizeof(*out));
    read_word(out, redis_reply_text(redis_reply_field(fields, "t")));
    out->progress = (int)redis_reply_i64(redis_reply_field(fields, "p"), 0);
    out->step = (int)redis_reply_i64(redis_reply_field(fields, "s"), 0);
    out->n_steps = (int)redis_reply_i64(redis_reply_field(fields, "m"), 0);
    out->eta_ms = redis_reply_i64(redis_reply_field(fields, "e"), -1);
    return str_copy(out->id, sizeof(out->id), redis_reply_str(redis_reply_at(row, 0))) &&
           copy_field(out->job, sizeof(out->job), fields, "j") && out->job[0] != 0 &&
           copy_field(out->tenant, sizeof(out->tenant), fields, "n") &&
           copy_field(out->phase, sizeof(out->phase), fields, "ph");
}

static void read_rows(struct queue_events *out, const struct redis_reply *rows) {
    for (size_t i = 0; i < redis_reply_len(rows) && out->n_events < QUEUE_EVENT_ROWS_MAX; i++)
        if (read_row(&out->event[out->n_events], redis_reply_at(rows, i))) out->n_events++;
}

/* True for "ms-seq" with plain digits. */
static bool is_stream_id(const char *id) {
    struct str rest = str_of(id), ms;
    int64_t n;
    return str_split(&rest, '-', &ms) && str_parse_i64(ms, 0, INT64_MAX, &n) &&
           str_parse_i64(rest, 0, INT64_MAX, &n);
}

static struct str stream_key(char key[KEY_MAX], const struct redis *r, const char *name,
                             const char *id) {
    int n = snprintf(key, KEY_MAX, "%s%s%.64s", redis_prefix(r), name, id);
    return (struct str){key, (size_t)n};
}

/* True when the row is what `after` names. */
static bool is_row(const struct redis_reply *rows, const char *after) {
    return strcmp(queue_call_text(redis_reply_at(rows, 0), 0), after) == 0;
}

enum err queue_event_read(struct redis *r, struct queue_events *out, const char *id,
                          const char *after, struct fail *f) {
    enum err rc = ERR_OK;
    char key[KEY_MAX], count[16];
    struct redis_reply *reply = NULL;
    memset(out, 0, sizeof(*out));
    if (after[0] != 0 && !is_stream_id(after))
        return FAIL(f, ERR_INPUT, "\"%.40s\" is no event id", after);
    /* One row more, and from `after` itself: if it is still there, nothing was cut. */
    snprintf(count, sizeof(count), "%d", QUEUE_EVENT_ROWS_MAX);
    struct str args[6] = {str_of("XRANGE"),
                          stream_key(key, r, "ev:", id),
                          str_of(after[0] != 0 ? after : "-"),
                          str_of("+"),
                          str_of("COUNT"),
                          str_of(count)};
    TRY(redis_call(r, &reply, 6, args, f));
    read_rows(out, reply);
    if (after[0] != 0 && is_row(reply, after)) {
        out->n_events--;
        memmove(out->event, out->event + 1, (size_t)out->n_events * sizeof(out->event[0]));
    } else {
        out->is_cut = after[0] != 0;
    }
out:
    redis_reply_free(reply);
    return rc;
}

/* Newest id of the stream of all jobs, "0-0" when it is empty. */
static enum err read_newest(struct redis *r, char last[QUEUE_EVENT_ID_MAX], struct fail *f) {
    enum err rc = ERR_OK;
    char key[KEY_MAX];
    struct redis_reply *reply = NULL;
    struct str args[6] = {str_of("XREVRANGE"), stream_key(key, r, "evall", ""),
                          str_of("+"),         str_of("-"),
                          str_of("COUNT"),     str_of("1")};
    TRY(redis_call(r, &reply, 6, args, f));
    const char *id = queue_call_text(redis_reply_at(reply, 0), 0);
    str_copy(last, QUEUE_EVENT_ID_MAX, str_of(id[0] != 0 ? id : "0-0"));
out:
    redis_reply_free(reply);
    return rc;
}

/* True when rows between `last` and the oldest kept one are gone. */
static enum err find_cut(struct redis *r, bool *is_cut, const char *last, struct fail *f) {
    enum err rc = ERR_OK;
    char key[KEY_MAX];
    struct redis_reply *reply = NULL;
    struct str args[6] = {str_of("XRANGE"), stream_key(key, r, "evall", ""),
                          str_of(last),     str_of(last),
                          str_of("COUNT"),  str_of("1")};
    *is_cut = false;
    if (strcmp(last, "0-0") == 0) return ERR_OK;
    TRY(redis_call(r, &reply, 6, args, f));
    *is_cut = !is_row(reply, last);
out:
    redis_reply_free(reply);
    return rc;
}

enum err queue_event_wait(struct redis *r, struct queue_events *out, char last[QUEUE_EVENT_ID_MAX],
                          int wait_ms, struct fail *f) {
    enum err rc = ERR_OK;
    char key[KEY_MAX], count[16], block[16];
    struct redis_reply *reply = NULL;
    ASSERT(wait_ms > 0 && wait_ms <= EVENT_WAIT_MAX_MS);
    memset(out, 0, sizeof(*out));
    if (last[0] == 0) return read_newest(r, last, f);
    TRY(find_cut(r, &out->is_cut, last, f));
    if (out->is_cut) {
        rc = read_newest(r, last, f); /* the caller reads its jobs again, then goes on from now */
        goto out;
    }
    snprintf(count, sizeof(count), "%d", QUEUE_EVENT_ROWS_MAX);
    snprintf(block, sizeof(block), "%d", wait_ms);
    struct str args[8] = {str_of("XREAD"),
                          str_of("COUNT"),
                          str_of(count),
                          str_of("BLOCK"),
                          str_of(block),
                          str_of("STREAMS"),
                          stream_key(key, r, "evall", ""),
                          str_of(last)};
    TRY(redis_call_wait(r, &reply, wait_ms, 8, args, f));
    read_rows(out, redis_reply_at(redis_reply_at(reply, 0), 1)); /* {{key rows}} */
    if (out->n_events > 0)
        str_copy(last, QUEUE_EVENT_ID_MAX, str_of(out->event[out->n_events - 1].id));
out:
    redis_reply_free(reply);
    return rc;
}
