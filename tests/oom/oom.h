/* The out-of-memory sweep: a call is repeated while the n-th allocation fails, until it succeeds.
 * malloc and its family are interposed for the whole process, so third-party parsers fail too.
 * Owner rule: single thread; each case releases what it made. */
#ifndef KITFOX_OOM_H
#define KITFOX_OOM_H

#include <stddef.h>

#include "kitfox/compile.h"

/** What the cases work on; all of it was made while nothing failed. */
typedef struct fixture {
    unsigned char *onnx, *kfx, *checked, *golden;
    size_t onnx_bytes, kfx_bytes, checked_bytes, golden_bytes;
    kf_model *model;
    kf_session *session;       /* of that model */
    const char *root, *folder; /* sources; where this test may write */
    char *checkpoint, *written, *compiled;
} fixture;

/** How a case takes memory. OOM_NONE: it must succeed, and without a request for memory. OOM_ANY: it must report each
 * failure, because a call that goes on may have lost something. OOM_OTHER: it uses libjpeg, stdio or qsort, which can
 * work with less. OOM_JSON: it uses jansson, which continues with half a text if one buffer cannot grow, or stops at an
 * assertion; only lasting failures end it in order. */
typedef enum oom_memory { OOM_NONE, OOM_ANY, OOM_OTHER, OOM_JSON } oom_memory;

typedef struct oom_case {
    const char *name;
    kf_status (*call)(fixture *f, kf_error *err);
    oom_memory memory;
} oom_case;

/** The cases of each file, ended by a row without a name. tests/house/test_oom_calls.py demands that every public call
 * is among them. */
extern const oom_case oom_runtime[], oom_images[], oom_toolchain[], oom_codecs[], oom_lab[];

/** Run one case through all its failures (a part of those beyond some hundred, unless `all`). A failure has to be
 * MEMORY with a text. No blocks may be left. Returns the number of complaints. */
int oom_sweep(const oom_case *c, fixture *f, int all);
/** The whole file in memory of its own. */
unsigned char *oom_slurp(const char *path, size_t *n);

#endif
