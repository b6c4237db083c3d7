/* ONNX in, ONNX out: the verbs simplify and export. What is checked are the bytes that will be written.
 * The check runs both networks in the reference executor; nothing is written when they differ.
 * Owner rule: graphs and tensors are released here. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/files.h"

/* Differences above the first, relative to the largest value of the output, are errors in float networks. A quantized
 * one rounds, and what one rounding decides otherwise spreads (docs/ONNX.md): only the second is an error; the first
 * gets a note in exact form. */
#define MAX_DIFFERENCE 1e-5
#define MAX_DIFFERENCE_QUANTIZED 0.1

enum { MAX_TENSORS = 64 };

typedef struct options {
    const char *in, *out, *input_shape, *arch;
    long max_fold_bytes;
    int check;
    kf_qdq_form form;
    bool json;
} options;

static const struct argp_option OPTIONS[] = {
    {"output", 'o', "OUT.onnx", 0, "the file to write (required)", 0},
    {"check", 'c', "N", 0,
     "random inputs that have to give the same outputs before anything is written (default: 3; 0 for none)", 0},
    {"input-shape", 's', "SHAPE", 0, "1x3x224x224, for files with free dimensions", 0},
    {"arch", 'a', "NAME", 0, "timm name of a .safetensors checkpoint (default: recognised)", 0},
    {"max-fold-bytes", CLI_KEY_MAX_FOLD, "N", 0, CLI_MAX_FOLD_HELP, 0},
    {"qdq", 'q', "exact|scales", 0,
     "of a quantized model: arithmetic equal to the bit (default), or real scales as other toolchains read them", 0},
    {"json", 'j', NULL, 0, "one JSON object", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    kf_error err;
    switch (key) {
    case 'o': o->out = arg; return 0;
    case 's': o->input_shape = arg; return 0;
    case 'a': o->arch = arg; return 0;
    case 'j': o->json = true; return 0;
    case CLI_KEY_MAX_FOLD: o->max_fold_bytes = (long)cli_bytes(state, "--max-fold-bytes", arg); return 0;
    case 'q':
        if (kf_qdq_form_from_name(arg, &o->form, &err) != KF_OK) argp_error(state, "--qdq: %s", err.text);
        return 0;
    case 'c': o->check = (int)cli_number(state, "--check", arg, 0, 1000); return 0;
    case ARGP_KEY_ARG:
        if (o->in) argp_error(state, "%s: one input only", arg);
        o->in = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->in || !o->out) argp_error(state, "MODEL and -o OUT.onnx are needed");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static kf_status fail(kf_error *err, kf_status st, const char *what, const char *name) {
    err->status = st;
    snprintf(err->text, sizeof err->text, "%.200s: %.700s", name, what);
    return st;
}

/* ---- the check --------------------------------------------------------------------------------------------------- */

typedef struct tensors {
    kf_tensor item[MAX_TENSORS];
    int n;
} tensors;

static void release(tensors *t) {
    for (int i = 0; i < t->n; i++) free(t->item[i].data);
    t->n = 0;
}

/* Memory for all inputs or outputs that `g` declares. */
static kf_status describe(const kf_graph *g, kf_status (*get)(const kf_graph *, int32_t, kf_tensor *, kf_error *),
                          int n, tensors *t, kf_error *err) {
    t->n = 0;
    if (n > MAX_TENSORS)
        return fail(err, KF_ERR_LIMIT, "too many inputs or outputs to check; use --check 0", "--check");
    for (int i = 0; i < n; i++) {
        kf_tensor *x = &t->item[i];
        kf_status st = get(g, i, x, err);
        if (st != KF_OK) return st;
        x->data = NULL;
        if (x->dtype != KF_F32)
            return fail(err, KF_ERR_UNSUPPORTED, "only float32 can be checked; use --check 0", x->name);
        x->data = calloc(x->bytes + 1, 1);
        if (!x->data) return fail(err, KF_ERR_MEMORY, "out of memory for the check; use --check 0", x->name);
        t->n++;
    }
    return KF_OK;
}

/* Uniform in [-2, 2), the range of a normalized picture; the same numbers at every call. */
static void randomize(tensors *t, uint64_t *state) {
    for (int i = 0; i < t->n; i++)
        for (size_t k = 0; k < t->item[i].bytes / sizeof(float); k++) {
            uint64_t z = *state += 0x9e3779b97f4a7c15u; /* SplitMix64 */
            z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
            z = (z ^ z >> 27) * 0x94d049bb133111ebu;
            ((float *)t->item[i].data)[k] = (float)((z ^ z >> 31) >> 40) * 0x1p-22f - 2.0f;
        }
}

/* Largest difference over the largest magnitude; infinite where only one of the two is a number. */
static double difference(const kf_tensor *a, const kf_tensor *b) {
    const float *x = a->data, *y = b->data;
    double apart = 0, size = 1e-30;
    if (a->bytes != b->bytes) return INFINITY;
    for (size_t i = 0; i < a->bytes / sizeof *x; i++) {
        if (x[i] == y[i] || (isnan(x[i]) && isnan(y[i]))) {
            if (isfinite(x[i])) size = fmax(size, fabs((double)x[i]));
            continue;
        }
        if (!isfinite(x[i]) || !isfinite(y[i])) return INFINITY;
        apart = fmax(apart, fabs((double)x[i] - (double)y[i]));
        size = fmax(size, fabs((double)x[i]));
    }
    return apart / size;
}

/* Whole pixels for the first network, the same normalized for the second. */
static void pixels_of(const kf_preprocess *p, const kf_tensor *normalized, kf_tensor *pixels) {
    const float *x = normalized->data;
    float *to = pixels->data;
    size_t plane = normalized->bytes / sizeof *x / (size_t)(normalized->shape[0] * normalized->shape[1]);
    for (size_t i = 0; i < normalized->bytes / sizeof *x; i++) {
        size_t c = i / plane % (size_t)normalized->shape[1] % 3;
        to[i] = (float)kf_preprocess_pixel(p, (int32_t)c, (double)x[i]);
        ((float *)normalized->data)[i] = (float)kf_preprocess_normalize(p, (int32_t)c, (double)to[i]);
    }
}

static kf_status compare(kf_graph *before, kf_graph *after, int runs, double *worst, kf_error *err) {
    kf_graph_info a = {.size = sizeof a}, b = {.size = sizeof b};
    tensors in = {.n = 0}, raw = {.n = 0}, want = {.n = 0}, have = {.n = 0};
    uint64_t state = 20;
    *worst = 0;
    kf_status st = kf_graph_get_info(before, &a, err);
    if (st == KF_OK) st = kf_graph_get_info(after, &b, err);
    if (st == KF_OK && (a.n_inputs != b.n_inputs || a.n_outputs != b.n_outputs))
        st = fail(err, KF_ERR_INTERNAL, "inputs or outputs got lost; please report this model", "--check");
    if (st == KF_OK) st = describe(after, kf_graph_input, b.n_inputs, &in, err);
    if (st == KF_OK && a.pixels) st = describe(after, kf_graph_input, b.n_inputs, &raw, err);
    if (st == KF_OK) st = describe(after, kf_graph_output, b.n_outputs, &want, err);
    if (st == KF_OK) st = describe(after, kf_graph_output, b.n_outputs, &have, err);
    for (int run = 0; st == KF_OK && run < runs; run++) {
        randomize(&in, &state);
        if (a.pixels && in.item[0].rank == 4) pixels_of(&a.preprocess, &in.item[0], &raw.item[0]);
        st =
            kf_graph_run_reference(before, a.pixels ? raw.item : in.item, (size_t)in.n, want.item, (size_t)want.n, err);
        if (st == KF_OK) st = kf_graph_run_reference(after, in.item, (size_t)in.n, have.item, (size_t)have.n, err);
        for (int i = 0; st == KF_OK && i < have.n; i++) *worst = fmax(*worst, difference(&want.item[i], &have.item[i]));
    }
    release(&in);
    release(&raw);
    release(&want);
    release(&have);
    return st;
}

kf_status cli_check_written(kf_graph *before, kf_graph *back, int runs, const char *file, double *worst,
                            kf_error *err) {
    char text[160];
    kf_graph_info info = {.size = sizeof info};
    *worst = 0;
    if (!runs) return KF_OK;
    kf_status st = compare(before, back, runs, worst, err);
    if (st == KF_OK) st = kf_graph_get_info(before, &info, err);
    double most = st == KF_OK && info.quantized ? MAX_DIFFERENCE_QUANTIZED : MAX_DIFFERENCE;
    if (st != KF_OK || *worst <= most) return st;
    snprintf(text, sizeof text,
             "outputs differ by %.3g of the largest, %.0e is allowed; nothing was written; please report this model",
             *worst, most);
    return fail(err, KF_ERR_INTERNAL, text, file);
}

/* ---- the verbs --------------------------------------------------------------------------------------------------- */

static void report(const options *o, const kf_graph_info *before, const kf_graph_info *after, double worst) {
    if (o->json) {
        json_t *j =
            json_pack("{s:s,s:s,s:i,s:i,s:i,s:i}", "input", o->in, "output", o->out, "opset", after->opset,
                      "nodes_before", before->file_nodes, "nodes_after", after->file_nodes, "checked", o->check);
        json_object_set_new(j, "max_difference", o->check ? json_real(worst) : json_null());
        cli_print_json(j);
        return;
    }
    FILE *to = cli_talk(o->out);
    fprintf(to, "%s: %d nodes\n%s: %d nodes, opset %d", o->in, before->file_nodes, o->out, after->file_nodes,
            after->opset);
    if (o->check) fprintf(to, "; %d random inputs, largest difference %.2g", o->check, worst);
    fputc('\n', to);
}

/* The file once more, optimized, as bytes and read back from them. The first import gave the notices. */
static kf_status rewrite(const options *o, kf_optimize_level level, kf_graph **after, kf_graph **back, kf_error *err) {
    kf_import_options io;
    void *data = NULL;
    size_t bytes;
    kf_import_options_init(&io);
    io.input_shape = o->input_shape;
    io.arch = o->arch;
    io.max_fold_bytes = (uint64_t)o->max_fold_bytes;
    kf_status st = kf_graph_import(o->in, &io, after, err);
    if (st == KF_OK) st = kf_graph_optimize(*after, level, err);
    if (st == KF_OK) st = kf_graph_set_qdq_form(*after, o->form, err);
    if (st == KF_OK) st = kf_graph_write_onnx(*after, &data, &bytes, err);
    if (st == KF_OK) st = kf_graph_import_onnx_memory(data, bytes, NULL, back, err);
    free(data);
    return cli_error_in(err, st, o->in);
}

int cli_rewrite(int argc, char **argv, kf_optimize_level level, const char *doc) {
    const struct argp argp = {OPTIONS, parse, "MODEL -o OUT.onnx", doc, NULL, NULL, NULL};
    options o = {.check = 3};
    kf_error err = {0};
    kf_graph *before = NULL, *after = NULL, *back = NULL;
    kf_graph_info a = {.size = sizeof a}, b = {.size = sizeof b};
    double worst = 0;
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_USAGE;
    const cli_output out = {o.out, "-o", true};
    const cli_common common = {.input_shape = o.input_shape, .arch = o.arch, .outputs = &out, .n_outputs = 1};
    kf_status st = cli_outputs_check(&out, 1, &o.in, 1, &err);
    if (st == KF_OK) st = cli_import(o.in, &common, &before, &err);
    if (st == KF_OK) st = kf_graph_get_info(before, &a, &err);
    if (!a.file_nodes) a.file_nodes = a.n_nodes; /* a checkpoint: the graph that was built for it */
    if (st == KF_OK) st = rewrite(&o, level, &after, &back, &err);
    if (st == KF_OK) st = kf_graph_get_info(back, &b, &err);
    if (st == KF_OK) st = cli_check_written(before, back, o.check, o.out, &worst, &err);
    if (st == KF_OK && a.quantized && o.form == KF_QDQ_EXACT && worst > MAX_DIFFERENCE)
        fprintf(stderr,
                "kitfox: note: %s: differs by %.3g of the largest output; some number of this network is not exact in "
                "float32\n",
                o.out, worst);
    if (st == KF_OK) st = kf_graph_save_onnx(after, cli_output_name(o.out), &err);
    if (st == KF_OK) report(&o, &a, &b, worst);
    kf_graph_destroy(&back);
    kf_graph_destroy(&after);
    kf_graph_destroy(&before);
    return st == KF_OK ? EXIT_DONE : cli_fail(&err);
}
