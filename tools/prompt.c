#include "tools/prompt.h"

#include <stdio.h>
#include <string.h>

#include "common/base/str.h"
#include "common/config.h"
#include "common/words/upsample.h"

static const char usage[] =
    "usage: misora prompt [--seed N] [--image] TEXT\n"
    "  prints TEXT as the long caption that the embedded model was taught to read, in English or\n"
    "  Chinese as TEXT is. Words that its closed world lacks are listed on standard error.\n"
    "  --seed N   another choice of what TEXT leaves open\n"
    "  --image    for a still: the camera does not move\n";

static void print_unmapped(const char *text, const struct parse *p) {
    if (p->n_unmapped == 0) return;
    fprintf(stderr, "not understood:");
    for (int i = 0; i < p->n_unmapped && i < PARSE_UNMAPPED_MAX; i++)
        fprintf(stderr, "%s \"%.*s\"", i ? "," : "", (int)p->unmapped[i].n,
                text + p->unmapped[i].at);
    if (p->n_unmapped > PARSE_UNMAPPED_MAX)
        fprintf(stderr, " and %d more", p->n_unmapped - PARSE_UNMAPPED_MAX);
    fprintf(stderr, "\n");
}

static void print_left_out(const struct upsample *up) {
    const struct parse *p = &up->read;
    if (up->n_left_out == 0) return;
    fprintf(stderr, "left out, a scene holds two things:");
    for (int i = p->n_ent - up->n_left_out; i < p->n_ent; i++)
        fprintf(stderr, " %s", world_name(WORLD_SLOT_CLASS, p->ent[i].cls));
    fprintf(stderr, "\n");
}

int prompt_main(int argc, char **argv) {
    struct upsample_opts opts = {0};
    struct upsample up;
    const char *text = NULL;
    for (int i = 1; i < argc; i++) {
        int64_t seed;
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--image") == 0) {
            opts.kind = UPSAMPLE_IMAGE;
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc &&
                   str_parse_i64(str_of(argv[i + 1]), 0, INT64_MAX, &seed)) {
            opts.seed = (uint64_t)seed;
            i++;
        } else if (!text && strncmp(argv[i], "--", 2) != 0) {
            text = argv[i];
        } else {
            fprintf(stderr, "misora prompt: %s is not understood\n%s", argv[i], usage);
            return EXIT_CODE_USAGE;
        }
    }
    if (!text) {
        fputs(usage, stderr);
        return EXIT_CODE_USAGE;
    }
    upsample_prompt(&up, text, &opts);
    print_unmapped(text, &up.read);
    print_left_out(&up);
    if (!up.is_understood) {
        fprintf(stderr, "misora prompt: the embedded model knows none of these words\n");
        return EXIT_CODE_DATA;
    }
    printf("%s\n", up.text);
    return 0;
}
