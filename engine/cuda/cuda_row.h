/* cuda_row.h - ops on rows: norms, modulation, rotation. Rows of struct backend_ops. */
#ifndef ENGINE_CUDA_CUDA_ROW_H
#define ENGINE_CUDA_CUDA_ROW_H

#include "engine/op.h"

void cuda_row_norm(struct device *dev, struct tensor *out, const struct tensor *x,
                   const struct norm_opts *o);
void cuda_row_norm_mod(struct device *dev, struct tensor *out, const struct tensor *x,
                       const struct mod_table *mod, int shift_row, int scale_row, float eps);
void cuda_row_gate_add(struct device *dev, struct tensor *x, const struct tensor *y,
                       const struct mod_table *mod, int gate_row);
void cuda_row_rope(struct device *dev, struct tensor *x, const struct tensor *table, int n_heads);

#endif
