/* jail.h - the limits that misora-decode lives in while it reads a stranger's file.
 *
 * After jail_enter() the process may compute, read descriptor 0, write descriptor 1, and end; it
 * may not open files, make sockets or processes, load code, or look at anybody. A forbidden call
 * kills it. There is no way back. Linux 4.14 or newer, x86-64 and aarch64; Landlock where the
 * kernel has it, as a second lock on the file system and on TCP. */
#ifndef DECODE_JAIL_H
#define DECODE_JAIL_H

#include <stdbool.h>
#include <stdint.h>

struct jail_limits {
    uint64_t memory_bytes; /* address space */
    unsigned cpu_s;
};

/* False when any of the locks does not hold: then nothing may be read. */
bool jail_enter(const struct jail_limits *limits);

#endif
