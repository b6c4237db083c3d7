/* Calibration data of a folder: pictures through the model's own preprocessing, or .npy tensors.
 * Owner rule: pictures_free releases everything. */
#ifndef KITFOX_PICTURES_H
#define KITFOX_PICTURES_H

#include "common/cli.h"

typedef struct pictures {
    char **paths; /* sorted by name */
    size_t n;
    kf_tensor *tensors; /* [n] once loaded: u8 [height, width, 3], or f32 from .npy */
} pictures;

/** All pictures and .npy files of a folder and its sub-folders, or the lines of `list` (relative to `folder`; NULL:
 * none). With more than `limit` > 0 of them, that many spread evenly over the sorted list are kept. */
kf_status pictures_find(const char *folder, const char *list, size_t limit, pictures *out, kf_error *err);
/** Decode, resize, crop as `p` says; colour order as the network's. A picture that looks normalized already (.npy), a
 * broken one: an error with its name. */
kf_status pictures_load(pictures *p, const kf_preprocess *how, kf_error *err);
/** One more path, folder/name. False when out of memory. */
bool pictures_add(pictures *p, const char *folder, const char *name);
/** Keep `limit` > 0 of the paths, spread evenly. */
void pictures_keep(pictures *p, size_t limit);
void pictures_free(pictures *p);

#endif
