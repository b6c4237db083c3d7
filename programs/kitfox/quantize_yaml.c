/* kitfox quantize CONFIG.yaml: the zoo's YAML to a compiled model, three ONNX files and a log.
 * Owner rule: outputs get their names only after all of them are written; until then nothing of them is to be seen. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/files.h"
#include "common/raw.h"
#include "kitfox/quantize.h"

typedef struct job {
    kf_rdk_config *c;
    const cli_common *common;
    kf_quantize_options q;
    kf_graph *g;
    pictures p;
    void *original, *optimized, *quantized; /* ONNX bytes */
    size_t original_bytes, optimized_bytes, quantized_bytes;
    char *notices; /* for the log */
    size_t notices_len;
    FILE *log;        /* writes `notices` */
    const char **all; /* every node, for all_int16 */
    bool quiet;       /* notices about keys were told before */
    size_t limit;
    quantize_report *report;
    quantize_pace pace;
    double start;
} job;

static void notice(void *user, const char *text) {
    job *j = user;
    if (!j->quiet) fprintf(stderr, "kitfox: note: %s\n", text);
    fprintf(j->log, "note: %s\n", text);
}

/* "PLACE: " before a text that does not name the YAML file. */
static kf_status place(const job *j, const char *key, kf_status st, kf_error *err) {
    char text[KF_ERROR_TEXT];
    if (st == KF_OK) return st;
    memcpy(text, err->text, sizeof text);
    return cli_error(err, st, "%.200s: %s: %.700s", kf_rdk_place(j->c, key), key, text);
}

static bool is_color(const kf_rdk_config *c) { return c->trained == KF_INPUT_RGB || c->trained == KF_INPUT_BGR; }

/* The network's input has to be what the file says; NV12 has one chroma pair for 2x2 pixels. */
static kf_status check_input(const job *j, const kf_tensor *in, kf_error *err) {
    const kf_rdk_config *c = j->c;
    bool picture = c->trained != KF_INPUT_FEATUREMAP;
    int64_t want = c->trained == KF_INPUT_GRAY ? 1 : 3;
    bool first = in->rank == 4 && in->shape[1] == want, last = in->rank == 4 && in->shape[3] == want;
    if (picture && !first && !last)
        return cli_error(err, KF_ERR_ARGUMENT,
                         "%s: input_type_train needs %d channel%s; the input of the network has rank %d and %lld; "
                         "correct it, or onnx_model",
                         kf_rdk_place(c, "input_type_train"), (int)want, want == 1 ? "" : "s", in->rank,
                         (long long)(in->rank == 4 ? in->shape[c->nhwc ? 3 : 1] : 0));
    const int64_t *side = in->shape + (first ? 2 : 1);
    if (picture && (c->runtime == KF_INPUT_NV12 || c->runtime == KF_INPUT_YUV444) && (side[0] % 2 || side[1] % 2))
        return cli_error(
            err, KF_ERR_ARGUMENT,
            "%s: input_type_rt needs an even height and width; the network takes %lld x %lld; use rgb or bgr",
            kf_rdk_place(c, "input_type_rt"), (long long)side[0], (long long)side[1]);
    return KF_OK;
}

/* mean and scale of the file as the preprocessing that goes into the model. */
static kf_status set_preprocess(job *j, kf_error *err) {
    kf_graph_info info = {.size = sizeof info};
    kf_status st = kf_graph_get_info(j->g, &info, err);
    if (st == KF_OK && !is_color(j->c)) st = kf_graph_set_preprocess(j->g, NULL, err); /* raw tensors */
    if (st != KF_OK || !is_color(j->c)) return st;
    if (j->c->runtime == KF_INPUT_NV12) st = kf_graph_set_input_range(j->g, j->c->limited, err);
    if (st != KF_OK) return st;
    kf_preprocess p = info.preprocess;
    if (!p.valid) kf_preprocess_init(&p);
    p.color = j->c->trained == KF_INPUT_BGR ? KF_COLOR_BGR : KF_COLOR_RGB;
    kf_preprocess_set_scale(&p, j->c->mean, j->c->scale);
    return place(j, j->c->normalizes ? "scale_value" : "norm_type", kf_graph_set_preprocess(j->g, &p, err), err);
}

/* Calibration pixels are full range whatever the camera gives; stretched wrongly, or not at all, all of them lie
 * in 16..235. */
static void tell_range(job *j) {
    double lo = 255, hi = 0;
    kf_color color = j->c->trained == KF_INPUT_BGR ? KF_COLOR_BGR : KF_COLOR_RGB;
    char text[400];
    for (size_t i = 0; i < j->p.n; i++)
        for (const uint8_t *p = j->p.tensors[i].data, *end = p + j->p.tensors[i].bytes; p < end; p += 3) {
            uint8_t rgb[3];
            kf_color_to_rgb(color, p, 1, rgb);
            double y = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
            lo = y < lo ? y : lo, hi = y > hi ? y : hi;
        }
    if (lo < 15.5 || hi > 235.5) return;
    snprintf(text, sizeof text,
             "%.150s: the luma of all calibration pictures lies in %.0f..%.0f, like limited range, but the file says "
             "regular (full); set input_space_and_range: bt601_video if the camera is limited, and write pictures "
             "stretched to 0..255",
             kf_rdk_place(j->c, "input_space_and_range"), lo, hi);
    notice(j, text);
}

/* calibration_type skip: pixels, or f32 of about unit variance. */
static kf_status random_samples(job *j, const kf_tensor *in, bool pixels, kf_error *err) {
    enum { N = 8 };
    uint32_t state = 2463534242u;
    j->p.paths = calloc(N, sizeof *j->p.paths);
    j->p.tensors = calloc(N, sizeof *j->p.tensors);
    if (!j->p.paths || !j->p.tensors) return cli_error(err, KF_ERR_MEMORY, "out of memory");
    for (j->p.n = 0; j->p.n < N;) {
        kf_tensor *t = &j->p.tensors[j->p.n++];
        size_t count = 1;
        for (int i = 0; i < in->rank; i++) count *= (size_t)in->shape[i];
        *t = *in;
        if (pixels) *t = (kf_tensor){.dtype = KF_U8, .rank = 3, .shape = {in->shape[2], in->shape[3], 3}};
        t->name = NULL, t->bytes = count * kf_dtype_size(t->dtype);
        if (!(t->data = malloc(t->bytes + 1)))
            return cli_error(err, KF_ERR_MEMORY, "out of memory; %zu bytes were asked for", t->bytes);
        for (size_t i = 0; i < count; i++) {
            state ^= state << 13, state ^= state >> 17, state ^= state << 5;
            if (pixels) ((uint8_t *)t->data)[i] = (uint8_t)(state >> 24);
            else ((float *)t->data)[i] = (float)(((double)state / 4294967296.0 - 0.5) * 3.4641);
        }
    }
    return KF_OK;
}

static kf_status load_samples(job *j, const kf_tensor *in, kf_error *err) {
    const kf_rdk_config *c = j->c;
    kf_graph_info info;
    raw_form f = {.type = c->calibration_type,
                  .nhwc = c->nhwc,
                  .input = in,
                  .bgr = c->trained == KF_INPUT_BGR,
                  .normalize = c->normalizes,
                  .camera = c->runtime == KF_INPUT_NV12 ? 1 + c->limited : 0};
    memcpy(f.mean, c->mean, sizeof f.mean);
    memcpy(f.scale, c->scale, sizeof f.scale);
    f.pixels = is_color(c) && in->rank == 4 && in->shape[1] == 3;
    kf_status st = kf_graph_get_info(j->g, &info, err);
    if (st == KF_OK && c->random) return random_samples(j, in, f.pixels, err);
    if (st == KF_OK && !c->pictures) st = raw_load(c->calibration, j->limit, &f, &j->p, err);
    if (st == KF_OK && c->pictures) st = pictures_find(c->calibration, NULL, j->limit, &j->p, err);
    if (st == KF_OK && c->pictures) st = pictures_load(&j->p, &info.preprocess, err);
    if (st == KF_OK && j->p.n < 20)
        notice(j, "fewer than 20 calibration files; 50 to 200 typical ones give better ranges");
    if (st == KF_OK && c->runtime == KF_INPUT_NV12 && !c->limited && f.pixels) tell_range(j);
    return place(j, "cal_data_dir", st, err);
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Every name of every node, sorted; the caller frees it. */
static const char **sorted_names(const kf_graph *g, size_t *count, kf_error *err) {
    kf_node_info n = {.size = sizeof n};
    kf_error end;
    size_t total = 0;
    for (int32_t i = 0; kf_graph_node(g, i, &n, &end) == KF_OK; i++) total += 1 + (size_t)n.n_sources;
    const char **names = calloc(total + 1, sizeof *names);
    if (!names) cli_error(err, KF_ERR_MEMORY, "out of memory for the names of the nodes");
    *count = total;
    total = 0;
    for (int32_t i = 0; names && kf_graph_node(g, i, &n, &end) == KF_OK; i++) {
        names[total++] = n.name;
        for (int32_t k = 0; k < n.n_sources; k++) names[total++] = n.sources[k];
    }
    if (names) qsort(names, total, sizeof *names, by_text);
    return names;
}

static bool answers(const kf_node_info *n, const char *name) {
    for (int32_t i = 0; i < n->n_sources; i++)
        if (strcmp(n->sources[i], name) == 0) return true;
    return strcmp(n->name, name) == 0;
}

/* Names are judged here, where their places are known. */
static kf_status check_int16(const job *j, kf_error *err) {
    const kf_rdk_config *c = j->c;
    size_t count = 0;
    kf_status st = KF_OK;
    const char **names = c->n_int16 ? sorted_names(j->g, &count, err) : NULL;
    if (c->n_int16 && !names) return KF_ERR_MEMORY;
    for (int32_t k = 0; st == KF_OK && k < c->n_int16; k++)
        if (!bsearch(&c->int16_nodes[k], names, count, sizeof *names, by_text))
            st = cli_error(err, KF_ERR_ARGUMENT, "%s: int16 node '%.200s'; there is no such node; %s",
                           c->int16_places[k], c->int16_nodes[k], "kitfox info --nodes lists the names");
    free(names);
    return st;
}

static kf_status set_int16(job *j, kf_error *err) {
    const kf_rdk_config *c = j->c;
    kf_graph_info info;
    kf_node_info n;
    kf_status st = kf_graph_get_info(j->g, &info, err);
    if (st == KF_OK) st = check_int16(j, err);
    if (st != KF_OK) return st;
    j->q.int16_nodes = c->int16_nodes, j->q.n_int16 = c->n_int16;
    if (!c->all_int16) return KF_OK;
    if (!(j->all = calloc((size_t)info.n_nodes + 1, sizeof *j->all)))
        return cli_error(err, KF_ERR_MEMORY, "out of memory");
    j->q.int16_nodes = j->all, j->q.n_int16 = 0;
    for (int32_t i = 0; i < info.n_nodes && kf_graph_node(j->g, i, &n, err) == KF_OK; i++)
        j->all[j->q.n_int16++] = n.name;
    return KF_OK;
}

/* Nodes that were to be int16 and are not: the log says so. */
static void tell_fallbacks(job *j) {
    kf_quantized_node q = {.size = sizeof q};
    kf_node_info n = {.size = sizeof n};
    kf_error err;
    char text[400];
    for (int32_t i = 0;
         kf_graph_quantized_node(j->g, i, &q, &err) == KF_OK && kf_graph_node(j->g, i, &n, &err) == KF_OK; i++)
        for (int32_t k = 0; k < j->c->n_int16; k++)
            if (q.dtype != KF_I16 && strcmp(n.name, q.name) == 0 && answers(&n, j->c->int16_nodes[k])) {
                snprintf(text, sizeof text, "%s: node '%.200s' stays %s", j->c->int16_places[k], j->c->int16_nodes[k],
                         q.dtype == KF_F32 ? "float: its readers take float" : "int8: it has no int16 form");
                notice(j, text);
            }
}

/* ---- outputs ----------------------------------------------------------------------------------------------------- */

enum { N_OUTPUTS = 5 };
static const char *const SUFFIX[N_OUTPUTS] = {".kfx", "_original_float_model.onnx", "_optimized_float_model.onnx",
                                              "_quantized_model.onnx", "_quantize.log"};

static kf_status write_log(const job *j, const char *path, kf_error *err) {
    double agreement, sqnr;
    int32_t samples;
    kf_status st = kf_graph_quantized_summary(j->g, &agreement, &sqnr, &samples, err);
    if (st != KF_OK) return st;
    char *text = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&text, &bytes);
    if (!f) return cli_error_at(err, KF_ERR_MEMORY, path, "out of memory for the log");
    const char *from = j->c->random ? "random numbers" : j->c->calibration;
    fprintf(f, "model: %s\n%scalibration data: %s, %d of %zu files\n\n", j->c->model, j->notices, from, samples,
            j->p.n);
    quantize_print_nodes(f, j->g, false);
    quantize_print_search(f, j->g, false, true);
    fprintf(f, "\ntop-1 agreement with float %.2f %% on them, output SQNR %.2f dB\n", agreement, sqnr);
    return cli_write_stream(path, f, &text, &bytes, err);
}

/* Like mkdir -p; *made says whether the last one is new. */
static kf_status make_folder(const char *path, bool *made, kf_error *err) {
    char part[4096];
    size_t n = strlen(path);
    if (n >= sizeof part) return cli_error(err, KF_ERR_IO, "%.600s: the name is too long", path);
    for (size_t i = 1; i <= n; i++)
        if (path[i] == '/' || path[i] == '\0') {
            memcpy(part, path, i);
            part[i] = '\0';
            *made = mkdir(part, 0777) == 0;
            if (!*made && errno != EEXIST)
                return cli_error(err, KF_ERR_IO, "%.600s: cannot be made; %s", part, strerror(errno));
        }
    return KF_OK;
}

typedef struct outputs {
    char path[N_OUTPUTS][4096], part[N_OUTPUTS][4096 + 16], dump[4096 + 64], dump_part[4096 + 96];
} outputs;

static kf_status name_outputs(const job *j, outputs *o, kf_error *err) {
    snprintf(o->dump, sizeof o->dump, "%.4095s/calibration_data", j->c->working_dir);
    snprintf(o->dump_part, sizeof o->dump_part, "%s.part", o->dump);
    for (int i = 0; i < N_OUTPUTS; i++) {
        int n = snprintf(o->path[i], sizeof o->path[i], "%s/%s%s", j->c->working_dir, j->c->prefix, SUFFIX[i]);
        if (n >= (int)sizeof o->path[i]) return cli_error(err, KF_ERR_IO, "%.600s: the name is too long", o->path[i]);
        snprintf(o->part[i], sizeof o->part[i], "%.4095s.part", o->path[i]);
    }
    return KF_OK;
}

static kf_status check_report(const job *j, const char *const *inputs, size_t n, kf_error *err) {
    const cli_output page = {j->report->path, "--report", false};
    kf_status st = cli_output_apart(&page, (const char *const *)j->p.paths, j->p.n, err);
    return st == KF_OK ? cli_outputs_check(&page, 1, inputs, n, err) : st;
}

/* Before the work; the folder need not be there yet, then the first one that has to be made is tried. */
static kf_status check_outputs(const job *j, const char *yaml, kf_error *err) {
    const char *const inputs[] = {j->c->model, yaml, j->common->labels};
    outputs o;
    struct stat there;
    kf_status st = check_report(j, inputs, 3, err);
    if (st != KF_OK) return st;
    st = name_outputs(j, &o, err);
    for (int i = 0; st == KF_OK && i < N_OUTPUTS; i++) {
        const cli_output out = {o.path[i], "working_dir", false};
        st = cli_output_apart(&out, inputs, 3, err);
        if (st == KF_OK) st = cli_output_apart(&out, (const char *const *)j->p.paths, j->p.n, err);
    }
    for (char *slash = o.path[0]; st == KF_OK && (slash = strchr(slash + 1, '/')) != NULL;) {
        *slash = '\0';
        if (stat(o.path[0], &there) != 0) break;
        *slash = '/';
    }
    if (st == KF_OK) st = kf_file_check(o.path[0], err);
    return place(j, "working_dir", st, err);
}

static kf_status write_parts(const job *j, const outputs *o, const char *input, kf_error *err) {
    kf_status st = kf_graph_save(j->g, o->part[0], err);
    if (st == KF_OK) st = cli_write(o->part[1], j->original, j->original_bytes, err);
    if (st == KF_OK) st = cli_write(o->part[2], j->optimized, j->optimized_bytes, err);
    if (st == KF_OK) st = cli_write(o->part[3], j->quantized, j->quantized_bytes, err);
    if (st == KF_OK) st = write_log(j, o->part[4], err);
    if (st == KF_OK && j->c->dump) st = quantize_dump(&j->p, o->dump_part, input, err);
    return st;
}

static kf_status write_outputs(const job *j, const char *input, kf_error *err) {
    outputs o;
    bool made = false;
    kf_status st = name_outputs(j, &o, err);
    if (st == KF_OK) st = make_folder(j->c->working_dir, &made, err);
    bool begun = st == KF_OK;
    if (st == KF_OK) st = write_parts(j, &o, input, err);
    for (int i = 0; st == KF_OK && i < N_OUTPUTS; i++) st = cli_replace(o.part[i], o.path[i], err);
    if (st == KF_OK && j->c->dump) {
        quantize_dump_remove(o.dump, input);
        if (rename(o.dump_part, o.dump) != 0)
            st = cli_error(err, KF_ERR_IO, "%.600s: cannot be written; %s", o.dump, strerror(errno));
    }
    if (st == KF_OK) return st;
    if (begun && j->c->dump) quantize_dump_remove(o.dump_part, input);
    for (int i = 0; begun && i < N_OUTPUTS; i++) unlink(o.part[i]);
    if (made) rmdir(j->c->working_dir);
    return place(j, "working_dir", st, err);
}

/* QDQ ONNX of what was quantized, read back and run: it has to give the same numbers. */
static kf_status write_qdq(job *j, kf_error *err) {
    kf_graph *back = NULL;
    double worst;
    char name[300];
    snprintf(name, sizeof name, "%.200s%s", j->c->prefix, SUFFIX[3]);
    kf_status st = kf_graph_write_onnx(j->g, &j->quantized, &j->quantized_bytes, err);
    if (st == KF_OK) st = kf_graph_import_onnx_memory(j->quantized, j->quantized_bytes, NULL, &back, err);
    if (st == KF_OK) st = cli_check_written(j->g, back, 1, name, &worst, err);
    kf_graph_destroy(&back);
    return st;
}

static kf_status conclude(const job *j, kf_error *err) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s%s", j->c->working_dir, j->c->prefix, SUFFIX[0]);
    kf_status st = quantize_report_write(j->report, j->g, path, err);
    if (st != KF_OK) return st;
    quantize_print_nodes(stdout, j->g, j->common->json);
    quantize_print_search(stdout, j->g, j->common->json, false);
    return quantize_print_summary(j->g, path, j->p.n, (cli_now_ms() - j->start) / 1e3, j->report, &j->pace,
                                  j->common->json, err);
}

/* Before anything is optimized: the names are those of the file. */
static kf_status set_edges(job *j, kf_error *err) {
    const kf_rdk_config *c = j->c;
    int32_t removed = 0;
    char text[120];
    kf_status st = c->n_output_nodes ? place(j, "output_nodes",
                                             kf_graph_set_outputs(j->g, c->output_nodes, c->n_output_nodes, err), err)
                                     : KF_OK;
    if (st == KF_OK && (c->n_remove_types || c->n_remove_names))
        st = place(j, c->n_remove_names ? "remove_node_name" : "remove_node_type",
                   kf_graph_remove_edges(j->g, c->remove_types, c->n_remove_types, c->remove_names, c->n_remove_names,
                                         &removed, err),
                   err);
    if (st != KF_OK || !removed) return st;
    snprintf(text, sizeof text, "%d node%s removed at inputs and outputs", removed, removed == 1 ? "" : "s");
    notice(j, text);
    return KF_OK;
}

static kf_status import(job *j, kf_error *err) {
    cli_common common = *j->common;
    if (access(j->c->model, R_OK) != 0)
        return place(j, "onnx_model",
                     cli_error(err, KF_ERR_IO, "%.600s: cannot be read; %s", j->c->model, strerror(errno)), err);
    common.input_shape = j->c->input_shape;
    kf_status st =
        place(j, j->c->input_shape ? "input_shape" : "onnx_model", cli_import(j->c->model, &common, &j->g, err), err);
    if (st == KF_OK) st = kf_graph_write_onnx(j->g, &j->original, &j->original_bytes, err);
    if (st == KF_OK) st = set_edges(j, err);
    if (st == KF_OK) st = set_preprocess(j, err);
    if (st == KF_OK) st = kf_graph_optimize(j->g, KF_OPTIMIZE_FUSE, err);
    return st;
}

/* Everything that can be judged before work begins. */
static kf_status prepare(job *j, const char *path, kf_tensor *in, kf_error *err) {
    kf_status st = kf_rdk_load(path, notice, j, &j->c, err);
    j->quiet = false;
    if (st == KF_OK) st = import(j, err);
    if (st == KF_OK) st = kf_graph_input(j->g, 0, in, err);
    if (st == KF_OK) st = check_input(j, in, err);
    if (st == KF_OK) st = set_int16(j, err);
    return st == KF_OK ? load_samples(j, in, err) : st;
}

static kf_status run(job *j, const char *path, kf_error *err) {
    kf_tensor in;
    kf_status st = prepare(j, path, &in, err);
    if (st == KF_OK) st = check_outputs(j, path, err);
    if (st == KF_OK) st = kf_graph_write_onnx(j->g, &j->optimized, &j->optimized_bytes, err);
    if (st != KF_OK) return st;
    j->q.range = j->c->range;
    if (j->c->range == KF_RANGE_PERCENTILE) j->q.percentile = j->c->percentile;
    if (j->c->per_channel >= 0) j->q.per_channel = j->c->per_channel;
    st = quantize_report_begin(j->report, j->c->model, j->g, &j->q, err);
    if (st == KF_OK) st = quantize_pace_begin(&j->pace, j->g, err);
    if (st == KF_OK) st = kf_graph_quantize(j->g, j->p.tensors, j->p.n, &j->q, err);
    if (st == KF_OK) st = quantize_report_measure(j->report, j->g, &j->p, err);
    if (st == KF_OK) st = quantize_pace_measure(&j->pace, j->g, err);
    if (st != KF_OK) return st;
    tell_fallbacks(j);
    fflush(j->log);
    st = write_qdq(j, err);
    cli_signals_wait();
    if (st == KF_OK) st = write_outputs(j, in.name, err);
    cli_signals_go();
    return st == KF_OK ? conclude(j, err) : st;
}

static void release(job *j) {
    if (j->log) fclose(j->log);
    free(j->notices);
    free(j->original);
    free(j->optimized);
    free(j->quantized);
    free(j->all);
    pictures_free(&j->p);
    quantize_pace_free(&j->pace);
    kf_graph_destroy(&j->g);
    kf_rdk_free(&j->c);
}

kf_status quantize_yaml_try(const char *path, const cli_common *common, size_t limit, kf_tensor *input, size_t *samples,
                            kf_error *err) {
    job j = {.common = common, .limit = limit, .quiet = true};
    j.log = open_memstream(&j.notices, &j.notices_len);
    kf_status st = j.log ? prepare(&j, path, input, err) : cli_error(err, KF_ERR_MEMORY, "out of memory");
    input->name = NULL;
    *samples = j.p.n;
    release(&j);
    return st;
}

kf_status quantize_yaml(const char *path, const cli_common *common, const kf_quantize_options *q, size_t limit,
                        quantize_report *r, kf_error *err) {
    job j = {.common = common, .q = *q, .limit = limit, .report = r, .start = cli_now_ms()};
    j.log = open_memstream(&j.notices, &j.notices_len);
    kf_status st = j.log ? run(&j, path, err) : cli_error(err, KF_ERR_MEMORY, "out of memory");
    release(&j);
    return st;
}
