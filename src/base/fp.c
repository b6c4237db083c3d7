/* Enters and leaves the floating-point environment of the numeric contract.
 * Owner rule: the state is the caller's and the thread's; nothing is kept. */
#include "base/fp.h"

kf__fp_state kf__fp_enter(void) {
    kf__fp_state s = {.rounding = fegetround(), .control = kf__fp_control()};
    if (s.rounding != FE_TONEAREST) fesetround(FE_TONEAREST);
    kf__fp_set_control(kf__fp_control() & ~KF_FP_CLEARED);
    return s;
}

void kf__fp_leave(const kf__fp_state *s) {
    kf__fp_set_control(s->control);
    if (s->rounding != FE_TONEAREST && s->rounding >= 0) fesetround(s->rounding);
}
