/* temp.h - a private directory of a test, gone with all in it when the test ends. */
#ifndef TESTS_TEMP_H
#define TESTS_TEMP_H

/* A fresh directory under $TMPDIR or /tmp; the name stays valid. At most 64 per test binary. */
const char *temp_dir(void);

#endif
