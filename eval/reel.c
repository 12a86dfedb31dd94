#include "eval/reel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "engine/file.h"
#include "train/world/world.h"

enum { HEAD_BYTES = 20, PATH_BYTES_MAX = 1024, SIDE_MAX = 4096, FRAMES_MAX = 4096 };
#define FILE_BYTES_MAX ((int64_t)1 << 30)

enum err reel_make(struct reel *r, int n_frames, int width, int height, struct fail *f) {
    *r = (struct reel){.n_frames = n_frames, .width = width, .height = height};
    r->rgb = mem_take((size_t)n_frames, reel_frame_bytes(r));
    return r->rgb ? ERR_OK : FAIL(f, ERR_NOMEM, "no memory for %d frames", n_frames);
}

void reel_free(struct reel *r) {
    mem_free(r->rgb);
    *r = (struct reel){0};
}

enum err reel_render(struct reel *out, const struct scene *s, int n_frames, struct fail *f) {
    enum err rc = reel_make(out, n_frames, s->W, s->H, f);
    for (int i = 0; rc == ERR_OK && i < n_frames; i++)
        world_render(s, i, reel_frame(out, i), NULL, NULL, NULL);
    return rc;
}

static void put(uint8_t *p, uint64_t v, int n_bytes) {
    for (int i = 0; i < n_bytes; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get(const char *p, int n_bytes) {
    uint64_t v = 0;
    for (int i = 0; i < n_bytes; i++)
        v |= (uint64_t)(uint8_t)p[i] << (8 * i);
    return v;
}

enum err reel_write(const struct reel *r, const char *path, uint64_t fingerprint, struct fail *f) {
    char part[PATH_BYTES_MAX];
    uint8_t head[HEAD_BYTES];
    size_t n = reel_frame_bytes(r) * (size_t)r->n_frames;
    memcpy(head, "MCLP", 4);
    put(head + 4, (uint64_t)r->width, 2);
    put(head + 6, (uint64_t)r->height, 2);
    put(head + 8, (uint64_t)r->n_frames, 4);
    put(head + 12, fingerprint, 8);
    if (snprintf(part, sizeof part, "%s.%ld.part", path, (long)getpid()) >= (int)sizeof part)
        return FAIL(f, ERR_INPUT, "the path %.80s... is too long", path);
    FILE *file = fopen(part, "wb");
    if (!file) return FAIL(f, ERR_IO, "%.160s cannot be written: %s", part, strerror(errno));
    int is_good = fwrite(head, 1, sizeof head, file) == sizeof head &&
                  fwrite(r->rgb, 1, n, file) == n && fflush(file) == 0;
    is_good = fclose(file) == 0 && is_good && rename(part, path) == 0;
    if (is_good) return ERR_OK;
    unlink(part);
    return FAIL(f, ERR_IO, "%.160s cannot be written: %s", path, strerror(errno));
}

enum err reel_read(struct reel *out, const char *path, uint64_t fingerprint, struct fail *f) {
    enum err rc = ERR_OK;
    struct file file;
    char head[HEAD_BYTES];
    *out = (struct reel){0};
    rc = file_open(&file, path, FILE_BYTES_MAX, f);
    if (rc != ERR_OK) return rc;
    TRY(file_read(&file, 0, head, sizeof head, path, f));
    int64_t W = (int64_t)get(head + 4, 2), H = (int64_t)get(head + 6, 2);
    int64_t n = (int64_t)get(head + 8, 4);
    if (memcmp(head, "MCLP", 4) != 0 || W < 1 || W > SIDE_MAX || H < 1 || H > SIDE_MAX || n < 1 ||
        n > FRAMES_MAX || file.size_bytes != HEAD_BYTES + n * W * H * 3)
        TRY(FAIL(f, ERR_CORRUPT, "%.160s is no clip", path));
    if (get(head + 12, 8) != fingerprint)
        TRY(FAIL(f, ERR_NOT_FOUND, "%.160s was made from something else", path));
    TRY(reel_make(out, (int)n, (int)W, (int)H, f));
    TRY(file_read(&file, HEAD_BYTES, out->rgb, (size_t)(n * W * H * 3), path, f));
out:
    file_close(&file);
    if (rc != ERR_OK) reel_free(out);
    return rc;
}
