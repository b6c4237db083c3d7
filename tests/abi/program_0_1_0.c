/* A program as it was written for version 0.1.0: compiled against the headers of that version, which lie beside it, and
 * linked with the libraries of today. Every structure with a size stands before bytes that nobody may write.
 *   program_0_1_0 MODEL.onnx PICTURES OUT.kfx        (PICTURES: a folder with airplane.jpg, frog.jpg ...) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kitfox/batch.h"
#include "kitfox/bench.h"
#include "kitfox/codec.h"
#include "kitfox/compile.h"
#include "kitfox/lab.h"
#include "kitfox/pull.h"

enum { GUARD = 512, BYTE = 0xa5, PICTURES = 5 };

static int failures;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) failures++, printf("FAIL  line %d: %s\n", __LINE__, #condition);                             \
    } while (0)

/* The call has to end well; its error is printed otherwise. */
#define DO(call)                                                                                                       \
    do {                                                                                                               \
        kf_error err = {KF_OK, ""};                                                                                    \
        if ((call) != KF_OK) failures++, printf("FAIL  line %d: %s\n", __LINE__, err.text);                            \
    } while (0)

/* A structure, and what lies behind it in the caller's memory. */
#define GUARDED(type, name)                                                                                            \
    struct {                                                                                                           \
        type is;                                                                                                       \
        unsigned char behind[GUARD];                                                                                   \
    } name;                                                                                                            \
    memset(&name, BYTE, sizeof name)

static int untouched(const unsigned char *behind) {
    for (int i = 0; i < GUARD; i++)
        if (behind[i] != BYTE) return 0;
    return 1;
}

/* A function that fills options writes no byte more than the structure had in this version. */
#define FILL(type, name, init)                                                                                         \
    GUARDED(type, name);                                                                                               \
    init(&name.is);                                                                                                    \
    CHECK(name.is.size == sizeof(type));                                                                               \
    CHECK(untouched(name.behind))

/* The same for a structure that a call fills; `is` is empty but for its size. */
#define TAKE(type, name)                                                                                               \
    GUARDED(type, name);                                                                                               \
    memset(&name.is, 0, sizeof name.is);                                                                               \
    name.is.size = sizeof(type)

#define TAKEN(type, name)                                                                                              \
    CHECK(name.is.size == sizeof(type));                                                                               \
    CHECK(untouched(name.behind))

/* ---- options that the calls below do not use --------------------------------------------------------------------- */

static void other_options(void) {
    FILL(kf_image_options, image, kf_image_options_init);
    FILL(kf_bench_options, bench, kf_bench_options_init);
    FILL(kf_bench_row_options, row, kf_bench_row_options_init);
    FILL(kf_classify_options, classify, kf_classify_options_init);
    FILL(kf_stream_options, stream, kf_stream_options_init);
    FILL(kf_run_options, run, kf_run_options_init);
    FILL(kf_comparison_page_options, page, kf_comparison_page_options_init);
    FILL(kf_rdk_options, rdk, kf_rdk_options_init);
    FILL(kf_judge_options, judge, kf_judge_options_init);
    FILL(kf_rewrite_options, rewrite, kf_rewrite_options_init);
    FILL(kf_pull_options, pull, kf_pull_options_init);
    GUARDED(kf_preprocess, preprocess);
    kf_preprocess_init(&preprocess.is);
    CHECK(untouched(preprocess.behind));
}

/* ---- classify ---------------------------------------------------------------------------------------------------- */

static const char *const LABELS[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                     "dog",      "frog",       "horse", "ship", "truck"};
static const char *const NAMES[PICTURES] = {"airplane", "automobile", "frog", "ship", "truck"};

static void picture_path(const char *folder, int i, char to[4096]) {
    snprintf(to, 4096, "%s/%s.jpg", folder, NAMES[i]);
}

static void classify(const kf_model *model, const char *folder) {
    char path[4096];
    kf_session *session = NULL;
    kf_batch *batch = NULL;
    kf_image images[PICTURES] = {{0}};
    kf_score top[3], each[PICTURES];
    size_t n = 0, found[PICTURES];
    FILL(kf_session_options, options, kf_session_options_init);
    FILL(kf_batch_options, together, kf_batch_options_init);
    options.is.threads = 1, options.is.profile = 1, together.is.threads = 2;
    DO(kf_session_create(model, &options.is, &session, &err));
    DO(kf_batch_create(model, &together.is, &batch, &err));
    for (int i = 0; i < PICTURES; i++) {
        picture_path(folder, i, path);
        DO(kf_image_load(path, NULL, &images[i], &err));
        DO(kf_session_classify(session, &images[i], 3, top, &n, &err));
        CHECK(n == 3 && top[0].label && strcmp(top[0].label, NAMES[i]) == 0 && top[0].score > 0.5f);
    }
    TAKE(kf_step_info, step);
    DO(kf_session_step(session, 0, &step.is, &err));
    TAKEN(kf_step_info, step);
    CHECK(step.is.name && step.is.shape[1] == 32 && step.is.n_in == 1);
    DO(kf_batch_classify(batch, images, PICTURES, 1, each, found, &err));
    for (int i = 0; i < PICTURES; i++) CHECK(found[i] == 1 && each[i].label && strcmp(each[i].label, NAMES[i]) == 0);
    for (int i = 0; i < PICTURES; i++) kf_image_free(&images[i]);
    kf_batch_destroy(&batch);
    kf_session_destroy(&session);
}

/* ---- import, quantize, save -------------------------------------------------------------------------------------- */

static void sample(const char *path, const kf_preprocess *p, kf_tensor *out) {
    kf_image whole = {0}, fit = {0};
    DO(kf_image_load(path, NULL, &whole, &err));
    DO(kf_image_preprocess(&whole, p, &fit, &err));
    kf_image_free(&whole);
    *out = (kf_tensor){NULL, KF_U8, 3, {p->height, p->width, 3}, fit.pixels, 3 * (size_t)p->width * (size_t)p->height};
}

static void quantize(kf_graph *graph, const char *folder, const kf_preprocess *p) {
    char path[4096];
    kf_tensor samples[PICTURES];
    double agreement = 0, sqnr = 0;
    int32_t n = 0;
    for (int i = 0; i < PICTURES; i++) {
        picture_path(folder, i, path);
        sample(path, p, &samples[i]);
    }
    FILL(kf_quantize_options, options, kf_quantize_options_init);
    DO(kf_graph_quantize(graph, samples, PICTURES, &options.is, &err));
    for (int i = 0; i < PICTURES; i++) free(samples[i].data);
    DO(kf_graph_quantized_summary(graph, &agreement, &sqnr, &n, &err));
    CHECK(n == PICTURES && agreement > 0 && sqnr > 5);
    TAKE(kf_quantized_node, node);
    DO(kf_graph_quantized_node(graph, 0, &node.is, &err));
    TAKEN(kf_quantized_node, node);
}

/* The float model, compiled; the quantized one goes to `to`. */
static void make(const char *onnx, const char *folder, const char *to, kf_model **out) {
    kf_graph *graph = NULL;
    FILL(kf_import_options, options, kf_import_options_init);
    FILL(kf_model_options, model, kf_model_options_init);
    options.is.labels = LABELS, options.is.n_labels = 10;
    DO(kf_graph_import(onnx, &options.is, &graph, &err));
    TAKE(kf_graph_info, info);
    DO(kf_graph_get_info(graph, &info.is, &err));
    TAKEN(kf_graph_info, info);
    CHECK(info.is.n_labels == 10 && info.is.preprocess.width == 64 && info.is.quantized == 0 && info.is.macs > 1000000);
    TAKE(kf_node_info, node);
    DO(kf_graph_node(graph, 0, &node.is, &err));
    TAKEN(kf_node_info, node);
    CHECK(node.is.supported == 1 && node.is.rank == 4);
    DO(kf_graph_compile(graph, &model.is, out, &err));
    quantize(graph, folder, &info.is.preprocess);
    DO(kf_graph_save(graph, to, &err));
    kf_graph_destroy(&graph);
}

static void verify(const kf_model *model) {
    TAKE(kf_model_info, info);
    DO(kf_model_get_info(model, &info.is, &err));
    TAKEN(kf_model_info, info);
    CHECK(info.is.quantized == 1 && info.is.n_labels == 10 && info.is.n_inputs == 1 && info.is.preprocess.height == 64);
    CHECK(info.is.scores == KF_SCORES_LOGITS || info.is.scores == KF_SCORES_PROBABILITIES);
    TAKE(kf_verify_report, report);
    DO(kf_model_verify(model, 1, &report.is, &err));
    TAKEN(kf_verify_report, report);
    CHECK(report.is.first == -1 && report.is.steps == info.is.n_steps && report.is.exact > 0);
}

/* ---- evaluate, compare, check ------------------------------------------------------------------------------------ */

static void evaluate(const kf_model *model, const char *folder, const char *list) {
    kf_dataset *data = NULL;
    FILE *f = fopen(list, "w");
    for (int i = 0; f && i < PICTURES; i++) fprintf(f, "%s.jpg,%d\n", NAMES[i], (int[]){0, 1, 6, 8, 9}[i]);
    CHECK(f && fclose(f) == 0);
    FILL(kf_dataset_options, how, kf_dataset_options_init);
    FILL(kf_evaluate_options, options, kf_evaluate_options_init);
    how.is.model = model, how.is.list = list;
    DO(kf_dataset_open(folder, &how.is, &data, &err));
    TAKE(kf_evaluation, e);
    DO(kf_evaluate(model, data, &options.is, &e.is, &err));
    TAKEN(kf_evaluation, e);
    CHECK(e.is.images == PICTURES && e.is.failed == 0 && e.is.top1 > 99 && e.is.low < 99 && e.is.classes == 10);
    kf_evaluation_free(&e.is);
    CHECK(untouched(e.behind));
    kf_dataset_destroy(&data);
    remove(list);
}

static void compare(const kf_model *a, const kf_model *b, const char *folder) {
    kf_samples samples;
    FILL(kf_compare_options, options, kf_compare_options_init);
    options.is.node_images = 1;
    DO(kf_samples_find(folder, NULL, 0, &samples, &err));
    TAKE(kf_comparison, c);
    DO(kf_compare(a, b, &samples, &options.is, &c.is, &err));
    TAKEN(kf_comparison, c);
    CHECK(c.is.summary.images == PICTURES && c.is.summary.same == PICTURES && c.is.classes == 10 && c.is.n_nodes > 10);
    CHECK(c.is.summary.cosine > 0.9 && c.is.summary.identical == 0 && c.is.pictures[1].said[0] == 1);
    kf_comparison_free(&c.is);
    CHECK(untouched(c.behind));
    kf_samples_free(&samples);
}

static void check(const char *onnx) {
    TAKE(kf_check_result, r);
    DO(kf_check(onnx, NULL, &r.is, &err));
    TAKEN(kf_check_result, r);
    CHECK(r.is.n > 10 && r.is.count[KF_FATE_UNSUPPORTED] == 0 && r.is.nodes[r.is.n - 1].name);
    kf_check_result_free(&r.is);
    CHECK(untouched(r.behind));
    TAKE(kf_zoo_entry, zoo);
    DO(kf_zoo_get(0, &zoo.is, &err));
    TAKEN(kf_zoo_entry, zoo);
}

int main(int argc, char **argv) {
    kf_model *whole = NULL, *small = NULL;
    char list[4096];
    if (argc != 4) return fprintf(stderr, "usage: %s MODEL.onnx PICTURES OUT.kfx\n", argv[0]), 2;
    snprintf(list, sizeof list, "%s.csv", argv[3]);
    other_options();
    make(argv[1], argv[2], argv[3], &whole);
    FILL(kf_model_options, options, kf_model_options_init);
    DO(kf_model_load(argv[3], &options.is, &small, &err));
    if (whole && small) {
        verify(small);
        classify(whole, argv[2]);
        classify(small, argv[2]);
        evaluate(small, argv[2], list);
        compare(whole, small, argv[2]);
        check(argv[1]);
    }
    kf_model_destroy(&whole), kf_model_destroy(&small);
    remove(argv[3]);
    printf("%d failures\n", failures);
    return failures || !argv[1] ? 1 : 0;
}
