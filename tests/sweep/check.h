/* One network of the sweep from ONNX bytes to scores, in f32 and in 8 bits, on every level, against src/ref.
 * Owner rule: everything is released before the call returns; a failure may keep it, as the program is about to end. */
#ifndef SWEEP_CHECK_H
#define SWEEP_CHECK_H

#include "cpu/cpu.h"
#include "geometry.h"
#include "kitfox/status.h"

typedef enum result { NOT_RUN, RAN, REFUSED, FAILED } result;

typedef struct outcome {
    result result;
    kf_status status;       /* of a refusal */
    int runs_f32, runs_int; /* sessions run and compared */
    double worst;           /* largest error of a float run, relative to the bound */
    char text[200];         /* of a refusal or failure: where, and what was said */
} outcome;

/** Levels of this machine that KITFOX_CPU allows, lowest first, and their number. `to` has room for KF_CPU_LEVELS. */
int sweep_levels(kf__cpu_level *to);
/** Network `index`: also saved to a file in `folder` and verified when that is not NULL. */
void sweep_check(const net_row *r, uint64_t seed, int index, const char *folder, outcome *to);

#endif
