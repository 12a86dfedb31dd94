#include "tools/job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/now.h"
#include "common/base/str.h"
#include "common/config.h"
#include "tools/job_call.h"
#include "tools/job_flags.h"

enum { WAIT_SECONDS = 20, BAR_CELLS = 28 };

/* What a run of the program knows. */
struct run {
    struct job_flags flags;
    const char *server;
    bool is_terminal; /* a bar is drawn; else every answer is a line of JSON */
};

/* ---- asking ---- */

static enum err ask(struct fetch_reply *reply, const struct run *r, const char *method,
                    const char *path, struct fail *f) {
    const struct job_call c = {.server = r->server, .method = method, .path = path};
    return job_call_run(reply, &c, f);
}

static enum err read_id(const struct run *r, const char *action, struct fail *f) {
    if (!r->flags.word[0]) return FAIL(f, ERR_INPUT, "%s needs the id of a video", action);
    /* The id becomes part of a path. */
    if (strspn(r->flags.word[0], "abcdefghijklmnopqrstuvwxyz0123456789_-") !=
            strlen(r->flags.word[0]) ||
        strlen(r->flags.word[0]) > 60)
        return FAIL(f, ERR_INPUT, "\"%.60s\" is no id: they look like video_ and 32 digits",
                    r->flags.word[0]);
    return ERR_OK;
}

static void print_reply(const struct fetch_reply *reply) {
    printf("%s\n", buf_str(&reply->body));
    fflush(stdout);
}

/* ---- progress ---- */

static void draw_bar(const struct job_call_video *v, int64_t start_ms) {
    int n_full = (int)(v->progress * BAR_CELLS / 100);
    fputs("\r\033[K", stderr);
    for (int i = 0; i < BAR_CELLS; i++)
        fputs(i < n_full ? "█" : "░", stderr);
    fprintf(stderr, " %3lld %%  %s", (long long)v->progress, v->phase[0] ? v->phase : v->status);
    if (v->n_steps > 0) fprintf(stderr, " %lld/%lld", (long long)v->step, (long long)v->n_steps);
    if (v->eta_s >= 0.5 && !v->is_over) fprintf(stderr, ", %.0f s left", v->eta_s);
    if (v->is_over) fprintf(stderr, ", %.1f s\n", (double)(now_mono_ms() - start_ms) / 1000);
    fflush(stderr);
}

/* Waits by long polls until the video has ended. *reply is its last answer. */
static enum err watch(struct job_call_video *v, struct fetch_reply *reply, const struct run *r,
                      struct fail *f) {
    int64_t start_ms = now_mono_ms();
    char path[JOB_CALL_PATH_MAX], id[sizeof(v->id)];
    memcpy(id, v->id, sizeof(id));
    for (;;) {
        if (r->is_terminal)
            draw_bar(v, start_ms);
        else
            print_reply(reply);
        if (v->is_over) return ERR_OK;
        fetch_reply_free(reply);
        snprintf(path, sizeof(path), "/v1/videos/%s?wait=%d&after_progress=%lld", id, WAIT_SECONDS,
                 (long long)v->progress);
        enum err rc = ask(reply, r, NULL, path, f);
        if (rc == ERR_OK) rc = job_call_video(v, reply, f);
        if (rc != ERR_OK) return rc;
    }
}

/* ---- the content ---- */

/* What is half done never has the name that was asked for. */
static enum err download(const struct run *r, const char *id, struct fail *f) {
    enum err rc = ERR_OK;
    char path[JOB_CALL_PATH_MAX], part[JOB_CALL_PATH_MAX];
    const char *to = job_flags_get(&r->flags, "--output");
    const char *variant = job_flags_get(&r->flags, "--variant");
    struct fetch_reply reply = {0};
    if (!to) return FAIL(f, ERR_INPUT, "download needs --output FILE");
    if (variant && strspn(variant, "abcdefghijklmnopqrstuvwxyz_") != strlen(variant))
        return FAIL(f, ERR_INPUT, "--variant is \"%.40s\"; video, thumbnail or spritesheet",
                    variant);
    snprintf(path, sizeof(path), "/v1/videos/%s/content?variant=%.40s", id,
             variant ? variant : "video");
    if (snprintf(part, sizeof(part), "%s.part", to) >= (int)sizeof(part))
        return FAIL(f, ERR_INPUT, "--output: the name is too long");
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return FAIL(f, ERR_INPUT, "%s cannot be written: %s", part, strerror(errno));
    const struct job_call c = {.server = r->server, .path = path, .save_fd = fd};
    rc = job_call_run(&reply, &c, f);
    if (close(fd) != 0 && rc == ERR_OK) rc = FAIL(f, ERR_DISK, "%s: %s", part, strerror(errno));
    if (rc == ERR_OK && rename(part, to) != 0)
        rc = FAIL(f, ERR_DISK, "%s cannot be written: %s", to, strerror(errno));
    if (rc != ERR_OK) unlink(part);
    if (rc == ERR_OK && r->is_terminal)
        fprintf(stderr, "%s, %lld bytes\n", to, (long long)reply.n_saved);
    fetch_reply_free(&reply);
    return rc;
}

/* ---- actions ---- */

static enum err end_well(const struct run *r, const struct job_call_video *v, struct fail *f) {
    if (strcmp(v->status, "completed") != 0)
        return FAIL(f, ERR_CONFLICT, "the video failed: %s: %.180s", v->code, v->message);
    return job_flags_get(&r->flags, "--output") ? download(r, v->id, f) : ERR_OK;
}

static const struct operation {
    const char *name, *path;
} operations[] = {
    {"create", "/v1/videos"},
    {"edit", "/v1/videos/edits"},
    {"extend", "/v1/videos/extensions"},
    {"connect", "/v1/videos/connections"},
    {"loop", "/v1/videos/loops"},
    {"views", "/v1/videos/views"},
};

static const char *find_path(const struct run *r, struct fail *f) {
    const char *name = r->flags.word[0] ? r->flags.word[0] : "create";
    for (int i = 0; i < COUNT_OF(operations); i++)
        if (strcmp(name, operations[i].name) == 0) return operations[i].path;
    (void)FAIL(f, ERR_INPUT, "no operation \"%.40s\": create, edit, extend, connect, loop, views",
               name);
    return NULL;
}

static enum err run_submit(const struct run *r, struct fail *f) {
    enum err rc = ERR_OK;
    struct fetch_reply reply = {0};
    struct job_flags_body body = {.file = {.fd = -1}};
    struct job_call_video v;
    bool is_watched = r->flags.is_watched || job_flags_get(&r->flags, "--output");
    const char *path = find_path(r, f);
    if (!path) return ERR_INPUT;
    TRY(job_flags_body(&body, &r->flags, f));
    const struct job_call c = {.server = r->server,
                               .method = "POST",
                               .path = path,
                               .content_type = body.content_type,
                               .body = body.file.fd < 0 ? buf_str(&body.text) : NULL,
                               .n_body = body.text.len,
                               .file = body.file.fd < 0 ? NULL : &body.file};
    TRY(job_call_run(&reply, &c, f));
    TRY(job_call_video(&v, &reply, f));
    if (r->is_terminal)
        printf("%s\n", v.id);
    else if (!is_watched)
        print_reply(&reply);
    fflush(stdout);
    if (!is_watched) goto out;
    TRY(watch(&v, &reply, r, f));
    TRY(end_well(r, &v, f));
out:
    fetch_reply_free(&reply);
    job_flags_body_free(&body);
    return rc;
}

static enum err run_watch(const struct run *r, struct fail *f) {
    enum err rc = ERR_OK;
    char path[JOB_CALL_PATH_MAX];
    struct fetch_reply reply = {0};
    struct job_call_video v;
    TRY(read_id(r, "watch", f));
    snprintf(path, sizeof(path), "/v1/videos/%s", r->flags.word[0]);
    TRY(ask(&reply, r, NULL, path, f));
    TRY(job_call_video(&v, &reply, f));
    TRY(watch(&v, &reply, r, f));
    TRY(end_well(r, &v, f));
out:
    fetch_reply_free(&reply);
    return rc;
}

static enum err run_download(const struct run *r, struct fail *f) {
    enum err rc = read_id(r, "download", f);
    return rc == ERR_OK ? download(r, r->flags.word[0], f) : rc;
}

static enum err run_list(const struct run *r, struct fail *f) {
    char path[JOB_CALL_PATH_MAX];
    int64_t n = 20;
    const char *limit = job_flags_get(&r->flags, "--limit");
    const char *after = job_flags_get(&r->flags, "--after");
    struct fetch_reply reply = {0};
    if (limit && !str_parse_i64(str_of(limit), 1, 100, &n))
        return FAIL(f, ERR_INPUT, "--limit is \"%.20s\"; it must be from 1 to 100", limit);
    snprintf(path, sizeof(path), "/v1/videos?limit=%d%s%.60s", (int)n, after ? "&after=" : "",
             after ? after : "");
    enum err rc = ask(&reply, r, NULL, path, f);
    if (rc == ERR_OK) print_reply(&reply);
    fetch_reply_free(&reply);
    return rc;
}

/* Prints what one path of the video answers. */
static enum err run_one(const struct run *r, const char *action, const char *method,
                        const char *tail, struct fail *f) {
    char path[JOB_CALL_PATH_MAX];
    struct fetch_reply reply = {0};
    enum err rc = read_id(r, action, f);
    if (rc != ERR_OK) return rc;
    snprintf(path, sizeof(path), "/v1/videos/%s%s", r->flags.word[0], tail);
    rc = ask(&reply, r, method, path, f);
    if (rc == ERR_OK) print_reply(&reply);
    fetch_reply_free(&reply);
    return rc;
}

static enum err run_get(const struct run *r, struct fail *f) {
    return run_one(r, "get", NULL, "", f);
}

static enum err run_cancel(const struct run *r, struct fail *f) {
    return run_one(r, "cancel", "POST", "/cancel", f);
}

static enum err run_delete(const struct run *r, struct fail *f) {
    return run_one(r, "delete", "DELETE", "", f);
}

static const struct action {
    const char *name;
    enum err (*run)(const struct run *r, struct fail *f);
    const char *usage;
} actions[] = {
    {"submit", run_submit, "[create|edit|extend|connect|loop|views] [--watch] [--output FILE] .."},
    {"watch", run_watch, "ID [--output FILE]"},
    {"get", run_get, "ID"},
    {"list", run_list, "[--limit N] [--after ID]"},
    {"cancel", run_cancel, "ID"},
    {"delete", run_delete, "ID"},
    {"download", run_download, "ID --output FILE [--variant NAME]"},
};

static void print_usage(void) {
    for (int i = 0; i < COUNT_OF(actions); i++)
        printf("%s misora job %-8s %s\n", i ? "      " : "usage:", actions[i].name,
               actions[i].usage);
    printf("\n");
    job_flags_print();
    printf("\nThe API key is taken from MISORA_API_KEY. On a terminal progress is a bar, elsewhere "
           "every\nanswer is a line of JSON.\n");
}

static int refuse(const struct fail *f) {
    fprintf(stderr, "misora job: %s\n", f->text);
    if (f->code == ERR_INPUT) return EXIT_CODE_USAGE;
    if (f->code == ERR_BUG) return EXIT_CODE_BUG;
    return err_http(f->code) >= 500 ? EXIT_CODE_UNAVAILABLE : 1;
}

static int run_action(const struct action *a, int argc, char **argv) {
    struct run r = {.is_terminal = isatty(STDOUT_FILENO) && isatty(STDERR_FILENO)};
    struct fail f = {0};
    if (job_flags_read(&r.flags, argc, argv, &f) != ERR_OK) return refuse(&f);
    r.server = job_flags_get(&r.flags, "--url");
    if (!r.server) r.server = getenv("MISORA_URL");
    if (!r.server) r.server = "http://127.0.0.1:8080";
    if (fetch_start(&f) != ERR_OK) return refuse(&f);
    int code = a->run(&r, &f) == ERR_OK ? 0 : refuse(&f);
    fetch_stop();
    return code;
}

int job_main(int argc, char **argv) {
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        print_usage();
        return argc < 2 ? EXIT_CODE_USAGE : 0;
    }
    for (int i = 0; i < COUNT_OF(actions); i++)
        if (strcmp(argv[1], actions[i].name) == 0)
            return run_action(&actions[i], argc - 2, argv + 2);
    fprintf(stderr, "misora job: no action \"%.40s\" (see misora job --help)\n", argv[1]);
    return EXIT_CODE_USAGE;
}
