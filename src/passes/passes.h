/* The rewrites of the graph between import and quantization, their order, and the matching helpers they share.
 * Owner rule: passes change the graph in place; everything they add belongs to the graph's arena. */
#ifndef KF_PASSES_H
#define KF_PASSES_H

#include "graph/graph.h"
#include "kitfox/graph_types.h"

/** Infer shapes, then run all passes up to `level` until nothing changes. In debug builds kf__graph_verify runs after
 * each pass. Idempotent. On an error the graph may be partly rewritten but stays well-formed enough to destroy. */
kf_status kf__passes_run(kf__graph *g, kf_optimize_level level, kf_error *err);

/* Every pass: one rewrite over the whole graph; sets *changed when it did something, leaves dead nodes for
 * kf__graph_compact. */
#define KF_PASS(suffix, level) kf_status kf__pass_##suffix(kf__graph *g, bool *changed, kf_error *err);
#include "passes/passes.def"
#undef KF_PASS

/* ---- inputs as the file declares them (inputs.c) ------------------------------------------------------------------
 */

/** Right after import: an input that the network turns from [N, H, W, C] into [N, C, H, W] becomes an input of that
 * shape which is declared otherwise (kf__value.nhwc), and an input of u8 that is only cast to f32 becomes f32
 * (kf__value.from_u8). The graph computes the same. */
kf_status kf__inputs_declare(kf__graph *g, kf_error *err);

/* ---- orders of axes and of channels (turn.c) ---------------------------------------------------------------------
 */

/** Axis k of a result is axis from[k] of what it was made from. */
typedef struct kf__order {
    int n;
    int from[KF_MAX_RANK];
} kf__order;
/** Is the node a Transpose, or a Reshape that does the same as one between NCHW and NHWC? */
bool kf__order_of(const kf__graph *g, const kf__node *n, kf__order *o);
/** Does a tensor of this shape keep its elements in place in that order? */
bool kf__order_is_view(const kf__shape *x, const kf__order *o);
/** The constant `v`, which has the axes of the result (fewer: the last ones), with the axes of the source. */
kf_status kf__order_const(kf__graph *g, kf__vid v, const kf__order *o, kf__vid *out, kf_error *err);
/** New i64 constant. */
kf_status kf__order_ints(kf__graph *g, const char *base, const int64_t *list, int n, kf__vid *out, kf_error *err);
/** What node `at` becomes: the same operator on other inputs, with a result of `shape`, from which `after` makes the
 * old one. */
typedef struct kf__sunk {
    kf__vid in[64];
    int n_in;
    kf__attrs attrs;
    kf__shape shape;
    kf__op after;          /* a node without other inputs, or GATHER */
    kf__attrs after_attrs; /* its attributes */
    kf__vid after_in;      /* its second input, or KF_NO_VALUE */
} kf__sunk;
kf_status kf__order_sink(kf__graph *g, size_t at, const kf__sunk *s, kf_error *err);
/** Does each element of the result depend on those at the same place only? */
bool kf__order_elementwise(const kf__node *n);

/* ---- edges on request (trim.c) ----------------------------------------------------------------------------------- */

typedef struct kf__edges {
    const char *const *types; /* operators by ONNX name */
    int32_t n_types;
    const char *const *names; /* nodes */
    int32_t n_names;
} kf__edges;
/** Remove such nodes where they touch an input or an output, until none is left there. */
kf_status kf__edges_remove(kf__graph *g, const kf__edges *e, int32_t *removed, kf_error *err);
/** The first outputs of these nodes become the graph's outputs; n > 0. ARGUMENT: no such node, or one twice. */
kf_status kf__edges_cut(kf__graph *g, const char *const *names, int32_t n, kf_error *err);

/* ---- matching and rewriting helpers (match.c) -------------------------------------------------------------------- */

/** The live node with operator `op` that makes `v`, or NULL. */
kf__node *kf__match_producer(const kf__graph *g, kf__vid v, kf__op op);
/** The live node that makes `v`, whatever its operator, or NULL. */
kf__node *kf__match_any(const kf__graph *g, kf__vid v);
/** True when exactly one node input (and no graph output) reads `v`. */
bool kf__match_single(const kf__graph *g, kf__vid v);
/** The only node that reads `v` when that is its only use, else NULL. */
kf__node *kf__match_user(const kf__graph *g, kf__vid v);
bool kf__match_is_const(const kf__graph *g, kf__vid v);
bool kf__match_is_output(const kf__graph *g, kf__vid v);
/** A float constant whose elements are all the same (usually a scalar). */
bool kf__match_scalar(const kf__graph *g, kf__vid v, float *out);
/** Near enough to be the same decimal number written by two exporters. */
bool kf__match_near(float a, double b);
/** Which of the two inputs of a commutative node is the scalar: returns the index of the other one, or -1. */
int kf__match_with_scalar(const kf__graph *g, const kf__node *n, float *scalar);
/** Input `i` of a node or KF_NO_VALUE. */
kf__vid kf__match_in(const kf__node *n, int i);

/** `into`, whose only reader is `from`, takes over output 0 and the source names of `from`; `from` dies. */
kf_status kf__rewrite_absorb(kf__graph *g, kf__node *into, kf__node *from, kf_error *err);
/** Give the node another input `k`. */
void kf__rewrite_input(kf__graph *g, kf__node *n, int k, kf__vid v);
/** Give the node this input list (copied into the arena). */
kf_status kf__rewrite_inputs(kf__graph *g, kf__node *n, const kf__vid *in, int n_in, kf_error *err);
/** New f32 constant named after `base` with `suffix`; data is copied. */
kf_status kf__rewrite_const(kf__graph *g, const char *base, const char *suffix, const kf__shape *shape,
                            const float *data, kf__vid *out, kf_error *err);
/** Constant with the data of `v` under another shape of equal element count; shares the bytes. */
kf_status kf__rewrite_reshaped(kf__graph *g, kf__vid v, const kf__shape *shape, kf__vid *out, kf_error *err);
/** Make node `n` disappear: readers of its output read `v` instead. Keeps the names of graph outputs; false (and
 * nothing happens) when that is impossible. */
bool kf__rewrite_bypass(kf__graph *g, kf__node *n, kf__vid v);

#endif
