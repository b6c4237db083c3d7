/* hb_mapper checker|makertbin: the flags of the board's converter, over the verbs check and quantize.
 * Owner rule: what kf_check found is released here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kitfox/rdk.h"

enum { MODEL_TYPE, MARCH, PROTO, MODEL, CONFIG, INPUT_SHAPE = CONFIG, FAST_PERF, OUTPUT = FAST_PERF, N_FLAGS };

#define ONE_TARGET "the model runs on any CPU"
#define BOTH                                                                                                           \
    {"model-type", 0, RDK_TEXT, "onnx", NULL, 0, 0, 0}, {"march", 0, RDK_TEXT, "bayes-e", ONE_TARGET, 0, 0, 0},        \
        {"proto", 0, RDK_TEXT, "of Caffe", "Caffe models are not read", 0, 0, 0}, {                                    \
        "model", 0, RDK_TEXT, "the ONNX file", NULL, 0, 0, 0                                                           \
    }
const rdk_flag rdk_checker_flags[] = {
    BOTH,
    {"input-shape", 0, RDK_PAIR, "NAME and 1x3x224x224 (repeat)", NULL, 0, 0, 0},
    {"output", 0, RDK_TEXT, "a file", "nothing is written but hb_mapper_checker.log", 0, 0, 0},
    {0},
};
const rdk_flag rdk_makertbin_flags[] = {
    BOTH,
    {"config", 'c', RDK_TEXT, "the YAML file; kitfox quantize CONFIG.yaml", NULL, 0, 0, 0},
    {"fast-perf", 0, RDK_SWITCH, "without YAML and data: a model to measure speed with", NULL, 0, 0, 0},
    {0},
};

static bool reads_type(const rdk_value *v, const char *tool, int *status) {
    const char *type = v[MODEL_TYPE].text;
    if (!type || strcmp(type, "onnx") == 0) return true;
    *status = cli_usage(tool, "--model-type %.40s: only onnx is read; convert a Caffe model to ONNX", type);
    return false;
}

/* ---- checker ----------------------------------------------------------------------------------------------------- */

static void rule(FILE *f, char of) {
    for (int i = 0; i < 110; i++) fputc(of, f);
    fputc('\n', f);
}

static void print_table(FILE *f, const kf_check_result *r) {
    rule(f, '=');
    fprintf(f, "%-64s %-4s %-9s %s\n", "Node", "ON", "Subgraph", "Type");
    rule(f, '-');
    for (size_t i = 0; i < r->n; i++) {
        const kf_checked_node *n = &r->nodes[i];
        bool bad = n->fate == KF_FATE_UNSUPPORTED, runs = n->fate == KF_FATE_SUPPORTED || n->fate == KF_FATE_FUSED;
        const char *on = bad ? "--" : "CPU";
        const char *subgraph = runs ? "id(0)" : "--";
        fprintf(f, "%-64s %-4s %-9s %s", cli_shown(n->name), on, subgraph, n->op);
        if (bad) fprintf(f, "  unsupported: %s", cli_shown(n->detail));
        if (n->fate == KF_FATE_FOLDED) fputs("  (folded into a constant)", f);
        fputc('\n', f);
    }
    rule(f, '=');
}

/* "NAME=1x3x224x224;..." as the import takes it; false: it is too long. */
static bool shapes(const rdk_value *v, char *text, size_t room) {
    size_t at = 0;
    text[0] = '\0';
    for (int i = 0; i < v->n_pairs && at < room; i++)
        at += (size_t)snprintf(text + at, room - at, "%s%s=%s", i ? ";" : "", v->pairs[i][0], v->pairs[i][1]);
    return at < room;
}

static kf_status write_checker(const kf_check_result *r, bool fits, kf_error *err) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&text, &bytes);
    if (f) print_table(f, r);
    if (f) fputs(fits ? "the model can be converted: End model checking\n" : "the model cannot be converted\n", f);
    if (f && fflush(f) == 0) fwrite(text, 1, bytes, stdout);
    return cli_write_stream("hb_mapper_checker.log", f, &text, &bytes, err);
}

static kf_status check(const rdk_value *v, bool *fits, kf_error *err) {
    char shape[2048];
    kf_import_options o;
    kf_check_result r = {.size = sizeof r};
    kf_import_options_init(&o);
    if (!shapes(&v[INPUT_SHAPE], shape, sizeof shape))
        return cli_error_at(err, KF_ERR_ARGUMENT, "--input-shape", "the names are too long");
    if (shape[0]) o.input_shape = shape;
    kf_status st = kf_check(v[MODEL].text, &o, &r, err);
    *fits = st == KF_OK && r.count[KF_FATE_UNSUPPORTED] == 0;
    if (st == KF_OK || r.n) {
        kf_error why;
        kf_status written = write_checker(&r, *fits, &why);
        if (st == KF_OK && written != KF_OK) st = written, *err = why;
    }
    kf_check_result_free(&r);
    return st;
}

static int checker(int argc, char **argv) {
    const rdk_tool tool = {"hb_mapper checker",
                           "--model-type onnx --march bayes-e --model MODEL.onnx [FLAGS]",
                           "Can the model be compiled? Prints a row a node; exit status 1 if not.",
                           rdk_checker_flags,
                           false,
                           NULL};
    rdk_value v[N_FLAGS];
    kf_error err = {0};
    int status;
    bool fits = false;
    if (!rdk_parse(&tool, argc, argv, v, &status) || !reads_type(v, tool.name, &status)) return status;
    if (!v[MODEL].text) return cli_usage(tool.name, "--model: an ONNX file is needed");
    if (check(v, &fits, &err) != KF_OK) return cli_fail(&err);
    return fits ? EXIT_DONE : EXIT_FAILED;
}

/* ---- makertbin --------------------------------------------------------------------------------------------------- */

/* What --fast-perf means, as a file that can be read and changed: no data, edges removed. */
static const char FAST_PERF_YAML[] =
    "model_parameters:\n  onnx_model: '%s'\n  march: 'bayes-e'\n  output_model_file_prefix: '%s'\n"
    "  working_dir: 'model_output'\n  remove_node_type: 'Quantize;Dequantize;Transpose;Cast;Reshape'\n"
    "input_parameters:\n  input_type_train: 'featuremap'\n  input_layout_train: 'NCHW'\n"
    "  input_type_rt: 'featuremap'\n  norm_type: 'no_preprocess'\n"
    "calibration_parameters:\n  calibration_type: 'skip'\n"
    "compiler_parameters:\n  compile_mode: 'latency'\n  optimize_level: 'O3'\n";

static kf_status write_yaml(const char *model, char *path, size_t room, kf_error *err) {
    char name[RDK_PATH], *text = NULL, *real = realpath(model, NULL);
    size_t bytes = 0;
    if (!real) return cli_error_at(err, KF_ERR_IO, model, "there is no such file");
    rdk_model_name(model, name);
    bool fits = snprintf(path, room, "%s_fast_perf.yaml", name) < (int)room;
    if (!fits || strchr(real, '\'') || strchr(name, '\'')) {
        free(real);
        return cli_error_at(err, KF_ERR_ARGUMENT, model, "a quote in the name, or too long; rename the file");
    }
    FILE *f = open_memstream(&text, &bytes);
    if (f) fprintf(f, FAST_PERF_YAML, real, name);
    free(real);
    const char *const inputs[] = {model};
    const cli_output out = {path, "--fast-perf", false};
    kf_status st = cli_outputs_check(&out, 1, inputs, 1, err);
    if (st == KF_OK) return cli_write_stream(path, f, &text, &bytes, err);
    if (f) fclose(f);
    free(text);
    return st;
}

static int makertbin(int argc, char **argv) {
    const rdk_tool tool = {
        "hb_mapper makertbin",
        "-c CONFIG.yaml --model-type onnx\n       hb_mapper makertbin --fast-perf --model MODEL.onnx",
        "Quantize as the YAML file says; the model is PREFIX.kfx in its working_dir.",
        rdk_makertbin_flags,
        false,
        NULL};
    rdk_value v[N_FLAGS];
    kf_error err = {0};
    char path[RDK_PATH], *args[] = {"hb_mapper makertbin", path, NULL};
    int status;
    if (!rdk_parse(&tool, argc, argv, v, &status) || !reads_type(v, tool.name, &status)) return status;
    bool fast = v[FAST_PERF].number != 0;
    if (fast == (v[CONFIG].text != NULL)) return cli_usage(tool.name, "-c CONFIG.yaml is needed, or --fast-perf");
    if (fast && !v[MODEL].text) return cli_usage(tool.name, "--fast-perf needs --model MODEL.onnx");
    if (fast && write_yaml(v[MODEL].text, path, sizeof path, &err) != KF_OK) return cli_fail(&err);
    if (!fast) args[1] = (char *)v[CONFIG].text;
    const char *dot = strrchr(args[1], '.');
    if (!dot || (strcmp(dot, ".yaml") != 0 && strcmp(dot, ".yml") != 0))
        return cli_usage(tool.name, "%.200s: a .yaml file is needed", args[1]);
    return cmd_quantize(2, args);
}

int rdk_mapper(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "checker") == 0) return checker(argc - 1, argv + 1);
    if (strcmp(what, "makertbin") == 0) return makertbin(argc - 1, argv + 1);
    if (strcmp(what, "--version") == 0) printf("hb_mapper, version %s (kitfox)\n", kf_version());
    else if (strcmp(what, "--help") == 0 || strcmp(what, "-h") == 0)
        puts("Usage: hb_mapper checker|makertbin [FLAGS]\n\nchecker    can a model be compiled?\nmakertbin  quantize "
             "as a "
             "YAML file says\n\n--help behind each lists its flags.");
    else if (strcmp(what, "infer") == 0)
        return cli_usage("hb_mapper", "infer is not here; kitfox run MODEL IN.npy -o OUT.npy gives raw outputs");
    else return cli_usage("hb_mapper", "checker or makertbin is needed");
    return EXIT_DONE;
}
