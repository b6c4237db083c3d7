/* What `bench` prints for other readers: the lines of `hrt_model_exec perf`, and the row of the reference page's table.
 * Owner rule: see bench.h. */
#include <stdio.h>

#include "kitfox/bench.h"

enum { EVERY = 200 };

/* Up to frame `n`: Frame count, average, extremes, rate. */
static void print_progress(const bench_result *r, int n) {
    double total = 0, most = 0, least = r->ms[0], until = 0;
    for (int i = 0; i < n; i++) {
        total += r->ms[i];
        most = r->ms[i] > most ? r->ms[i] : most, least = r->ms[i] < least ? r->ms[i] : least;
        until = r->until[i] > until ? r->until[i] : until;
    }
    printf(
        "Frame count: %d,  Thread Average: %f ms,  thread max latency: %f ms,  thread min latency: %f ms,  FPS: %f\n",
        n, total / n, most, least, n * 1e3 / until);
}

void bench_print_rdk(const bench_result *r) {
    int n = EVERY;
    for (; n < r->frames; n += EVERY) print_progress(r, n);
    print_progress(r, r->frames);
    printf("\nRunning condition:\n  Thread number is: %d\n  Frame count   is: %d\n  Program run time: %f ms\n",
           r->sessions, r->frames, r->wall);
    printf("Perf result:\n  Frame totally latency is: %f ms\n  Average    latency    is: %f ms\n  Frame      rate      "
           " is: %f FPS\n\n",
           r->total, r->mean, r->frames * 1e3 / r->wall);
}

kf_status bench_row_of(const kf_model *m, const char *name, bench_row *row, kf_error *err) {
    kf_model_info info = {.size = sizeof info};
    kf_tensor in, out;
    kf_status st = kf_model_input(m, 0, &in, err);
    if (st == KF_OK) st = kf_model_output(m, 0, &out, err);
    if (st != KF_OK) return st;
    kf_model_get_info(m, &info);
    *row = (bench_row){.name = name,
                       .classes = out.bytes / sizeof(float),
                       .parameters_m = (double)info.parameters / 1e6,
                       .macs_m = (double)info.macs / 1e6,
                       .float_top1 = -1,
                       .quantized_top1 = -1};
    int height = in.rank == 4 ? 2 : 0, at = 0;
    for (int i = height; i < in.rank; i++)
        at += snprintf(row->size + at, sizeof row->size - (size_t)at, "%s%lld", i > height ? "x" : "",
                       (long long)in.shape[i]);
    return KF_OK;
}

kf_status bench_top1(const kf_model *m, const char *data, double *top1, kf_error *err) {
    kf_dataset *pictures = NULL;
    kf_dataset_item item;
    kf_session *s = NULL;
    kf_image_options io;
    size_t hits = 0;
    kf_image_options_init(&io);
    io.no_exif = 1; /* as `eval`: published accuracies are measured that way */
    kf_status st = cli_dataset(data, NULL, m, &pictures, err);
    size_t count = st == KF_OK ? kf_dataset_count(pictures) : 0;
    if (st == KF_OK && count == 0)
        st = cli_error_at(err, KF_ERR_ARGUMENT, data,
                          "no pictures; class folders with pictures or a labels.csv are needed");
    if (st == KF_OK) st = cli_session(m, 0, &s, err);
    for (size_t i = 0; st == KF_OK && i < count; i++) {
        kf_image image;
        kf_score best = {0};
        size_t n = 0;
        if ((st = kf_dataset_get(pictures, i, &item, err)) != KF_OK) break;
        if ((st = kf_image_load(item.path, &io, &image, err)) != KF_OK) break;
        st = kf_session_classify(s, &image, 1, &best, &n, err);
        kf_image_free(&image);
        hits += n == 1 && best.index == item.truth;
    }
    if (st == KF_OK) *top1 = 100.0 * (double)hits / (double)count;
    kf_session_destroy(&s);
    kf_dataset_destroy(&pictures);
    return st;
}

static json_t *percent_or_null(double x) { return x < 0 ? json_null() : json_real(x); }

static const char *percent_text(double x, char text[16]) {
    if (x < 0) return "-";
    snprintf(text, 16, "%.2f %%", x);
    return text;
}

void bench_print_row(const bench_row *row, bool first, bool json) {
    char a[16], b[16];
    if (json) {
        cli_print_json(json_pack("{s:s,s:s,s:s,s:I,s:f,s:f,s:o,s:o,s:f,s:i,s:f,s:f,s:s}", "model", row->name, "mode",
                                 "table", "size", row->size, "classes", (json_int_t)row->classes, "parameters_m",
                                 row->parameters_m, "macs_m", row->macs_m, "float_top1",
                                 percent_or_null(row->float_top1), "quantized_top1",
                                 percent_or_null(row->quantized_top1), "ms_one", row->ms_one, "threads", row->many,
                                 "ms_many", row->ms_many, "fps", row->fps, "isa", kf_cpu_name()));
        return;
    }
    if (first)
        printf("| model | size (pixels) | classes | parameters (M) | float top-1 | quantized top-1 | latency, 1 thread "
               "| latency, %d threads | FPS, %d threads |\n"
               "|---|---|---|---|---|---|---|---|---|\n",
               row->many, row->many);
    printf("| %s | %s | %zu | %.2f | %s | %s | %.2f ms | %.2f ms | %.2f |\n", row->name, row->size, row->classes,
           row->parameters_m, percent_text(row->float_top1, a), percent_text(row->quantized_top1, b), row->ms_one,
           row->ms_many, row->fps);
}
