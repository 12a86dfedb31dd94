#include "decode/tell.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum err write_all(const struct tell *t, const void *data, size_t n, struct fail *f) {
    const char *at = data;
    while (n > 0) {
        ssize_t w = write(t->fd, at, n);
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) return FAIL(f, ERR_IO, "nobody listens");
        at += w;
        n -= (size_t)w;
    }
    return ERR_OK;
}

static enum err write_tagged(const struct tell *t, enum decode_wire_tag tag, const void *data,
                             size_t n, struct fail *f) {
    char byte = (char)tag;
    enum err rc = write_all(t, &byte, 1, f);
    return rc == ERR_OK ? write_all(t, data, n, f) : rc;
}

void tell_warning(struct tell *t, const char *fmt, ...) {
    char text[DECODE_WARNING_SIZE] = {0};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (int i = 0; i < t->n_warnings; i++)
        if (strcmp(t->warning[i], text) == 0) return;
    if (t->n_warnings == DECODE_WARNINGS_MAX) return;
    memcpy(t->warning[t->n_warnings++], text, sizeof(text));
    /* A pipe that is gone is noticed with the next frame. */
    if (write_tagged(t, DECODE_WIRE_WARNING, text, sizeof(text), NULL) != ERR_OK) return;
}

enum err tell_head(struct tell *t, const struct decode_wire_head *head, struct fail *f) {
    return write_tagged(t, DECODE_WIRE_HEAD, head, sizeof(*head), f);
}

enum err tell_frame(struct tell *t, const uint8_t *rgb, size_t n, struct fail *f) {
    return write_tagged(t, DECODE_WIRE_FRAME, rgb, n, f);
}

enum err tell_end(struct tell *t, const struct fail *why, struct fail *f) {
    if (!why) return write_tagged(t, DECODE_WIRE_END, NULL, 0, f);
    return write_tagged(t, DECODE_WIRE_FAIL, why->text, strlen(why->text), f);
}
