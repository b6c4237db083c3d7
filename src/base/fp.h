/* The floating-point environment of the numeric contract (docs/NUMERICS.md): round to nearest even; denormals are
 * neither flushed to zero as results nor read as zero. Whatever computes numbers of the contract does so between enter
 * and leave: sessions, pictures, models at load, the toolchain, and the threads of the pool.
 * Owner rule: the state is the caller's and the thread's; nothing is kept. */
#ifndef KF_FP_H
#define KF_FP_H

#include <fenv.h>

#include "base/base.h"

/** What kf__fp_enter found. */
typedef struct kf__fp_state {
    int rounding;     /* of fegetround */
    uint64_t control; /* the control register of vector code; 0 where there is none */
} kf__fp_state;

#if defined(__x86_64__)
/* MXCSR, which also has the exception flags: only these bits are cleared. */
enum { KF_FP_FLUSH = 0x8000 /* FTZ */ | 0x0040 /* DAZ */ };
#define KF_FP_CLEARED ((uint64_t)KF_FP_FLUSH)
static inline uint64_t kf__fp_control(void) {
    uint32_t csr;
    __asm__ volatile("stmxcsr %0" : "=m"(csr));
    return csr;
}
static inline void kf__fp_set_control(uint64_t control) {
    uint32_t csr = (uint32_t)control;
    __asm__ volatile("ldmxcsr %0" : : "m"(csr) : "memory");
}
#elif defined(__aarch64__)
/* FPCR, cleared as a whole: beside rounding and flushing it has the default NaN, the alternative half floats and what
 * later architectures add. FPSR has the exception flags. */
enum { KF_FP_FLUSH = 1 << 24 /* FZ */ | 1 << 19 /* FZ16 */ | 1 << 0 /* FIZ */ };
#define KF_FP_CLEARED UINT64_MAX
static inline uint64_t kf__fp_control(void) {
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return fpcr;
}
static inline void kf__fp_set_control(uint64_t control) {
    __asm__ volatile("msr fpcr, %0" : : "r"(control) : "memory");
}
#else
enum { KF_FP_FLUSH = 0 };
#define KF_FP_CLEARED ((uint64_t)0)
static inline uint64_t kf__fp_control(void) { return 0; }
static inline void kf__fp_set_control(uint64_t control) { (void)control; }
#endif

/** Sets the contract's environment for this thread and returns what was there. */
kf__fp_state kf__fp_enter(void);
/** Restores the state that kf__fp_enter found. Where the control register also holds the exception flags (x86), those
 *  raised since are cleared. */
void kf__fp_leave(const kf__fp_state *s);
/** Enters now and leaves at the end of the block, however it ends. */
#define KF_FP_CONTRACT()                                                                                               \
    __attribute__((cleanup(kf__fp_leave), unused)) const kf__fp_state kf__fp_caller = kf__fp_enter()

#endif
