/* backend_ref.h - the oracle: plain loops, double sums, no cleverness, one thread. */
#ifndef ENGINE_BACKEND_REF_H
#define ENGINE_BACKEND_REF_H

#include "engine/op.h"

extern const struct backend_ops backend_ref;

/* The activation of one number; the volume half of the oracle uses it too. */
double backend_ref_act(double x, enum act act);

#endif
