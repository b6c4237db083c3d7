/* One sample as both models take it.
 * Owner rule: kf__feed_unload releases what kf__feed_load made; models and samples are borrowed. */
#ifndef KITFOX_LAB_FEED_H
#define KITFOX_LAB_FEED_H

#include <stdbool.h>

#include "evaluate/crew.h"
#include "kitfox/lab.h"

typedef struct kf__feed {
    const char *path; /* of the sample; the samples' */
    kf_image full;    /* a picture file */
    kf_tensor tensor; /* data: numbers, or pixels of the input's size */
    bool owned;       /* the tensor's data */
} kf__feed;

/** Is sample `i` a picture file, and no tensor? */
bool kf__feed_is_picture(const kf_comparison *w, size_t i);
/** Sample `i` of the comparison. Errors name the file. */
kf_status kf__feed_load(const kf_comparison *w, size_t i, kf__feed *in, kf_error *err);
void kf__feed_unload(kf__feed *in);
/** Pixels [height, width, 3] in RGB, or [height, width, 1] of grey, as a picture that kf_image_free releases. SHAPE:
 *  other channels. */
kf_status kf__feed_picture(const kf_tensor *t, kf_image *out, kf_error *err);
/** One side's outputs for it, w->classes numbers. */
kf_status kf__feed_forward(const kf_comparison *w, int side, kf_session *s, const kf__feed *in, float *to,
                           kf_error *err);
/** Both sides' sessions of one thread each; destroyed by the caller also after failures. */
kf_status kf__feed_sessions(const kf_comparison *w, kf_session **s, kf_error *err);
/** A crew whose threads have both sessions as their state, a kf_session *[2]. The caller fills in n, one, total and a
 *  ctx whose first member is a pointer to the comparison. */
kf__crew kf__feed_crew(const kf_compare_options *o);

#endif
