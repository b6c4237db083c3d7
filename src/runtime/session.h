/* A session: the buffers and threads that run one image at a time.
 * Owner rule: owns its activation block, scratch and its own pool; borrows the model and a shared pool. */
#ifndef KF_SESSION_H
#define KF_SESSION_H

#include "runtime/exec.h"

/** The default limits, which include/kitfox/kitfox.h states and explains. */
#define KF_SESSION_BYTES ((size_t)(SIZE_MAX / 2 < INT64_C(4) << 30 ? SIZE_MAX / 2 : INT64_C(4) << 30))
#define KF_OPERATIONS (INT64_C(1) << 38)

struct kf_session {
    const kf_allocator *allocator;
    const struct kf_model *m;
    kf__exec exec;
    kf__pool *own_pool;                                         /* NULL: one thread, or exec.pool is shared */
    size_t bytes, most_bytes;                                   /* of its memory, and the limit that it was made with */
    double *ms;                                                 /* per step when profiling, else NULL */
    float *scores;                                              /* room for output 0 */
    void (*probe)(void *user, int32_t step, const float *data); /* internal: called with every output; a caller that
                                                                   keeps pointers needs a plan that shares no memory */
    void *probe_user;
    kf_step_fn watch; /* public probe: real values of every output, or NULL */
    void *watch_user;
    float *real;      /* room for the largest output while watched */
    int32_t replaced; /* step whose output is replaced by the caller's, or -1 */
    const float *replacement;
};

/** Runs on `pool`; if that is NULL, on threads of its own (only the caller's if `threads` is 1). Uses these limits; a
 * limit of 0 is that of the model. LIMIT: the session would take more memory, or a run more operations. */
kf_status kf__session_create_within(const struct kf_model *m, const kf__limits *limits, kf__pool *pool, int threads,
                                    bool profile, const kf_allocator *a, struct kf_session **out, kf_error *err);
static inline kf_status kf__session_create(const struct kf_model *m, int threads, bool profile, const kf_allocator *a,
                                           struct kf_session **out, kf_error *err) {
    return kf__session_create_within(m, &(kf__limits){0}, NULL, threads, profile, a, out, err);
}
void kf__session_destroy(struct kf_session **session);
/** LIMIT if the session with `more` bytes exceeds its limit. */
kf_status kf__session_check(const struct kf_session *s, size_t more, kf_error *err);
/** Run all steps; inputs are already in their tensors. Default rounding mode and no flush to zero while it runs. */
void kf__session_steps(struct kf_session *s);
/** Output `index` in the declared order. */
void kf__session_get_f32(const struct kf_session *s, int32_t index, float *to);
/** Elements of tensor `t`, batch included. */
size_t kf__session_count(const struct kf_session *s, int32_t t);
/** Tensor `t` as real numbers in storage order (NHWC): (q - z) * scale where it is quantized. Valid until a later
 * step reuses its memory. */
void kf__session_real(const struct kf_session *s, int32_t t, float *to);
/** The other way: rounded as it is stored. */
void kf__session_put_real(struct kf_session *s, int32_t t, const float *from);
/** Call `fn` with every step's output from now on (NULL: no longer). MEMORY: nothing changed. */
kf_status kf__session_watch(struct kf_session *s, kf_step_fn fn, void *user, kf_error *err);
/** Run step `step` whose inputs are in place. */
void kf__session_one_step(struct kf_session *s, int32_t step);

/* ---- input.c ---- */

/** NCHW (or NHWC, or flat) f32 input `index` into its tensor. */
void kf__session_put_f32(struct kf_session *s, int32_t index, const float *data, bool nhwc);
/** u8 pixels, or f32 whose normalization is undone and rounded, into a pixel input; NCHW or NHWC. */
void kf__session_put_pixels(struct kf_session *s, int32_t index, const void *data, bool f32, bool nhwc);
/** RGB8 pixels of exactly the input size: converted to the network's order of colours or to grey, and normalized as
 * the model says. */
void kf__session_put_rgb(struct kf_session *s, const uint8_t *rgb, size_t stride);

#endif
