/* The names that the vendor's configurations have for the raw files of lab.h.
 * Owner rule: raw_load fills a `pictures`; pictures_free releases it. */
#ifndef KITFOX_RAW_H
#define KITFOX_RAW_H

#include "common/pictures.h"

typedef kf_raw_form raw_form;

static inline kf_status raw_load(const char *folder, size_t limit, const raw_form *form, pictures *out, kf_error *err) {
    return kf_samples_load_raw(folder, limit, form, out, err);
}

#endif
