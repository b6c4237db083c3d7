/* The graph: nodes, values and their quantization, as imported and as rewritten by passes. The toolchain's only
 * structure; ONNX semantics (NCHW, OIHW) throughout.
 * Owner rule: the graph's arena owns everything reachable from it, names and constant data included. */
#ifndef KF_GRAPH_H
#define KF_GRAPH_H

#include "tensor/quant.h"
#include "tensor/requant.h"
#include "tensor/tensor.h"
#include "tensor/window.h"

/* A switch over operators, roles, rules or activations must name all of them, so the compiler reports where a new
 * one is missing. */
#pragma GCC diagnostic error "-Wswitch-enum"

typedef enum kf__op {
#define KF_OP(id, ...) KF_OP_##id,
#include "graph/ops.def"
#undef KF_OP
    KF_OP_COUNT
} kf__op;

/** The role of an operator, for code that handles kinds of operators instead of single ones. */
typedef enum kf__op_role {
    KF_ROLE_LAYER,      /* weights in input 1, a bias in input 2; attrs.act */
    KF_ROLE_GATE,       /* two layers in one: weights in inputs 1 and 3, biases in 2 and 4 */
    KF_ROLE_GATED,      /* channels times the gate in input 1 */
    KF_ROLE_MATRIX,     /* a matrix product, before passes turn it into a layer */
    KF_ROLE_NORM,       /* batch norm */
    KF_ROLE_ACTIVATION, /* elementwise; passes turn it into an ACT */
    KF_ROLE_ARITHMETIC, /* elements, with broadcasting */
    KF_ROLE_POOL,       /* a number for each channel and window */
    KF_ROLE_REDUCTION,  /* over axes */
    KF_ROLE_VIEW,       /* the same elements in the same order under another shape */
    KF_ROLE_MOVE,       /* elements to other places, or to another type */
    KF_ROLE_SHAPE,      /* arithmetic of shapes */
    KF_ROLE_QDQ         /* in files that another tool quantized */
} kf__op_role;

/** Element type of the result. */
typedef enum kf__op_type {
    KF_TYPE_SAME,   /* as input 0 */
    KF_TYPE_SECOND, /* as input 1 */
    KF_TYPE_STORED, /* as input 2; u8 without it */
    KF_TYPE_TO,     /* attrs.to */
    KF_TYPE_F32,
    KF_TYPE_I64,
    KF_TYPE_BOOL
} kf__op_type;

/** How the operator runs on integers (docs/NUMERICS.md). */
typedef enum kf__op_rule {
    KF_RULE_NONE, /* in f32, between a DEQUANTIZE and a QUANTIZE step */
    KF_RULE_CONV,
    KF_RULE_FC,
    KF_RULE_SE_GATE,
    KF_RULE_SCALE,
    KF_RULE_ACT,
    KF_RULE_PAIR, /* sum or product of two tensors of one shape */
    KF_RULE_MEAN, /* of each channel's image */
    KF_RULE_AVG_POOL,
    KF_RULE_MAX_POOL,
    KF_RULE_CONCAT,
    KF_RULE_PAD,
    KF_RULE_VIEW,
    KF_RULE_MOVE /* the same numbers in other places, or some of them */
} kf__op_rule;

/** How the quantizer stores the result. */
typedef enum kf__op_output {
    KF_OUTPUT_OWN,  /* integers with their own range */
    KF_OUTPUT_KEEP, /* integers with the scale and zero point of input 0 */
    KF_OUTPUT_FLOAT /* f32 */
} kf__op_output;

/** A row of ops.def. */
typedef struct kf__op_info {
    const char *name;
    int32_t least, most; /* inputs */
    kf__op_role role;
    kf__op_type type;
    kf__op_rule rule;
    kf__op_output output;
} kf__op_info;

extern const kf__op_info kf__op_table[KF_OP_COUNT]; /* schema.c */

static inline bool kf__op_is_layer(kf__op op) { return kf__op_table[op].role == KF_ROLE_LAYER; }
static inline bool kf__op_is_gate(kf__op op) { return kf__op_table[op].role == KF_ROLE_GATE; }
/** Does it multiply by constants that the quantizer rounds? */
static inline bool kf__op_has_weights(kf__op op) { return kf__op_is_layer(op) || kf__op_is_gate(op); }
static inline bool kf__op_is_view(kf__op op) { return kf__op_table[op].role == KF_ROLE_VIEW; }
static inline bool kf__op_has_integer_rules(kf__op op) { return kf__op_table[op].rule != KF_RULE_NONE; }
/** Does its result consist of its first input's integers, at the same scale? */
static inline bool kf__op_keeps_integers(kf__op op) { return kf__op_table[op].output == KF_OUTPUT_KEEP; }

/** Does it take real scores and give real numbers, at the end of a network whose other layers work on integers? */
static inline bool kf__op_is_float_head(kf__op op) {
    return kf__op_table[op].output == KF_OUTPUT_FLOAT && !kf__op_has_integer_rules(op);
}

/** Index of a value in kf__graph.values; -1 means an absent optional input. */
typedef int32_t kf__vid;
#define KF_NO_VALUE (-1)

typedef struct kf__value {
    const char *name; /* never NULL; unique among values that are graph inputs or outputs */
    kf_dtype dtype;   /* of the float graph; the stored type is quant->dtype once quantized */
    kf__shape shape;  /* rank -1 until inferred */
    int32_t producer; /* node index; -1 for graph inputs and constants */
    const void *data; /* constants: elements of `dtype` (row-major); NULL otherwise */
    size_t bytes;
    kf__quant *quant; /* NULL in float graphs */
    /* Inputs of the graph: how the model declares them. The value itself is f32 [N, C, H, W] all the same. */
    bool nhwc;    /* [N, H, W, C] */
    bool from_u8; /* the numbers 0..255 */
} kf__value;

/** The shape that the model declares for an input. */
static inline kf__shape kf__value_declared(const kf__value *v) {
    if (!v->nhwc || v->shape.rank != 4) return v->shape;
    return kf__shape_make(4, (int64_t[]){v->shape.dim[0], v->shape.dim[2], v->shape.dim[3], v->shape.dim[1]});
}

/** What a PAD puts around its input: a value, the nearest element, or the elements in reverse without the nearest. */
typedef enum kf__pad_mode { KF_PAD_VALUE, KF_PAD_EDGE, KF_PAD_REFLECT } kf__pad_mode;

/** The element of an axis of `dim` elements that is element i of the padded axis, `before` of which precede element 0
 * (negative: some are cut off). Outside 0..dim-1 where a value stands. Reflected ones exist: infer.c. */
static inline int64_t kf__pad_from(int32_t mode, int64_t i, int64_t before, int64_t dim) {
    const int64_t at = i - before;
    if (mode == KF_PAD_EDGE) return at < 0 ? 0 : kf__min_i64(at, dim - 1);
    if (mode != KF_PAD_REFLECT) return at;
    return at < 0 ? -at : kf__min_i64(at, 2 * (dim - 1) - at);
}

typedef struct kf__attrs {
    kf__window window;
    kf__activation act;      /* applied after bias (CONV: before the residual) */
    kf__activation post_act; /* CONV, ADD: applied after the residual sum; NONE or CLIP */
    kf__activation gate_act; /* SE_GATE: activation of the second layer */
    float alpha, beta, epsilon, value;
    int32_t axis, keepdims, trans_a, trans_b, ceil_mode, count_include_pad, start, end;
    int32_t num_outputs; /* SPLIT of opset 18: as the file has it, 0 when absent */
    int32_t noop;        /* reductions: without axes nothing is reduced; otherwise everything is */
    int32_t selects;     /* TOP_K, TOP, ARG_MAX, ARG_MIN: KF_SELECTS_* */
    int32_t mode;        /* PAD: kf__pad_mode */
    int32_t allow_zero;  /* RESHAPE: a 0 in the target shape is an extent, not a copy of the input's */
    kf_dtype to;
    int32_t n_axes; /* axes, permutation, split sizes, or pads of PAD (2 * rank, ONNX order) */
    int64_t axes[2 * KF_MAX_RANK];
    kf__quant *pool_quant, *hidden_quant; /* SE_GATE of a quantized graph: i16 pooled values and hidden layer */
} kf__attrs;

typedef struct kf__node {
    kf__op op;
    bool dead;        /* removed by a pass; kf__graph_compact drops it */
    const char *name; /* the ONNX node name, or a generated one ("Conv_12") if the file has none; in fused nodes that of
                         the convolution */
    int32_t n_sources, cap_sources; /* names of all ONNX nodes fused into this one, `name` included, in graph order */
    const char **sources;
    int32_t n_in, n_out;
    kf__vid *in, *out;
    kf__attrs attrs;
    int32_t origin; /* index of the node in the ONNX file, for messages */
} kf__node;

/** Preprocessing, labels and provenance that travel with the network. */
typedef struct kf__meta {
    kf_preprocess preprocess;
    int32_t input_range;           /* range of the NV12 frames that it will get: 0 full, 1 limited */
    int32_t range_known;           /* 0: nobody said so */
    int32_t origin;                /* kf_origin of `preprocess` */
    const char *preprocess_source; /* what it was recognized from, or NULL */
    int32_t takes;                 /* kf_takes of input 0; 0: as kf__graph_takes finds it */
    int32_t scores;                /* kf_scores_kind of output 0; 0: as kf__graph_scores finds it */
    int32_t n_labels;
    const char **labels;
    const char *arch;          /* "mobilenetv3_large_100" or NULL */
    const char *source;        /* file name it came from (no folders) or NULL */
    const char *producer;      /* "pytorch 1.13.0" or NULL */
    const char *task;          /* e.g. "classification"; NULL = that */
    int64_t source_parameters; /* sum of initializer elements in the file ("stored"); 0 unknown */
    int32_t source_nodes;      /* nodes in the file, Constant nodes included; 0 unknown */
} kf__meta;

typedef struct kf__graph {
    kf__arena arena;
    const char *name;
    int32_t opset, ir_version;
    kf__node *nodes; /* topologically sorted after import and after every pass */
    size_t n_nodes, cap_nodes;
    kf__value *values;
    size_t n_values, cap_values;
    kf__vid *inputs, *outputs; /* initializers are not inputs */
    size_t n_inputs, n_outputs;
    kf__meta meta;
    struct kf__uses *uses; /* uses.c; NULL: no index */
    uint64_t max_fold_bytes, fold_bytes,
        fold_work; /* for budget.c; a limit of 0 is derived from the constants when first needed */
} kf__graph;

/** Nodes, readers and names that this thread has looked at so far. Tests of cost count these instead of time. */
extern _Thread_local uint64_t kf__graph_looks; /* graph.c */

/* ---- building (graph.c) ------------------------------------------------------------------------------------------ */

kf_status kf__graph_create(kf__graph **out, kf_error *err);
void kf__graph_destroy(kf__graph **graph);
/** Deep copy. */
kf_status kf__graph_clone(const kf__graph *graph, kf__graph **out, kf_error *err);
/** Append a value; the name is copied. Returns -1 when out of memory. */
kf__vid kf__graph_add_value(kf__graph *g, const char *name, kf_dtype dtype, const kf__shape *shape);
/** Append a constant; `data` is copied into the arena (bytes from dtype and shape). -1 when out of memory. */
kf__vid kf__graph_add_const(kf__graph *g, const char *name, kf_dtype dtype, const kf__shape *shape, const void *data);
/** Append a node with copied inputs and outputs and its own name as only source; sets the outputs' producer.
 *  NULL when out of memory. The pointer is valid until the next add. */
kf__node *kf__graph_add_node(kf__graph *g, kf__op op, const char *name, const kf__vid *in, int n_in, const kf__vid *out,
                             int n_out);
/** Give `into` all source names of `from` (for fusing). */
kf_status kf__graph_merge_sources(kf__graph *g, kf__node *into, const kf__node *from, kf_error *err);
/** Drop dead nodes, nodes whose outputs nobody reads, and renumber; sorts topologically. Values keep their index. */
kf_status kf__graph_compact(kf__graph *g, kf_error *err);

/* ---- who reads a value (uses.c) ---------------------------------------------------------------------------------- */

/** Index the readers of every value; without memory for it the calls below scan all nodes. The index lasts until
 * kf__graph_compact or kf__graph_drop_uses; meanwhile kf__graph_add_node and the functions below maintain it. Code
 * that writes kf__node.in calls kf__graph_reads. */
void kf__graph_index_uses(kf__graph *g);
void kf__graph_drop_uses(kf__graph *g);
/** Record that node number `node` now reads `v` (negative: nothing to do). */
void kf__graph_reads(kf__graph *g, int32_t node, kf__vid v);
/** Replace every use of `from` (node inputs and graph outputs) by `to`. */
void kf__graph_replace_uses(kf__graph *g, kf__vid from, kf__vid to);
/** Number of node inputs and graph outputs that read `v`; *only (may be NULL) gets the one reading node or -1. Scans
 * all nodes. */
int kf__graph_uses(const kf__graph *g, kf__vid v, int32_t *only);
/** The same, but counts only to 2, which stands for several; uses the index if there is one. */
int kf__graph_few_uses(const kf__graph *g, kf__vid v, int32_t *only);
bool kf__graph_is_output(const kf__graph *g, kf__vid v);
/** INTERNAL when the index misses a use. */
kf_status kf__graph_verify_uses(const kf__graph *g, kf_error *err);

/* ---- what constants may cost (budget.c) -------------------------------------------------------------------------- */

/** What computing the node costs, in multiply-adds; shapes are inferred. Saturates. */
uint64_t kf__graph_work(const kf__graph *g, const kf__node *n);
/** Derive max_fold_bytes from the constants that the graph has now, unless it is set: 256 MiB and 16 times their bytes.
 */
void kf__graph_set_budget(kf__graph *g);
/** Count the bytes and the work that a new constant costs, before it is made. LIMIT, with `name`, both numbers and the
 * option: all bytes so far exceed max_fold_bytes, or all work four times that. */
kf_status kf__graph_charge(kf__graph *g, const char *name, uint64_t bytes, uint64_t work, kf_error *err);
/** LIMIT if constants that several nodes read would exceed max_fold_bytes: each such node gets a copy when it is
 * compiled. */
kf_status kf__graph_check_copies(kf__graph *g, kf_error *err);

/* ---- numbers that are none (finite.c) ---------------------------------------------------------------------------- */

/** FORMAT, naming the tensor and the element, unless x is finite. */
kf_status kf__finite_element(const char *name, float x, size_t i, kf_error *err);
/** FORMAT, naming node and constant, when a node would compute with a constant or an attribute that is NaN or infinite.
 * Legal are infinite bounds of Clip, Min and Max, pads, and what Where chooses. */
kf_status kf__graph_check_finite(const kf__graph *g, kf_error *err);

/* ---- order (order.c) --------------------------------------------------------------------------------------------- */

/** What must come before each of n nodes: node i needs node[first[i]] to node[first[i + 1] - 1]; a negative one is no
 * node. */
typedef struct kf__needs {
    size_t n;
    const size_t *first; /* [n + 1] */
    const int32_t *node;
} kf__needs;
/** Order the wanted nodes (NULL: all) so that each follows what it needs, as close to their own order as repeated
 * sweeps allow; needs that are not wanted are ignored. *placed below the number of wanted nodes: there is a cycle,
 * and `order` is not written. Linear in nodes and needs. */
kf_status kf__order_nodes(const kf__needs *needs, const bool *wanted, int32_t *order, size_t *placed, kf_error *err);

/* ---- schema and shapes (schema.c, infer.c) ----------------------------------------------------------------------- */

const char *kf__op_name(kf__op op);
/** From an ONNX op_type; KF_OP_COUNT if unknown. */
kf__op kf__op_from_name(const char *name);
/** Most outputs that ONNX gives the operator (operands.def). */
int32_t kf__op_outputs(kf__op op);
/** Extents that a SHAPE node with these attributes gives of an input of `rank`: returns how many, from *first on. */
int kf__shape_query(const kf__attrs *a, int rank, int *first);
/** Most elements of a tensor: far more than any network needs, and bytes and strides stay inside 64 bits. */
#define KF_MOST_ELEMENTS ((int64_t)1 << 40)
/** Is each extent from 0 to KF_MOST_ELEMENTS, and their product too, with 1 for 0? Strides of such a shape never
 *  overflow. */
static inline bool kf__graph_shape_fits(const kf__shape *s) {
    int64_t n = 1;
    if (s->rank < 0 || s->rank > KF_MAX_RANK) return false;
    for (int i = 0; i < s->rank; i++) {
        if (s->dim[i] < 0 || s->dim[i] > KF_MOST_ELEMENTS / n) return false;
        n *= kf__max_i64(s->dim[i], 1);
    }
    return true;
}
/** Infer dtype and shape of all node outputs, in order, after checking every operand. Constants give values to shape
 *  operators. Only SPLIT and TOP_K compute more than their first output. An error names node and reason: FORMAT
 * (operands missing or too many), SHAPE, LIMIT (a result too large for any machine). Values whose shape cannot be known
 * yet keep rank -1 (legal before constant folding). */
kf_status kf__graph_infer(kf__graph *g, kf_error *err);
/** The same for the nodes from index `first` on; those before it were inferred. */
kf_status kf__graph_infer_from(kf__graph *g, size_t first, kf_error *err);
/** Structural checks between passes: order, single producer; then inference, which checks operands against
 * operands.def. */
kf_status kf__graph_verify(kf__graph *g, kf_error *err);

/* ---- evaluation of one node on dense tensors (eval_*.c): used by constant folding and by ref --------------------- */

/** A dense tensor whose data the callee may read (inputs) or must allocate from `arena` (outputs). */
typedef struct kf__dense {
    kf_dtype dtype;
    kf__shape shape;
    void *data;
} kf__dense;
/** Compute all outputs of a node from dense inputs (NULL for absent). F32 with double accumulation; integer types as
 * ONNX says. KF_ERR_UNSUPPORTED for an operator without an evaluator. */
kf_status kf__eval_node(const kf__node *node, const kf__dense *const *in, int n_in, kf__dense *out, int n_out,
                        kf__arena *arena, kf_error *err);

/* ---- counting (count.c); definitions in docs/COUNT.md ------------------------------------------------------------ */

/** A convolution in which every channel has a filter of its own and no other. Shapes are inferred. */
static inline bool kf__node_is_depthwise(const kf__graph *g, const kf__node *n) {
    if (n->op != KF_OP_CONV) return false;
    const kf__shape *w = &g->values[n->in[1]].shape;
    return kf__window_is_depthwise(&n->attrs.window, w->dim[1] * n->attrs.window.group, w->dim[0]);
}

/** Multiply-accumulates of one node (batch included): convolutions, fully connected layers, SE layers; 0 for others. */
int64_t kf__node_macs(const kf__graph *g, const kf__node *n);
/** Elements of the node's learned constants: weights, biases, batch norm gamma and beta (not its running statistics).
 */
int64_t kf__node_parameters(const kf__graph *g, const kf__node *n);
/** Output elements of convolutions and fully connected layers (SE layers included); 0 for others. */
int64_t kf__node_activations(const kf__graph *g, const kf__node *n);
/** Sums over the graph; a constant that several nodes share counts once. Any pointer may be NULL. */
kf_status kf__graph_count(const kf__graph *g, int64_t *macs, int64_t *parameters, int64_t *activations, kf_error *err);

/** Parameters before batch norms were folded, as timm counts them: of a fused graph, what kf__graph_count says plus one
 *  (gamma) for every output channel of a CONV with a bias. SE layers and FC never had a batch norm. */
kf_status kf__graph_count_architecture(const kf__graph *g, int64_t *parameters, kf_error *err);

/* ---- what numbers mean (meaning.c) ------------------------------------------------------------------------------- */

/** What output `output` gives: meta.scores for the first, if somebody said so; else found from the operators that made
 *  it. Shapes are inferred. UNKNOWN where neither helps. */
kf_scores_kind kf__graph_scores(const kf__graph *g, size_t output);
/** What the numbers of value `v` mean, as an output. */
kf_scores_kind kf__graph_scores_of(const kf__graph *g, kf__vid v);
/** The value that judges a network: output 0, or, where that is an index or a choice of the largest (ArgMax, TopK), the
 * scores among which it chooses. */
kf__vid kf__graph_ranked(const kf__graph *g);
/** What input `input` takes: pixels where the quantizer was fed pixels, meta.takes, or what the preprocessing says. */
kf_takes kf__graph_takes(const kf__graph *g, size_t input);

/* ---- text (dump.c) ----------------------------------------------------------------------------------------------- */

/** One line per node, for tests and --verbose. */
void kf__graph_dump(const kf__graph *g, kf__strbuf *out);

#endif
