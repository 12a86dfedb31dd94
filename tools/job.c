#include "tools/job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/base64.h"
#include "common/base/limits.h"
#include "common/base/mem.h"
#include "common/base/now.h"
#include "common/base/str.h"
#include "common/config.h"
#include "common/doc.h"
#include "common/fetch.h"

enum {
    REPLY_BYTES_MAX = 1024 * 1024,
    CHUNK_BYTES = 4 * 1024 * 1024, /* a clip is fetched in ranges, so it is never whole in memory */
    WAIT_SECONDS = 20,
    PATH_BYTES = 1024,
};

struct opts {
    const char *url, *prompt, *negative, *size, *seconds, *model, *seed, *steps, *guidance, *image;
    const char *webhook, *output, *variant, *limit, *word;
    bool follow;
};

static const struct flag {
    const char *name;
    size_t offset;
    const char *field; /* member of the body it becomes, NULL = our own */
    const char *help;
} flags[] = {
    {"--url", offsetof(struct opts, url), NULL, "server (MISORA_URL, else http://127.0.0.1:8080)"},
    {"--prompt", offsetof(struct opts, prompt), "prompt", "what to show"},
    {"--negative-prompt", offsetof(struct opts, negative), "negative_prompt", "what to avoid"},
    {"--size", offsetof(struct opts, size), "size", "WIDTHxHEIGHT"},
    {"--seconds", offsetof(struct opts, seconds), "seconds", "length"},
    {"--model", offsetof(struct opts, model), "model", "model id"},
    {"--seed", offsetof(struct opts, seed), "seed", "0..4294967295"},
    {"--steps", offsetof(struct opts, steps), "steps", "denoising steps"},
    {"--guidance", offsetof(struct opts, guidance), "guidance_scale", "classifier-free guidance"},
    {"--webhook-url", offsetof(struct opts, webhook), "webhook_url", "called at the end"},
    {"--image", offsetof(struct opts, image), NULL, "file with the first frame (png, jpeg, webp)"},
    {"--output", offsetof(struct opts, output), NULL, "where the clip goes"},
    {"--variant", offsetof(struct opts, variant), NULL, "video, thumbnail or spritesheet"},
    {"--limit", offsetof(struct opts, limit), NULL, "rows of a list"},
};

static int refuse(const struct fail *f) {
    fprintf(stderr, "misora job: %s\n", f->text);
    return f->code == ERR_INPUT    ? EXIT_CODE_USAGE
           : f->code == ERR_BUG    ? EXIT_CODE_BUG
           : err_http(f->code) >= 500 ? EXIT_CODE_UNAVAILABLE
                                      : 1;
}

static void print_usage(void) {
    printf("usage: misora job create --prompt TEXT [--follow] [--output FILE] [flags]\n"
           "       misora job show|cancel ID\n       misora job list [--limit N]\n"
           "       misora job fetch ID --output FILE [--variant NAME]\n\n");
    for (int i = 0; i < COUNT_OF(flags); i++)
        printf("  %-18s %s\n", flags[i].name, flags[i].help);
    printf("  %-18s print progress until the job ends\n", "--follow");
    printf("\nThe API key is taken from MISORA_API_KEY.\n");
}

static enum err read_opts(struct opts *o, int argc, char **argv, struct fail *f) {
    *o = (struct opts){.url = getenv("MISORA_URL")};
    if (!o->url) o->url = "http://127.0.0.1:8080";
    for (int i = 2; i < argc; i++) {
        const struct flag *flag = NULL;
        for (int j = 0; j < COUNT_OF(flags); j++)
            if (strcmp(argv[i], flags[j].name) == 0) flag = &flags[j];
        if (strcmp(argv[i], "--follow") == 0) {
            o->follow = true;
        } else if (flag) {
            if (i + 1 >= argc) return FAIL(f, ERR_INPUT, "%s needs a value", flag->name);
            *(const char **)((char *)o + flag->offset) = argv[++i];
        } else if (argv[i][0] != '-' && !o->word) {
            o->word = argv[i];
        } else {
            return FAIL(f, ERR_INPUT, "unknown argument \"%.80s\" (see misora job --help)", argv[i]);
        }
    }
    return ERR_OK;
}

/* The words of an API error, or the status when the body is something else. */
static enum err say_refusal(const struct fetch_reply *reply, struct fail *f) {
    struct doc *d = NULL;
    struct str text = {0};
    if (doc_parse(&d, (struct str){buf_str(&reply->body), reply->body.len}, REPLY_BYTES_MAX, NULL) ==
            ERR_OK && doc_type(doc_root(d)) == DOC_OBJECT) {
        const struct value *e = doc_find(doc_root(d), "error");
        if (e && doc_type(e) == DOC_OBJECT)
            if (doc_may_text(e, "message", &text, NULL) != ERR_OK) text = (struct str){0};
    }
    enum err rc = FAIL(f, reply->status >= 500 ? ERR_UNAVAILABLE : ERR_CONFLICT, "%d: %.*s",
                       reply->status, text.p ? (int)text.n : 15, text.p ? text.p : "no JSON answer");
    doc_free(d);
    return rc;
}

/* One exchange with the server. `path` starts with '/'; extra is a header line or NULL. */
static enum err call(struct fetch_reply *reply, const struct opts *o, const char *path,
                     const struct buf *body, const char *extra, size_t reply_max, struct fail *f) {
    char url[PATH_BYTES * 2], auth[512];
    const char *key = getenv("MISORA_API_KEY");
    int n = 0;
    struct fetch_request q = {.url = url,
                              .connect_ms = 5000,
                              .total_ms = 120000,
                              .reply_max = reply_max,
                              .rules = {.allow_http = true, .allow_private = true}};
    snprintf(url, sizeof(url), "%s%s", o->url, path);
    snprintf(auth, sizeof(auth), "authorization: Bearer %s", key ? key : "");
    if (key && *key) q.headers[n++] = auth;
    if (extra) q.headers[n++] = extra;
    if (body) {
        q.headers[n++] = "content-type: application/json";
        q.body = buf_str(body);
        q.n_body = body->len;
    }
    enum err rc = fetch_call(reply, &q, f);
    if (rc != ERR_OK) return rc;
    return reply->status >= 200 && reply->status < 300 ? ERR_OK : say_refusal(reply, f);
}

static enum err read_image(struct buf *out, const char *path, struct fail *f) {
    enum err rc = ERR_OK;
    unsigned char *bytes = NULL;
    char *text = NULL;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        rc = FAIL(f, ERR_INPUT, "%s: not a readable file (%s)", path, strerror(errno));
        goto out;
    }
    if (st.st_size > LIMIT_DATA_URL_CHARS / 4 * 3 - 64) {
        rc = FAIL(f, ERR_INPUT, "%s: %lld bytes, an image may have %d", path, (long long)st.st_size,
                  LIMIT_DATA_URL_CHARS / 4 * 3 - 64);
        goto out;
    }
    bytes = mem_take((size_t)st.st_size, 1);
    text = mem_take(base64_encoded_bytes((size_t)st.st_size) + 1, 1);
    if (!bytes || !text) {
        rc = FAIL(f, ERR_NOMEM, "no memory for %s", path);
        goto out;
    }
    for (size_t n = 0; n < (size_t)st.st_size;) {
        ssize_t got = read(fd, bytes + n, (size_t)st.st_size - n);
        if (got <= 0) {
            rc = FAIL(f, ERR_INPUT, "%s: cannot be read (%s)", path, strerror(errno));
            goto out;
        }
        n += (size_t)got;
    }
    base64_encode(bytes, (size_t)st.st_size, text);
    /* The server looks at the bytes, not at this type. */
    TRY(buf_add_str(out, "data:image/png;base64,", f));
    TRY(buf_add_str(out, text, f));
out:
    if (fd >= 0) close(fd);
    mem_free(bytes);
    mem_free(text);
    return rc;
}

static bool is_number(const char *field) {
    return strcmp(field, "seed") == 0 || strcmp(field, "steps") == 0 ||
           strcmp(field, "guidance_scale") == 0;
}

static enum err write_body(struct buf *body, const struct opts *o, struct fail *f) {
    enum err rc = ERR_OK;
    struct buf image;
    struct doc_out out;
    double number;
    buf_make(&image, LIMIT_DATA_URL_CHARS);
    doc_out_make(&out, body);
    doc_open_object(&out, NULL);
    for (int i = 0; i < COUNT_OF(flags); i++) {
        const char *v = *(const char *const *)((const char *)o + flags[i].offset);
        if (!v || !flags[i].field) continue;
        if (is_number(flags[i].field) && str_parse_f64(str_of(v), -1e12, 1e12, &number))
            doc_put_real(&out, flags[i].field, number);
        else
            doc_put_text(&out, flags[i].field, v);
    }
    if (o->image) {
        TRY(read_image(&image, o->image, f));
        doc_open_object(&out, "input_reference");
        doc_put_text(&out, "image_url", buf_str(&image));
        doc_close_object(&out);
    }
    doc_close_object(&out);
    TRY(doc_done(&out, f));
out:
    buf_free(&image);
    return rc;
}

/* What this client reads of a video object. */
struct video {
    char id[64], status[32], phase[32], code[64], message[512];
    int64_t progress, step, total_steps;
    double eta_s;
};

static enum err read_video(struct video *v, const struct fetch_reply *reply, struct fail *f) {
    enum err rc = ERR_OK;
    struct doc *d = NULL;
    struct str id, status, phase = {0}, code = {0}, message = {0};
    *v = (struct video){.eta_s = -1};
    TRY(doc_parse(&d, (struct str){buf_str(&reply->body), reply->body.len}, REPLY_BYTES_MAX, f));
    const struct value *root = doc_root(d);
    if (doc_type(root) != DOC_OBJECT) {
        rc = FAIL(f, ERR_CORRUPT, "the server's answer is not an object");
        goto out;
    }
    TRY(doc_get_text(root, "id", &id, f));
    TRY(doc_get_text(root, "status", &status, f));
    TRY(doc_get_int(root, "progress", 0, 100, &v->progress, f));
    TRY(doc_may_text(root, "phase", &phase, f));
    TRY(doc_may_int(root, "step", 0, INT32_MAX, &v->step, f));
    TRY(doc_may_int(root, "total_steps", 0, INT32_MAX, &v->total_steps, f));
    TRY(doc_may_real(root, "eta_seconds", 0, 1e9, &v->eta_s, f));
    const struct value *error = doc_find(root, "error");
    if (error && doc_type(error) == DOC_OBJECT) {
        TRY(doc_may_text(error, "code", &code, f));
        TRY(doc_may_text(error, "message", &message, f));
    }
    str_copy(v->id, sizeof(v->id), id);
    str_copy(v->status, sizeof(v->status), status);
    str_copy(v->phase, sizeof(v->phase), phase);
    str_copy(v->code, sizeof(v->code), code);
    str_copy(v->message, sizeof(v->message), message);
out:
    doc_free(d);
    return rc;
}

static bool is_over(const struct video *v) {
    return strcmp(v->status, "completed") == 0 || strcmp(v->status, "failed") == 0;
}

static void print_progress(const struct video *v, int64_t start_ms) {
    double s = (double)(now_mono_ms() - start_ms) / 1000;
    fprintf(stderr, "%6.1f s  %3lld %%  %s", s, (long long)v->progress,
            *v->phase ? v->phase : v->status);
    if (v->total_steps > 0)
        fprintf(stderr, " %lld/%lld", (long long)v->step, (long long)v->total_steps);
    if (v->eta_s >= 0) fprintf(stderr, ", about %.0f s left", v->eta_s);
    fprintf(stderr, "\n");
}

/* Waits by long polls until the job is over. */
static enum err follow(struct video *v, const struct opts *o, struct fail *f) {
    int64_t start_ms = now_mono_ms();
    char path[PATH_BYTES], id[64];
    memcpy(id, v->id, sizeof(id));
    for (;;) {
        print_progress(v, start_ms);
        if (is_over(v)) return ERR_OK;
        struct fetch_reply reply;
        snprintf(path, sizeof(path), "/v1/videos/%s?wait=%d&after_progress=%lld", id, WAIT_SECONDS,
                 (long long)v->progress);
        enum err rc = call(&reply, o, path, NULL, NULL, REPLY_BYTES_MAX, f);
        if (rc == ERR_OK) rc = read_video(v, &reply, f);
        fetch_reply_free(&reply);
        if (rc != ERR_OK) return rc;
    }
}

static enum err write_all(int fd, const struct buf *b, const char *path, struct fail *f) {
    for (size_t n = 0; n < b->len;) {
        ssize_t put = write(fd, b->data + n, b->len - n);
        if (put < 0) return FAIL(f, ERR_DISK, "%s: cannot be written: %s", path, strerror(errno));
        n += (size_t)put;
    }
    return ERR_OK;
}

/* Fetches the content in ranges into `path`; what is half done is removed. */
static enum err fetch_content(const struct opts *o, const char *id, const char *path, struct fail *f) {
    enum err rc = ERR_OK;
    char target[PATH_BYTES], range[96];
    size_t n_done = 0, n_got = CHUNK_BYTES;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return FAIL(f, ERR_INPUT, "%s: cannot be written: %s", path, strerror(errno));
    snprintf(target, sizeof(target), "/v1/videos/%s/content?variant=%s", id,
             o->variant ? o->variant : "video");
    while (n_got == CHUNK_BYTES) {
        struct fetch_reply reply;
        snprintf(range, sizeof(range), "range: bytes=%zu-%zu", n_done, n_done + CHUNK_BYTES - 1);
        rc = call(&reply, o, target, NULL, range, CHUNK_BYTES, f);
        bool is_end = n_done > 0 && reply.status == 416; /* the size is a multiple of the chunk */
        n_got = reply.body.len;
        if (rc == ERR_OK) rc = write_all(fd, &reply.body, path, f);
        fetch_reply_free(&reply);
        if (is_end) rc = ERR_OK;
        if (rc != ERR_OK || is_end) break;
        n_done += n_got;
    }
    if (close(fd) != 0 && rc == ERR_OK) rc = FAIL(f, ERR_DISK, "%s: %s", path, strerror(errno));
    if (rc != ERR_OK) unlink(path);
    return rc;
}

static enum err run_create(const struct opts *o, struct fail *f) {
    enum err rc = ERR_OK;
    struct fetch_reply reply = {0};
    struct buf body;
    struct video v;
    buf_make(&body, LIMIT_MEDIA_BODY_BYTES);
    if (!o->prompt) {
        rc = FAIL(f, ERR_INPUT, "create needs --prompt TEXT");
        goto out;
    }
    TRY(write_body(&body, o, f));
    TRY(call(&reply, o, "/v1/videos", &body, NULL, REPLY_BYTES_MAX, f));
    TRY(read_video(&v, &reply, f));
    printf("%s\n", v.id);
    fflush(stdout);
    if (!o->follow && !o->output) goto out;
    TRY(follow(&v, o, f));
    if (strcmp(v.status, "completed") != 0) {
        rc = FAIL(f, ERR_CONFLICT, "the job failed: %s: %.180s", v.code, v.message);
        goto out;
    }
    if (o->output) TRY(fetch_content(o, v.id, o->output, f));
out:
    fetch_reply_free(&reply);
    buf_free(&body);
    return rc;
}

/* Prints what a path answers. */
static enum err run_print(const struct opts *o, const char *path, const struct buf *body,
                          struct fail *f) {
    struct fetch_reply reply;
    enum err rc = call(&reply, o, path, body, NULL, REPLY_BYTES_MAX, f);
    if (rc == ERR_OK) printf("%s\n", buf_str(&reply.body));
    fetch_reply_free(&reply);
    return rc;
}

static enum err run_tool(const char *tool, const struct opts *o, struct fail *f) {
    char path[PATH_BYTES];
    struct buf empty;
    buf_make(&empty, 16);
    if (strcmp(tool, "create") == 0) return run_create(o, f);
    if (strcmp(tool, "list") == 0) {
        snprintf(path, sizeof(path), "/v1/videos?limit=%s", o->limit ? o->limit : "20");
        return run_print(o, path, NULL, f);
    }
    if (!o->word) return FAIL(f, ERR_INPUT, "%s needs the id of a job", tool);
    snprintf(path, sizeof(path), "/v1/videos/%s%s", o->word,
             strcmp(tool, "cancel") == 0 ? "/cancel" : "");
    if (strcmp(tool, "show") == 0) return run_print(o, path, NULL, f);
    if (strcmp(tool, "cancel") == 0) return run_print(o, path, &empty, f);
    if (strcmp(tool, "fetch") == 0 && o->output) return fetch_content(o, o->word, o->output, f);
    if (strcmp(tool, "fetch") == 0) return FAIL(f, ERR_INPUT, "fetch needs --output FILE");
    return FAIL(f, ERR_INPUT, "no action \"%.40s\" (see misora job --help)", tool);
}

int job_main(int argc, char **argv) {
    struct opts o;
    struct fail f = {0};
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        print_usage();
        return argc < 2 ? EXIT_CODE_USAGE : 0;
    }
    if (read_opts(&o, argc, argv, &f) != ERR_OK) return refuse(&f);
    if (fetch_start(&f) != ERR_OK) return refuse(&f);
    int code = run_tool(argv[1], &o, &f) == ERR_OK ? 0 : refuse(&f);
    fetch_stop();
    return code;
}
