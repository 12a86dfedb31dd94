/* cpu_conv.h - direct convolution over channels-last volumes: no im2col matrix of the whole
 * input, only the few padded rows under the kernel. Weights are packed per call into panels. */
#ifndef ENGINE_CPU_CPU_CONV_H
#define ENGINE_CPU_CPU_CONV_H

#include "engine/cpu/cpu_pool.h"
#include "engine/cpu/cpu_vec.h"

MUST_CHECK enum err cpu_conv_run(struct cpu_pool *pool, const struct cpu_vec *vec,
                                 struct tensor *out, const struct tensor *x,
                                 const struct conv_opts *o, struct fail *f);

#endif
