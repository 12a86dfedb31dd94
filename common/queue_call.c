#include "common/queue_call.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"

enum { META_KEY_MAX = 192 };

void queue_call_make(struct queue_call *call, const char *function) {
    call->function = function;
    call->n_args = 0;
    call->n_numbers = 0;
}

void queue_call_add(struct queue_call *call, const char *text) {
    ASSERT(call->n_args < QUEUE_CALL_ARGS_MAX);
    call->arg[call->n_args++] = str_of(text);
}

static char *next_number(struct queue_call *call) {
    ASSERT(call->n_numbers < QUEUE_CALL_NUMBERS_MAX);
    return call->number[call->n_numbers++];
}

void queue_call_add_i64(struct queue_call *call, int64_t value) {
    char *digits = next_number(call);
    snprintf(digits, QUEUE_CALL_DIGITS_MAX, "%" PRId64, value);
    queue_call_add(call, digits);
}

/* Written as integer and six decimals: the locale has no say in it. */
void queue_call_add_f64(struct queue_call *call, double value) {
    char *digits = next_number(call);
    ASSERT(value >= 0 && value < 1e9);
    int64_t millionths = (int64_t)(value * 1e6 + 0.5);
    snprintf(digits, QUEUE_CALL_DIGITS_MAX, "%" PRId64 ".%06" PRId64, millionths / 1000000,
             millionths % 1000000);
    queue_call_add(call, digits);
}

bool queue_call_says(const struct redis_reply *reply, const char *word) {
    return str_eq(redis_reply_str(redis_reply_at(reply, 0)), word);
}

const char *queue_call_text(const struct redis_reply *reply, size_t i) {
    return redis_reply_text(redis_reply_at(reply, i));
}

enum err queue_call_strange(const struct queue_call *call, const struct redis_reply *reply,
                            struct fail *f) {
    return FAIL(f, ERR_CORRUPT, "%s answered \"%.40s\", which makes no sense", call->function,
                queue_call_text(reply, 0));
}

static enum err read_refusal(const struct queue_call *call, const struct redis_reply *reply,
                             struct fail *f) {
    const char *detail = queue_call_text(reply, 1);
    if (queue_call_says(reply, "ENOENT")) return FAIL(f, ERR_NOT_FOUND, "there is no such job");
    if (queue_call_says(reply, "ESCHEMA"))
        return FAIL(f, ERR_UNAVAILABLE,
                    "the data in Redis has schema %s, which is not ours; run: misora admin migrate",
                    detail);
    if (queue_call_says(reply, "EARG"))
        return FAIL(f, ERR_INPUT, "%s cannot read its argument %s", call->function, detail);
    return ERR_OK;
}

enum err queue_call_send(struct queue_call *call, struct redis *r, struct redis_reply **out,
                         struct fail *f) {
    enum err rc = ERR_OK;
    char meta[META_KEY_MAX];
    struct str args[4 + QUEUE_CALL_ARGS_MAX] = {
        str_of("FCALL"), str_of(call->function), str_of("1"), {meta, 0}};
    struct redis_reply *reply = NULL;
    args[3].n = (size_t)snprintf(meta, sizeof(meta), "%smeta", redis_prefix(r));
    memcpy(args + 4, call->arg, (size_t)call->n_args * sizeof(call->arg[0]));
    *out = NULL;
    TRY(redis_call(r, &reply, 4 + call->n_args, args, f));
    if (redis_reply_kind(reply) != REDIS_LIST) TRY(queue_call_strange(call, reply, f));
    TRY(read_refusal(call, reply, f));
    *out = reply;
    reply = NULL;
out:
    redis_reply_free(reply);
    return rc;
}
