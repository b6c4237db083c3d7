/* Temporary folders and files of tests: under TMPDIR, or /tmp where that is not set, so that a test may be held to
 * leaving nothing (tests/house/test_temporary.py).
 * Owner rule: who makes one removes it. */
#ifndef KF_TESTS_TEMPORARY_H
#define KF_TESTS_TEMPORARY_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/** "TMPDIR/name-XXXXXX", for mkdtemp or mkstemp, into `out` of `size` bytes; ends the test when that is too small. */
static inline char *temporary_name(char *out, size_t size, const char *name) {
    const char *folder = getenv("TMPDIR");
    int n = snprintf(out, size, "%s/%s-XXXXXX", folder && folder[0] ? folder : "/tmp", name);
    if (n < 0 || (size_t)n >= size) abort();
    return out;
}

/** A new folder, whose name is in `out`; NULL where it cannot be made. */
static inline char *temporary_folder(char *out, size_t size, const char *name) {
    return mkdtemp(temporary_name(out, size, name));
}

#endif
