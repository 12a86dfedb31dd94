#include "tests/lib/cuda_device.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool was_tried, is_there, is_emulated;
static struct fail why;

static bool opens(struct fail *f) {
    struct device dev;
    enum err rc = device_open(&dev, "cuda", &(struct device_opts){0}, f);
    if (rc == ERR_OK) device_close(&dev);
    return rc == ERR_OK;
}

/* build/MODE/libmisora-emu.so, from build/MODE/tests/parity/test_x. */
static bool opens_emulator(void) {
    char path[PATH_MAX + 32];
    struct fail f;
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
    path[n < 0 ? 0 : n] = 0;
    char *slash = strrchr(path, '/');
    if (!slash) return false;
    snprintf(slash, sizeof path - (size_t)(slash - path), "/../../libmisora-emu.so");
    if (access(path, R_OK) != 0) return false;
    setenv("MISORA_CUDA_LIBRARY", path, 1);
    return opens(&f);
}

bool cuda_device_find(const char **reason) {
    if (!was_tried) {
        was_tried = true;
        is_there = opens(&why);
        if (!is_there) is_there = is_emulated = opens_emulator();
    }
    *reason = why.text;
    return is_there;
}

bool cuda_device_is_emulated(void) {
    return is_emulated;
}

const char *cuda_device_label(void) {
    return is_emulated ? "cuda, emulated" : "cuda";
}

void cuda_device_play_hopper(bool is_hopper) {
    if (is_hopper)
        setenv("MISORA_EMU_HOPPER", "1", 1);
    else
        unsetenv("MISORA_EMU_HOPPER");
}
