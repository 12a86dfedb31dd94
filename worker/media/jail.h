/* jail.h - the limits that misora-decode lives in while it reads a stranger's file.
 *
 * After jail_enter() the process may compute, read and write what is already open, and end; it may
 * not open files, make sockets or processes, load code, or look at anybody. A forbidden call kills
 * it. There is no way back. Linux 4.14 or newer, x86-64 and aarch64. */
#ifndef WORKER_MEDIA_JAIL_H
#define WORKER_MEDIA_JAIL_H

#include <stdbool.h>
#include <stdint.h>

struct jail_limits {
    uint64_t memory_bytes; /* address space */
    unsigned cpu_s, n_files;
};

/* False when any of the locks does not hold: then nothing may be read. */
bool jail_enter(const struct jail_limits *limits);

#endif
