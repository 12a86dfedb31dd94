#include "worker/wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/assert.h"
#include "common/base/now.h"
#include "common/doc.h"

enum { CHUNK = 64 * 1024, STEPS_MAX = 1000000, THREADS_MAX = 1024 };

/* ---- bodies ---- */

/* Every body is read the same way: parse, take the members, free. */
typedef enum err (*read_fn)(void *out, const struct value *root, struct fail *f);

static enum err read_body(void *out, struct str body, read_fn read, struct fail *f) {
    struct doc *d = NULL;
    enum err rc = doc_parse(&d, body, WIRE_BODY_MAX, f);
    if (rc == ERR_OK && doc_type(doc_root(d)) != DOC_OBJECT)
        rc = FAIL(f, ERR_CORRUPT, "wire: the body is no object");
    if (rc == ERR_OK) rc = read(out, doc_root(d), f);
    doc_free(d);
    return rc == ERR_OK ? ERR_OK : rc == ERR_NOMEM ? rc : ERR_CORRUPT;
}

static enum err get_int(const struct value *v, const char *key, int64_t min, int64_t max, int *out,
                        struct fail *f) {
    int64_t n = 0;
    enum err rc = doc_get_int(v, key, min, max, &n, f);
    *out = (int)n;
    return rc;
}

static void write_s3(struct doc_out *o, const struct wire_s3 *m) {
    doc_put_text(o, "s3_endpoint", m->endpoint);
    doc_put_text(o, "s3_bucket", m->bucket);
    doc_put_text(o, "s3_prefix", m->prefix);
    doc_put_text(o, "s3_region", m->region);
    doc_put_text(o, "s3_access_key", m->access_key);
    doc_put_text(o, "s3_secret_key", m->secret_key);
}

enum err wire_write_hello(struct buf *out, const struct wire_hello *m, struct fail *f) {
    struct doc_out o;
    doc_out_make(&o, out);
    doc_open_object(&o, NULL);
    doc_put_text(&o, "model_dir", m->model_dir);
    doc_put_text(&o, "store_dir", m->store_dir);
    doc_put_text(&o, "decode_program", m->decode_program);
    doc_put_text(&o, "device", m->device);
    doc_put_int(&o, "n_threads", m->n_threads);
    doc_put_text(&o, "precision", m->precision);
    doc_put_text(&o, "cache_dir", m->cache_dir);
    doc_put_text(&o, "loras", m->loras);
    doc_put_text(&o, "loras_late", m->loras_late);
    write_s3(&o, &m->s3);
    doc_put_bool(&o, "url_http", m->url_rules.allow_http);
    doc_put_bool(&o, "url_private", m->url_rules.allow_private);
    doc_put_bool(&o, "url_high_ports", m->url_rules.allow_high_ports);
    doc_close_object(&o);
    return doc_done(&o, f);
}

static enum err read_s3(struct wire_s3 *m, const struct value *v, struct fail *f) {
    enum err rc = ERR_OK;
    TRY(doc_copy_text(v, "s3_endpoint", m->endpoint, sizeof(m->endpoint), "wire", f));
    TRY(doc_copy_text(v, "s3_bucket", m->bucket, sizeof(m->bucket), "wire", f));
    TRY(doc_copy_text(v, "s3_prefix", m->prefix, sizeof(m->prefix), "wire", f));
    TRY(doc_copy_text(v, "s3_region", m->region, sizeof(m->region), "wire", f));
    TRY(doc_copy_text(v, "s3_access_key", m->access_key, sizeof(m->access_key), "wire", f));
    TRY(doc_copy_text(v, "s3_secret_key", m->secret_key, sizeof(m->secret_key), "wire", f));
out:
    return rc;
}

static enum err read_hello(void *out, const struct value *v, struct fail *f) {
    struct wire_hello *m = out;
    enum err rc = ERR_OK;
    TRY(doc_copy_text(v, "model_dir", m->model_dir, sizeof(m->model_dir), "wire", f));
    TRY(doc_copy_text(v, "store_dir", m->store_dir, sizeof(m->store_dir), "wire", f));
    TRY(doc_copy_text(v, "decode_program", m->decode_program, sizeof(m->decode_program), "wire",
                      f));
    TRY(doc_copy_text(v, "device", m->device, sizeof(m->device), "wire", f));
    TRY(get_int(v, "n_threads", 0, THREADS_MAX, &m->n_threads, f));
    TRY(doc_copy_text(v, "precision", m->precision, sizeof(m->precision), "wire", f));
    TRY(doc_copy_text(v, "cache_dir", m->cache_dir, sizeof(m->cache_dir), "wire", f));
    TRY(doc_copy_text(v, "loras", m->loras, sizeof(m->loras), "wire", f));
    TRY(doc_copy_text(v, "loras_late", m->loras_late, sizeof(m->loras_late), "wire", f));
    TRY(read_s3(&m->s3, v, f));
    TRY(doc_may_bool(v, "url_http", &m->url_rules.allow_http, f));
    TRY(doc_may_bool(v, "url_private", &m->url_rules.allow_private, f));
    TRY(doc_may_bool(v, "url_high_ports", &m->url_rules.allow_high_ports, f));
out:
    return rc;
}

enum err wire_read_hello(struct wire_hello *m, struct str body, struct fail *f) {
    *m = (struct wire_hello){0};
    return read_body(m, body, read_hello, f);
}

enum err wire_write_job(struct buf *out, const struct wire_job *m, struct fail *f) {
    struct doc_out o;
    doc_out_make(&o, out);
    doc_open_object(&o, NULL);
    doc_put_text(&o, "dir", m->dir);
    doc_put_str(&o, "spec", m->spec);
    doc_close_object(&o);
    return doc_done(&o, f);
}

struct job_and_text {
    struct wire_job *job;
    struct buf *own;
};

static enum err read_job(void *out, const struct value *v, struct fail *f) {
    struct job_and_text *m = out;
    enum err rc = ERR_OK;
    struct str spec;
    TRY(doc_copy_text(v, "dir", m->job->dir, sizeof(m->job->dir), "wire", f));
    TRY(doc_get_text(v, "spec", &spec, f));
    TRY(buf_add(m->own, spec.p, spec.n, f));
    m->job->spec = (struct str){m->own->data, m->own->len};
out:
    return rc;
}

enum err wire_read_job(struct wire_job *m, struct buf *own, struct str body, struct fail *f) {
    struct job_and_text both = {m, own};
    *m = (struct wire_job){0};
    buf_make(own, WIRE_BODY_MAX);
    return read_body(&both, body, read_job, f);
}

enum err wire_write_progress(struct buf *out, const struct wire_progress *m, struct fail *f) {
    struct doc_out o;
    doc_out_make(&o, out);
    doc_open_object(&o, NULL);
    doc_put_text(&o, "phase", m->phase);
    doc_put_int(&o, "step", m->step);
    doc_put_int(&o, "n_steps", m->n_steps);
    doc_put_int(&o, "percent", m->percent);
    doc_put_int(&o, "eta_ms", m->eta_ms);
    doc_close_object(&o);
    return doc_done(&o, f);
}

static enum err read_progress(void *out, const struct value *v, struct fail *f) {
    struct wire_progress *m = out;
    enum err rc = ERR_OK;
    TRY(doc_copy_text(v, "phase", m->phase, sizeof(m->phase), "wire", f));
    TRY(get_int(v, "step", 0, STEPS_MAX, &m->step, f));
    TRY(get_int(v, "n_steps", 0, STEPS_MAX, &m->n_steps, f));
    TRY(get_int(v, "percent", 0, 99, &m->percent, f));
    TRY(doc_get_int(v, "eta_ms", -1, INT64_MAX, &m->eta_ms, f));
out:
    return rc;
}

enum err wire_read_progress(struct wire_progress *m, struct str body, struct fail *f) {
    *m = (struct wire_progress){0};
    return read_body(m, body, read_progress, f);
}

enum err wire_write_err(struct buf *out, const struct fail *m, struct fail *f) {
    struct doc_out o;
    bool is_text = str_is_utf8(str_of(m->text), NULL);
    doc_out_make(&o, out);
    doc_open_object(&o, NULL);
    doc_put_int(&o, "code", (int64_t)m->code);
    doc_put_text(&o, "text", is_text ? m->text : "(not text)");
    doc_close_object(&o);
    return doc_done(&o, f);
}

static enum err read_err(void *out, const struct value *v, struct fail *f) {
    struct fail *m = out;
    enum err rc = ERR_OK;
    int code = 0;
    TRY(get_int(v, "code", 1, ERR_COUNT - 1, &code, f));
    TRY(doc_copy_text(v, "text", m->text, sizeof(m->text), "wire", f));
    m->code = (enum err)code;
    m->where = "child";
out:
    return rc;
}

enum err wire_read_err(struct fail *m, struct str body, struct fail *f) {
    *m = (struct fail){0};
    return read_body(m, body, read_err, f);
}

/* ---- frames ---- */

static enum err send_all(int fd, const unsigned char *p, size_t n, int64_t deadline_ms,
                         struct fail *f) {
    while (n > 0) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k > 0) {
            p += k;
            n -= (size_t)k;
            continue;
        }
        if (k < 0 && errno != EAGAIN && errno != EINTR)
            return FAIL(f, ERR_IO, "wire: cannot send: %s", strerror(errno));
        int64_t left = deadline_ms - now_mono_ms();
        struct pollfd w = {.fd = fd, .events = POLLOUT};
        if (left <= 0) return FAIL(f, ERR_TIMEOUT, "wire: the other side does not read");
        if (poll(&w, 1, (int)left) < 0 && errno != EINTR)
            return FAIL(f, ERR_IO, "wire: cannot wait: %s", strerror(errno));
    }
    return ERR_OK;
}

enum err wire_send(int fd, enum wire_type type, struct str body, struct fail *f) {
    ASSERT(type < WIRE_TYPE_COUNT && body.n <= WIRE_BODY_MAX);
    int64_t deadline_ms = now_mono_ms() + WIRE_SEND_MS;
    unsigned char head[WIRE_HEAD] = {'M', 'W', (unsigned char)type, 0};
    for (int i = 0; i < 4; i++)
        head[4 + i] = (unsigned char)(body.n >> (8 * i));
    enum err rc = send_all(fd, head, sizeof(head), deadline_ms, f);
    if (rc != ERR_OK) return rc;
    return send_all(fd, (const unsigned char *)body.p, body.n, deadline_ms, f);
}

void wire_reader_make(struct wire_reader *r) {
    buf_make(&r->buf, WIRE_HEAD + WIRE_BODY_MAX + CHUNK);
}

void wire_reader_free(struct wire_reader *r) {
    buf_free(&r->buf);
}

enum err wire_fill(struct wire_reader *r, int fd, struct fail *f) {
    char chunk[CHUNK];
    ssize_t n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);
    if (n > 0) return buf_add(&r->buf, chunk, (size_t)n, f);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return FAIL(f, ERR_TIMEOUT, "wire: nothing yet");
    return FAIL(f, ERR_IO, "wire: the other side is gone");
}

enum err wire_next(const struct wire_reader *r, struct wire_frame *out, struct fail *f) {
    const unsigned char *p = (const unsigned char *)r->buf.data;
    size_t n = 0;
    if (r->buf.len < WIRE_HEAD) return ERR_NOT_FOUND;
    for (int i = 0; i < 4; i++)
        n |= (size_t)p[4 + i] << (8 * i);
    if (p[0] != 'M' || p[1] != 'W' || p[2] >= WIRE_TYPE_COUNT || p[3] != 0)
        return FAIL(f, ERR_CORRUPT, "wire: not a frame");
    if (n > WIRE_BODY_MAX) return FAIL(f, ERR_CORRUPT, "wire: a frame of %zu bytes", n);
    if (r->buf.len < WIRE_HEAD + n) return ERR_NOT_FOUND;
    *out = (struct wire_frame){(enum wire_type)p[2], {r->buf.data + WIRE_HEAD, n}, WIRE_HEAD + n};
    return ERR_OK;
}

void wire_drop(struct wire_reader *r, const struct wire_frame *frame) {
    buf_drop(&r->buf, frame->n_bytes);
}
