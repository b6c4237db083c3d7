/* kitfox quantize MODEL --calib DIR -o OUT.kfx, or CONFIG.yaml: post-training quantization, with a table of what it
 * cost where. Arguments alone.
 * Owner rule: strings belong to the command line. */
#include <stdlib.h>
#include <string.h>

#include "common/cancel.h"
#include "kitfox/quantize.h"

enum {
    KEY_LIST = 2000,
    KEY_METHOD,
    KEY_PERCENTILE,
    KEY_INT16,
    KEY_REPORT,
    KEY_GAIN,
    KEY_NO_DOCTOR,
    KEY_FLAG,
    MAX_INT16 = 256
};

typedef struct options {
    quantize_job job;
    const char *ranges; /* the option that chose them */
    const char *int16[MAX_INT16];
} options;

static const struct argp_option OPTIONS[] = {
    {"output", 'o', "OUT.kfx", 0, "the quantized model (required without YAML)", 0},
    {"calib", 'c', "DIR", 0, "typical pictures, or .npy inputs (required without YAML)", 0},
    {"method", KEY_METHOD, "mse|max|percentile|kl", 0, "how ranges are chosen (default mse)", 0},
    {"max-percentile", KEY_PERCENTILE, "P", 0, "percent of values kept, for --method percentile (default 99.99)", 0},
    {"calib-list", KEY_LIST, "FILE", OPTION_HIDDEN, "the former name of --list", 0},
    {"int16", KEY_INT16, "NODE", 0, "this node reads and writes int16 (repeat)", 0},
    {"nodes", 'N', NULL, 0, "print the node table (--json always does)", 0},
    {"report", KEY_REPORT, "OUT.html", 0, "a page: accuracy, what each node costs, histograms, changed answers", 0},
    {"data", 'd', "DIR", 0, "test pictures to compare with float; labels from labels.csv or class folders", 0},
    {"no-doctor", KEY_NO_DOCTOR, NULL, 0,
     "leave out the check whether 20 pictures score better with other preprocessing", 0},
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
    int32_t *flags[] = {&o->job.q.per_channel, &o->job.q.channel_scales, &o->job.q.bias_correction,
                        &o->job.q.rounding,    &o->job.q.cross,          &o->job.q.equalize};
    if (key < KEY_FLAG || key >= KEY_FLAG + 6) return ARGP_ERR_UNKNOWN;
    *flags[key - KEY_FLAG] = 0;
    return 0;
}

/* The file says these things; an option that would contradict it is refused. */
static void refuse_beside_yaml(struct argp_state *state, const options *o) {
    char name[CLI_OPTION_ROOM];
    const char *picture = cli_picture_option(&o->job.common.picture, name);
    const char *option = o->job.out                  ? "--output"
                         : o->job.calib              ? "--calib"
                         : o->job.choice.list        ? "--list"
                         : o->ranges                 ? o->ranges
                         : o->job.q.n_int16          ? "--int16"
                         : o->job.common.preprocess  ? "--preprocess"
                         : picture                   ? picture
                         : o->job.common.input_shape ? "--input-shape"
                         : o->job.common.batch       ? "--batch"
                         : o->job.common.arch        ? "--arch"
                                                     : NULL;
    if (option) argp_error(state, "%s does not apply beside a YAML file; %s says it", option, o->job.model);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    char *end = NULL;
    kf_error err;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->job.common, state->child_inputs[1] = &o->job.search,
        state->child_inputs[2] = &o->job.choice;
        return 0;
    case 'o': o->job.out = arg; return 0;
    case 'c': o->job.calib = arg; return 0;
    case 'N': o->job.nodes = true; return 0;
    case KEY_LIST: o->job.choice.list = arg; return 0;
    case KEY_METHOD:
        o->ranges = "--method";
        if (kf_range_method_from_name(arg, &o->job.q.range, &err) != KF_OK) argp_error(state, "--method: %s", err.text);
        return 0;
    case KEY_PERCENTILE:
        o->ranges = "--max-percentile";
        o->job.q.percentile = strtod(arg, &end);
        if (*end || end == arg || !(o->job.q.percentile >= 50 && o->job.q.percentile <= 100))
            argp_error(state, "--max-percentile %s: 50 to 100 is needed", arg);
        return 0;
    case KEY_REPORT: o->job.report = arg; return 0;
    case 'd': o->job.data = arg; return 0;
    case KEY_NO_DOCTOR: o->job.common.no_doctor = true; return 0;
    case KEY_GAIN: o->job.q.gain = 1; return 0;
    case KEY_INT16:
        if (o->job.q.n_int16 == MAX_INT16) argp_error(state, "--int16: at most %d nodes", MAX_INT16);
        o->int16[o->job.q.n_int16++] = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (o->job.model) argp_error(state, "%s: one model only", arg);
        o->job.model = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->job.model && quantize_is_yaml(o->job.model)) refuse_beside_yaml(state, o);
        else if (!o->job.model || !o->job.out || !o->job.calib)
            argp_error(state, "MODEL, --calib DIR and -o OUT.kfx, or CONFIG.yaml, are needed");
        return 0;
    default: return parse_switch(o, key);
    }
}

static int progress(void *user, size_t done, size_t total) {
    (void)user;
    return cli_progress("quantizing, nodes", done, total);
}

int cmd_quantize(int argc, char **argv) {
    const struct argp_child children[] = {
        {&cli_common_argp, 0, NULL, 0}, {&quantize_search_argp, 0, NULL, 0}, {&cli_choice_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {OPTIONS,
                              parse,
                              "MODEL --calib DIR -o OUT.kfx\nCONFIG.yaml",
                              "Post-training quantization to 8 bits. --limit is 200 where it is not given.",
                              children,
                              NULL,
                              NULL};
    options o = {.job.choice.limit = 200, .job.common.pictures = true, .job.common.one = true};
    quantize_job *job = &o.job;
    kf_error err = {0};
    job->search.q = &job->q;
    kf_quantize_options_init(&job->q);
    job->q.progress = progress;
    job->q.fewer_threads = cli_fewer_threads;
    if (cli_parse(&argp, argc, argv, &o) != 0) return EXIT_USAGE;
    job->q.int16_nodes = o.int16;
    job->q.threads = job->common.threads;
    quantize_note_level();
    kf_status st = quantize_is_yaml(job->model) ? quantize_yaml(job, &err) : quantize_model(job, &err);
    return st == KF_OK ? EXIT_DONE : cli_fail(&err);
}
