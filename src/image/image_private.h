/* Shared by the files of src/image.
 * Owner rule: results belong to the caller. */
#ifndef KF_IMAGE_PRIVATE_H
#define KF_IMAGE_PRIVATE_H

#include "kitfox/image.h"

/** kf_image_resize with a box in doubles. */
kf_status kf__image_resize_box(const kf_image *in, int32_t width, int32_t height, kf_filter filter, const double box[4],
                               kf_image *out, kf_error *err);

#endif
