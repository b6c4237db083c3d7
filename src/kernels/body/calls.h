/* How the functions of kernel bodies are compiled: inlined into their caller, or as one shared copy.
 * Owner rule: macros only. */
#ifndef KF_BODY_CALLS_H
#define KF_BODY_CALLS_H

#define INLINE static inline __attribute__((always_inline))
/* One copy for all callers, even if they pass constants. */
#if defined(__clang__)
#define NOINLINE static __attribute__((noinline))
#else
#define NOINLINE static __attribute__((noinline, noclone))
#endif

#endif
