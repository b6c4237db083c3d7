/* The properties of each operator: the rows of ops.def.
 * Owner rule: static data only. */
#include "graph/graph.h"

const kf__op_info kf__op_table[KF_OP_COUNT] = {
#define KF_OP(id, name, least, most, role, attrs, shape, type, eval, step, rule, output)                               \
    {name, least, most, KF_ROLE_##role, KF_TYPE_##type, KF_RULE_##rule, KF_OUTPUT_##output},
#include "graph/ops.def"
#undef KF_OP
};

const char *kf__op_name(kf__op op) { return (unsigned)op < KF_OP_COUNT ? kf__op_table[op].name : "?"; }

kf__op kf__op_from_name(const char *name) {
    for (int i = 0; i < KF_OP_FC; i++) /* fused operators have no ONNX spelling */
        if (strcmp(kf__op_table[i].name, name) == 0) return (kf__op)i;
    return KF_OP_COUNT;
}
