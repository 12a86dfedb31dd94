/* path.h - where everything is at time t: entities and the camera, in closed form.
 *
 * Nothing is integrated from frame to frame, so any frame can be asked first. u is the time from
 * the middle of the clip, which is where the scene's positions are given. Pure; any thread. */
#ifndef TRAIN_WORLD_PATH_H
#define TRAIN_WORLD_PATH_H

#include "train/world/shape.h"

struct path_view {
    struct vec eye, fw, rt, up; /* unit axes */
    float tan_x, tan_y;         /* tangents of half the field of view */
};

float path_seconds(const struct scene *s); /* from the first frame to the last */
struct shape_pose path_pose(const struct scene *s, int ent, float t);
struct path_view path_view_at(const struct scene *s, float t);
int path_is_water(enum world_env env);
/* Ray of pixel position (px, py), unit length; path_row has what all rays of a line share. */
struct path_row {
    struct vec left; /* through the left end, not of unit length */
    struct vec step; /* and so much further for each pixel */
};
struct path_row path_row_at(const struct path_view *v, const struct scene *s, float py);
static inline struct vec path_row_ray(const struct path_row *r, float px) {
    return num_unit(num_along(r->left, r->step, px));
}
/* Pixel position of a world point; 0 when it is behind the camera. */
int path_project(const struct path_view *v, const struct scene *s, struct vec p, float out[2]);

/* One gravity for the whole world, in units per second^2: about half of the earth's, so that 12
 * frames a second show a fall. */
#define PATH_GRAVITY 4.5f
/* Seconds in the air of something that rises to this height. */
float path_air_time(float height);
/* Turns or swings per second, changed by as little as it takes to fit a loop. */
float path_rate(const struct scene *s, float per_second);
/* Time that surfaces flow by: seconds, but back and forth in a loop. */
float path_clock(const struct scene *s, float t);

/* Numbers of entity.p:
 *   BOUNCE   p[0] height of the first rise, p[1] restitution; phase: how far into that rise at t 0
 *   JUMP     p[0] height, p[1] times per second
 *   FALL     p[0] height, p[1] second of the landing
 *   THROW    p[0] height, p[1] distance of the first arc
 *   ROLL     p[0] deceleration by friction
 *   COLLIDE  p[0] restitution
 *   FLY      p[0] height above ground
 *   LEAVE    p[0] how far it goes */
#endif
