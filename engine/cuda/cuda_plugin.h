/* cuda_plugin.h - what the library of the CUDA backend shows to the program that loads it.
 *
 * Program and library are built from one tree and share structs, so the sizes of these must agree.
 * Read by C and by C++. */
#ifndef ENGINE_CUDA_CUDA_PLUGIN_H
#define ENGINE_CUDA_CUDA_PLUGIN_H

#include "engine/op.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CUDA_PLUGIN_SYMBOL "cuda_plugin"

struct cuda_plugin {
    size_t ops_bytes, device_bytes, tensor_bytes, opts_bytes; /* sizeof of what is shared */
    const struct backend_ops *ops;
};

extern __attribute__((visibility("default"))) const struct cuda_plugin cuda_plugin;

#ifdef __cplusplus
}
#endif
#endif
