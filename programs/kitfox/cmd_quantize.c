/* kitfox quantize MODEL --calib DIR -o OUT.kfx, or CONFIG.yaml: post-training quantization, with a table of what it
 * cost where. Owner rule: the output appears whole or not at all. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/files.h"
#include "kitfox/quantize.h"

enum {
    KEY_LIST = 2000,
    KEY_LIMIT,
    KEY_METHOD,
    KEY_PERCENTILE,
    KEY_INT16,
    KEY_REPORT,
    KEY_DATA,
    KEY_GAIN,
    KEY_FLAG,
    MAX_INT16 = 256
};

typedef struct options {
    cli_common common;
    const char *model, *out, *calib, *list, *ranges; /* ranges: the option that chose them */
    size_t limit;
    kf_quantize_options q;
    const char *int16[MAX_INT16];
    quantize_search search;
    bool nodes;
    quantize_report report;
    quantize_pace pace;
} options;

static const struct argp_option OPTIONS[] = {
    {"output", 'o', "OUT.kfx", 0, "the quantized model (required without YAML)", 0},
    {"calib", 'c', "DIR", 0, "typical pictures, or .npy inputs (required without YAML)", 0},
    {"calib-list", KEY_LIST, "FILE", 0, "which files of DIR, one per line", 0},
    {"limit", KEY_LIMIT, "N", 0, "use N of them, spread evenly (default 200)", 0},
    {"method", KEY_METHOD, "mse|max|percentile|kl", 0, "how ranges are chosen (default mse)", 0},
    {"max-percentile", KEY_PERCENTILE, "P", 0, "percent of values kept, for --method percentile (default 99.99)", 0},
    {"int16", KEY_INT16, "NODE", 0, "this node reads and writes int16 (repeat)", 0},
    {"nodes", 'n', NULL, 0, "print the node table (--json always does)", 0},
    {"report", KEY_REPORT, "OUT.html", 0, "a page: accuracy, what each node costs, histograms, changed answers", 0},
    {"data", KEY_DATA, "DIR", 0, "test pictures to compare with float; labels from labels.csv or class folders", 0},
    {"no-per-channel", KEY_FLAG, NULL, 0, "one weight scale per layer", 1},
    {"no-channel-scales", KEY_FLAG + 1, NULL, 0, "one activation scale per tensor everywhere", 1},
    {"no-bias-correction", KEY_FLAG + 2, NULL, 0, "leave biases as they are", 1},
    {"no-rounding", KEY_FLAG + 3, NULL, 0, "round weights to nearest", 1},
    {"no-cross", KEY_FLAG + 4, NULL, 0, "rounding looks at its own layer only", 1},
    {"no-equalize", KEY_FLAG + 5, NULL, 0, "leave channels scaled as they are in the file", 1},
    {"gain", KEY_GAIN, NULL, 0, "refit weight scales after rounding", 1},
    {0},
};

static error_t parse_switch(options *o, int key) {
    int32_t *flags[] = {&o->q.per_channel, &o->q.channel_scales, &o->q.bias_correction,
                        &o->q.rounding,    &o->q.cross,          &o->q.equalize};
    if (key < KEY_FLAG || key >= KEY_FLAG + 6) return ARGP_ERR_UNKNOWN;
    *flags[key - KEY_FLAG] = 0;
    return 0;
}

/* The file says these things; an option that would contradict it is refused. */
static void refuse_beside_yaml(struct argp_state *state, const options *o) {
    const char *option = o->out                  ? "--output"
                         : o->calib              ? "--calib"
                         : o->list               ? "--calib-list"
                         : o->ranges             ? o->ranges
                         : o->q.n_int16          ? "--int16"
                         : o->common.preprocess  ? "--preprocess"
                         : o->common.input_shape ? "--input-shape"
                         : o->common.arch        ? "--arch"
                                                 : NULL;
    if (option) argp_error(state, "%s does not apply beside a YAML file; %s says it", option, o->model);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    char *end = NULL;
    kf_error err;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->common, state->child_inputs[1] = &o->search; return 0;
    case 'o': o->out = arg; return 0;
    case 'c': o->calib = arg; return 0;
    case 'n': o->nodes = true; return 0;
    case KEY_LIST: o->list = arg; return 0;
    case KEY_LIMIT: o->limit = (size_t)cli_number(state, "--limit", arg, 1, 1000000); return 0;
    case KEY_METHOD:
        o->ranges = "--method";
        if (kf_range_method_from_name(arg, &o->q.range, &err) != KF_OK) argp_error(state, "--method: %s", err.text);
        return 0;
    case KEY_PERCENTILE:
        o->ranges = "--max-percentile";
        o->q.percentile = strtod(arg, &end);
        if (*end || end == arg || !(o->q.percentile >= 50 && o->q.percentile <= 100))
            argp_error(state, "--max-percentile %s: 50 to 100 is needed", arg);
        return 0;
    case KEY_REPORT: o->report.path = arg; return 0;
    case KEY_DATA: o->report.data = arg; return 0;
    case KEY_GAIN: o->q.gain = 1; return 0;
    case KEY_INT16:
        if (o->q.n_int16 == MAX_INT16) argp_error(state, "--int16: at most %d nodes", MAX_INT16);
        o->int16[o->q.n_int16++] = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (o->model) argp_error(state, "%s: one model only", arg);
        o->model = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->model && quantize_is_yaml(o->model)) refuse_beside_yaml(state, o);
        else if (!o->model || !o->out || !o->calib)
            argp_error(state, "MODEL, --calib DIR and -o OUT.kfx, or CONFIG.yaml, are needed");
        return 0;
    default: return parse_switch(o, key);
    }
}

static int progress(void *user, size_t done, size_t total) {
    (void)user;
    if (!isatty(2)) return cli_signals_waited();
    fprintf(stderr, "\rquantizing %3zu of %zu nodes", done, total);
    if (done == total) fprintf(stderr, "\r%40s\r", "");
    return cli_signals_waited();
}

static kf_status check_outputs(const options *o, const cli_output out[2], kf_error *err) {
    char csv[2][4096];
    snprintf(csv[0], sizeof csv[0], "%.4000s/labels.csv", o->calib);
    snprintf(csv[1], sizeof csv[1], "%.4000s/labels.csv", o->report.data ? o->report.data : o->calib);
    return cli_outputs_check(out, 2, (const char *const[]){o->model, o->list, o->common.labels, csv[0], csv[1]}, 5,
                             err);
}

static kf_status run(options *o, kf_graph **g, pictures *p, kf_error *err) {
    kf_graph_info info = {.size = sizeof info};
    double start = cli_now_ms();
    const cli_output out[] = {{o->out, "-o", false}, {o->report.path, "--report", false}};
    kf_status st = check_outputs(o, out, err);
    o->common.outputs = out, o->common.n_outputs = 2;
    if (st == KF_OK) st = cli_import(o->model, &o->common, g, err);
    if (st == KF_OK) st = kf_graph_get_info(*g, &info, err);
    if (st == KF_OK) st = pictures_find(o->calib, o->list, o->limit, p, err);
    for (int i = 0; st == KF_OK && i < 2; i++) st = cli_output_apart(&out[i], (const char *const *)p->paths, p->n, err);
    if (st == KF_OK) st = pictures_load(p, &info.preprocess, err);
    if (st == KF_OK) st = kf_samples_check(p, &info.preprocess, cli_note, NULL, NULL, err);
    if (st == KF_OK) st = quantize_search_labels(&o->search, *g, o->calib, p, err);
    if (st == KF_OK) st = quantize_report_begin(&o->report, o->model, *g, &o->q, err);
    if (st == KF_OK) st = quantize_pace_begin(&o->pace, *g, err);
    cli_signals_wait(); /* the first one stops at the next node or trial, a second one at once */
    if (st == KF_OK) st = kf_graph_quantize(*g, p->tensors, p->n, &o->q, err);
    cli_signals_go();
    if (st == KF_OK) st = quantize_report_measure(&o->report, *g, p, err);
    if (st == KF_OK) st = quantize_pace_measure(&o->pace, *g, err);
    if (st == KF_OK) st = kf_graph_save(*g, o->out, err);
    if (st == KF_OK) st = quantize_report_write(&o->report, *g, o->out, err);
    if (st != KF_OK) return st;
    if (o->nodes || o->common.json) quantize_print_nodes(*g, o->common.json);
    quantize_print_search(*g, o->common.json, o->nodes);
    return quantize_print_summary(*g, o->out, p, (cli_now_ms() - start) / 1e3, &o->report, &o->pace, o->common.json,
                                  err);
}

int cmd_quantize(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {&quantize_search_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        OPTIONS, parse, "MODEL --calib DIR -o OUT.kfx\nCONFIG.yaml", "Post-training quantization to 8 bits.", children,
        NULL,    NULL};
    options o = {.limit = 200};
    o.search.q = &o.q;
    pictures p = {0};
    kf_error err = {0};
    kf_graph *g = NULL;
    kf_quantize_options_init(&o.q);
    o.q.progress = progress;
    o.q.fewer_threads = cli_fewer_threads;
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_USAGE;
    o.q.int16_nodes = o.int16;
    o.q.threads = o.common.threads;
    o.report.threads = o.common.threads;
    kf_status st = quantize_is_yaml(o.model) ? quantize_yaml(o.model, &o.common, &o.q, o.limit, &o.report, &err)
                                             : run(&o, &g, &p, &err);
    quantize_report_free(&o.report);
    quantize_pace_free(&o.pace);
    pictures_free(&p);
    quantize_search_free(&o.search);
    kf_graph_destroy(&g);
    return st == KF_OK ? EXIT_DONE : cli_fail(&err);
}
