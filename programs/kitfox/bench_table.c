/* bench --table: what a row of the reference page's table is measured on, and how it is printed.
 * Owner rule: pictures and the float model live for one row. */
#include <stdio.h>
#include <stdlib.h>

#include "common/files.h"
#include "kitfox/bench_print.h"

static json_t *percent_or_null(double x) { return x < 0 ? json_null() : json_real(x); }

static const char *percent_text(double x, char text[16]) {
    if (x < 0) return "-";
    snprintf(text, 16, "%.2f %%", x);
    return text;
}

/* "96x64" of a table: height and width. */
static json_t *pixels(const char *input) {
    json_t *list = json_array();
    for (char *end; *input; input = *end ? end + 1 : end) {
        long n = strtol(input, &end, 10);
        if (end == input) break;
        json_array_append_new(list, json_integer(n));
    }
    return list;
}

static void print_row(const char *name, const kf_bench_row *row, bool first, bool json, const char *data) {
    char a[16], b[16];
    double parameters = (double)row->parameters / 1e6;
    if (json) {
        cli_print_json(cli_pack("{s:s,s:s,s:s,s:s?,s:o,s:I,s:I,s:I,s:o,s:o,s:f,s:i,s:f,s:f,s:s}", "kind", "bench",
                                "model", name, "mode", "table", "data", data, "size", pixels(row->input), "classes",
                                (json_int_t)row->classes, "stored", (json_int_t)row->parameters, "macs",
                                (json_int_t)row->macs, "float_top1", percent_or_null(row->float_top1), "quantized_top1",
                                percent_or_null(row->quantized_top1), "ms_one", row->ms_one, "threads", row->sessions,
                                "ms_many", row->ms_many, "fps", row->fps, "isa", kf_cpu_name()));
        return;
    }
    if (first)
        printf("| model | size (pixels) | classes | parameters (M) | float top-1 | quantized top-1 | latency, 1 thread "
               "| latency, %d threads | FPS, %d threads |\n"
               "|---|---|---|---|---|---|---|---|---|\n",
               row->sessions, row->sessions);
    printf("| %s | %s | %lld | %.2f | %s | %s | %.2f ms | %.2f ms | %.2f |\n", name, row->input,
           (long long)row->classes, parameters, percent_text(row->float_top1, a), percent_text(row->quantized_top1, b),
           row->ms_one, row->ms_many, row->fps);
}

/* What the accuracies are measured on. */
static kf_status open_data(const bench_table *o, const kf_model *m, kf_dataset **pictures, kf_model **other,
                           kf_error *err) {
    kf_model_info info = {.size = sizeof info};
    KF_TRY(kf_model_get_info(m, &info, err));
    if (!o->data) return KF_OK;
    KF_TRY(cli_dataset(o->data, NULL, m, pictures, err));
    if (!kf_dataset_count(*pictures))
        return cli_error_at(err, KF_ERR_ARGUMENT, o->data,
                            "no pictures; class folders with pictures or a labels.csv are needed");
    if (!o->float_model || !info.quantized) return KF_OK;
    KF_TRY(cli_load_model(o->float_model, o->common, other, err));
    KF_TRY(kf_model_get_info(*other, &info, err));
    if (!info.quantized) return KF_OK;
    return cli_error_at(err, KF_ERR_ARGUMENT, o->float_model, "is quantized itself; give the float model");
}

kf_status bench_print_table(const bench_table *o, const kf_model *m, const char *name, bool first, kf_error *err) {
    kf_bench_row row = {.size = sizeof row};
    kf_bench_row_options ro;
    kf_dataset *pictures = NULL;
    kf_model *other = NULL;
    kf_bench_row_options_init(&ro);
    kf_status st = open_data(o, m, &pictures, &other, err);
    ro.dataset = pictures, ro.float_model = other;
    ro.frames = o->frames;
    for (int t = 0; t < o->n_counts; t++)
        if (o->counts[t] > ro.sessions) ro.sessions = o->counts[t];
    ro.progress = cli_stop, ro.fewer_threads = cli_fewer_threads;
    if (st == KF_OK) st = kf_bench_table(m, &ro, &row, err);
    if (st == KF_OK) print_row(name, &row, first, o->common->json, o->data);
    kf_dataset_destroy(&pictures);
    kf_model_destroy(&other);
    return st;
}
