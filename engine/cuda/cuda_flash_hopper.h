/* cuda_flash_hopper.h - attention of bf16 heads of 64 or 128 on Hopper. */
#ifndef ENGINE_CUDA_CUDA_FLASH_HOPPER_H
#define ENGINE_CUDA_CUDA_FLASH_HOPPER_H

#include "engine/cuda/cuda_flash.h"

/* This library has code for this device and this head. */
bool cuda_flash_hopper_can(const struct cuda *c, int D);
void cuda_flash_hopper_open(struct cuda *c);
void cuda_flash_hopper_run(struct cuda *c, const struct cuda_flash *o);

#endif
