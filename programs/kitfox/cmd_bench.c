/* kitfox bench [MODEL...]: latency, frames per second and memory by thread count.
 * Floor 8. Medians of many runs after a warm-up; the picture is synthetic, since time does not depend on it.
 * Owner rule: one model at a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/cli.h"

enum { KEY_PROFILE = 1000, MAX_COUNTS = 16 };

typedef struct options {
    cli_common common;
    int counts[MAX_COUNTS], n_counts, frames;
    bool profile;
    char **models;
    int n_models;
} options;

static const struct argp_option OPTIONS[] = {
    {"threads", 't', "1,2,4", 0, "thread counts to try (default 1)", 0},
    {"frames", 'n', "N", 0, "timed runs (default 100)", 0},
    {"profile", KEY_PROFILE, NULL, 0, "time of every step in the last run, one by one", 0},
    {"json", 'j', NULL, 0, "one JSON object a line", 0},
    {"input-shape", 's', "SHAPE", 0, "for ONNX files with free dimensions", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    char *end;
    switch (key) {
    case 't':
        for (o->n_counts = 0; o->n_counts < MAX_COUNTS; arg = end + 1) {
            long n = strtol(arg, &end, 10);
            if (end == arg || n < 1 || n > 64 || (*end && *end != ',')) argp_error(state, "--threads: numbers from 1 to 64 with commas are needed");
            o->counts[o->n_counts++] = (int)n;
            if (!*end) return 0;
        }
        argp_error(state, "--threads: at most %d numbers", MAX_COUNTS);
        return 0;
    case 'n': o->frames = (int)cli_number(state, "--frames", arg, 1, 1000000); return 0;
    case KEY_PROFILE: o->profile = true; return 0;
    case 'j': o->common.json = true; return 0;
    case 's': o->common.input_shape = arg; return 0;
    case ARGP_KEY_ARGS:
        o->models = state->argv + state->next;
        o->n_models = state->argc - state->next;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One timed inference after another; `ms` gets the sorted times. */
static kf_status measure(kf_session *s, kf_tensor *in, kf_tensor *out, double *ms, int frames, kf_error *err) {
    for (int i = -frames / 10 - 3; i < frames; i++) {
        double start = cli_now_ms();
        kf_status st = kf_session_run(s, in, 1, out, 1, err);
        if (st != KF_OK) return st;
        if (i >= 0) ms[i] = cli_now_ms() - start;
    }
    qsort(ms, (size_t)frames, sizeof *ms, by_value);
    return KF_OK;
}

static void report(const char *name, int threads, const double *ms, int frames, bool json) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    double median = ms[frames / 2], p90 = ms[frames * 9 / 10], rss = (double)u.ru_maxrss / 1024;
    if (!json) {
        printf("%-34s threads %2d  min %7.3f  median %7.3f  p90 %7.3f ms  %8.1f FPS  peak RSS %6.1f MiB  %s\n", name, threads, ms[0], median, p90, 1e3 / median, rss,
               kf_cpu_name());
        return;
    }
    json_t *j = json_pack("{s:s,s:i,s:s,s:f,s:f,s:f,s:f,s:s}", "model", name, "threads", threads, "mode", "latency", "median_ms", median, "p90_ms", p90, "fps",
                          1e3 / median, "rss_mib", rss, "isa", kf_cpu_name());
    cli_print_json(j);
}

static void print_profile(kf_session *s, const kf_model *m) {
    kf_model_info info;
    kf_step_info t;
    kf_error err;
    kf_model_get_info(m, &info);
    for (int i = 0; i < info.n_steps && kf_session_step(s, i, &t, &err) == KF_OK; i++)
        printf("%4d  %-11s %-18s %4lldx%-4lldx%-5lld %8.4f ms  %7.2f GMAC/s  %s\n", i, t.op, t.kernel, (long long)t.shape[1], (long long)t.shape[2],
               (long long)t.shape[3], t.ms, t.ms > 0 ? (double)t.macs / t.ms / 1e6 : 0, t.name);
}

static kf_status bench_threads(const options *o, const kf_model *m, const char *name, int threads, kf_error *err) {
    kf_session *s = NULL;
    kf_session_options so;
    kf_tensor in = {0}, out = {0};
    double *ms = malloc((size_t)o->frames * sizeof *ms);
    kf_session_options_init(&so);
    so.threads = threads;
    so.profile = o->profile;
    kf_status st = kf_session_create(m, &so, &s, err);
    if (st == KF_OK) st = kf_model_input(m, 0, &in, err);
    if (st == KF_OK) st = kf_model_output(m, 0, &out, err);
    if (st == KF_OK && (!ms || !(in.data = malloc(in.bytes)) || !(out.data = malloc(out.bytes)))) {
        snprintf(err->text, sizeof err->text, "out of memory");
        st = KF_ERR_MEMORY;
    }
    if (st == KF_OK) {
        for (size_t i = 0; i < in.bytes / sizeof(float); i++) ((float *)in.data)[i] = (float)((i * 2654435761u >> 16 & 255) / 64.0 - 2.0);
        st = measure(s, &in, &out, ms, o->frames, err);
    }
    if (st == KF_OK) report(name, threads, ms, o->frames, o->common.json);
    if (st == KF_OK && o->profile && !o->common.json) print_profile(s, m);
    free(ms);
    free(in.data);
    free(out.data);
    kf_session_destroy(&s);
    return st;
}

int cmd_bench(int argc, char **argv) {
    const struct argp argp = {OPTIONS, parse, "[MODEL...]", "Latency, frames per second and peak memory.", NULL, NULL, NULL};
    options o = {.counts = {1}, .n_counts = 1, .frames = 100};
    kf_error err = {0};
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_USAGE;
    for (int i = 0; i < (o.n_models ? o.n_models : 1); i++) {
        const char *arg = o.n_models ? o.models[i] : NULL, *slash = arg ? strrchr(arg, '/') : NULL;
        kf_model *m = NULL;
        kf_status st = cli_load_model(arg, &o.common, &m, &err);
        for (int t = 0; st == KF_OK && t < o.n_counts; t++) st = bench_threads(&o, m, arg ? (slash ? slash + 1 : arg) : "everyday10", o.counts[t], &err);
        kf_model_destroy(&m);
        if (st != KF_OK) return cli_fail(&err);
    }
    return EXIT_DONE;
}
