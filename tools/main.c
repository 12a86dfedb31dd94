/* main.c - the command line `misora`: one word, one tool. */
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/config.h"
#include "tools/admin.h"
#include "tools/gen.h"
#include "tools/job.h"
#include "tools/port.h"
#include "tools/prompt.h"

static const struct tool {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} tools[] = {
    {"gen", gen_main, "a prompt to an mp4 with the engine alone, no Redis"},
    {"job", job_main, "submit, watch, get, list, cancel and download videos of a server"},
    {"admin", admin_main, "migrate, audit, dead letters and API keys of a Redis"},
    {"prompt", prompt_main, "how a prompt is rewritten for the embedded model"},
    {"port", port_main, "print a free loopback port"},
};

static void print_usage(FILE *to) {
    fprintf(to, "usage: misora TOOL [ARG...]   (misora TOOL --help tells more)\n\n");
    for (int i = 0; i < COUNT_OF(tools); i++)
        fprintf(to, "  %-8s %s\n", tools[i].name, tools[i].help);
}

int main(int argc, char **argv) {
    if (argc >= 2 && strcmp(argv[1], "--help") == 0) {
        print_usage(stdout);
        return 0;
    }
    for (int i = 0; argc >= 2 && i < COUNT_OF(tools); i++)
        if (strcmp(argv[1], tools[i].name) == 0) return tools[i].run(argc - 1, argv + 1);
    if (argc >= 2) fprintf(stderr, "misora: no tool \"%.80s\"\n", argv[1]);
    print_usage(stderr);
    return EXIT_CODE_USAGE;
}
