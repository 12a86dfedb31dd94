/* calibrate.h - what a job has taken becomes what the next estimate knows (common/estimate.h).
 *
 * Blocking; any thread. Nothing that goes wrong here touches a job. */
#ifndef WORKER_CALIBRATE_H
#define WORKER_CALIBRATE_H

#include "common/receipt.h"
#include "common/redis.h"

enum { CALIBRATE_ID_MAX = 128 };

/* "misora-" and the name of the model's folder: what the server calls it. */
void calibrate_model_id(char out[CALIBRATE_ID_MAX], const char *model_dir);

/* Returns by how much of the truth the estimate was wrong; negative when there was none. */
double calibrate_job(struct redis_pool *pool, const char *model_dir, const struct receipt *receipt);

#endif
