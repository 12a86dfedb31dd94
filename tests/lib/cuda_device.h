/* cuda_device.h - a CUDA device for tests: a real one where there is one, else the emulator
 * (tests/emu), which runs the same kernels on the processor, very slowly. */
#ifndef TESTS_CUDA_DEVICE_H
#define TESTS_CUDA_DEVICE_H

#include "engine/device.h"

/* "cuda" or "cuda, emulated" once opened, for labels. */
const char *cuda_device_label(void);
/* True for the emulator: sizes must be small. */
bool cuda_device_is_emulated(void);
/* The emulator plays a Hopper card from now on, or an older one; a real one is what it is. */
void cuda_device_play_hopper(bool is_hopper);
/* Chooses which of the two "cuda" means from now on; false with a reason when there is neither. */
bool cuda_device_find(const char **reason);

#endif
