/* dit_vace.h - the control branch of a VACE transformer: blocks of its own that read a control
 * volume beside the latent and hand hints to layers of the main trunk.
 *
 *   c = patches(control);  c = proj_in(c) + x0          x0: patches of the latent
 *   for each control block k: c = block(c);  x += scale_k * proj_out(c) after layer vace_layers[k]
 *
 * The hints depend on x0 only, so a block may run just before its hint is wanted. */
#ifndef ENGINE_DIT_VACE_H
#define ENGINE_DIT_VACE_H

#include "engine/dit_block.h"

struct dit_vace_block {
    struct dit_block block;
    struct tensor out, out_b; /* proj_out */
};

struct dit_vace {
    struct tensor patch, patch_b, in, in_b;
    struct dit_vace_block block[DIT_CONFIG_LAYERS_MAX];
};

/* What the branch is told: volume f32 [F,h,w,vace_channels] of the same F,h,w as the latent; one
 * scale per control block, or NULL for 1. */
struct dit_vace_control {
    const struct tensor *volume;
    const float *scale;
};

MUST_CHECK enum err dit_vace_bind(struct dit_vace *v, struct weights *w, const struct dit_config *c,
                                  const struct dit_caps *caps, struct fail *f);
/* c [N,d] from the patches [N,K] of the control volume and x0 [N,d]. */
MUST_CHECK enum err dit_vace_begin(const struct dit_vace *v, struct device *dev, struct tensor *c,
                                   const struct tensor *cells, const struct tensor *x0,
                                   struct pool *step, struct fail *f);
/* Control block k over c [N,d], then its hint: x [N,d] += scale * proj_out(c). */
MUST_CHECK enum err dit_vace_step(const struct dit_vace_block *b, struct device *dev,
                                  struct tensor *c, struct tensor *x, float scale,
                                  const struct dit_block_text *text,
                                  const struct dit_block_pass *pass, struct fail *f);

#endif
