/* Libraries that are loaded when the first picture of their kind comes, and never linked.
 * Owner rule: what is loaded stays until the process ends. */
#ifndef KF_CODEC_LIBRARY_H
#define KF_CODEC_LIBRARY_H

#include <pthread.h>
#include <stddef.h>

#include "kitfox/codec.h"

/** A library, and the table of the pointers to its functions. */
typedef struct kf__library {
    const char *format, *file[2], *package; /* for messages: "TIFF"; for dlopen, the first that is there; of Debian */
    const char *const *names;               /* of the functions */
    void *const *to;                        /* where the pointer to each belongs */
    size_t n;
    pthread_mutex_t one;
    int loaded; /* 1 or 2: the file that it was; 0: not yet */
} kf__library;

/** Load it unless it is loaded. UNSUPPORTED: it is not installed, too old, or this program is static. */
kf_status kf__library_load(kf__library *library, kf_error *err);
/** MEMORY unless `bytes` can be allocated now. libtiff 4.5.0 follows null pointers and libavif 0.11 ends the process
 * where memory is refused. */
kf_status kf__library_room(const kf__library *library, size_t bytes, kf_error *err);

#endif
