/* The sweep over the calls of compile.h: import, rewrite, write, compile, quantize.
 * Every case begins with bytes or files, so that all of its way can fail.
 * Owner rule: see oom.h. */
#include "oom.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static kf_status open_graph(fixture *f, kf_graph **g, kf_error *err) {
    *g = NULL;
    return kf_graph_import_onnx_memory(f->onnx, f->onnx_bytes, NULL, g, err);
}

static void hear(void *user, const char *text) { (void)user, (void)text; }

static void see(void *user, const char *name, const char *op, int32_t known) {
    (void)user, (void)name, (void)op, (void)known;
}

static kf_status do_import(fixture *f, kf_error *err) {
    static const char *const LABELS[] = {"a", "b", "c", "d"};
    kf_graph *g = NULL;
    kf_preprocess p;
    kf_import_options o;
    kf_import_options_init(&o);
    kf_preprocess_init(&p);
    o.preprocess = &p, o.labels = LABELS, o.n_labels = 4, o.input_shape = "1x3x8x8", o.notice = hear, o.node = see;
    kf_status st = kf_graph_import_onnx_memory(f->onnx, f->onnx_bytes, &o, &g, err);
    kf_graph_destroy(&g);
    return st;
}

static kf_status import_path(const char *path, kf_error *err) {
    kf_graph *g = NULL;
    kf_status st = kf_graph_import(path, NULL, &g, err);
    kf_graph_destroy(&g);
    return st;
}

static kf_status do_checkpoint(fixture *f, kf_error *err) { return import_path(f->checkpoint, err); }
static kf_status do_tensors(fixture *f, kf_error *err) {
    kf_graph *g = NULL;
    kf_tensor t = {.name = "classifier.bias", .dtype = KF_F32, .rank = 1, .shape = {1}, .data = f, .bytes = 4};
    kf_status st = kf_graph_import_tensors(&t, 1, "mobilenetv3_small_050", NULL, &g, err);
    kf_graph_destroy(&g);
    return st == KF_ERR_UNSUPPORTED ? KF_OK : st; /* all others are missing */
}

static kf_status do_enums(fixture *f, kf_error *err) {
    kf_range_method range = KF_RANGE_COUNT;
    kf_optimize_level level = KF_OPTIMIZE_COUNT;
    kf_qdq_form form = KF_QDQ_COUNT;
    kf_dtype dtype = 0;
    kf_status status = KF_OK;
    kf_field_kind kind = KF_FIELD_INTEGER;
    kf_pillow pillow = KF_PILLOW_BEFORE_13;
    (void)f;
    kf_status st = kf_range_method_from_name(kf_range_method_name(KF_RANGE_KL), &range, err);
    if (st == KF_OK) st = kf_optimize_level_from_name(kf_optimize_level_name(KF_OPTIMIZE_FUSE), &level, err);
    if (st == KF_OK) st = kf_qdq_form_from_name(kf_qdq_form_name(KF_QDQ_SCALES), &form, err);
    if (st == KF_OK) st = kf_dtype_from_name(kf_dtype_name(KF_I16), &dtype, err);
    if (st == KF_OK) st = kf_pillow_from_name(kf_pillow_name(KF_PILLOW_13), &pillow, err);
    if (st == KF_OK) st = kf_field_kind_from_name(kf_field_kind_name(KF_FIELD_WORD), &kind, err);
    if (st == KF_OK) st = kf_status_from_name(kf_status_name(KF_ERR_IO), &status, err);
    return st == KF_OK && (form != KF_QDQ_SCALES || dtype != KF_I16 || status != KF_ERR_IO) ? KF_ERR_INTERNAL : st;
}

static kf_status do_raise(fixture *f, kf_error *err) { return import_path(f->compiled, err); }

static kf_status facts(kf_graph *g, kf_error *err) {
    kf_graph_info info = {.size = sizeof info};
    kf_tensor t;
    kf_node_info n = {.size = sizeof n};
    kf_status st = kf_graph_get_info(g, &info, err);
    for (int32_t i = 0; st == KF_OK && i < info.n_inputs; i++) st = kf_graph_input(g, i, &t, err);
    for (int32_t i = 0; st == KF_OK && i < info.n_outputs; i++) st = kf_graph_output(g, i, &t, err);
    for (int32_t i = 0; st == KF_OK && i < info.n_nodes; i++) st = kf_graph_node(g, i, &n, err);
    return st;
}

static kf_status do_facts(fixture *f, kf_error *err) {
    kf_graph *g;
    kf_status st = open_graph(f, &g, err);
    if (st == KF_OK) st = facts(g, err);
    if (st == KF_OK) st = kf_graph_optimize(g, KF_OPTIMIZE_SIMPLIFY, err);
    if (st == KF_OK) st = kf_graph_optimize(g, KF_OPTIMIZE_FUSE, err);
    if (st == KF_OK) st = facts(g, err);
    kf_graph_destroy(&g);
    return st;
}

static kf_status do_change(fixture *f, kf_error *err) {
    static const char *const TYPES[] = {"Softmax", "Reshape"}, *const LAST[] = {"Gemm_9"};
    kf_graph *g;
    kf_preprocess p;
    int32_t removed;
    kf_preprocess_init(&p);
    kf_status st = open_graph(f, &g, err);
    if (st == KF_OK) st = kf_graph_trim(g, TYPES, 2, NULL, 0, &removed, err);
    if (st == KF_OK) st = kf_graph_set_outputs(g, LAST, 1, err);
    if (st == KF_OK) st = kf_graph_set_preprocess(g, &p, err);
    if (st == KF_OK) st = kf_graph_set_input_range(g, 1, err);
    if (st == KF_OK) st = kf_graph_set_qdq_form(g, KF_QDQ_SCALES, err);
    kf_graph_destroy(&g);
    return st;
}

static kf_status do_reference(fixture *f, kf_error *err) {
    float x[3 * 8 * 8] = {1, 2, 3}, y[4];
    kf_graph *g;
    kf_tensor in, out;
    kf_status st = open_graph(f, &g, err);
    if (st == KF_OK) st = kf_graph_input(g, 0, &in, err);
    if (st == KF_OK) st = kf_graph_output(g, 0, &out, err);
    in.data = x, in.bytes = sizeof x, out.data = y, out.bytes = sizeof y;
    if (st == KF_OK) st = kf_graph_run_reference(g, &in, 1, &out, 1, err);
    kf_graph_destroy(&g);
    return st;
}

static kf_status do_save_onnx(fixture *f, kf_error *err) {
    kf_graph *g;
    kf_status st = open_graph(f, &g, err);
    if (st == KF_OK) st = kf_graph_save_onnx(g, f->written, err);
    kf_graph_destroy(&g);
    return st;
}

static kf_status do_export(fixture *f, kf_error *err) {
    kf_graph *g;
    void *data = NULL;
    size_t bytes;
    kf_status st = open_graph(f, &g, err);
    if (st == KF_OK) st = kf_graph_optimize(g, KF_OPTIMIZE_FUSE, err);
    if (st == KF_OK) st = kf_graph_write_onnx(g, &data, &bytes, err);
    free(data);
    kf_graph_destroy(&g);
    return st;
}

static kf_status do_compile(fixture *f, kf_error *err) {
    kf_graph *g;
    kf_model *m = NULL;
    kf_status st = open_graph(f, &g, err);
    if (st == KF_OK) st = kf_graph_compile(g, NULL, &m, err);
    kf_model_destroy(&m);
    kf_graph_destroy(&g);
    return st;
}

static kf_status do_save(fixture *f, kf_error *err) {
    kf_graph *g;
    kf_status st = open_graph(f, &g, err);
    if (st == KF_OK) st = kf_graph_save(g, f->written, err);
    kf_graph_destroy(&g);
    return st;
}

enum { SAMPLES = 8, PIXELS = 8 * 8 * 3 };

static kf_status quantize(fixture *f, const kf_quantize_options *o, kf_graph **g, kf_error *err) {
    static unsigned char pixels[SAMPLES][PIXELS];
    kf_tensor t[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        for (int k = 0; k < PIXELS; k++) pixels[i][k] = (unsigned char)(i * 37 + k * 11 + k % (i + 3) * 5);
        t[i] = (kf_tensor){.dtype = KF_U8, .rank = 3, .shape = {8, 8, 3}, .data = pixels[i], .bytes = PIXELS};
    }
    kf_status st = open_graph(f, g, err);
    return st == KF_OK ? kf_graph_quantize(*g, t, SAMPLES, o, err) : st;
}

static kf_status do_quantize(fixture *f, kf_error *err) {
    kf_graph *g;
    kf_model *m = NULL;
    kf_quantize_options o;
    kf_quantized_node n = {.size = sizeof n};
    kf_quantized_histogram h = {.size = sizeof h};
    double agreement, sqnr;
    int32_t samples;
    kf_quantize_options_init(&o);
    o.threads = 1, o.detail = 1, o.gain = 1;
    kf_status st = quantize(f, &o, &g, err);
    if (st == KF_OK) st = kf_graph_quantized_node(g, 0, &n, err);
    if (st == KF_OK) st = kf_graph_quantized_histogram(g, 0, 1, &h, err);
    if (st == KF_OK) st = kf_graph_quantized_summary(g, &agreement, &sqnr, &samples, err);
    if (st == KF_OK) st = kf_graph_compile(g, NULL, &m, err);
    kf_model_destroy(&m);
    kf_graph_destroy(&g);
    return st;
}

static kf_status do_search(fixture *f, kf_error *err) {
    kf_graph *g;
    kf_quantize_options o;
    kf_search_result r = {.size = sizeof r};
    kf_search_candidate c = {.size = sizeof c};
    kf_quantize_options_init(&o);
    o.threads = 1, o.target_cosine = 1, o.max_int16_macs = 100;
    kf_status st = quantize(f, &o, &g, err);
    if (st == KF_OK) st = kf_graph_search_result(g, &r, err);
    if (st == KF_OK && r.candidates > 0) st = kf_graph_search_candidate(g, 0, &c, err);
    kf_graph_destroy(&g);
    return st;
}

static kf_status do_write_quantized(fixture *f, kf_error *err) {
    kf_graph *g;
    kf_quantize_options o;
    void *data = NULL;
    size_t bytes;
    kf_quantize_options_init(&o);
    o.threads = 1, o.rounding = 0, o.equalize = 0, o.bias_correction = 0;
    kf_status st = quantize(f, &o, &g, err);
    if (st == KF_OK) st = kf_graph_write_onnx(g, &data, &bytes, err);
    free(data);
    kf_graph_destroy(&g);
    return st;
}

static kf_status do_zoo(fixture *f, kf_error *err) {
    kf_zoo_entry e = {.size = sizeof e};
    (void)f;
    return kf_zoo_get(3, &e, err);
}

static kf_status do_hash(fixture *f, kf_error *err) {
    char hex[65];
    return kf_file_sha256(f->compiled, hex, err);
}

static kf_status do_open(fixture *f, kf_error *err) {
    int fd;
    uint64_t bytes;
    kf_status st = kf_file_open(f->compiled, &fd, &bytes, err);
    if (st == KF_OK) close(fd);
    return st;
}

static kf_status do_explain(fixture *f, kf_error *err) {
    kf_status st = kf_file_explain(f->compiled, KF_FILE_ONNX, KF_ERR_FORMAT, err);
    const kf_file_kind *k = kf_file_recognize(f->onnx, f->onnx_bytes);
    return st == KF_ERR_FORMAT && (!k || k->reads == KF_FILE_ONNX) ? KF_OK : KF_ERR_INTERNAL;
}

/* Runs in a process of its own, because afterwards nothing can be written any more. */
static kf_status do_write(fixture *f, kf_error *err) {
    kf_status st = kf_file_check(f->written, err);
    if (st == KF_OK) st = kf_file_write(f->written, "some", 4, 0, err);
    pid_t child = st == KF_OK ? fork() : -1;
    if (child == 0) {
        kf_file_abandon();
        _exit(0);
    }
    if (child > 0) waitpid(child, NULL, 0);
    return st;
}

static kf_status do_preprocess_name(fixture *f, kf_error *err) {
    kf_preprocess p;
    (void)f;
    return kf_preprocess_by_name("mobilenetv3_large_100", &p, err);
}

const oom_case oom_toolchain[] = {{"import", do_import, OOM_ANY},
                                  {"checkpoint", do_checkpoint, OOM_JSON},
                                  {"tensors", do_tensors, OOM_ANY},
                                  {"enums", do_enums, OOM_NONE},
                                  {"raise", do_raise, OOM_JSON},
                                  {"facts", do_facts, OOM_ANY},
                                  {"change", do_change, OOM_ANY},
                                  {"reference", do_reference, OOM_ANY},
                                  {"save onnx", do_save_onnx, OOM_ANY},
                                  {"export", do_export, OOM_ANY},
                                  {"compile", do_compile, OOM_JSON},
                                  {"save", do_save, OOM_JSON},
                                  {"quantize", do_quantize, OOM_JSON},
                                  {"search", do_search, OOM_ANY},
                                  {"write quantized", do_write_quantized, OOM_ANY},
                                  {"zoo", do_zoo, OOM_ANY},
                                  {"hash", do_hash, OOM_NONE},
                                  {"open", do_open, OOM_NONE},
                                  {"write", do_write, OOM_NONE},
                                  {"explain", do_explain, OOM_NONE},
                                  {"preprocess by name", do_preprocess_name, OOM_NONE},
                                  {0}};
