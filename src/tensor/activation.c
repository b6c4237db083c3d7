/* Names of activations, as the model file spells them.
 * Owner rule: static data only. */
#include "tensor/activation.h"

static const char *const NAMES[KF_ACT_COUNT] = {
#define KF_X(id, name) name,
    KF_ACTS(KF_X)
#undef KF_X
};

const char *kf__act_name(kf__act kind) { return (unsigned)kind < KF_ACT_COUNT ? NAMES[kind] : "?"; }

kf__act kf__act_from_name(const char *name) {
    for (int i = 0; i < KF_ACT_COUNT; i++)
        if (strcmp(NAMES[i], name) == 0) return (kf__act)i;
    return KF_ACT_COUNT;
}
