/* decode.c - see decode.h. Every number that comes back is checked as a stranger's. */
#include "common/decode.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/now.h"

enum { ASK_EVERY_MS = 200, SOURCE_SIDE_MAX = 16384 };

struct decode {
    struct decode_request request;
    struct decode_facts *facts; /* the caller's, or `spare` */
    struct decode_facts spare;
    pid_t pid;
    int fd;
    int64_t left_ms; /* that may still be waited */
    int n_read;      /* frames */
    bool is_over;
};

void decode_find_program(char *out, int cap) {
    ssize_t n = readlink("/proc/self/exe", out, (size_t)cap - 1);
    out[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(out, '/');
    int at = slash ? (int)(slash + 1 - out) : 0;
    snprintf(out + at, (size_t)(cap - at), "misora-decode");
}

/* posix_spawn does not copy our memory, which may hold a model. */
static enum err start(struct decode *d, struct fail *f) {
    static const char *const kinds[DECODE_KIND_COUNT] = {"any", "image", "video"};
    const struct decode_request *r = &d->request;
    char text[5][32];
    int fds[2];
    posix_spawn_file_actions_t actions;
    snprintf(text[0], sizeof(text[0]), "%s", kinds[r->kind]);
    snprintf(text[1], sizeof(text[1]), "%dx%d", r->width, r->height);
    snprintf(text[2], sizeof(text[2]), "%d", r->fps);
    snprintf(text[3], sizeof(text[3]), "%d", r->from);
    snprintf(text[4], sizeof(text[4]), "%d", r->n_max);
    char name[] = "misora-decode";
    char *argv[] = {name, text[0], text[1], text[2], text[3], text[4], NULL}, *envp[] = {NULL};
    if (pipe2(fds, O_CLOEXEC) < 0) return FAIL(f, ERR_IO, "decode: no pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, r->fd, 0);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    int e = posix_spawn(&d->pid, r->program, &actions, NULL, argv, envp);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    if (e == 0) {
        d->fd = fds[0];
        return ERR_OK;
    }
    close(fds[0]);
    d->pid = 0;
    return FAIL(f, ERR_BUG, "decode: cannot run %s: %s", r->program, strerror(e));
}

static const char *noun(const struct decode *d) {
    return d->request.kind == DECODE_IMAGE   ? "the image"
           : d->request.kind == DECODE_VIDEO ? "the video"
                                             : "the file";
}

/* Waits for the end of the process, which has closed its pipe or is killed; 0 when it is gone. */
static int reap(struct decode *d) {
    int status = 0;
    if (d->pid <= 0) return 0;
    kill(d->pid, SIGKILL); /* our own child, not yet reaped: the number is nobody else's */
    while (waitpid(d->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    d->pid = 0;
    return status;
}

/* The pipe ended before the answer did. A process that ends by itself closes its pipe a moment
 * before it is a zombie, so it is waited for, a little, before it is killed. */
static enum err say_why_it_ended(struct decode *d, struct fail *f) {
    int status = 0;
    pid_t pid = 0;
    for (int i = 0; i < 200 && pid == 0; i++) {
        pid = waitpid(d->pid, &status, WNOHANG);
        if (pid == 0) now_sleep_ms(5);
    }
    if (pid != 0) d->pid = 0;
    int signal = pid > 0 && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (signal == SIGXCPU || signal == SIGKILL)
        return FAIL(f, ERR_MEDIA, "%s takes more than %d s to decode", noun(d), DECODE_CPU_S);
    if (signal == SIGSYS)
        return FAIL(f, ERR_MEDIA, "%s made its decoder try something forbidden", noun(d));
    return FAIL(f, ERR_MEDIA, "%s is damaged or needs more than %d MB to decode", noun(d),
                DECODE_MEMORY_BYTES / 1000000);
}

/* Reads exactly n bytes. ERR_NOT_FOUND when the other side closed, ERR_TIMEOUT, ERR_CANCELLED. */
static enum err read_all(struct decode *d, void *out, size_t n) {
    uint8_t *at = out;
    while (n > 0) {
        struct pollfd p = {.fd = d->fd, .events = POLLIN};
        int64_t t0 = now_mono_ms();
        if (d->left_ms <= 0) return ERR_TIMEOUT;
        int slice = d->left_ms < ASK_EVERY_MS ? (int)d->left_ms : ASK_EVERY_MS;
        int e = poll(&p, 1, slice);
        d->left_ms -= now_mono_ms() - t0;
        if (d->request.is_cancelled && d->request.is_cancelled(d->request.ctx))
            return ERR_CANCELLED;
        if (e == 0 || (e < 0 && errno == EINTR)) continue;
        ssize_t k = e < 0 ? -1 : read(d->fd, at, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return ERR_NOT_FOUND;
        at += k;
        n -= (size_t)k;
    }
    return ERR_OK;
}

static enum err take(struct decode *d, void *out, size_t n, struct fail *f) {
    enum err rc = read_all(d, out, n);
    if (rc == ERR_OK) return rc;
    if (rc == ERR_CANCELLED) return FAIL(f, rc, "the job was cancelled");
    if (rc == ERR_NOT_FOUND) return say_why_it_ended(d, f);
    return FAIL(f, ERR_MEDIA, "%s takes more than %d s to decode", noun(d), DECODE_WAIT_MS / 1000);
}

/* Text of a process that read hostile bytes: only plain characters are kept. */
static void clean(char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 0x20 || (unsigned char)text[i] >= 0x7f) text[i] = '.';
    text[n] = '\0';
}

static enum err take_warning(struct decode *d, struct fail *f) {
    char text[DECODE_WARNING_SIZE];
    enum err rc = take(d, text, sizeof(text), f);
    if (rc != ERR_OK) return rc;
    clean(text, strnlen(text, sizeof(text) - 1));
    struct decode_facts *facts = d->facts;
    if (facts->n_warnings < DECODE_WARNINGS_MAX)
        memcpy(facts->warning[facts->n_warnings++], text, sizeof(text));
    return ERR_OK;
}

static enum err take_reason(struct decode *d, struct fail *f) {
    char text[DECODE_REASON_MAX + 1];
    size_t n = 0;
    while (n < DECODE_REASON_MAX && read_all(d, text + n, 1) == ERR_OK)
        n++;
    clean(text, n);
    return FAIL(f, ERR_MEDIA, "%s", n > 0 ? text : "the file cannot be read");
}

static enum err nonsense(const struct decode *d, struct fail *f) {
    return FAIL(f, ERR_MEDIA, "%s made its decoder answer nonsense", noun(d));
}

/* The next tag; warnings on the way are kept. */
static enum err take_tag(struct decode *d, uint8_t *tag, struct fail *f) {
    enum err rc = ERR_OK;
    for (int i = 0; i <= DECODE_WARNINGS_MAX; i++) {
        TRY(take(d, tag, 1, f));
        if (*tag == DECODE_WIRE_FAIL) return take_reason(d, f);
        if (*tag != DECODE_WIRE_WARNING) return ERR_OK;
        TRY(take_warning(d, f));
    }
    rc = nonsense(d, f);
out:
    return rc;
}

static bool head_is_sane(const struct decode_wire_head *h) {
    return h->magic == DECODE_WIRE_MAGIC && h->is_video <= 1 && h->has_audio <= 1 && h->width > 0 &&
           h->width <= SOURCE_SIDE_MAX && h->height > 0 && h->height <= SOURCE_SIDE_MAX &&
           h->fps_milli <= 1000000 && h->duration_ms <= DECODE_SECONDS_MAX * 1000u &&
           h->fps <= DECODE_FPS_MAX && h->n_frames > 0 && h->n_frames <= DECODE_FRAMES_MAX * 2u &&
           h->n_given <= h->n_frames;
}

static enum err take_head(struct decode *d, struct fail *f) {
    struct decode_wire_head h;
    struct decode_facts *out = d->facts;
    uint8_t tag = 0;
    enum err rc = take_tag(d, &tag, f);
    if (rc == ERR_OK && tag != DECODE_WIRE_HEAD) rc = nonsense(d, f);
    if (rc == ERR_OK) rc = take(d, &h, sizeof(h), f);
    if (rc != ERR_OK) return rc;
    if (!head_is_sane(&h)) return nonsense(d, f);
    out->is_video = h.is_video;
    out->has_audio = h.has_audio;
    out->width = (int)h.width;
    out->height = (int)h.height;
    out->fps = h.fps_milli / 1000.0;
    out->seconds = h.duration_ms / 1000.0;
    out->frame_fps = (int)h.fps;
    out->n_frames = (int)h.n_frames;
    out->n_given = (int)h.n_given;
    return ERR_OK;
}

enum err decode_open(struct decode **out, const struct decode_request *request, struct fail *f) {
    ASSERT(request->width >= 0 && request->width <= DECODE_SIDE_MAX);
    ASSERT(request->height >= 0 && request->height <= DECODE_SIDE_MAX);
    ASSERT((request->width == 0) == (request->height == 0));
    ASSERT(request->fps >= 0 && request->fps <= DECODE_FPS_MAX && request->n_max >= 0);
    struct decode *d = mem_take(1, sizeof(*d));
    *out = NULL;
    if (!d) return FAIL(f, ERR_NOMEM, "decode: no memory");
    *d = (struct decode){.request = *request, .fd = -1, .left_ms = DECODE_WAIT_MS};
    d->facts = request->facts ? request->facts : &d->spare;
    *d->facts = (struct decode_facts){0};
    enum err rc = start(d, f);
    if (rc == ERR_OK) rc = take_head(d, f);
    if (rc == ERR_OK)
        *out = d;
    else
        decode_close(d);
    return rc;
}

enum err decode_frame(struct decode *d, uint8_t *rgb, bool *is_over, struct fail *f) {
    uint8_t tag = 0;
    enum err rc = ERR_OK;
    size_t n = (size_t)d->request.width * (size_t)d->request.height * 3;
    *is_over = d->is_over;
    if (d->is_over) return ERR_OK;
    TRY(take_tag(d, &tag, f));
    if (tag == DECODE_WIRE_END && d->n_read == d->facts->n_given) {
        *is_over = d->is_over = true;
        return ERR_OK;
    }
    if (tag != DECODE_WIRE_FRAME || n == 0 || d->n_read >= d->facts->n_given) return nonsense(d, f);
    TRY(take(d, rgb, n, f));
    d->n_read++;
out:
    return rc;
}

void decode_close(struct decode *d) {
    if (!d) return;
    if (d->fd >= 0) close(d->fd);
    reap(d);
    mem_free(d);
}

enum err decode_image(uint8_t *rgb, const struct decode_request *request, struct fail *f) {
    struct decode_request one = *request;
    struct decode *d = NULL;
    bool is_over = false;
    ASSERT(request->width > 0);
    one.n_max = 1;
    enum err rc = decode_open(&d, &one, f);
    if (rc == ERR_OK) rc = decode_frame(d, rgb, &is_over, f);
    if (rc == ERR_OK && is_over) rc = FAIL(f, ERR_MEDIA, "%s has no such frame", noun(d));
    if (rc == ERR_OK) { /* the end may still bring a warning or a refusal */
        rc = decode_frame(d, rgb, &is_over, f);
        if (rc == ERR_OK && !is_over) rc = nonsense(d, f);
    }
    decode_close(d);
    return rc;
}

enum err decode_clip(struct decode_clip *out, const struct decode_request *request,
                     uint64_t max_bytes, struct fail *f) {
    enum err rc = ERR_OK;
    struct decode *d = NULL;
    struct decode_request all = *request;
    size_t n = (size_t)request->width * (size_t)request->height * 3;
    ASSERT(n > 0);
    *out = (struct decode_clip){0};
    all.facts = &out->facts;
    TRY(decode_open(&d, &all, f));
    size_t n_given = (size_t)out->facts.n_given;
    if (n_given == 0) TRY(FAIL(f, ERR_MEDIA, "%s has no frame there", noun(d)));
    if (n_given > max_bytes / n)
        TRY(FAIL(f, ERR_LIMIT, "%zu frames of %dx%d are more than the %llu MB that a clip may have",
                 n_given, request->width, request->height,
                 (unsigned long long)(max_bytes / 1000000)));
    out->rgb = mem_take(n_given, n);
    if (!out->rgb) TRY(FAIL(f, ERR_NOMEM, "no memory for %zu frames", n_given));
    for (bool is_over = false;;) {
        uint8_t spare[1],
            *at = out->n_frames < (int)n_given ? out->rgb + (size_t)out->n_frames * n : spare;
        TRY(decode_frame(d, at, &is_over, f));
        if (is_over) break;
        out->n_frames++;
    }
out:
    decode_close(d);
    if (rc != ERR_OK) decode_clip_free(out);
    return rc;
}

void decode_clip_free(struct decode_clip *clip) {
    mem_free(clip->rgb);
    *clip = (struct decode_clip){0};
}

enum err decode_probe(struct decode_facts *out, const struct decode_request *request,
                      struct fail *f) {
    struct decode_request facts_only = *request;
    struct decode *d = NULL;
    facts_only.width = facts_only.height = facts_only.from = facts_only.n_max = 0;
    facts_only.facts = out;
    enum err rc = decode_open(&d, &facts_only, f);
    decode_close(d);
    return rc;
}
