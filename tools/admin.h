/* admin.h - `misora admin`: what an operator does to the queue. */
#ifndef TOOLS_ADMIN_H
#define TOOLS_ADMIN_H

/* Returns the exit code: 0; 1 the audit found something, or the thing asked for is refused;
 * EXIT_CODE_USAGE; EXIT_CODE_UNAVAILABLE (no Redis, wrong namespace); EXIT_CODE_CONFIG (wrong
 * password, newer data). */
int admin_main(int argc, char **argv);

#endif
