/* weather.h - what falls through the picture: a few large soft snowflakes, or streaks of rain.
 *
 * They hang in a box that travels with the camera and wrap around in it, so they are a pure
 * function of time; ids, depth and flow do not see them. Few and soft on purpose: fine snow is
 * noise that the video codec pays for. */
#ifndef TRAIN_WORLD_WEATHER_H
#define TRAIN_WORLD_WEATHER_H

#include "train/world/path.h"

enum { WEATHER_FLAKE_MAX = 40 };
struct weather {
    int n;
    struct vec colour;
    struct {
        float x, y, r, far;   /* pixels, of the upper end; distance from the eye */
        float dx, dy;         /* to the lower end of a streak, 0 for a flake */
        float x0, x1, y0, y1; /* pixels outside this box are not touched */
    } flake[WEATHER_FLAKE_MAX];
};

void weather_make(struct weather *w, const struct scene *s, const struct path_view *v, float t);
/* How much of pixel (x, y) has the weather's colour when the scene behind it is at `far`: 0..1. */
float weather_cover(const struct weather *w, int x, int y, float far);

#endif
