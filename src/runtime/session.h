/* A session: the buffers and threads that run one image at a time.
 * Floor 5.
 * Owner rule: owns its activation block, scratch and pool; borrows the model. */
#ifndef KF_SESSION_H
#define KF_SESSION_H

#include "runtime/exec.h"

struct kf_session {
    const kf_allocator *allocator;
    const struct kf_model *m;
    kf__exec exec;
    size_t bytes;
    double *ms;        /* per step when profiling, else NULL */
    float *scores;     /* room for output 0 */
    void (*probe)(void *user, int32_t step, const float *data); /* internal: sees every output; needs a keep-all plan only if it keeps pointers */
    void *probe_user;
};

kf_status kf__session_create(const struct kf_model *m, int threads, bool profile, const kf_allocator *a, struct kf_session **out,
                             kf_error *err);
void kf__session_destroy(struct kf_session **session);
/** Run all steps; inputs are already in their tensors. Default rounding mode and no flush to zero while it runs. */
void kf__session_steps(struct kf_session *s);
/** NCHW (or NHWC, or flat) f32 input `index` into its tensor. */
void kf__session_put_f32(struct kf_session *s, int32_t index, const float *data, bool nhwc);
/** u8 pixels, or f32 whose normalization is undone and rounded, into a pixel input; NCHW or NHWC. */
void kf__session_put_pixels(struct kf_session *s, int32_t index, const void *data, bool f32, bool nhwc);
/** RGB8 pixels of exactly the input size, normalised as the model says. */
void kf__session_put_rgb(struct kf_session *s, const uint8_t *rgb, size_t stride);
/** Output `index` in the declared order. */
void kf__session_get_f32(const struct kf_session *s, int32_t index, float *to);

#endif
