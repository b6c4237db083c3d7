/* The table of kinds, and what they have in common.
 * Owner rule: see step_kinds.h. */
#include "runtime/steps/step_kinds.h"

const kf__step_kind kf__step_kinds[KF_STEP_OP_COUNT] = {
    [KF_STEP_CONV] = {{kf__prepare_conv_f32, kf__prepare_conv_int}, {kf__pack_matrix_f32, kf__pack_matrix_int}},
    [KF_STEP_DWCONV] = {{kf__prepare_dwconv_f32, kf__prepare_dwconv_int}, {kf__pack_dwconv_f32, kf__pack_dwconv_int}},
    [KF_STEP_FC] = {{kf__prepare_fc_f32, kf__prepare_fc_int}, {kf__pack_matrix_f32, kf__pack_matrix_int}},
    [KF_STEP_SE_GATE] = {{kf__prepare_gate_f32, kf__prepare_gate_int}, {kf__pack_gate_f32, kf__pack_gate_int}},
    [KF_STEP_SCALE] = {{kf__prepare_scale_f32, kf__prepare_scale_int}, {NULL, kf__pack_scale_int}},
    [KF_STEP_ADD] = {{kf__prepare_sum_f32, kf__prepare_eltwise_int}, {NULL, kf__pack_eltwise_int}},
    [KF_STEP_MUL] = {{kf__prepare_product_f32, kf__prepare_eltwise_int}, {NULL, kf__pack_eltwise_int}},
    [KF_STEP_ACT] = {{kf__prepare_sum_f32, kf__prepare_eltwise_int}, {NULL, kf__pack_eltwise_int}},
    [KF_STEP_GLOBAL_POOL] = {{kf__prepare_global_pool_f32, kf__prepare_global_pool_int},
                             {NULL, kf__pack_global_pool_int}},
    [KF_STEP_AVG_POOL] = {{kf__prepare_pool_f32, kf__prepare_pool_int}, {NULL, kf__pack_pool_int}},
    [KF_STEP_MAX_POOL] = {{kf__prepare_pool_f32, kf__prepare_pool_int}, {NULL, kf__pack_pool_int}},
    [KF_STEP_CONCAT] = {{kf__prepare_concat_f32, kf__prepare_concat_int}, {NULL, kf__pack_concat_int}},
    [KF_STEP_SOFTMAX] = {{kf__prepare_softmax_f32, NULL}, {NULL, NULL}},
    [KF_STEP_LOG_SOFTMAX] = {{kf__prepare_softmax_f32, NULL}, {NULL, NULL}},
    [KF_STEP_TOP] = {{kf__prepare_top_f32, NULL}, {NULL, NULL}},
    [KF_STEP_TO_NCHW] = {{kf__prepare_to_nchw, kf__prepare_to_nchw}, {NULL, NULL}},
    [KF_STEP_MOVE] = {{kf__prepare_move, kf__prepare_move}, {NULL, NULL}},
    [KF_STEP_PICK] = {{kf__prepare_pick, kf__prepare_pick}, {NULL, NULL}},
    [KF_STEP_QUANTIZE] = {{NULL, kf__prepare_convert_int}, {NULL, kf__pack_convert_int}},
    [KF_STEP_DEQUANTIZE] = {{NULL, kf__prepare_convert_int}, {NULL, kf__pack_convert_int}},
};

void *kf__prepare_own(kf__preparing *k, size_t bytes) {
    void *own = kf__arena_zalloc(k->arena, bytes);
    if (!own)
        kf_error_set(k->err, KF_ERR_MEMORY, "step %s: out of memory; %zu bytes were asked for", k->s->name, bytes);
    k->to->own = own;
    return own;
}

static void run_workers(const kf__exec *x, const kf__prepared *s) {
    kf__job j = kf__job_of(x, s);
    kf__pool_run(x->pool, s->worker, &j);
}

void kf__prepare_workers(kf__preparing *k, void (*worker)(void *job, int worker, int workers)) {
    k->to->run = run_workers;
    k->to->worker = worker;
}

/* Addresses and types of one step, looked up once for all of its workers. */
kf__job kf__job_of(const kf__exec *x, const kf__prepared *p) {
    const kf__step *s = p->step;
    return (kf__job){.x = x,
                     .p = p,
                     .s = s,
                     .in = p->in,
                     .out = p->out,
                     .src = kf__exec_tensor(x, s->in[0]),
                     .src2 = s->n_in > 1 ? kf__exec_tensor(x, s->in[1]) : NULL,
                     .dst = kf__exec_tensor(x, s->out),
                     .in_size = kf_dtype_size(p->in->dtype),
                     .out_size = kf_dtype_size(p->out->dtype)};
}

kf__epilogue kf__job_epilogue(const kf__job *j) {
    const kf__step *s = j->s;
    bool conv = s->op == KF_STEP_CONV || s->op == KF_STEP_DWCONV;
    return (kf__epilogue){.bias = kf__job_const(j, KF_CONST_BIAS),
                          .act = s->act,
                          .residual = conv && j->src2 ? kf__f32_of(j->src2) : NULL,
                          .ld_residual = (size_t)j->out->c,
                          .post = s->post_act};
}

kf__ahead kf__job_ahead(const kf__job *j, int worker, int workers) {
    size_t from, to;
    kf__share(j->p->ahead.lines, 1, worker, workers, &from, &to);
    return (kf__ahead){.at = j->p->ahead.at + from * KF_LINE, .lines = to - from};
}
