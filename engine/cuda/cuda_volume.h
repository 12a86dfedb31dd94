/* cuda_volume.h - ops that move numbers of volumes about. Rows of struct backend_ops. */
#ifndef ENGINE_CUDA_CUDA_VOLUME_H
#define ENGINE_CUDA_CUDA_VOLUME_H

#include "engine/op.h"

void cuda_volume_depthwise(struct device *dev, struct tensor *out, const struct tensor *x,
                           const struct tensor *w);
void cuda_volume_time_split(struct device *dev, struct tensor *out, const struct tensor *x);
void cuda_volume_dup_up_add(struct device *dev, struct tensor *out, const struct tensor *x, int ft,
                            int fs, int n_drop);
void cuda_volume_avg_down_add(struct device *dev, struct tensor *out, const struct tensor *x,
                              int ft, int fs, int n_zero);
void cuda_volume_patchify(struct device *dev, struct tensor *out, const struct tensor *x,
                          const struct patch *p);
void cuda_volume_unpatchify(struct device *dev, struct tensor *out, const struct tensor *x,
                            const struct patch *p);

#endif
