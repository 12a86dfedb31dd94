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
/* Ray of pixel position (px, py), unit length. */
struct vec path_ray(const struct path_view *v, const struct scene *s, float px, float py);
/* Pixel position of a world point; 0 when it is behind the camera. */
int path_project(const struct path_view *v, const struct scene *s, struct vec p, float out[2]);

/* Numbers of entity.p: BOUNCE, JUMP, FALL p[0] height; FALL p[1] second of the landing;
 * FLY p[0] height above ground; LEAVE p[0] how far it goes; BOUNCE, JUMP p[1] times per second. */
#endif
