/* Shared by the files of the ONNX reader: the reading state and its helpers.
 * Owner rule: the protobuf tree lives as long as kf__onnx_read runs. */
#ifndef KF_ONNX_PRIVATE_H
#define KF_ONNX_PRIVATE_H

#include "import/name_index.h"
#include "import/onnx_reader.h"
#include "onnx.pb-c.h"

typedef struct kf__onnx {
    const kf__onnx_options *options;
    kf__graph *g;
    kf_error *err;
    int opset;
    int32_t node_index;
    int64_t batch_file, batch_now; /* the file's, where the caller gave another one; 0: its own */
    bool no_memory;                /* memory ran out while a value was numbered; the file is valid */
    size_t inferred;               /* nodes whose output shapes are inferred already */
    kf__name_index values;
} kf__onnx;

/** Decode one TensorProto into an arena-owned buffer of its dtype (f16, bf16 and f64 become f32). */
kf_status kf__onnx_tensor(kf__onnx *o, const Onnx__TensorProto *t, kf_dtype *dtype, kf__shape *shape, void **data);
/** Element type of an ONNX number; KF_DTYPE_NONE if unknown. */
kf_dtype kf__onnx_dtype(int onnx);
/** Refuse messages nested deeper than any real model before the recursive parser sees them. */
kf_status kf__onnx_check_depth(const uint8_t *data, size_t bytes, kf_error *err);
/** Checks that every attribute has the type that its name requires, and that none is given twice. Errors: FORMAT,
 * LIMIT, UNSUPPORTED. */
kf_status kf__onnx_check_attributes(kf__onnx *o, const Onnx__NodeProto *p);
/** Translate one node; its inputs are already named values. */
kf_status kf__onnx_node(kf__onnx *o, const Onnx__NodeProto *p);
/** The order in which the file's nodes are read, into order[n_node]: their own where producers come first. */
kf_status kf__onnx_sequence(kf__onnx *o, const Onnx__GraphProto *p, int32_t *order);
/** Is the operator one of ours? Its attributes may still be refused. */
bool kf__onnx_known(const Onnx__NodeProto *p);
/** Its operator for people, with the domain before it where that is not ONNX's own; in the file or in `room`. */
enum { KF__ONNX_OP_NAME = 256 };
const char *kf__onnx_op_name(const Onnx__NodeProto *p, char room[KF__ONNX_OP_NAME]);
/** Value of a name, made on first use. -1 when out of memory; the empty name is KF_NO_VALUE. */
kf__vid kf__onnx_value(kf__onnx *o, const char *name);
/** FORMAT when something makes the value already: an input, a constant, a node. */
kf_status kf__onnx_undefined(kf__onnx *o, kf__vid id);
/** Make the value a constant; `d->data` belongs to the graph's arena. FORMAT as above. */
kf_status kf__onnx_define(kf__onnx *o, kf__vid id, const kf__dense *d);
void kf__onnx_notice(const kf__onnx *o, const char *fmt, ...) KF_PRINTF(2, 3);

#endif
