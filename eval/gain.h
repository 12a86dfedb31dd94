/* gain.h - how much of an expected movement is in the pictures.
 *
 * The world says for a scene where each pixel of a frame goes (its flow). A clip of that scene is
 * warped by g times that flow, and the g that makes each picture most like the one after it is the
 * gain: 1 where the clip moves as the world does, 0 where nothing moves, below 0 where it moves the
 * other way. One number is searched, so textures without corners and blurred pictures do no harm.
 * Pure functions but for memory that is given back; any thread. */
#ifndef EVAL_GAIN_H
#define EVAL_GAIN_H

#include "eval/reel.h"

/* What is expected of every pixel but those of things and of a player's screen. */
enum gain_part {
    GAIN_PLACE, /* that it moves as the place does */
    GAIN_SHIFT, /* that it moves as the place does on the average */
    GAIN_RIGHT, /* one pixel a frame to the right */
    GAIN_DOWN,
    GAIN_GROW /* one pixel a frame away from the middle, at the left and right edges */
};
enum { GAIN_MIN = -2, GAIN_MAX = 3 };

struct gain {
    double value;  /* GAIN_MIN..GAIN_MAX */
    double fall;   /* share of the change from picture to picture that the movement explains */
    double left;   /* mean difference that it leaves, of 0..255 */
    double pixels; /* mean expected movement where the part is, pixels a frame */
};
struct gain_opts {
    enum gain_part part;
    int first, n_frames; /* which frames */
};

/* Frames beyond the end of the clip or of the scene are not asked for. ERR_NOMEM. */
MUST_CHECK enum err gain_measure(struct gain *out, const struct reel *clip, const struct scene *s,
                                 const struct gain_opts *opts, struct fail *f);

#endif
