/* Which bytes of a session's block may be touched, in builds with AddressSanitizer: a step may touch its own tensors
 * and the scratch that it reserved. Without fences, reading past a tensor would silently read another one. No other
 * build has fences.
 * Owner rule: marks bytes, moves none. */
#ifndef KF_FENCE_H
#define KF_FENCE_H

#include "runtime/exec.h"

#if defined(KF_REDZONES)
/** A new session: inputs and outputs open, everything else closed, scratch too. */
void kf__fence_begin(const kf__exec *x);
/** Before the steps `first` to `last` run: their tensors and scratch are open, all else closed. */
void kf__fence_step(const kf__exec *x, int32_t first, int32_t last);
/** After step `step` (-1: after all): its tensors, all inputs and all outputs are open. */
void kf__fence_idle(const kf__exec *x, int32_t step);
/** Tensor `t` is open too until the next call of the others. */
void kf__fence_open(const kf__exec *x, int32_t t);
/** The block goes back to its allocator. */
void kf__fence_end(const kf__exec *x, size_t bytes);
#else
static inline void kf__fence_begin(const kf__exec *x) { (void)x; }
static inline void kf__fence_step(const kf__exec *x, int32_t first, int32_t last) { (void)x, (void)first, (void)last; }
static inline void kf__fence_idle(const kf__exec *x, int32_t step) { (void)x, (void)step; }
static inline void kf__fence_open(const kf__exec *x, int32_t t) { (void)x, (void)t; }
static inline void kf__fence_end(const kf__exec *x, size_t bytes) { (void)x, (void)bytes; }
#endif

#endif
