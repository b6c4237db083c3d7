/* What lower.c and lower_int.c share.
 * Owner rule: see lower.h. */
#ifndef KF_LOWER_PRIVATE_H
#define KF_LOWER_PRIVATE_H

#include "graph/qrules.h"
#include "lower/lower.h"

typedef struct lowering {
    const kf__graph *g;
    kf__program *p;
    int32_t *tensor_of; /* by value id; -1 */
    kf_error *err;
} lowering;

/** Append a constant whose data the program's arena holds; its index or -1 when out of memory. */
int32_t kf__lower_const(lowering *l, const char *node, const char *role, kf_dtype dtype, const kf__shape *shape,
                        const void *data);
/** Quantization of value v into the tensor, with its per-channel constants. */
kf_status kf__lower_quant(lowering *l, kf__vid v, kf__ptensor *t);
/** The step that ops.def names; KF_STEP_NONE without one. */
enum { KF_STEP_NONE = KF_STEP_OP_COUNT };
static inline kf__step_op kf__lower_step_of(kf__op op) {
    static const kf__step_op STEPS[KF_OP_COUNT] = {
#define KF_OP(id, name, least, most, role, attrs, shape, type, eval, step, ...) (kf__step_op) KF_STEP_##step,
#include "graph/ops.def"
#undef KF_OP
    };
    return STEPS[op];
}
/** Multipliers, bounds and factors of an integer step whose weights and output tensor are in place. */
kf_status kf__lower_integer(lowering *l, const kf__node *n, kf__step *s);
/** Why a node that only moves numbers has no step (NULL: it has one), and how it fills the step. */
const char *kf__lower_verdict_move(const kf__graph *g, const kf__node *n);
kf_status kf__lower_move(lowering *l, const kf__node *n, kf__step *s);
const char *kf__lower_verdict_pick(const kf__graph *g, const kf__node *n);
kf_status kf__lower_pick(lowering *l, const kf__node *n, kf__step *s);
/** Fill the MOVE by which a vector in the order of ONNX becomes the node's output. */
kf_status kf__lower_unfold(lowering *l, const kf__node *n, kf__step *s);
/** Append QUANTIZE or DEQUANTIZE from tensor `from` to tensor `to`. */
kf_status kf__lower_convert(lowering *l, const char *name, const kf__quant *q, bool quantize, int32_t from, int32_t to);

#endif
