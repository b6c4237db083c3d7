/* Operator names and arities, straight from ops.def.
 * Floor 3.
 * Owner rule: static data only. */
#include "graph/graph.h"

static const char *const NAMES[KF_OP_COUNT] = {
#define KF_OP(id, name, lo, hi) name,
#include "graph/ops.def"
#undef KF_OP
};

const char *kf__op_name(kf__op op) { return (unsigned)op < KF_OP_COUNT ? NAMES[op] : "?"; }

kf__op kf__op_from_name(const char *name) {
    for (int i = 0; i < KF_OP_FC; i++) /* fused operators have no ONNX spelling */
        if (strcmp(NAMES[i], name) == 0) return (kf__op)i;
    return KF_OP_COUNT;
}
