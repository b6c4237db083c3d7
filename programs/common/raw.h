/* Calibration files of raw numbers, as the zoo's scripts write them.
 * Owner rule: raw_load fills a `pictures`; pictures_free releases it. */
#ifndef KITFOX_RAW_H
#define KITFOX_RAW_H

#include "common/pictures.h"

/** What a file holds and what becomes of it. */
typedef struct raw_form {
    kf_dtype type;          /* of the numbers */
    bool nhwc;              /* files are [H,W,C], else [C,H,W] */
    const kf_tensor *input; /* the network's: its shape is what a file has to fill */
    bool pixels;            /* values are 0..255 and become u8 [H,W,3]; else f32 of the input's shape */
    bool bgr;               /* order of the file's channels and the network's */
    bool normalize;         /* f32 becomes (x - mean[c]) * scale[c] */
    double mean[3], scale[3];
    int camera; /* pixels go through a camera frame: 0 no, 1 NV12 full range, 2 NV12 limited range */
} raw_form;

/** Every file of `folder`, spread evenly down to `limit`. Texts begin with the file; `out` has to be freed after
 * failures too. IO, FORMAT: not what `form` says, with what it looks like; ARGUMENT: values that cannot be pixels. */
kf_status raw_load(const char *folder, size_t limit, const raw_form *form, pictures *out, kf_error *err);

#endif
