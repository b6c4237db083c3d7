/* The effect of a configuration: import, edges, preprocessing, calibration, 16-bit nodes, quantization, outputs.
 * A check goes the same way up to the quantization.
 * Owner rule: a job releases what it made; the quantized graph goes to the caller. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/plain.h"
#include "rdk/rdk.h"

void kf__rdk_note(kf__rdk_job *j, const char *text) {
    if (j->o.notice) j->o.notice(j->o.user, text);
    fprintf(j->log, "note: %s\n", text);
}

static void on_notice(void *user, const char *text) { kf__rdk_note(user, text); }

kf_status kf__rdk_at(const kf__rdk_job *j, const char *key, kf_status st, kf_error *err) {
    return st == KF_OK ? st : kf_error_prefix(err, st, "%.200s: %s", kf_rdk_place(j->c, key), key);
}

/* ---- the graph --------------------------------------------------------------------------------------------------- */

/* The network's input must match the file. NV12 has one chroma pair for 2x2 pixels, so both sides must be even. */
static kf_status check_input(const kf__rdk_job *j, const kf_tensor *in, kf_error *err) {
    const kf_rdk_config *c = j->c;
    int64_t want = c->trained == KF_INPUT_GRAY ? 1 : 3;
    bool first = in->rank == 4 && in->shape[1] == want, last = in->rank == 4 && in->shape[3] == want;
    if (c->trained == KF_INPUT_FEATUREMAP) return KF_OK;
    const int channels = c->nhwc ? 3 : 1;
    if (!first && !last)
        KF_FAIL(err, KF_ERR_ARGUMENT,
                "%s: input_type_train needs %d channel%s; the input of the network has rank %d and %lld; correct it, "
                "or onnx_model",
                kf_rdk_place(c, "input_type_train"), (int)want, want == 1 ? "" : "s", in->rank,
                (long long)(in->rank == 4 ? in->shape[channels] : 0));
    const int64_t *side = in->shape + (first ? 2 : 1);
    bool halves = c->runtime == KF_INPUT_NV12 || c->runtime == KF_INPUT_YUV444;
    if (halves && (side[0] % 2 || side[1] % 2))
        KF_FAIL(err, KF_ERR_ARGUMENT,
                "%s: input_type_rt needs an even height and width; the network takes %lld x %lld; use rgb or bgr",
                kf_rdk_place(c, "input_type_rt"), (long long)side[0], (long long)side[1]);
    return KF_OK;
}

/* The file says mean and scale; how pictures come to the network's size is no key of it. */
static void note_assumed(kf__rdk_job *j, const kf_graph_info *info) {
    char text[200];
    const kf_preprocess *p = &info->preprocess;
    if (!j->c->pictures || !p->valid || info->preprocess_origin != KF_ORIGIN_ASSUMED) return;
    kf__lab_print(text, sizeof text, "assumed that pictures are resized by %s, and the centre cut with crop_pct %.4g",
                  kf_filter_name(p->filter), p->crop_pct);
    kf__rdk_note(j, text);
}

/* mean and scale of the file as the preprocessing that goes into the model. */
static kf_status set_preprocess(kf__rdk_job *j, kf_error *err) {
    kf_graph_info info = {.size = sizeof info};
    if (!kf__rdk_color(j->c)) return kf_graph_set_preprocess(j->g, NULL, err); /* raw tensors */
    KF_TRY(kf_graph_get_info(j->g, &info, err));
    if (j->c->runtime == KF_INPUT_NV12) KF_TRY(kf_graph_set_input_range(j->g, j->c->limited, err));
    kf_preprocess p = info.preprocess;
    if (!p.valid) kf_preprocess_init(&p);
    note_assumed(j, &info);
    p.color = j->c->trained == KF_INPUT_BGR ? KF_COLOR_BGR : KF_COLOR_RGB;
    kf_preprocess_set_scale(&p, j->c->mean, j->c->scale);
    kf_status st = kf_graph_set_preprocess(j->g, &p, err);
    return kf__rdk_at(j, j->c->normalizes ? "scale_value" : "norm_type", st, err);
}

/* Before anything is optimized: the names are those of the file. */
static kf_status set_edges(kf__rdk_job *j, kf_error *err) {
    const kf_rdk_config *c = j->c;
    int32_t removed = 0;
    char text[300];
    if (c->n_output_nodes) {
        kf_status st = kf_graph_set_outputs(j->g, c->output_nodes, c->n_output_nodes, err);
        if (st != KF_OK) return kf__rdk_at(j, "output_nodes", st, err);
    }
    if (!c->n_remove_types && !c->n_remove_names) return KF_OK;
    kf_status st =
        kf_graph_trim(j->g, c->remove_types, c->n_remove_types, c->remove_names, c->n_remove_names, &removed, err);
    if (st != KF_OK) return kf__rdk_at(j, c->n_remove_names ? "remove_node_name" : "remove_node_type", st, err);
    snprintf(text, sizeof text, "%d node%s removed at inputs and outputs", removed, removed == 1 ? "" : "s");
    if (!removed)
        snprintf(text, sizeof text, "%.150s: no node was removed; none of these lies at an input or an output",
                 kf_rdk_place(c, c->n_remove_types ? "remove_node_type" : "remove_node_name"));
    kf__rdk_note(j, text);
    return KF_OK;
}

/* Labels name the classes of the outputs that stay. */
static kf_status import(kf__rdk_job *j, kf_error *err) {
    static const char *const NONE[] = {NULL};
    kf_import_options io;
    kf_import_options_init(&io);
    KF_TRY(kf_options_read(&io, j->o.import, "kf_import_options", err));
    const kf_labels labels = {(char **)io.labels, io.n_labels};
    if (labels.n > 0) io.labels = NONE, io.n_labels = 0;
    io.input_shape = j->c->input_shape;
    if (!io.notice) io.notice = on_notice, io.notice_user = j;
    if (access(j->c->model, R_OK) != 0) {
        kf_status st = kf_error_set(err, KF_ERR_IO, "%.600s: cannot be read; %s", j->c->model, strerror(errno));
        return kf__rdk_at(j, "onnx_model", st, err);
    }
    kf_status st = kf_graph_import(j->c->model, &io, &j->g, err);
    if (st != KF_OK) return kf__rdk_at(j, j->c->input_shape ? "input_shape" : "onnx_model", st, err);
    KF_TRY(kf_graph_write_onnx(j->g, &j->original.data, &j->original.bytes, err));
    KF_TRY(kf__rdk_network_check(j, err));
    KF_TRY(set_edges(j, err));
    KF_TRY(kf__rdk_network_fits(j, err));
    if (labels.n > 0) st = kf_graph_name_classes(j->g, &labels, io.notice, io.notice_user, err);
    if (st != KF_OK) return kf_error_prefix(err, st, "labels");
    KF_TRY(set_preprocess(j, err));
    return kf_graph_optimize(j->g, KF_OPTIMIZE_FUSE, err);
}

/* ---- 16-bit nodes ------------------------------------------------------------------------------------------------ */

/* Names are checked here, where their lines and columns are known. */
static kf_status check_int16(const kf__rdk_job *j, kf_error *err) {
    const kf_rdk_config *c = j->c;
    size_t count = 0;
    kf_status st = KF_OK;
    if (!c->n_int16) return KF_OK;
    const char **names = kf__rdk_node_names(j->g, &count, err);
    if (!names) return KF_ERR_MEMORY;
    for (int32_t k = 0; st == KF_OK && k < c->n_int16; k++)
        if (!bsearch(&c->int16_nodes[k], names, count, sizeof *names, kf__rdk_by_text))
            st = kf_error_set(err, KF_ERR_ARGUMENT,
                              "%s: int16 node '%.200s'; there is no such node; kitfox info --nodes lists the names",
                              c->int16_places[k], c->int16_nodes[k]);
    free(names);
    return st;
}

static kf_status set_int16(kf__rdk_job *j, kf_error *err) {
    kf_graph_info info = {.size = sizeof info};
    kf_node_info n = {.size = sizeof n};
    KF_TRY(check_int16(j, err));
    j->q.int16_nodes = j->c->int16_nodes, j->q.n_int16 = j->c->n_int16;
    if (!j->c->all_int16) return KF_OK;
    KF_TRY(kf_graph_get_info(j->g, &info, err));
    if (!(j->every = calloc((size_t)info.n_nodes + 1, sizeof *j->every))) KF_RDK_FAIL_MEMORY(err);
    j->q.int16_nodes = j->every, j->q.n_int16 = 0;
    for (int32_t i = 0; i < info.n_nodes && kf_graph_node(j->g, i, &n, err) == KF_OK; i++)
        j->every[j->q.n_int16++] = n.name;
    return KF_OK;
}

static bool has_name(const kf_node_info *n, const char *name) {
    for (int32_t i = 0; i < n->n_sources; i++)
        if (strcmp(n->sources[i], name) == 0) return true;
    return strcmp(n->name, name) == 0;
}

/* Nodes that were to be int16 and are not: the log says so. */
static void tell_fallbacks(kf__rdk_job *j) {
    kf_quantized_node q = {.size = sizeof q};
    kf_node_info n = {.size = sizeof n};
    kf_error err;
    char text[400];
    for (int32_t i = 0;
         kf_graph_quantized_node(j->g, i, &q, &err) == KF_OK && kf_graph_node(j->g, i, &n, &err) == KF_OK; i++)
        for (int32_t k = 0; k < j->c->n_int16; k++)
            if (q.dtype != KF_I16 && strcmp(n.name, q.name) == 0 && has_name(&n, j->c->int16_nodes[k])) {
                snprintf(text, sizeof text, "%s: node '%.200s' stays %s", j->c->int16_places[k], j->c->int16_nodes[k],
                         q.dtype == KF_F32 ? "float: its readers take float" : "int8: it has no int16 form");
                kf__rdk_note(j, text);
            }
}

/* ---- the work ---------------------------------------------------------------------------------------------------- */

static kf_status stage(kf__rdk_job *j, kf_rdk_stage at, kf_error *err) {
    return j->o.stage ? j->o.stage(j->o.user, at, j->g, j->samples, err) : KF_OK;
}

static int on_progress(void *user, size_t done, size_t total) {
    kf__rdk_job *j = user;
    if (!j->stopped && j->o.progress && j->o.progress(j->o.user, done, total) != 0) j->stopped = true;
    return j->stopped;
}

static void on_fewer_threads(void *user, int32_t started, int32_t wanted) {
    kf__rdk_job *j = user;
    if (j->o.quantize) j->o.quantize->fewer_threads(j->o.quantize->user, started, wanted);
}

static kf_status begin(kf__rdk_job *j, const kf_rdk_config *c, const kf_rdk_options *options, kf_error *err) {
    kf_rdk_options_init(&j->o);
    KF_TRY(kf_options_read(&j->o, options, "kf_rdk_options", err));
    j->c = c;
    kf_quantize_options_init(&j->q);
    KF_TRY(kf_options_read(&j->q, j->o.quantize, "kf_quantize_options", err));
    kf_judge_options_init(&j->how);
    KF_TRY(kf_options_read(&j->how, j->o.judge, "kf_judge_options", err));
    if (!j->o.judge) j->how.threads = j->q.threads;
    if (!j->o.judge) j->how.progress = j->o.progress, j->how.user = j->o.user;
    j->log = open_memstream(&j->log_text, &j->log_bytes);
    if (!j->log) KF_RDK_FAIL_MEMORY(err);
    for (int32_t i = 0; i < c->n_notices; i++) fprintf(j->log, "note: %s\n", c->notices[i]);
    return KF_OK;
}

static void end(kf__rdk_job *j) {
    if (j->log) fclose(j->log);
    free(j->log_text);
    free(j->report);
    free(j->original.data);
    free(j->optimized.data);
    free(j->quantized.data);
    free(j->every);
    kf_graph_destroy(&j->g);
}

/* All checks that need no quantization. */
static kf_status prepare(kf__rdk_job *j, kf_tensor *in, kf_error *err) {
    KF_TRY(import(j, err));
    KF_TRY(kf_graph_input(j->g, 0, in, err));
    KF_TRY(check_input(j, in, err));
    KF_TRY(set_int16(j, err));
    return kf__rdk_calibration(j, in, err);
}

static kf_status quantize(kf__rdk_job *j, kf_error *err) {
    j->q.range = j->c->range;
    if (j->c->range == KF_RANGE_PERCENTILE) j->q.percentile = j->c->percentile;
    if (j->c->per_channel >= 0) j->q.per_channel = j->c->per_channel;
    if (j->q.fewer_threads) j->q.fewer_threads = on_fewer_threads;
    j->q.progress = on_progress, j->q.user = j;
    kf_status st = kf_graph_quantize(j->g, j->samples->tensors, j->samples->n, &j->q, err);
    if (j->stopped) KF_FAIL(err, KF_ERR_CANCELLED, "%s: stopped by the caller; nothing was written", j->c->model);
    KF_TRY(st);
    tell_fallbacks(j);
    return KF_OK;
}

static kf_status judge(kf__rdk_job *j, kf_error *err) {
    kf_status st = kf_judge_measure(*j->judge, j->g, j->samples, err);
    if (st != KF_ERR_CANCELLED) return st;
    KF_FAIL(err, st, "%s: stopped by the caller; nothing was written", j->c->model);
}

/* QDQ ONNX of what was quantized, read back and run: it has to give the same numbers. */
static kf_status make_qdq(kf__rdk_job *j, kf_error *err) {
    kf_graph *back = NULL;
    double worst;
    KF_TRY(kf_graph_write_onnx(j->g, &j->quantized.data, &j->quantized.bytes, err));
    KF_TRY(kf_graph_import_onnx_memory(j->quantized.data, j->quantized.bytes, NULL, &back, err));
    kf_status st = kf_graph_compare(j->g, back, 1, NULL, NULL, &worst, err);
    kf_graph_destroy(&back);
    return st == KF_OK ? st : kf_error_prefix(err, st, "%.200s" KF_RDK_QUANTIZED_ONNX, j->c->prefix);
}

static kf_status work(kf__rdk_job *j, kf_error *err) {
    kf_tensor in;
    KF_TRY(prepare(j, &in, err));
    KF_TRY(kf__rdk_outputs_check(j, err));
    KF_TRY(kf_graph_write_onnx(j->g, &j->optimized.data, &j->optimized.bytes, err));
    KF_TRY(kf_judge_create(j->g, &j->how, j->judge, err));
    KF_TRY(stage(j, KF_RDK_READY, err));
    KF_TRY(quantize(j, err));
    KF_TRY(judge(j, err));
    KF_TRY(stage(j, KF_RDK_QUANTIZED, err));
    KF_TRY(make_qdq(j, err));
    KF_TRY(stage(j, KF_RDK_WRITING, err));
    return kf__rdk_outputs_write(j, in.name, err);
}

/* ---- the public calls -------------------------------------------------------------------------------------------- */

void kf_rdk_options_init(kf_rdk_options *options) {
    *options = (kf_rdk_options){.size = sizeof *options, .limit = 200};
}

kf_status kf_rdk_quantize(const kf_rdk_config *config, const kf_rdk_options *options, kf_rdk_result *out,
                          kf_error *err) {
    char path[4096];
    if (!config || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_rdk_quantize: config and out are needed");
    const kf_rdk_result none = {.size = sizeof none};
    KF_TRY(kf_info_write(out, &none, "kf_rdk_result", err));
    if (out->size < sizeof none) /* `stage` and the samples see the caller's own structure */
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_rdk_result: size %zu; %zu is needed", out->size, sizeof none);
    if (!kf__rdk_output_model(config, path, sizeof path))
        KF_FAIL(err, KF_ERR_IO, "%s: working_dir: the name is too long", kf_rdk_place(config, "working_dir"));
    kf__rdk_job *j = calloc(1, sizeof *j);
    if (!j || !(out->path = strdup(path))) {
        free(j);
        KF_RDK_FAIL_MEMORY(err);
    }
    j->judge = &out->judge;
    j->samples = &out->samples; /* the samples live as long as the result */
    kf_status st = begin(j, config, options, err);
    if (st == KF_OK) st = work(j, err);
    if (st == KF_OK) {
        out->graph = j->g, out->log = j->report, out->tables = j->report + j->tables;
        j->g = NULL, j->report = NULL;
    }
    end(j);
    free(j);
    if (st != KF_OK) kf_rdk_result_free(out);
    return st;
}

void kf_rdk_result_free(kf_rdk_result *result) {
    const kf_rdk_result none = {.size = sizeof none};
    if (!result || result->size < sizeof none) return;
    kf_judge_destroy(&result->judge);
    kf_graph_destroy(&result->graph);
    kf_samples_free(&result->samples);
    free(result->path);
    free(result->log);
    kf_info_write(result, &none, "kf_rdk_result", NULL);
}

kf_status kf_rdk_check(const kf_rdk_config *config, const kf_rdk_options *options, kf_tensor *input, size_t *samples,
                       kf_error *err) {
    if (!config || !input || !samples)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_rdk_check: config, input and samples are needed");
    kf_samples own = {0};
    kf__rdk_job *j = calloc(1, sizeof *j);
    if (!j) KF_RDK_FAIL_MEMORY(err);
    j->samples = &own;
    kf_status st = begin(j, config, options, err);
    if (st == KF_OK) st = prepare(j, input, err);
    input->name = NULL; /* owned by the graph, which is destroyed below */
    *samples = own.n;
    end(j);
    kf_samples_free(&own);
    free(j);
    return st;
}
