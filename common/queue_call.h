/* queue_call.h - one call of a function of our Lua library: arguments in, reply out.
 *
 * Private to common/queue*.c. It builds FCALL name 1 {ns}:meta ARGS.. and turns the refusals that
 * all functions share into failures. Strings are borrowed until the call was sent. */
#ifndef COMMON_QUEUE_CALL_H
#define COMMON_QUEUE_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/redis.h"

enum { QUEUE_CALL_ARGS_MAX = 48, QUEUE_CALL_NUMBERS_MAX = 16, QUEUE_CALL_DIGITS_MAX = 32 };

struct queue_call {
    const char *function;
    int n_args, n_numbers;
    struct str arg[QUEUE_CALL_ARGS_MAX];
    char number[QUEUE_CALL_NUMBERS_MAX][QUEUE_CALL_DIGITS_MAX];
};

void queue_call_make(struct queue_call *call, const char *function);
/* NULL stands for "". */
void queue_call_add(struct queue_call *call, const char *text);
void queue_call_add_i64(struct queue_call *call, int64_t value);
void queue_call_add_f64(struct queue_call *call, double value);

/* The reply is the caller's. ERR_NOT_FOUND: no such job; ERR_UNAVAILABLE: another schema, or Redis
 * is away; ERR_INPUT: an argument that the library cannot read. Other words are left to the caller.
 */
MUST_CHECK enum err queue_call_send(struct queue_call *call, struct redis *r,
                                    struct redis_reply **out, struct fail *f);

/* True when the reply is a list that begins with this word. */
bool queue_call_says(const struct redis_reply *reply, const char *word);
/* Text of element i of the reply, "" when there is none. */
const char *queue_call_text(const struct redis_reply *reply, size_t i);
/* A reply that no function of ours gives: ERR_CORRUPT. */
enum err queue_call_strange(const struct queue_call *call, const struct redis_reply *reply,
                            struct fail *f);

#endif
