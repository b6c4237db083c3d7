/* The floating-point environment of the numeric contract (docs/NUMERICS.md): round to nearest even; denormals are
 * neither flushed to zero as results nor read as zero. Sessions and the toolchain compute between enter and leave;
 * threads of the pool start with the default environment, which is the same.
 * Owner rule: the state is the caller's and the thread's; nothing is kept. */
#ifndef KF_FP_H
#define KF_FP_H

#include <fenv.h>

#include "cpu/cpu.h"

/** What kf__fp_enter found. */
typedef struct kf__fp_state {
    int rounding;     /* of fegetround */
    uint64_t control; /* the control register of vector code; 0 where there is none */
} kf__fp_state;

#if defined(__x86_64__)
/* MXCSR */
enum { KF_FP_FLUSH = 0x8000 /* FTZ */ | 0x0040 /* DAZ */ };
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
/* FPCR */
enum { KF_FP_FLUSH = 1 << 24 /* FZ */ | 1 << 19 /* FZ16 */ | 1 << 0 /* FIZ */ };
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
static inline uint64_t kf__fp_control(void) { return 0; }
static inline void kf__fp_set_control(uint64_t control) { (void)control; }
#endif

/** Sets the contract's environment for this thread and returns what was there. */
static inline kf__fp_state kf__fp_enter(void) {
    kf__fp_state s = {.rounding = fegetround()};
    if (s.rounding != FE_TONEAREST) fesetround(FE_TONEAREST);
    s.control = kf__fp_control();
    kf__fp_set_control(s.control & ~(uint64_t)KF_FP_FLUSH);
    return s;
}

/** Restores the state that kf__fp_enter found. Where the control register also holds the exception flags (x86), those
 *  raised since are cleared. */
static inline void kf__fp_leave(kf__fp_state s) {
    kf__fp_set_control(s.control);
    if (s.rounding != FE_TONEAREST && s.rounding >= 0) fesetround(s.rounding);
}

#endif
