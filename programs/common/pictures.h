/* The names that the verbs of quantization have for the calibration data of lab.h.
 * Owner rule: pictures_free releases everything. */
#ifndef KITFOX_PICTURES_H
#define KITFOX_PICTURES_H

#include "common/cli.h"
#include "kitfox/lab.h"

typedef kf_samples pictures;

static inline kf_status pictures_find(const char *folder, const char *list, size_t limit, pictures *out,
                                      kf_error *err) {
    return kf_samples_find(folder, list, limit, out, err);
}

static inline kf_status pictures_load(pictures *p, const kf_preprocess *how, kf_error *err) {
    return kf_samples_load(p, how, err);
}

static inline void pictures_free(pictures *p) { kf_samples_free(p); }

#endif
