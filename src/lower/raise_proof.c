/* Raising, the proof: a quantized graph compiled again must be the program that it came from. Integers and bounds have
 * to be equal. Factors were recovered by a division, so they may differ in their last places.
 * Owner rule: the second program ends with the call. */
#include <math.h>

#include "lower/lower.h"
#include "lower/raise_private.h"

static bool near(float a, float b) { return a == b || fabs((double)a - (double)b) <= 0x1p-20 * fabs((double)a); }

static bool same_constant(const kf__program *p, int32_t i, const kf__program *q, int32_t j) {
    if (i < 0 || j < 0) return i < 0 && j < 0;
    const kf__pconst *a = &p->consts[i], *b = &q->consts[j];
    if (a->dtype != b->dtype || a->bytes != b->bytes) return false;
    if (a->dtype != KF_F32) return memcmp(a->data, b->data, a->bytes) == 0;
    for (size_t k = 0; k < a->bytes / sizeof(float); k++)
        if (!near(((const float *)a->data)[k], ((const float *)b->data)[k])) return false;
    return true;
}

static bool same_tensor(const kf__program *p, int32_t i, const kf__program *q, int32_t j) {
    const kf__ptensor *a = &p->tensors[i], *b = &q->tensors[j];
    if (a->dtype != b->dtype || a->n != b->n || a->h != b->h || a->w != b->w || a->c != b->c) return false;
    if (a->dtype == KF_F32) return true;
    bool scales = a->scales >= 0 || a->scale == b->scale;
    return scales && a->zero == b->zero && a->qmin == b->qmin && a->qmax == b->qmax &&
           same_constant(p, a->scales, q, b->scales) && same_constant(p, a->zeros, q, b->zeros);
}

static bool same_step(const kf__program *p, const kf__step *a, const kf__program *q, const kf__step *b) {
    bool same = a->op == b->op && a->n_in == b->n_in && a->border_bias == b->border_bias && a->direct == b->direct &&
                a->qlo == b->qlo && a->qhi == b->qhi && a->pool_qmax == b->pool_qmax &&
                a->hidden_qmax == b->hidden_qmax && near(a->pool_mul, b->pool_mul) &&
                near(a->hidden_inv, b->hidden_inv) && kf__activation_same(&a->act, &b->act) &&
                kf__activation_same(&a->post_act, &b->post_act) && kf__activation_same(&a->gate_act, &b->gate_act) &&
                same_tensor(p, a->out, q, b->out);
    for (int k = 0; same && k < a->n_in; k++) same = same_tensor(p, a->in[k], q, b->in[k]);
    for (int k = 0; same && k < KF_CONST_ROLES; k++) same = same_constant(p, a->consts[k], q, b->consts[k]);
    return same;
}

kf_status kf__raise_proof(const kf__program *p, const kf__graph *g, kf_error *err) {
    kf__program *again;
    const char *differs = NULL;
    KF_TRY(kf__lower(g, &again, err));
    for (int32_t i = 0; !differs && i < p->n_steps && i < again->n_steps; i++)
        if (!same_step(p, &p->steps[i], again, &again->steps[i])) differs = p->steps[i].name;
    if (!differs && p->n_steps != again->n_steps) differs = p->n_steps ? p->steps[p->n_steps - 1].name : "the program";
    kf_status st = differs ? kf_error_set(err, KF_ERR_UNSUPPORTED,
                                          "%s: its numbers are not those that docs/NUMERICS.md derives from scales; "
                                          "export the model it was compiled from",
                                          differs)
                           : KF_OK;
    kf__program_destroy(&again);
    return st;
}
