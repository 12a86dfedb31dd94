/* backend_cuda.h - NVIDIA devices, "cuda" or "cuda:N".
 *
 * The programs know nothing of CUDA: the backend is a library of its own (engine/cuda/,
 * libmisora-cuda.so beside the program), loaded when such a device is opened. So one program runs
 * on machines with and without a device, and is built with and without a CUDA compiler. */
#ifndef ENGINE_BACKEND_CUDA_H
#define ENGINE_BACKEND_CUDA_H

#include "engine/op.h"

/* Only `name` and `open`; the device then has the table of the library. ERR_UNAVAILABLE, in words,
 * when there is no library, driver or device. */
extern const struct backend_ops backend_cuda;

#endif
