/* backend_ref_volume.h - the volume half of the oracle. Index maps that only move numbers are
 * shared with other host backends, since there is nothing to get wrong twice. */
#ifndef ENGINE_BACKEND_REF_VOLUME_H
#define ENGINE_BACKEND_REF_VOLUME_H

#include "engine/op.h"

enum err backend_ref_volume_conv(struct device *dev, struct tensor *out, const struct tensor *x,
                                 const struct conv_opts *o, struct fail *f);
void backend_ref_volume_depthwise(struct device *dev, struct tensor *out, const struct tensor *x,
                                  const struct tensor *w);
void backend_ref_volume_time_split(struct device *dev, struct tensor *out, const struct tensor *x);
void backend_ref_volume_dup_up_add(struct device *dev, struct tensor *out, const struct tensor *x,
                                   int ft, int fs, int n_drop);
void backend_ref_volume_avg_down_add(struct device *dev, struct tensor *out, const struct tensor *x,
                                     int ft, int fs, int n_zero);
void backend_ref_volume_patchify(struct device *dev, struct tensor *out, const struct tensor *x,
                                 const struct patch *p);
void backend_ref_volume_unpatchify(struct device *dev, struct tensor *out, const struct tensor *x,
                                   const struct patch *p);

#endif
