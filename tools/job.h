/* job.h - `misora job`: a small client of the HTTP API for shells and scripts. It knows the wire
 * only, never Redis; what it can do, any HTTP client can. */
#ifndef TOOLS_JOB_H
#define TOOLS_JOB_H

/* Returns the exit code: 0, EXIT_CODE_USAGE, EXIT_CODE_UNAVAILABLE (no server), 1 (refused or the
 * job failed; the words of the server are on stderr). */
int job_main(int argc, char **argv);

#endif
