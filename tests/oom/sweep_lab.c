/* The sweep over the calls of lab.h.
 * Owner rule: see oom.h. */
#include "oom.h"

#if KF_OOM_PROGRAM
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kitfox/batch.h"
#include "kitfox/bench.h"
#include "kitfox/lab.h"
#include "kitfox/pull.h"

static kf_status do_paired(fixture *f, kf_error *err) {
    double lo, hi;
    (void)f;
    kf_paired_interval(3, 5, 100, &lo, &hi);
    if (kf_mcnemar(3, 5) > 1 || lo > hi) KF_FAIL(err, KF_ERR_INTERNAL, "impossible statistics");
    return KF_OK;
}

/* A file of the sources. */
static const char *source(const fixture *f, const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/tests/%s", f->root, name);
    return path;
}

static kf_status labels(const fixture *f, const char *name, kf_error *err) {
    kf_labels l;
    kf_status st = kf_labels_load(source(f, name), &l, err);
    kf_labels_free(&l);
    return st;
}

static kf_status do_labels(fixture *f, kf_error *err) { return labels(f, "fuzz/corpus/labels/indexed.txt", err); }
static kf_status do_json_labels(fixture *f, kf_error *err) { return labels(f, "fuzz/corpus/labels/keras.json", err); }

/* One name more than the network has classes, the first for the background. */
static kf_status background_labels(const fixture *f, kf_labels *l, kf_error *err) {
    kf_tensor out;
    KF_TRY(kf_model_output(f->model, 0, &out, err));
    int32_t n = (int32_t)(out.bytes / sizeof(float)) + 1;
    if (!(l->items = calloc((size_t)n, sizeof *l->items))) KF_FAIL(err, KF_ERR_MEMORY, "out of memory");
    for (; l->n < n; l->n++)
        if (!(l->items[l->n] = strdup(l->n ? "other" : "background"))) KF_FAIL(err, KF_ERR_MEMORY, "out of memory");
    return KF_OK;
}

static kf_status do_fit(fixture *f, kf_error *err) {
    kf_labels l = {0};
    kf_graph *g = NULL;
    kf_status st = background_labels(f, &l, err);
    if (st == KF_OK) st = kf_graph_import_onnx_memory(f->onnx, f->onnx_bytes, NULL, &g, err);
    if (st == KF_OK) st = kf_graph_name_classes(g, &l, NULL, NULL, err);
    if (st == KF_OK) st = kf_graph_set_labels(g, NULL, 0, err);
    if (st == KF_OK) st = kf_labels_fit(&l, f->model, NULL, NULL, err);
    if (st == KF_OK) st = kf_labels_check(&l, f->model, err);
    kf_graph_destroy(&g);
    kf_labels_free(&l);
    return st;
}

static kf_status do_dataset(fixture *f, kf_error *err) {
    kf_dataset_options o;
    kf_dataset *d = NULL;
    kf_dataset_item it;
    kf_dataset_options_init(&o);
    o.model = f->model, o.limit = 3, o.optional = 1;
    kf_status st = kf_dataset_open(source(f, "fuzz/corpus"), &o, &d, err);
    if (st == KF_OK) st = kf_dataset_get(d, 0, &it, err);
    if (st == KF_OK && (kf_dataset_class_of(d, it.path) != it.truth || kf_dataset_count(d) != 3 ||
                        kf_dataset_folders(d) < 3 || kf_dataset_fits(d)))
        st = kf_error_set(err, KF_ERR_INTERNAL, "another data set");
    kf_dataset_destroy(&d);
    return st;
}

static kf_status do_listed(fixture *f, kf_error *err) {
    kf_dataset_options o;
    kf_dataset *d = NULL;
    kf_dataset_options_init(&o);
    char list[4200];
    snprintf(list, sizeof list, "%s", source(f, "fuzz/corpus/labels/labels.csv"));
    o.list = list;
    /* Few entries: qsort allocates for many, and goes on without. */
    kf_status st = kf_dataset_open(source(f, "fuzz"), &o, &d, err);
    kf_dataset_destroy(&d);
    return st;
}

static kf_status do_samples(fixture *f, kf_error *err) {
    kf_samples s;
    kf_preprocess how;
    kf_preprocess_init(&how);
    how.width = how.height = 4;
    kf_status st = kf_samples_find(source(f, "data/pictures"), NULL, 2, &s, err);
    if (st == KF_OK) st = kf_samples_load_some(&s, &how, NULL, NULL, NULL, err);
    if (st == KF_OK) st = kf_samples_check(&s, &how, NULL, NULL, NULL, err);
    kf_samples_free(&s);
    return st;
}

static kf_status do_raw(fixture *f, kf_error *err) {
    const kf_tensor input = {.dtype = KF_F32, .rank = 2, .shape = {1, 4}};
    const kf_raw_form form = {.type = KF_U8, .input = &input};
    static const uint8_t NUMBERS[] = {1, 2, 3, 4};
    kf_samples s;
    char folder[1024];
    snprintf(folder, sizeof folder, "%s/raw", f->folder);
    FILE *out = mkdir(folder, 0700) == 0 ? fopen(strcat(folder, "/a.bin"), "wb") : NULL;
    if (out) fwrite(NUMBERS, 1, sizeof NUMBERS, out), fclose(out);
    *strrchr(folder, '/') = '\0';
    kf_status st = out ? kf_samples_load_raw(folder, 0, &form, &s, err) : kf_error_set(err, KF_ERR_MEMORY, "no file");
    if (out) kf_samples_free(&s);
    remove(strcat(folder, "/a.bin"));
    *strrchr(folder, '/') = '\0';
    rmdir(folder);
    return st;
}

static kf_status do_npy(fixture *f, kf_error *err) {
    kf_tensor t;
    kf_status st = kf_npy_read(source(f, "fuzz/corpus/npy/matrix.npy"), &t, err);
    if (st == KF_OK) st = kf_npy_write(f->written, &t, err);
    if (st == KF_OK) st = kf_npz_write(f->written, &t, 1, err);
    free(t.data);
    return st;
}

/* One picture, so that one thread does it. */
static kf_status do_evaluate(fixture *f, kf_error *err) {
    kf_dataset_options how;
    kf_dataset *d = NULL;
    kf_evaluation e = {.size = sizeof e};
    kf_evaluate_options o;
    kf_evaluate_options_init(&o);
    double lo, hi;
    char list[1024];
    snprintf(list, sizeof list, "%s/list", f->folder);
    FILE *out = fopen(list, "w");
    if (!out) KF_FAIL(err, KF_ERR_MEMORY, "no list");
    fputs("rgb.png,0\n", out);
    fclose(out);
    kf_dataset_options_init(&how);
    how.list = list, how.limit = 1;
    kf_status st = kf_dataset_open(source(f, "data/pictures"), &how, &d, err);
    if (st == KF_OK) st = kf_evaluate(f->model, d, &o, &e, err);
    kf_proportion_interval(1, 2, &lo, &hi);
    if (st == KF_OK && (e.images != 1 || e.n_cells != 1 || lo > hi))
        st = kf_error_set(err, KF_ERR_INTERNAL, "another evaluation");
    kf_evaluation_free(&e);
    kf_dataset_destroy(&d);
    remove(list);
    return st;
}

/* The model against itself on one picture, with nodes and a page. */
static kf_status do_compare(fixture *f, kf_error *err) {
    kf_samples s;
    kf_compare_options o;
    kf_comparison c = {.size = sizeof c};
    kf_comparison_page_options p;
    void *html = NULL;
    int64_t *found = NULL;
    size_t bytes;
    kf_compare_options_init(&o);
    kf_comparison_page_options_init(&p);
    o.node_images = 1, o.threads = 1;
    kf_status st = kf_samples_find(source(f, "data/pictures"), NULL, 1, &s, err);
    if (st == KF_OK) st = kf_samples_labels(&s, source(f, "data"), f->model, NULL, NULL, &found, err);
    free(found);
    if (st == KF_OK) st = kf_compare(f->model, f->model, &s, &o, &c, err);
    if (st == KF_OK) st = kf_comparison_page(&c, &p, &html, &bytes, err);
    kf_comparison_free(&c);
    kf_samples_free(&s);
    free(html);
    return st;
}

static kf_status do_page(fixture *f, kf_error *err) {
    kf_confusion_cell cells[] = {{0, 0, 3}, {0, 1, 2}};
    const kf_evaluation e = {.size = sizeof e, .images = 5, .classes = 2, .cells = cells, .n_cells = 2};
    void *html;
    size_t bytes;
    kf_status st = kf_evaluation_page(&e, f->model, "title", "summary", &html, &bytes, err);
    free(html);
    return st;
}

static kf_status do_scores(fixture *f, kf_error *err) {
    static const kf_score TOP[] = {{3, 0.5F, "frog"}, {1, 0.25F, NULL}};
    char *text;
    (void)f;
    kf_scores_kind kind = KF_SCORES_UNKNOWN;
    kf_status st = kf_scores_json(TOP, 2, &text, err);
    free(text);
    if (st == KF_OK) st = kf_scores_kind_from_name(kf_scores_kind_name(KF_SCORES_LOG), &kind, err);
    if (st == KF_OK && !kf_takes_name(KF_TAKES_PIXELS)) st = KF_ERR_INTERNAL;
    if (st == KF_OK && !kf_origin_name(KF_ORIGIN_GIVEN)) st = KF_ERR_INTERNAL;
    return st;
}

/* One thread: threads of the system's own take memory that is not the library's. */
static kf_status make_batch(const fixture *f, kf_batch **b, kf_error *err) {
    kf_batch_options o;
    kf_batch_options_init(&o);
    o.threads = 1;
    *b = NULL;
    return kf_batch_create(f->model, &o, b, err);
}

static kf_status run_batch(kf_batch *b, kf_error *err) {
    static unsigned char pixels[8 * 8 * 3] = {7};
    static float x[3 * 3 * 8 * 8], y[3 * 4];
    const unsigned char *rgb[] = {pixels, pixels, pixels};
    kf_tensor in = {.dtype = KF_F32, .rank = 4, .shape = {3, 3, 8, 8}, .data = x, .bytes = sizeof x};
    kf_tensor out = {.dtype = KF_F32, .rank = 2, .shape = {3, 4}, .data = y, .bytes = sizeof y};
    KF_TRY(kf_batch_run(b, &in, 1, &out, 1, err));
    KF_TRY(kf_batch_run_rgb(b, rgb, 3, 24, y, 12, err));
    if (kf_batch_threads(b, NULL) != 1 || !kf_batch_bytes(b)) KF_FAIL(err, KF_ERR_INTERNAL, "impossible facts");
    return KF_OK;
}

static kf_status do_batch(fixture *f, kf_error *err) {
    kf_batch *b;
    unsigned char pixels[20 * 10 * 3] = {0};
    const kf_image images[2] = {{20, 10, 60, pixels}, {20, 10, 60, pixels}};
    kf_score top[6];
    size_t found[2];
    kf_status st = make_batch(f, &b, err);
    if (st == KF_OK) st = run_batch(b, err);
    if (st == KF_OK) st = kf_batch_classify(b, images, 2, 3, top, found, err);
    kf_batch_destroy(&b);
    return st;
}

/* One session on the calling thread, for the same reason. */
static kf_status do_bench(fixture *f, kf_error *err) {
    kf_bench_options o;
    kf_bench_result r = {.size = sizeof r};
    kf_bench_summary s;
    double ms[2];
    kf_bench_options_init(&o);
    o.frames = 2, o.profile = 1;
    kf_status st = kf_bench(f->model, &o, &r, err);
    if (st == KF_OK) st = kf_bench_summarize(&r, 1, &s, err);
    if (st == KF_OK && (!r.n_steps || s.median > r.summary.highest)) st = KF_ERR_INTERNAL;
    if (st == KF_OK) st = kf_bench_pair((const kf_model *const[]){f->model, f->model}, NULL, NULL, ms, err);
    kf_bench_free(&r);
    return st;
}

static kf_status do_row(fixture *f, kf_error *err) {
    kf_bench_row_options o;
    kf_bench_row row = {.size = sizeof row};
    kf_bench_row_options_init(&o);
    o.frames = 2, o.sessions = 1;
    return kf_bench_table(f->model, &o, &row, err);
}

static kf_status do_verdicts(fixture *f, kf_error *err) {
    const kf_verify_report r = {.size = sizeof r, .steps = 1, .exact = 1, .first = -1};
    const kf_bench_pace p = {.quantized = 1};
    (void)f;
    if (kf_verify_verdict(&r) != KF_IDENTICAL || kf_bench_slower(&p, &p))
        KF_FAIL(err, KF_ERR_INTERNAL, "another verdict");
    return KF_OK;
}

static kf_status do_peak(fixture *f, kf_error *err) {
    (void)f, (void)err;
    kf_peak_reset(NULL); /* where it cannot, it says so: another system may not have it */
    if (kf_peak_bytes() <= 0) KF_FAIL(err, KF_ERR_INTERNAL, "no peak");
    return KF_OK;
}

static int count_failure(void *user, const kf_classified *c) {
    if (c->error) kf_error_set(user, KF_ERR_MEMORY, "%s", c->error);
    return c->error != NULL;
}

static kf_status do_files(fixture *f, kf_error *err) {
    kf_classify_options o;
    kf_labels l = {0};
    const char *path = source(f, "data/pictures/rgb.png");
    kf_error why = {KF_OK, ""};
    kf_classify_options_init(&o);
    o.threads = 1, o.picture = count_failure, o.user = &why;
    kf_status st = kf_labels_check(&l, f->model, err);
    if (st == KF_OK) st = kf_classify_files(f->model, &path, 1, &o, NULL, err);
    if (st == KF_ERR_CANCELLED && err) *err = why, st = why.status;
    return st;
}

/* One image by its name, then two without. */
static kf_status do_run(fixture *f, kf_error *err) {
    static float x[2 * 3 * 8 * 8];
    kf_run_options o;
    kf_run_result r = {.size = sizeof r};
    kf_tensor in = {.dtype = KF_F32, .rank = 4, .shape = {0, 3, 8, 8}, .data = x}, want;
    char named[2400], floats[300];
    const char *file[] = {named, f->written};
    kf_run_options_init(&o);
    o.threads = 1;
    kf_preprocess_floats(NULL, floats, sizeof floats);
    kf_status st = kf_model_input(f->model, 0, &want, err);
    if (st == KF_OK) snprintf(named, sizeof named, "%s=%s", want.name, f->written);
    for (size_t n = 1; n <= 2 && st == KF_OK; n++) {
        in.shape[0] = (int64_t)n, in.bytes = n * sizeof x / 2;
        st = kf_npy_write(f->written, &in, err);
        if (st == KF_OK) st = kf_run_files(f->model, &file[n - 1], 1, &o, &r, err);
        if (st == KF_OK && (r.images != n || r.output.shape[0] != (int64_t)n)) st = KF_ERR_INTERNAL;
        kf_run_free(&r);
    }
    return st;
}

static kf_status do_stream(fixture *f, kf_error *err) {
    static const unsigned char FRAME[8 * 8 * 3 / 2] = {3};
    kf_stream_options o;
    int ends[2];
    kf_stream_options_init(&o);
    o.width = o.height = 8, o.threads = 1;
    if (pipe(ends) != 0 || write(ends[1], FRAME, sizeof FRAME) != (ssize_t)sizeof FRAME) abort();
    close(ends[1]);
    o.fd = ends[0];
    kf_status st = kf_stream(f->model, &o, NULL, err);
    close(ends[0]);
    return st;
}

static void hear(void *user, const char *text) { (void)user, (void)text; }

static kf_status do_names(fixture *f, kf_error *err) {
    kf_input_kind input = KF_INPUT_RGB;
    kf_entry_type entry = KF_ENTRY_NULL;
    kf_rdk_stage stage = KF_RDK_READY;
    kf_verdict verdict = KF_IDENTICAL;
    kf_takes takes = KF_TAKES_UNKNOWN;
    kf_origin origin = KF_ORIGIN_UNKNOWN;
    (void)f;
    KF_TRY(kf_input_kind_from_name(kf_input_kind_name(KF_INPUT_NV12), &input, err));
    KF_TRY(kf_entry_type_from_name(kf_entry_type_name(KF_ENTRY_LIST), &entry, err));
    KF_TRY(kf_rdk_stage_from_name(kf_rdk_stage_name(KF_RDK_WRITING), &stage, err));
    KF_TRY(kf_takes_from_name(kf_takes_name(KF_TAKES_PIXELS), &takes, err));
    KF_TRY(kf_origin_from_name(kf_origin_name(KF_ORIGIN_GIVEN), &origin, err));
    KF_TRY(kf_verdict_from_name(kf_verdict_name(KF_AGREES), &verdict, err));
    return verdict == KF_AGREES && input == KF_INPUT_NV12 && entry == KF_ENTRY_LIST && stage == KF_RDK_WRITING
               ? KF_OK
               : KF_ERR_INTERNAL;
}

static kf_status do_config(fixture *f, kf_error *err) {
    kf_rdk_config *c = NULL;
    kf_rdk_entry e = {.size = sizeof e};
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/yaml/full.yaml", f->root);
    kf_status st = kf_rdk_load(path, hear, NULL, &c, err);
    if (st == KF_OK) st = kf_rdk_get(c, 0, &e, err);
    if (st == KF_OK && !kf_rdk_place(c, "onnx_model")) st = KF_ERR_INTERNAL;
    kf_rdk_free(&c);
    return st;
}
/* Other forms and broken files: what is refused when there is memory is refused the same way, or as MEMORY. */
static kf_status do_other_configs(fixture *f, kf_error *err) {
    static const char *const NAMES[] = {"block", "escape", "documents", "lists", "cut", "tag", "anchor", "directive"};
    static struct {
        kf_status status;
        int known;
    } usual[sizeof NAMES / sizeof *NAMES];
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        kf_rdk_config *c = NULL;
        char path[1024];
        snprintf(path, sizeof path, "%s/tests/fuzz/corpus/yaml/%s.yaml", f->root, NAMES[i]);
        kf_status st = kf_rdk_load(path, NULL, NULL, &c, err);
        kf_rdk_free(&c);
        if (!usual[i].known) usual[i].known = 1, usual[i].status = st;
        if (st != usual[i].status) return st;
    }
    return KF_OK;
}

/* By system calls, which no allocation can fail. */
static const char *put(const fixture *f, const char *name, const void *data, size_t bytes) {
    static char path[2][1024];
    static int turn;
    char *to = path[turn++ % 2];
    snprintf(to, sizeof path[0], "%s/%s", f->folder, name);
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes) abort();
    close(fd);
    return to;
}

static const char *config_file(const fixture *f) {
    static const char YAML[] =
        "model_parameters:\n  onnx_model: rdk.onnx\n  working_dir: rdk\n"
        "  set_node_data_type: 'Gemm_9:int16'\ninput_parameters:\n  input_type_rt: nv12\n  input_type_train: rgb\n"
        "  input_layout_train: NCHW\n  norm_type: data_scale\n  scale_value: 0.0078125\ncalibration_parameters:\n"
        "  calibration_type: skip\ncompiler_parameters:\n  optimize_level: O3\n";
    put(f, "rdk.onnx", f->onnx, f->onnx_bytes);
    return put(f, "rdk.yaml", YAML, sizeof YAML - 1);
}

static void remove_files(const fixture *f) {
    static const char *const NAMES[] = {"rdk/model.kfx",
                                        "rdk/model_original_float_model.onnx",
                                        "rdk/model_optimized_float_model.onnx",
                                        "rdk/model_quantized_model.onnx",
                                        "rdk/model_calibrated_model.onnx",
                                        "rdk/model_quantize.log",
                                        "rdk",
                                        "rdk.onnx",
                                        "rdk.yaml",
                                        "rdk.nv12",
                                        "config.json",
                                        "weights",
                                        "new.part",
                                        "new"};
    char path[1024];
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        snprintf(path, sizeof path, "%s/%s", f->folder, NAMES[i]);
        if (unlink(path) != 0) rmdir(path);
    }
}

static kf_status tables(const kf_graph *g, kf_error *err) {
    char *text = NULL;
    kf_status st = kf_quantized_table(g, &text, err);
    free(text);
    text = NULL;
    if (st == KF_OK) st = kf_search_table(g, 1, &text, err);
    free(text);
    return st == KF_OK && strcmp(kf_quantized_type(KF_I16), "int16") != 0 ? KF_ERR_INTERNAL : st;
}

static kf_status do_rdk(fixture *f, kf_error *err) {
    kf_rdk_config *c = NULL;
    kf_rdk_options o;
    kf_quantize_options q;
    kf_rdk_result r = {.size = sizeof r};
    kf_quantize_options_init(&q);
    kf_rdk_options_init(&o);
    q.threads = 1, q.rounding = 0, q.equalize = 0, q.bias_correction = 0;
    o.quantize = &q, o.notice = hear;
    kf_status st = kf_rdk_load(config_file(f), hear, NULL, &c, err);
    if (st == KF_OK) st = kf_rdk_quantize(c, &o, &r, err);
    if (st == KF_OK) st = tables(r.graph, err);
    kf_rdk_result_free(&r);
    kf_rdk_free(&c);
    remove_files(f);
    return st;
}

static kf_status judged(kf_graph *g, const kf_judge_options *how, const kf_samples *s, kf_error *err) {
    kf_judge *j = NULL;
    kf_judgement r = {.size = sizeof r};
    kf_quantize_options q;
    void *html = NULL;
    size_t bytes;
    kf_quantize_options_init(&q);
    q.threads = 1, q.rounding = 0, q.equalize = 0, q.bias_correction = 0;
    kf_status st = kf_judge_create(g, how, &j, err);
    if (st == KF_OK && kf_judge_tests(j)->n != s->n) st = KF_ERR_INTERNAL;
    if (st == KF_OK) st = kf_graph_quantize(g, s->tensors, s->n, &q, err);
    if (st == KF_OK) st = kf_judge_measure(j, g, s, err);
    if (st == KF_OK) st = kf_judge_get(j, &r, err);
    if (st == KF_OK && (r.samples != s->n || !r.tests)) st = KF_ERR_INTERNAL;
    if (st == KF_OK) st = kf_judge_page(j, g, "a.onnx", "a.kfx", &html, &bytes, err);
    free(html);
    kf_judge_destroy(&j);
    return st;
}

static kf_status do_quantized(fixture *f, kf_error *err) {
    kf_graph *g = NULL;
    kf_graph_info info = {.size = sizeof info};
    kf_judge_options how;
    kf_samples s = {0};
    int32_t *labels = NULL;
    char folder[1024];
    snprintf(folder, sizeof folder, "%s/examples/pictures",
             f->root); /* JPEG: libwebp crashes when its tables have no room */
    kf_judge_options_init(&how);
    how.data = folder, how.threads = 1;
    kf_status st = kf_graph_import_onnx_memory(f->onnx, f->onnx_bytes, NULL, &g, err);
    if (st == KF_OK) st = kf_graph_get_info(g, &info, err);
    if (st == KF_OK) st = kf_samples_find(folder, NULL, 0, &s, err);
    if (st == KF_OK) st = kf_samples_load(&s, &info.preprocess, NULL, NULL, err);
    if (st == KF_OK) st = kf_search_labels(g, NULL, &s, folder, 1, NULL, NULL, &labels, err);
    free(labels);
    if (st == KF_OK) st = judged(g, &how, &s, err);
    kf_samples_free(&s);
    kf_graph_destroy(&g);
    return st;
}

static kf_status do_rdk_check(fixture *f, kf_error *err) {
    static const unsigned char FRAME[8 * 8 * 3 / 2] = {3};
    kf_rdk_config *c = NULL;
    kf_rdk_luma l = {.size = sizeof l};
    kf_tensor in;
    size_t samples;
    kf_status st = kf_rdk_load(config_file(f), NULL, NULL, &c, err);
    if (st == KF_OK) st = kf_rdk_check(c, NULL, &in, &samples, err);
    const char *path = put(f, "rdk.nv12", FRAME, sizeof FRAME);
    if (st == KF_OK) st = kf_rdk_check_frames(c, &path, 1, 8, 8, &l, err);
    kf_rdk_free(&c);
    remove_files(f);
    return st;
}

static kf_status do_written(fixture *f, kf_error *err) {
    kf_graph *a = NULL, *b = NULL;
    double worst;
    kf_status st = kf_graph_import_onnx_memory(f->onnx, f->onnx_bytes, NULL, &a, err);
    if (st == KF_OK) st = kf_graph_import_onnx_memory(f->onnx, f->onnx_bytes, NULL, &b, err);
    if (st == KF_OK) st = kf_graph_compare(a, b, 1, NULL, NULL, &worst, err);
    kf_graph_destroy(&a);
    kf_graph_destroy(&b);
    return st;
}

static kf_status do_change_picture(fixture *f, kf_error *err) {
    kf_graph *g = NULL;
    kf_preprocess p;
    kf_preprocess_init(&p);
    kf_status st = kf_graph_import_onnx_memory(f->onnx, f->onnx_bytes, NULL, &g, err);
    if (st == KF_OK) st = kf_graph_change_picture(g, &p, 0, 9, err);
    kf_graph_destroy(&g);
    return st;
}

static kf_status do_check(fixture *f, kf_error *err) {
    kf_check_result r = {.size = sizeof r};
    kf_node_fate v;
    kf_status st = kf_node_fate_from_name(kf_node_fate_name(KF_FATE_FUSED), &v, err);
    if (st == KF_OK) st = kf_check(put(f, "rdk.onnx", f->onnx, f->onnx_bytes), NULL, &r, err);
    if (st == KF_OK && (r.n == 0 || r.count[KF_FATE_UNSUPPORTED])) st = KF_ERR_INTERNAL;
    kf_check_result_free(&r);
    remove_files(f);
    return st;
}

static kf_status do_rewrite(fixture *f, kf_error *err) {
    kf_rewrite_options o;
    kf_rewrite_result r = {.size = sizeof r};
    char path[1024];
    snprintf(path, sizeof path, "%s/new", f->folder);
    kf_rewrite_options_init(&o);
    o.runs = 1;
    kf_status st = kf_rewrite(put(f, "rdk.onnx", f->onnx, f->onnx_bytes), path, &o, &r, err);
    if (st == KF_OK && r.nodes_before < r.nodes_after) st = KF_ERR_INTERNAL;
    remove_files(f);
    return st;
}

static kf_status do_replace(fixture *f, kf_error *err) {
    const char *path = put(f, "new", "a", 1);
    kf_status st = kf_file_replace(put(f, "new.part", "b", 1), path, err);
    remove_files(f);
    return st;
}

/* What is there already: no network and no libcurl. */
static kf_status do_pull(fixture *f, kf_error *err) {
    static const char CONFIG[] = "{\"architecture\":\"mobilenetv3_small_050\"}";
    static const unsigned char WEIGHTS[] = {2, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    kf_weights w = {.size = sizeof w};
    kf_pull_options o;
    kf_pull_result r = {.size = sizeof r};
    kf_pull_options_init(&o);
    put(f, "config.json", CONFIG, sizeof CONFIG - 1);
    o.output = put(f, "weights", WEIGHTS, sizeof WEIGHTS);
    kf_status st = kf_pull_options_check(&o, err);
    if (st == KF_OK) st = kf_weights_get(0, &w, err);
    if (st == KF_OK) st = kf_weights_find("mobilenetv3_small_050", &w, err);
    if (st == KF_OK) st = kf_pull(w.name, &o, &r, err);
    if (st == KF_OK && r.bytes != sizeof WEIGHTS) st = KF_ERR_INTERNAL;
    if (st == KF_OK) kf_pull_result_free(&r);
    remove_files(f);
    return st;
}

const oom_case oom_lab[] = {{"paired statistics", do_paired, OOM_NONE},
                            {"batch", do_batch, OOM_ANY},
                            {"bench", do_bench, OOM_ANY},
                            {"run files", do_run, OOM_OTHER},
                            {"row of the table", do_row, OOM_ANY},
                            {"verdicts", do_verdicts, OOM_NONE},
                            {"peak of the memory", do_peak, OOM_OTHER},
                            {"files", do_files, OOM_OTHER},
                            {"stream", do_stream, OOM_ANY},
                            {"labels", do_labels, OOM_ANY},
                            {"labels with a background line", do_fit, OOM_ANY},
                            {"labels in JSON", do_json_labels, OOM_JSON},
                            {"data set", do_dataset, OOM_OTHER},
                            {"data set of a list", do_listed, OOM_ANY},
                            {"samples", do_samples, OOM_OTHER},
                            {"raw samples", do_raw, OOM_OTHER},
                            {"NPY", do_npy, OOM_OTHER},
                            {"evaluate", do_evaluate, OOM_OTHER},
                            {"compare", do_compare, OOM_OTHER},
                            {"page", do_page, OOM_OTHER},
                            {"scores", do_scores, OOM_JSON},
                            {"names", do_names, OOM_NONE},
                            {"config", do_config, OOM_ANY},
                            {"other configs", do_other_configs, OOM_OTHER},
                            {"rdk", do_rdk, OOM_JSON},
                            {"judge", do_quantized, OOM_OTHER},
                            {"rdk check", do_rdk_check, OOM_OTHER},
                            {"compare graphs", do_written, OOM_ANY},
                            {"change picture", do_change_picture, OOM_ANY},
                            {"check", do_check, OOM_ANY},
                            {"rewrite", do_rewrite, OOM_OTHER},
                            {"replace", do_replace, OOM_OTHER},
                            {"pull", do_pull, OOM_JSON},
                            {0}};
#else
const oom_case oom_lab[] = {{0}};
#endif
