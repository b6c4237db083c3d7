/* What one run of a program costs, for targets that have to stay quick, and inputs to run on. Computed from the steps,
 * not from what the file states.
 * Owner rule: nothing is kept. */
#ifndef PROGRAM_WORK_H
#define PROGRAM_WORK_H

#include <math.h>

#include "kitfox/types.h"
#include "program/program.h"
#include "program/steps.h"

/* Multiply-adds, windows of pools and elements moved, of all steps: what one run costs, and `bytes` what it writes. */
static double work_of(const kf__program *p, double *bytes) {
    double work = 0;
    *bytes = 0;
    for (int32_t t = 0; t < p->n_tensors; t++) {
        const kf__ptensor *x = &p->tensors[t];
        *bytes += (double)x->n * x->h * x->w * x->c * (double)kf_dtype_size(x->dtype);
    }
    for (int32_t i = 0; i < p->n_steps; i++) {
        const kf__step *s = &p->steps[i];
        const kf__ptensor *y = &p->tensors[s->out];
        bool pool = s->op == KF_STEP_AVG_POOL || s->op == KF_STEP_MAX_POOL;
        double each = pool ? (double)s->window.kh * s->window.kw : 1;
        work += (double)kf__step_macs(p, s) + each * y->n * y->h * y->w * y->c;
    }
    return work;
}

typedef enum fill_kind { FILL_PLAIN, FILL_STRANGE, FILL_EXTREME, FILL_KINDS } fill_kind;

/* PLAIN: between -2 and 2; STRANGE: every seventh is no number, too large or nearly nothing; EXTREME: the largest of
 * either sign and zeros. Bytes: any, the largest, either end. */
static void fill(const kf_tensor *t, fill_kind kind) {
    static const float STRANGE[] = {NAN, INFINITY, -3e38f, 1e-42f, -INFINITY};
    static const float EXTREME[] = {3.4e38f, -3.4e38f, 0, -0.0f, 1e-38f};
    uint32_t x = 12345;
    for (size_t i = 0; i < t->bytes / kf_dtype_size(t->dtype); i++) {
        x = x * 1664525u + 1013904223u;
        if (t->dtype == KF_U8) {
            ((uint8_t *)t->data)[i] =
                kind == FILL_PLAIN ? (uint8_t)(x >> 24) : (uint8_t)(kind == FILL_EXTREME && x >> 31 ? 0 : 255);
            continue;
        }
        float v = (float)((int32_t)(x >> 8) - (1 << 23)) / (1 << 22);
        if (kind == FILL_STRANGE && i % 7 == 3) v = STRANGE[i / 7 % KF_COUNT(STRANGE)];
        if (kind == FILL_EXTREME) v = EXTREME[(x >> 24) % KF_COUNT(EXTREME)];
        ((float *)t->data)[i] = v;
    }
}

#endif
