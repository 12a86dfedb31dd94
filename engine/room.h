/* room.h - whether a model fits into the memory of this machine, asked before any of it is loaded.
 * Reads headers of weight files and figures of the kernel; keeps nothing open. */
#ifndef ENGINE_ROOM_H
#define ENGINE_ROOM_H

#include "engine/device.h"

/* Bytes that may be taken now of the memory in which this device keeps tensors; of the host: what
 * the machine has available, or the limit of our control group if that is less. 0: not known. */
double room_free_on(struct device *dev);
/* Bytes that the weights in folder/stem take once they are loaded for a device of this precision.
 */
MUST_CHECK enum err room_weights_bytes(double *out, const char *folder, const char *stem,
                                       enum precision precision, struct fail *f);
/* ERR_LIMIT, with both figures, when `need` is more than `room` (0 = not known: passes). */
MUST_CHECK enum err room_check(double need, double room, const char *what, struct fail *f);

#endif
