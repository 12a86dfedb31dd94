#include "engine/backend_cuda.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "engine/cuda/cuda_plugin.h"

#define LIBRARY "libmisora-cuda.so"

/* Beside the program, in lib/ beside its folder, and two folders up, where tests find it. */
static const char *const places[] = {"", "/../lib", "/../.."};

/* The folder of the running program, or "". */
static void program_folder(char out[PATH_MAX]) {
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
    out[n < 0 ? 0 : n] = 0;
    char *slash = strrchr(out, '/');
    if (slash) *slash = 0;
}

static bool fits(const struct cuda_plugin *p) {
    return p->ops_bytes == sizeof(struct backend_ops) && p->device_bytes == sizeof(struct device) &&
           p->tensor_bytes == sizeof(struct tensor) && p->opts_bytes == sizeof(struct device_opts);
}

static enum err load(const char *path, const struct cuda_plugin **out, struct fail *f) {
    /* Stays loaded: the driver does not like to be unloaded while its threads run. */
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library) return FAIL(f, ERR_UNAVAILABLE, "cuda: %.200s", dlerror());
    *out = dlsym(library, CUDA_PLUGIN_SYMBOL);
    if (*out && fits(*out)) return ERR_OK;
    dlclose(library);
    return FAIL(f, ERR_UNAVAILABLE, "cuda: %.160s was built from another tree", path);
}

static enum err find(const struct cuda_plugin **out, struct fail *f) {
    char folder[PATH_MAX], path[PATH_MAX + 32];
    const char *asked = getenv("MISORA_CUDA_LIBRARY");
    if (asked && *asked) return load(asked, out, f);
    program_folder(folder);
    for (int i = 0; i < COUNT_OF(places); i++) {
        snprintf(path, sizeof path, "%s%s/" LIBRARY, folder, places[i]);
        if (access(path, R_OK) == 0) return load(path, out, f);
    }
    return FAIL(f, ERR_UNAVAILABLE,
                "cuda: there is no " LIBRARY " beside the program; `make CUDA=1` builds it");
}

static enum err cuda_open(struct device *dev, const struct device_opts *opts, struct fail *f) {
    const struct cuda_plugin *plugin = NULL;
    enum err rc = find(&plugin, f);
    if (rc != ERR_OK) return rc;
    dev->ops = plugin->ops;
    return dev->ops->open(dev, opts, f);
}

static void cuda_close(struct device *dev) {
    (void)dev; /* there was no library, so there is nothing */
}

const struct backend_ops backend_cuda = {.name = "cuda", .open = cuda_open, .close = cuda_close};
