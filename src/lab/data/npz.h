/* Arrays of an NPZ file.
 * Owner rule: what is read is the caller's; kf__npz_free releases it. */
#ifndef KITFOX_LAB_NPZ_H
#define KITFOX_LAB_NPZ_H

#include <stdbool.h>
#include <stdio.h>

#include "kitfox/lab.h"

enum { KF__NPZ_NAME = 256 };

typedef struct kf__npz {
    kf_tensor *tensors;          /* their `name` is in `names` */
    char (*names)[KF__NPZ_NAME]; /* without ".npy"; "arr_0" for arrays that were given no name */
    size_t n;
} kf__npz;

/** Does the path end in .npz? */
bool kf__npz_named(const char *path);
/** Read the arrays of an archive that numpy.savez or kf_npz_write wrote, 1 to `most` of them, in their order. IO,
 * FORMAT, LIMIT, UNSUPPORTED (compressed; an array that kf_npy_read does not take), MEMORY. */
kf_status kf__npz_read(const char *path, size_t most, kf__npz *out, kf_error *err);
void kf__npz_free(kf__npz *npz);
/** An NPY file from where the stream is; `path` is for messages. As kf_npy_read. */
kf_status kf__npy_read_stream(FILE *f, const char *path, kf_tensor *out, kf_error *err);

#endif
