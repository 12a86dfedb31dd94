#include "train/world/clip.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/mem.h"

enum { EXEC_FAILED = 127, SHEET_COLUMNS = 8 };

static int ends_with(const char *path, const char *ending) {
    size_t n = strlen(path), k = strlen(ending);
    return n > k && strcmp(path + n - k, ending) == 0;
}

/* In the child: never returns. */
static void become_ffmpeg(int from, const char *path, const struct scene *s) {
    char size[32], rate[32];
    snprintf(size, sizeof size, "%dx%d", s->W, s->H);
    snprintf(rate, sizeof rate, "%g", (double)s->fps);
    char *argv[] = {"ffmpeg",   "-v",        "error",      "-y",         "-f",
                    "rawvideo", "-pix_fmt",  "rgb24",      "-s",         size,
                    "-r",       rate,        "-i",         "-",          "-an",
                    "-c:v",     "libx264",   "-pix_fmt",   "yuv420p",    "-crf",
                    "16",       "-movflags", "+faststart", (char *)path, NULL};
    if (dup2(from, STDIN_FILENO) < 0) _exit(EXEC_FAILED);
    execvp(argv[0], argv);
    _exit(EXEC_FAILED);
}

static enum err send_frames(FILE *to, const struct scene *s, struct fail *f) {
    size_t n = (size_t)s->W * s->H * 3;
    uint8_t *rgb = mem_take(n, 1);
    enum err rc = ERR_OK;
    if (!rgb) return FAIL(f, ERR_NOMEM, "no memory for a frame of %dx%d", s->W, s->H);
    for (int i = 0; i < s->frames && rc == ERR_OK; i++) {
        world_render(s, i, rgb, NULL, NULL, NULL);
        if (fwrite(rgb, 1, n, to) != n)
            rc = FAIL(f, ERR_IO, "frame %d was not taken: %s", i, strerror(errno));
    }
    mem_free(rgb);
    return rc;
}

static enum err close_file(FILE *to, enum err rc, const char *path, struct fail *f) {
    if (fclose(to) != 0 && rc == ERR_OK)
        rc = FAIL(f, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    if (rc != ERR_OK) (void)unlink(path);
    return rc;
}

static enum err write_mp4(const char *path, const struct scene *s, struct fail *f) {
    int ends[2], status = 0;
    pid_t child;
    enum err rc;
    FILE *to;
    if (s->W % 2 || s->H % 2)
        return FAIL(f, ERR_INPUT, "mp4 needs an even size, not %dx%d", s->W, s->H);
    if (pipe(ends) != 0) return FAIL(f, ERR_IO, "pipe: %s", strerror(errno));
    child = fork();
    if (child == 0) {
        close(ends[1]);
        become_ffmpeg(ends[0], path, s);
    }
    close(ends[0]);
    to = child > 0 ? fdopen(ends[1], "wb") : NULL;
    if (!to) {
        close(ends[1]);
        return FAIL(f, ERR_IO, "fork: %s", strerror(errno));
    }
    signal(SIGPIPE, SIG_IGN); /* a missing ffmpeg must be a sentence, not a signal */
    rc = send_frames(to, s, NULL);
    if (fclose(to) != 0) rc = ERR_IO;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXEC_FAILED)
        return FAIL(f, ERR_UNAVAILABLE,
                    "the program ffmpeg was not found; install it or write .rgb or .ppm");
    if (rc != ERR_OK || status != 0) {
        (void)unlink(path);
        return FAIL(f, ERR_IO, "ffmpeg could not write %s (status %d)", path, status);
    }
    return ERR_OK;
}

static enum err write_raw(const char *path, const struct scene *s, struct fail *f) {
    FILE *to = fopen(path, "wb");
    if (!to) return FAIL(f, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    return close_file(to, send_frames(to, s, f), path, f);
}

/* All frames in rows of eight, as one binary PPM. */
static enum err write_sheet(const char *path, const struct scene *s, struct fail *f) {
    int cols = s->frames < SHEET_COLUMNS ? s->frames : SHEET_COLUMNS,
        rows = (s->frames + cols - 1) / cols;
    size_t line = (size_t)s->W * 3, wide = line * (size_t)cols;
    uint8_t *sheet = mem_take(wide * (size_t)(rows * s->H), 1), *rgb = mem_take(line * s->H, 1);
    FILE *to = sheet && rgb ? fopen(path, "wb") : NULL;
    enum err rc = ERR_OK;
    for (int i = 0; to && i < s->frames; i++) {
        uint8_t *at = sheet + (size_t)(i / cols) * s->H * wide + (size_t)(i % cols) * line;
        world_render(s, i, rgb, NULL, NULL, NULL);
        for (int y = 0; y < s->H; y++)
            memcpy(at + (size_t)y * wide, rgb + (size_t)y * line, line);
    }
    if (!to) {
        rc = FAIL(f, sheet && rgb ? ERR_IO : ERR_NOMEM, "cannot write %s: %s", path,
                  strerror(errno));
    } else {
        fprintf(to, "P6\n%d %d\n255\n", s->W * cols, s->H * rows);
        if (fwrite(sheet, 1, wide * (size_t)(rows * s->H), to) == 0)
            rc = FAIL(f, ERR_IO, "cannot write %s", path);
        rc = close_file(to, rc, path, f);
    }
    mem_free(rgb);
    mem_free(sheet);
    return rc;
}

enum err clip_write(const char *path, const struct scene *s, struct fail *f) {
    if (ends_with(path, ".mp4")) return write_mp4(path, s, f);
    if (ends_with(path, ".rgb")) return write_raw(path, s, f);
    if (ends_with(path, ".ppm")) return write_sheet(path, s, f);
    return FAIL(f, ERR_INPUT, "%s: the name must end in .mp4, .rgb or .ppm", path);
}
