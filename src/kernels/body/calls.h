/* How the functions of kernel bodies are called: part of their caller, or one copy apart.
 * Owner rule: macros only. */
#ifndef KF_BODY_CALLS_H
#define KF_BODY_CALLS_H

#define INLINE static inline __attribute__((always_inline))
/* One copy, whatever its callers' constants are. */
#if defined(__clang__)
#define APART static __attribute__((noinline))
#else
#define APART static __attribute__((noinline, noclone))
#endif

#endif
