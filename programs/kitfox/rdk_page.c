/* hb_perf: the times of a model's steps as a page and as JSON; the profile of hrt_model_exec perf.
 * Owner rule: texts are released here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/core.h"
#include "kitfox/rdk.h"

kf_status rdk_profile(const kf_model *m, int32_t frames, kf_bench_result *out, kf_error *err) {
    kf_bench_options o;
    kf_bench_options_init(&o);
    o.frames = frames, o.profile = 1, o.progress = cli_stop;
    return kf_bench(m, &o, out, err);
}

/* The folder need not be there; the one around it does. */
static kf_status make_folder(const char *path, kf_error *err) {
    if (mkdir(path, 0777) == 0 || errno == EEXIST) return KF_OK;
    return cli_error_at(err, KF_ERR_IO, path, strerror(errno));
}

static kf_status write_json(const char *path, FILE *after, json_t *j, kf_error *err) {
    char *text = json_dumps(j, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    json_decref(j);
    if (!text) return cli_error_at(err, KF_ERR_MEMORY, path, "out of memory");
    if (after) fputs(text, after);
    kf_status st = after ? KF_OK : cli_write(path, text, strlen(text), err);
    free(text);
    return st;
}

/* ---- profiler.log and profiler.csv ------------------------------------------------------------------------------- */

static json_t *conditions(const char *name, const kf_bench_result *r) {
    json_t *result = cli_pack("{s:f,s:f}", "FPS", r->summary.fps, "average_latency", r->summary.mean);
    json_t *how = cli_pack("{s:i,s:i,s:s,s:f,s:i}", "core_id", 0, "frame_count", r->frames, "model_name", name,
                           "run_time", r->summary.wall, "thread_num", r->sessions);
    return cli_pack("{s:o,s:o}", "perf_result", result, "running_condition", how);
}

/* "CONV_/blocks/0/conv": {"min_time": ms}; the library keeps the smallest time alone. */
static json_t *latencies(const kf_model *m, const kf_bench_result *r) {
    json_t *steps = json_object();
    kf_step_info t = {.size = sizeof t};
    char key[600];
    double sum = 0;
    for (int i = 0; i < r->n_steps && kf_model_step(m, i, &t, NULL) == KF_OK; i++) {
        snprintf(key, sizeof key, "%s_%.500s", t.op, cli_shown(t.name));
        json_object_set_new(steps, key, cli_pack("{s:f}", "min_time", r->step_ms[i]));
        sum += r->step_ms[i];
    }
    json_t *chip = cli_pack("{s:o}", "CPU_inference_time_cost", cli_pack("{s:f}", "min_time", sum));
    return cli_pack("{s:o,s:o}", "chip_latency", chip, "model_latency", steps);
}

kf_status rdk_write_profile(const char *folder, const char *name, const kf_model *m, const kf_bench_result *r,
                            kf_error *err) {
    char path[RDK_PATH + 20], *text = NULL;
    size_t bytes = 0;
    kf_step_info t = {.size = sizeof t};
    KF_TRY(make_folder(folder, err));
    FILE *f = open_memstream(&text, &bytes);
    if (f) write_json("profiler.log", f, conditions(name, r), err);
    if (f) fputs("\n********************************************************************\n", f);
    if (f) write_json("profiler.log", f, latencies(m, r), err);
    if (f) fputc('\n', f);
    snprintf(path, sizeof path, "%.4095s/profiler.log", folder);
    KF_TRY(cli_write_stream(path, f, &text, &bytes, err));
    f = open_memstream(&text, &bytes);
    if (f) fputs("index,type,name,min_time_ms\n", f);
    for (int i = 0; f && i < r->n_steps && kf_model_step(m, i, &t, NULL) == KF_OK; i++)
        fprintf(f, "%d,%s,\"%s\",%.6f\n", i, t.op, cli_shown(t.name), r->step_ms[i]);
    snprintf(path, sizeof path, "%.4095s/profiler.csv", folder);
    return cli_write_stream(path, f, &text, &bytes, err);
}

/* ---- hb_perf ----------------------------------------------------------------------------------------------------- */

enum { MODEL, PACK, N_FLAGS };
const rdk_flag rdk_page_flags[] = {
    {"model", 'm', RDK_TEXT, "the model's name", "a file holds one model", 0, 0, 0},
    {"pack", 'p', RDK_TEXT, "a packed file", "a file holds one model", 0, 0, 0},
    {0},
};

/* Names in HTML. */
static void print_escaped(FILE *f, const char *s) {
    for (s = cli_shown(s); *s; s++) {
        if (*s == '<') fputs("&lt;", f);
        else if (*s == '&') fputs("&amp;", f);
        else fputc(*s, f);
    }
}

static void print_row(FILE *f, const kf_step_info *t, const kf_bench_result *r, int i, double all) {
    fprintf(f, "<tr><td>%d<td>", i);
    print_escaped(f, t->name);
    fprintf(f, "<td>%s<td>%s<td>%s<td>%lldx%lldx%lldx%lld<td>%.3f<td>%.4f<td>%.1f\n", t->op, t->kernel,
            kf_dtype_name(t->dtype), (long long)t->shape[0], (long long)t->shape[1], (long long)t->shape[2],
            (long long)t->shape[3], (double)t->macs / 1e6, r->step_ms[i], 100 * r->step_ms[i] / all);
}

static void print_page(FILE *f, const char *name, const kf_model *m, const kf_bench_result *r) {
    kf_model_info info = {.size = sizeof info};
    kf_step_info t = {.size = sizeof t};
    double all = 1e-9;
    kf_model_get_info(m, &info, NULL);
    for (int i = 0; i < r->n_steps; i++) all += r->step_ms[i];
    fputs("<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Model Perf Report</title><style>body{font:15px "
          "sans-serif;margin:2em}table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2em .6em;"
          "text-align:left}</style><h1>Model Perf Report</h1><h2>Model Performance Summary</h2><table>\n<tr><td>Model"
          "<td>",
          f);
    print_escaped(f, name);
    fprintf(f,
            "<tr><td>Latency (ms, median of one core)<td>%.3f<tr><td>FPS of one core<td>%.2f<tr><td>Multiply-adds "
            "(10^6)<td>%.2f<tr><td>Parameters<td>%lld<tr><td>Memory of the model (bytes)<td>%zu<tr><td>CPU<td>%s"
            "</table>\n<h2>Details</h2><table>\n<tr><th>#<th>Layer<th>Type<th>Kernel<th>Output<th>Shape NHWC<th>10^6 "
            "MACs<th>ms (smallest)<th>%%\n",
            r->summary.median, r->summary.fps_alone, (double)info.macs / 1e6, (long long)info.parameters,
            kf_model_bytes(m), kf_cpu_name());
    for (int i = 0; i < r->n_steps && kf_model_step(m, i, &t, NULL) == KF_OK; i++) print_row(f, &t, r, i, all);
    fputs("</table></html>\n", f);
}

static kf_status write_report(const char *place, const kf_model *m, const kf_bench_result *r, kf_error *err) {
    char name[RDK_PATH], path[2 * RDK_PATH + 40], *text = NULL;
    size_t bytes = 0;
    rdk_model_name(place, name);
    KF_TRY(make_folder("hb_perf_result", err));
    snprintf(path, sizeof path, "hb_perf_result/%s", name);
    KF_TRY(make_folder(path, err));
    json_t *j = conditions(name, r);
    json_t *steps = latencies(m, r);
    json_object_update(j, steps);
    json_decref(steps);
    snprintf(path, sizeof path, "hb_perf_result/%s/%s.json", name, name);
    KF_TRY(write_json(path, NULL, j, err));
    FILE *f = open_memstream(&text, &bytes);
    if (f) print_page(f, name, m, r);
    snprintf(path, sizeof path, "hb_perf_result/%s/%s.html", name, name);
    KF_TRY(cli_write_stream(path, f, &text, &bytes, err));
    printf("FPS=%.2f, latency = %.1f us, memory = %zu bytes   (see %s)\n", r->summary.fps_alone,
           r->summary.median * 1e3, kf_model_bytes(m), cli_shown(path));
    return KF_OK;
}

int rdk_page(int argc, char **argv) {
    const char *model = NULL;
    const rdk_tool tool = {"hb_perf",      "MODEL", "Times of each step, into hb_perf_result/NAME/NAME.html and .json.",
                           rdk_page_flags, false,   &model};
    rdk_value v[N_FLAGS];
    kf_error err = {0};
    kf_model *m = NULL;
    kf_bench_result r = {.size = sizeof r};
    char place[RDK_PATH];
    int status;
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("hb_perf, version %s (kitfox)\n", kf_version());
        return EXIT_DONE;
    }
    if (!rdk_parse(&tool, argc, argv, v, &status)) return status;
    if (!model) return cli_usage(tool.name, "a model is needed");
    kf_status st = rdk_open(model, &m, place, &err);
    cli_cancel_on();
    if (st == KF_OK) st = rdk_profile(m, 100, &r, &err);
    if (st == KF_OK) st = write_report(place, m, &r, &err);
    kf_bench_free(&r);
    kf_model_destroy(&m);
    cli_cancel_off();
    return st == KF_OK ? EXIT_DONE : cli_fail(&err);
}
