/* backend_cpu.h - all cores of one machine: OpenBLAS for matrices, own vector code for the rest. */
#ifndef ENGINE_BACKEND_CPU_H
#define ENGINE_BACKEND_CPU_H

#include "engine/op.h"

extern const struct backend_ops backend_cpu;

#endif
