/* kitfox bench [MODEL...]: latency, frames per second and memory by thread count, or by sessions side by side.
 * Medians of many runs after a warm-up.
 * Owner rule: one model at a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kitfox/bench.h"

enum { KEY_PROFILE = 1000, KEY_TABLE, KEY_RDK, KEY_FLOAT, MAX_COUNTS = 16, MAX_PACE = 32 };

typedef struct options {
    cli_common common;
    int counts[MAX_COUNTS], n_counts, sessions[MAX_COUNTS], n_sessions, frames;
    bool profile, table, rdk;
    const char *data, *float_model;
    char **models;
    int n_models;
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
    {"preprocess", 'p', "timm:NAME", 0, "picture preprocessing, for ONNX files with --data", 0},
    {"json", 'j', NULL, 0, "one JSON object per line", 0},
    {"input-shape", 's', "SHAPE", 0, "for ONNX files with free dimensions", 0},
    {0},
};

/* "1,2,4" into at most MAX_COUNTS numbers. */
static int parse_counts(struct argp_state *state, const char *option, const char *arg, int *counts) {
    char *end;
    for (int i = 0; i < MAX_COUNTS; arg = end + 1) {
        long n = strtol(arg, &end, 10);
        if (end == arg || n < 1 || n > BENCH_MAX || (*end && *end != ','))
            argp_error(state, "%s: numbers from 1 to %d with commas are needed", option, BENCH_MAX);
        counts[i++] = (int)n;
        if (!*end) return i;
    }
    argp_error(state, "%s: at most %d numbers", option, MAX_COUNTS);
    return 0;
}

/* One form of output, and options that would be dropped are refused. */
static void check_options(struct argp_state *state, const options *o) {
    if (o->table + o->rdk + (o->n_sessions > 0) + o->profile > 1)
        argp_error(state, "--table, --rdk, --sessions and --profile exclude each other");
    if ((o->data || o->float_model) && !o->table) argp_error(state, "--data and --float need --table");
    if (o->float_model && !o->data) argp_error(state, "--float needs --data DIR");
    if (o->rdk && o->common.json) argp_error(state, "--rdk is a form of its own; leave --json out");
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case 't': o->n_counts = parse_counts(state, "--threads", arg, o->counts); return 0;
    case 'S': o->n_sessions = parse_counts(state, "--sessions", arg, o->sessions); return 0;
    case 'n': o->frames = (int)cli_number(state, "--frames", arg, 1, 1000000); return 0;
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->common; return 0;
    case KEY_PROFILE: o->profile = true; return 0;
    case KEY_TABLE: o->table = true; return 0;
    case KEY_RDK: o->rdk = true; return 0;
    case KEY_FLOAT: o->float_model = arg; return 0;
    case 'd': o->data = arg; return 0;
    case 'p': o->common.preprocess = arg; return 0;
    case 'j': o->common.json = true; return 0;
    case 's': o->common.input_shape = arg; return 0;
    case ARGP_KEY_ARGS:
        o->models = state->argv + state->next;
        o->n_models = state->argc - state->next;
        return 0;
    case ARGP_KEY_END: check_options(state, o); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static double peak_mib(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024;
}

/* One object a step, in order. */
static json_t *profile_json(const bench_result *r, const kf_model *m) {
    json_t *steps = json_array();
    kf_step_info t = {.size = sizeof t};
    for (int i = 0; i < r->n_steps && kf_model_step(m, i, &t, NULL) == KF_OK; i++)
        json_array_append_new(steps, json_pack("{s:s,s:s,s:s,s:[I,I,I,I],s:I,s:f}", "name", t.name, "op", t.op,
                                               "kernel", t.kernel, "shape", (json_int_t)t.shape[0],
                                               (json_int_t)t.shape[1], (json_int_t)t.shape[2], (json_int_t)t.shape[3],
                                               "macs", (json_int_t)t.macs, "ms", r->step_ms[i]));
    return steps;
}

/* `alone`: frames per second of one session, for the scaling; 0 where one session alone is timed. */
static void report(const char *name, const bench_result *r, const kf_model *m, double alone, bool json) {
    double fps = alone > 0 ? r->frames * 1e3 / r->wall : 1e3 / r->median,
           scaling = alone > 0 ? fps / (alone * r->sessions) : 1;
    if (json) {
        json_t *j = json_pack("{s:s,s:i,s:s,s:f,s:f,s:f,s:f,s:s}", "model", name, "threads", r->threads, "mode",
                              alone > 0 ? "throughput" : "latency", "median_ms", r->median, "p90_ms", r->p90, "fps",
                              fps, "rss_mib", peak_mib(), "isa", kf_cpu_name());
        if (alone > 0)
            json_object_set_new(j, "sessions", json_integer(r->sessions)),
                json_object_set_new(j, "scaling", json_real(scaling));
        if (r->n_steps) json_object_set_new(j, "steps", profile_json(r, m));
        cli_print_json(j);
        return;
    }
    printf("%-34s ", name);
    if (alone > 0) printf("sessions %2d  ", r->sessions);
    printf("threads %2d  min %7.3f  median %7.3f  p90 %7.3f ms  %8.1f FPS  ", r->threads, r->lowest, r->median, r->p90,
           fps);
    if (alone > 0) printf("scaling %.2f  ", scaling);
    printf("peak RSS %6.1f MiB  %s\n", peak_mib(), kf_cpu_name());
}

static void print_profile(const bench_result *r, const kf_model *m) {
    kf_step_info t = {.size = sizeof t};
    for (int i = 0; i < r->n_steps && kf_model_step(m, i, &t, NULL) == KF_OK; i++)
        printf("%4d  %-11s %-18s %4lldx%-4lldx%-5lld %8.4f ms  %7.2f GMAC/s  %s\n", i, t.op, t.kernel,
               (long long)t.shape[1], (long long)t.shape[2], (long long)t.shape[3], r->step_ms[i],
               r->step_ms[i] > 0 ? (double)t.macs / r->step_ms[i] / 1e6 : 0, t.name);
}

/* Medians seen so far, to tell a quantized model that its float form is faster. */
typedef struct pace {
    const char *name;
    int64_t macs, parameters;
    int threads, quantized;
    double median;
} pace;

/* Folding normalization into weights changes the parameters a little, not the multiply-adds. */
static bool same_network(const pace *a, const pace *b) {
    return a->macs == b->macs && llabs((long long)(a->parameters - b->parameters)) * 100 <= b->parameters;
}

static void note_slower(const pace *seen, int n) {
    const pace *now = &seen[n - 1];
    for (const pace *p = seen; p < now; p++) {
        if (!same_network(p, now) || p->threads != now->threads || !p->quantized == !now->quantized) continue;
        const pace *q = p->quantized ? p : now, *f = p->quantized ? now : p;
        if (q->median > f->median)
            fprintf(stderr,
                    "%s: note: %s is slower than its float form %s on this CPU (%s, threads %d): %.3f and %.3f ms\n",
                    cli_program, q->name, f->name, kf_cpu_name(), now->threads, q->median, f->median);
    }
}

static kf_status bench_latency(const options *o, const kf_model *m, const char *name, pace *seen, int *n_seen,
                               kf_error *err) {
    kf_model_info info = {.size = sizeof info};
    kf_model_get_info(m, &info);
    for (int t = 0; t < o->n_counts; t++) {
        bench_result r;
        kf_status st = bench_run(m, 1, o->counts[t], o->frames, o->profile, &r, err);
        if (st != KF_OK) return st;
        report(name, &r, m, 0, o->common.json);
        if (!o->common.json) print_profile(&r, m);
        if (*n_seen < MAX_PACE) {
            seen[(*n_seen)++] = (pace){name, info.macs, info.parameters, o->counts[t], info.quantized, r.median};
            note_slower(seen, *n_seen);
        }
        bench_close(&r);
    }
    return KF_OK;
}

/* Every count of sessions against one session timed just before. */
static kf_status bench_sessions(const options *o, const kf_model *m, const char *name, kf_error *err) {
    for (int t = 0; t < o->n_counts; t++)
        for (int i = 0; i < o->n_sessions; i++) {
            bench_result r;
            kf_status st = bench_run(m, 1, o->counts[t], o->frames, false, &r, err);
            if (st != KF_OK) return st;
            double alone = r.frames * 1e3 / r.wall;
            if (o->sessions[i] > 1) {
                bench_close(&r);
                st = bench_run(m, o->sessions[i], o->counts[t], o->frames, false, &r, err);
                if (st != KF_OK) return st;
            }
            report(name, &r, m, alone, o->common.json);
            bench_close(&r);
        }
    return KF_OK;
}

static kf_status bench_rdk(const options *o, const kf_model *m, kf_error *err) {
    for (int t = 0; t < o->n_counts; t++) {
        bench_result r;
        kf_status st = bench_run(m, o->counts[t], 1, o->frames, false, &r, err);
        if (st != KF_OK) return st;
        bench_print_rdk(&r);
        bench_close(&r);
    }
    return KF_OK;
}

static kf_status accuracies(const options *o, const kf_model *m, bench_row *row, kf_error *err) {
    kf_model_info info = {.size = sizeof info};
    kf_model *other = NULL;
    kf_model_get_info(m, &info);
    kf_status st =
        o->data ? bench_top1(m, o->data, info.quantized ? &row->quantized_top1 : &row->float_top1, err) : KF_OK;
    if (st != KF_OK || !o->float_model || !info.quantized) return st;
    cli_common c = o->common;
    c.labels = c.arch = NULL;
    st = cli_load_model(o->float_model, &c, &other, err);
    if (st != KF_OK) return st;
    kf_model_get_info(other, &info);
    if (info.quantized)
        st = cli_error_at(err, KF_ERR_ARGUMENT, o->float_model, "is quantized itself; give the float model");
    if (st == KF_OK) st = bench_top1(other, o->data, &row->float_top1, err);
    kf_model_destroy(&other);
    return st;
}

static kf_status bench_table(const options *o, const kf_model *m, const char *name, bool first, kf_error *err) {
    bench_row row;
    bench_result r;
    int many = (int)sysconf(_SC_NPROCESSORS_ONLN);
    many = many < 1 ? 1 : many > BENCH_MAX ? BENCH_MAX : many;
    for (int t = 0; t < o->n_counts; t++) many = t == 0 || o->counts[t] > many ? o->counts[t] : many;
    kf_status st = bench_row_of(m, name, &row, err);
    if (st == KF_OK) st = accuracies(o, m, &row, err);
    if (st == KF_OK) st = bench_run(m, 1, 1, o->frames, false, &r, err);
    if (st != KF_OK) return st;
    row.ms_one = r.mean;
    bench_close(&r);
    st = bench_run(m, many, 1, o->frames, false, &r, err);
    if (st == KF_ERR_MEMORY && !o->n_counts && r.started > 0 && r.started < many) {
        cli_note_threads(r.started, many); /* nobody asked for so many */
        st = bench_run(m, many = r.started, 1, o->frames, false, &r, err);
    }
    if (st != KF_OK) return st;
    row.many = many, row.ms_many = r.mean, row.fps = r.frames * 1e3 / r.wall;
    bench_close(&r);
    bench_print_row(&row, first, o->common.json);
    return KF_OK;
}

/* A compiled model carries its own preprocessing: then --preprocess is for the float model beside it. */
static kf_status load(const options *o, const char *arg, kf_model **m, kf_error *err) {
    cli_common c = o->common;
    size_t n = arg ? strlen(arg) : 0;
    if (o->float_model && (n < 5 || strcmp(arg + n - 5, ".onnx") != 0)) c.preprocess = c.input_shape = NULL;
    return cli_load_model(arg, &c, m, err);
}

int cmd_bench(int argc, char **argv) {
    static const struct argp_child children[] = {{&cli_limits_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {OPTIONS,
                              parse,
                              "[MODEL...]",
                              "Latency, frames per second and peak memory. Where a quantized model and its float form "
                              "are both given, a note says when the quantized one is the slower on this CPU.",
                              children,
                              NULL,
                              NULL};
    options o = {0};
    kf_error err = {0};
    pace seen[MAX_PACE];
    int n_seen = 0;
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_USAGE;
    if (!o.frames) o.frames = o.rdk ? 200 : 100;
    if (!o.n_counts && !o.table) o.counts[o.n_counts++] = 1;
    for (int i = 0; i < (o.n_models ? o.n_models : 1); i++) {
        const char *arg = o.n_models ? o.models[i] : NULL, *slash = arg ? strrchr(arg, '/') : NULL,
                   *name = arg ? (slash ? slash + 1 : arg) : "everyday10";
        kf_model *m = NULL;
        kf_status st = load(&o, arg, &m, &err);
        if (st == KF_OK) {
            st = o.table        ? bench_table(&o, m, name, i == 0, &err)
                 : o.rdk        ? bench_rdk(&o, m, &err)
                 : o.n_sessions ? bench_sessions(&o, m, name, &err)
                                : bench_latency(&o, m, name, seen, &n_seen, &err);
        }
        kf_model_destroy(&m);
        if (st != KF_OK) return cli_fail(&err);
    }
    return EXIT_DONE;
}
