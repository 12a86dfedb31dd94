/* misora-decode - one stranger's file to frames, in a jail (common/base/decode_wire.h).
 *
 * Started by common/decode.c for every single file; its limits and its locks die with it. All that
 * needs a file system (the time zone, the size of the file) is asked before the door closes. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "decode/ask.h"
#include "decode/film.h"
#include "decode/jail.h"
#include "decode/picture.h"
#include "decode/source.h"
#include "decode/tell.h"

enum { EXIT_REFUSED = 65, EXIT_WRONG_USE = 64 };

static const struct jail_limits limits = {.memory_bytes = DECODE_MEMORY_BYTES,
                                          .cpu_s = DECODE_CPU_S};

static enum err send_file(struct tell *tell, struct source *source, const struct ask *ask,
                          struct fail *f) {
    enum source_kind kind;
    enum err rc = source_find_kind(source, &kind, f);
    if (rc != ERR_OK) return rc;
    bool is_still = kind == SOURCE_PNG || kind == SOURCE_JPEG || kind == SOURCE_WEBP;
    if (is_still && ask->kind == ASK_VIDEO)
        return FAIL(f, ERR_MEDIA, "the file is an image; need a video");
    if (!is_still && ask->kind == ASK_IMAGE)
        return FAIL(f, ERR_MEDIA, "the file is a video; need a jpeg, png or webp image");
    return is_still ? picture_send(tell, source, kind, ask, f)
                    : film_send(tell, source, kind, ask, f);
}

int main(int argc, char **argv) {
    struct ask ask;
    struct source source;
    struct tell tell = {.fd = STDOUT_FILENO};
    struct fail f = {0};
    if (!ask_parse(&ask, argc, argv)) {
        fputs("usage: misora-decode any|image|video WIDTHxHEIGHT FPS FROM N_MAX < FILE > FRAMES\n",
              stderr);
        return EXIT_WRONG_USE;
    }
    setenv("TZ", "UTC0", 1); /* dates of files are read without /etc/localtime */
    tzset();
    signal(SIGPIPE, SIG_IGN);
    enum err rc = source_open(&source, STDIN_FILENO, &f);
    if (rc == ERR_OK && !jail_enter(&limits))
        rc = FAIL(&f, ERR_BUG, "the file was not read: this system has no seccomp filters");
    if (rc == ERR_OK) rc = send_file(&tell, &source, &ask, &f);
    enum err said = tell_end(&tell, rc == ERR_OK ? NULL : &f, NULL);
    return rc == ERR_OK && said == ERR_OK ? 0 : EXIT_REFUSED;
}
