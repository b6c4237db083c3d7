/* kitfox bench [MODEL...]: latency, frames per second and memory by thread count, or by sessions side by side.
 * Ctrl-C ends it after the frame at hand; what was measured before is printed.
 * Owner rule: one model at a time. */
#include <stdio.h>
#include <string.h>

#include "common/files.h"
#include "kitfox/bench_print.h"

enum { KEY_PROFILE = 1000, KEY_TABLE, KEY_RDK, KEY_FLOAT, MAX_COUNTS = 16 };

typedef struct options {
    cli_common common;
    int counts[MAX_COUNTS], n_counts, sessions[MAX_COUNTS], n_sessions, frames;
    bool profile, table, rdk;
    const char *data, *float_model;
    char **models;
    int n_models;
    bench_paces seen;
    bool measured; /* the peak of the memory is that of the model at hand */
} options;

static const struct argp_option OPTIONS[] = {
    {"threads", 't', "1,2,4", 0, "thread counts to try (default 1)", 0},
    {"sessions", 'S', "1,2,4", 0, "that many sessions side by side, each with its own threads, and how well they scale",
     0},
    {"frames", 'n', "N", 0, "timed runs, of all sessions together (default 100, with --rdk 200)", 0},
    {"profile", KEY_PROFILE, NULL, 0, "the smallest time of every step, one by one", 0},
    {"table", KEY_TABLE, NULL, 0,
     "the reference page's table: size, classes, parameters, accuracies, latency with one session and with many (the "
     "largest of --threads, "
     "default all cores), frames per second",
     0},
    {"float", KEY_FLOAT, "MODEL", 0,
     "with --table: where the float accuracy comes from (of the first model, if that is a float one, it is its own)",
     0},
    {"data", 'd', "DIR", 0, "with --table: labelled pictures for the accuracies, as for eval", 0},
    {"rdk", KEY_RDK, NULL, 0, "the lines of hrt_model_exec perf; a thread count is that many sessions of one thread",
     0},
    {0},
};

/* One form of output, and options that would be dropped are refused. */
static void check_options(struct argp_state *state, const options *o) {
    if (o->table + o->rdk + (o->n_sessions > 0) + o->profile > 1)
        argp_error(state, "--table, --rdk, --sessions and --profile exclude each other");
    char name[CLI_OPTION_ROOM];
    const char *picture = cli_picture_option(&o->common.picture, name);
    if (picture && !o->data)
        argp_error(state, "%s needs --table and --data; other measurements read no picture", picture);
    if ((o->data || o->float_model) && !o->table) argp_error(state, "--data and --float need --table");
    if (o->float_model && !o->data) argp_error(state, "--float needs --data DIR");
    if (o->common.preprocess && !o->data) argp_error(state, "--preprocess is for the pictures of --data DIR");
    if (o->rdk && o->common.json) argp_error(state, "--rdk is a form of its own; leave --json out");
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case 't': o->n_counts = cli_numbers(state, "--threads", arg, KF_MAX_THREADS, o->counts, MAX_COUNTS); return 0;
    case 'S': o->n_sessions = cli_numbers(state, "--sessions", arg, KF_MAX_THREADS, o->sessions, MAX_COUNTS); return 0;
    case 'n': o->frames = (int)cli_number(state, "--frames", arg, 1, KF_BENCH_MAX_FRAMES); return 0;
    case ARGP_KEY_INIT: cli_inputs(state, &o->common, 3); return 0;
    case KEY_PROFILE: o->profile = true; return 0;
    case KEY_TABLE: o->table = true; return 0;
    case KEY_RDK: o->rdk = true; return 0;
    case KEY_FLOAT: o->float_model = arg; return 0;
    case 'd': o->data = arg; return 0;
    case ARGP_KEY_ARGS:
        o->models = state->argv + state->next;
        o->n_models = state->argc - state->next;
        return 0;
    case ARGP_KEY_END: check_options(state, o); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* Of all forms: time, print, forget. */
static kf_status measure(options *o, const kf_model *m, const char *name, kf_bench_options b, kf_error *err) {
    kf_bench_result r = {.size = sizeof r};
    b.frames = o->frames, b.progress = cli_stop;
    KF_TRY(kf_bench(m, &b, &r, err));
    kf_status st = KF_OK;
    if (o->rdk) st = bench_print_rdk(&r, err);
    else bench_print(name, &r, m, o->measured ? kf_peak_bytes() : 0, o->common.json);
    if (!o->rdk && !o->n_sessions) bench_note_slower(&o->seen, name, &r, m);
    kf_bench_free(&r);
    fflush(stdout);
    return st;
}

static kf_status table(const options *o, const kf_model *m, const char *name, bool first, kf_error *err) {
    const bench_table how = {&o->common, o->data, o->float_model, o->frames, o->counts, o->n_counts};
    return bench_print_table(&how, m, name, first, err);
}

/* A count of threads is that many sessions with --rdk. */
static kf_status bench(options *o, const kf_model *m, const char *name, kf_error *err) {
    kf_bench_options b;
    for (int t = 0; t < o->n_counts; t++) {
        kf_bench_options_init(&b);
        b.profile = o->profile, b.scaling = o->n_sessions > 0;
        *(o->rdk ? &b.sessions : &b.threads) = o->counts[t];
        for (int i = 0; i < o->n_sessions || i == 0; i++) {
            if (o->n_sessions) b.sessions = o->sessions[i];
            KF_TRY(measure(o, m, name, b, err));
        }
    }
    return KF_OK;
}

/* A compiled model carries its own preprocessing: then --preprocess is for the float model beside it. */
static kf_status load(options *o, const char *arg, kf_model **m, bool first, kf_error *err) {
    cli_common c = o->common;
    if (o->float_model && (!arg || !cli_is_imported(arg))) {
        c.preprocess = c.input_shape = c.arch = NULL;
        c.picture = (cli_picture){0};
    }
    o->measured = kf_peak_reset(NULL) == KF_OK || first;
    return cli_load_model(arg, &c, m, err);
}

int cmd_bench(int argc, char **argv) {
    static const struct argp_child children[] = {
        {&cli_import_argp, 0, NULL, 0}, {&cli_json_argp, 0, NULL, 0}, {&cli_limits_argp, 0, NULL, 0}, {0}};
    static const char doc[] = "Latency, frames per second and peak memory. Where a quantized model and its float form "
                              "are both given, a note says when the quantized one is the slower on this CPU.";
    const struct argp argp = {OPTIONS, parse, "[MODEL...]", doc, children, NULL, NULL};
    options o = {0};
    kf_error err = {0};
    if (cli_parse(&argp, argc, argv, &o) != 0) return EXIT_USAGE;
    o.common.pictures = o.data != NULL;
    if (!o.frames) o.frames = o.rdk ? 200 : 100;
    if (!o.n_counts && !o.table) o.counts[o.n_counts++] = 1;
    bench_note_core();
    for (int i = 0; i < o.n_models || i == 0; i++) {
        const char *arg = o.n_models ? o.models[i] : NULL;
        const char *name = cli_base_name(arg ? arg : "everyday10");
        kf_model *m = NULL;
        kf_status st = load(&o, arg, &m, i == 0, &err);
        cli_cancel_on();
        if (st == KF_OK && o.table) st = table(&o, m, name, i == 0, &err);
        else if (st == KF_OK) st = bench(&o, m, name, &err);
        kf_model_destroy(&m);
        fflush(stdout);
        cli_cancel_off();
        if (st != KF_OK) return cli_fail(&err);
    }
    return EXIT_DONE;
}
