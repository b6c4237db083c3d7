/* Shared by the files of src/image.
 * Owner rule: results belong to the caller. */
#ifndef KF_IMAGE_PRIVATE_H
#define KF_IMAGE_PRIVATE_H

#include "kitfox/image.h"

typedef struct kf__resize {
    int32_t size[2]; /* of the whole result: width, height */
    kf_filter filter;
    kf_pillow pillow;
    double box[4];   /* x0, y0, x1, y1 in the picture */
    int32_t part[4]; /* of the result, as box: only this is computed */
} kf__resize;
/** kf_image_resize of a part; the part's sides are in the range of that function, the whole may be larger. */
kf_status kf__image_resize(const kf_image *in, const kf__resize *r, kf_image *out, kf_error *err);

#endif
