/* clip.h - one rendered clip as a file: mp4 through the `ffmpeg` program, raw RGB, or a PPM sheet.
 *
 * The kind follows the name: .mp4, .rgb, .ppm. One thread; leaves no child and no half file. */
#ifndef TRAIN_WORLD_CLIP_H
#define TRAIN_WORLD_CLIP_H

#include "train/world/world.h"

/* ERR_INPUT for another ending, ERR_UNAVAILABLE when ffmpeg is not installed, ERR_IO else. */
MUST_CHECK enum err clip_write(const char *path, const struct scene *s, struct fail *f);

#endif
