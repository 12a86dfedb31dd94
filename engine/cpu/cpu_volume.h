/* cpu_volume.h - what moves numbers of volumes about, dealt out to the cores. Shapes: op.h. */
#ifndef ENGINE_CPU_CPU_VOLUME_H
#define ENGINE_CPU_CPU_VOLUME_H

#include "engine/cpu/cpu_pool.h"
#include "engine/op.h"

/* The places may overlap. */
void cpu_volume_copy(struct cpu_pool *pool, void *to, const void *from, size_t bytes);
void cpu_volume_depthwise(struct cpu_pool *pool, struct tensor *out, const struct tensor *x,
                          const struct tensor *w);
void cpu_volume_time_split(struct cpu_pool *pool, struct tensor *out, const struct tensor *x);
void cpu_volume_dup_up_add(struct cpu_pool *pool, struct tensor *out, const struct tensor *x,
                           int ft, int fs, int n_drop);
void cpu_volume_avg_down_add(struct cpu_pool *pool, struct tensor *out, const struct tensor *x,
                             int ft, int fs, int n_zero);
void cpu_volume_patchify(struct cpu_pool *pool, struct tensor *out, const struct tensor *x,
                         const struct patch *p);
void cpu_volume_unpatchify(struct cpu_pool *pool, struct tensor *out, const struct tensor *x,
                           const struct patch *p);
void cpu_volume_pack_rgb(struct cpu_pool *pool, struct tensor *out, const struct tensor *x);

#endif
