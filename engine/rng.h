/* rng.h - numbers that depend on what they are for, not on when they are asked.
 *
 * Philox 4x32-10 keyed by the seed; the counter is (stream, index). The noise of a latent
 * element is the same whatever the window, the tile, the thread or the backend. */
#ifndef ENGINE_RNG_H
#define ENGINE_RNG_H

#include <stdint.h>

/* Streams: one per use, so that no two uses ever share numbers. A use that needs fresh numbers at
 * every step takes rng_stream_at(). */
enum rng_stream {
    RNG_STREAM_LATENT = 1, /* where a run begins */
    RNG_STREAM_RENOISE,    /* what a distilled model gets anew after each step */
    RNG_STREAM_EDIT,       /* what FlowEdit puts on the source at each step */
    RNG_STREAM_FRONT,      /* of frames in front of a clip: step 0 as LATENT, 1 + i as RENOISE */
};

uint64_t rng_stream_at(enum rng_stream stream, int step);

void rng_block(uint64_t seed, uint64_t stream, uint64_t index, uint32_t out[4]);
/* Standard normals: elements first .. first+n-1 of the stream. */
void rng_normal_fill(uint64_t seed, uint64_t stream, uint64_t first, float *out, int64_t n);

#endif
