/* One network: imported from memory, compiled, quantized, written, read, run on every level, compared.
 * The float oracle runs the graph as imported, before any pass; the integer oracle runs the quantized graph.
 * Owner rule: see check.h. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/toolchain/graph_api.h"
#include "format/format.h"
#include "lower/lower.h"
#include "network.h"
#include "ref/ref.h"
#include "runtime/session.h"

#include "../e2e/quantize_helper.h"

enum { SAMPLES = 3, HOLES = SAMPLES, MOST_VALUES = 64 }; /* HOLES: sample 0 with NaN and infinities */

/* What the oracle gave, by name. */
typedef struct oracle {
    const char *name[MOST_VALUES];
    kf__dense value[MOST_VALUES];
    int n;
    double magnitude; /* of the largest number seen */
} oracle;

typedef struct work {
    const net_row *r;
    first_layer f;
    uint64_t seed;
    outcome *to;
    void *onnx;
    size_t onnx_bytes, count; /* count: elements of the input */
    uint8_t *pixels[SAMPLES]; /* HWC, where the input is pixels */
    float *real[SAMPLES + 1]; /* NCHW, normalized; the last one: HOLES */
    uint8_t *planes;          /* sample 0 as NCHW */
    kf_preprocess preprocess;
} work;

static void set(work *w, result what, kf_status status, const char *stage, const char *text) {
    if (w->to->result == FAILED) return;
    w->to->result = what, w->to->status = status;
    snprintf(w->to->text, sizeof w->to->text, "%.20s: %.170s", stage, text);
}

/* A network may be refused with a reason that its user can act on; anything else is a fault. */
static bool took(work *w, kf_status st, const char *stage, const kf_error *err) {
    if (st == KF_OK) return true;
    bool refusal = (st == KF_ERR_UNSUPPORTED || st == KF_ERR_LIMIT) && err->text[0];
    char text[180];
    snprintf(text, sizeof text, "%s, %.150s", kf_status_name(st), err->text);
    set(w, refusal ? REFUSED : FAILED, st, stage, text);
    return false;
}

/* Determined once: under a hypervisor, CPUID takes longer than running a network. */
int sweep_levels(kf__cpu_level *to) {
    static kf__cpu_level levels[KF_CPU_LEVELS];
    static int n;
    for (int i = n ? KF_CPU_LEVELS : 0; i < KF_CPU_LEVELS; i++)
        if (kf__cpu_usable((kf__cpu_level)i) && kf__cpu_allowed((kf__cpu_level)i)) levels[n++] = (kf__cpu_level)i;
    memcpy(to, levels, (size_t)n * sizeof *levels);
    return n;
}

/* ---- input ------------------------------------------------------------ */

static void *need(void *p) {
    if (!p) abort();
    return p;
}

static void make_inputs(work *w) {
    size_t hw = (size_t)w->f.h * (size_t)w->f.w, c_n = (size_t)w->f.cin, image = hw * c_n;
    kf__random g = {w->seed + 77};
    bool pixels = w->r->v[P_INPUT] == INPUT_PIXELS;
    w->count = image * (size_t)w->f.n;
    w->preprocess = (kf_preprocess){.valid = 1,
                                    .width = w->f.w,
                                    .height = w->f.h,
                                    .crop_pct = 1,
                                    .mean = {0.485, 0.456, 0.406},
                                    .std = {0.229, 0.224, 0.225}};
    if (pixels) w->planes = need(malloc(w->count));
    w->real[HOLES] = need(malloc(w->count * sizeof(float)));
    for (int k = 0; k < SAMPLES; k++) {
        w->real[k] = need(malloc(w->count * sizeof(float)));
        if (pixels) w->pixels[k] = need(malloc(w->count));
        for (size_t i = 0; i < w->count; i++) {
            size_t c = i / hw % c_n, at = i % hw, n = i / image;
            if (!pixels) {
                w->real[k][i] = (float)(kf__random_unit(&g) * 4 - 2);
                continue;
            }
            uint8_t q = (uint8_t)kf__random_range(&g, 0, 255);
            w->pixels[k][n * image + at * c_n + c] = q;
            if (k == 0) w->planes[i] = q;
            w->real[k][i] = (float)((q / 255.0 - w->preprocess.mean[c]) / w->preprocess.std[c]);
        }
    }
}

static void free_inputs(work *w) {
    for (int k = 0; k < SAMPLES; k++) free(w->real[k]), free(w->pixels[k]);
    free(w->real[HOLES]);
    free(w->planes);
    free(w->onnx);
}

static kf_graph *import(work *w) {
    kf_import_options o;
    kf_graph *graph;
    kf_error err = {0};
    kf_import_options_init(&o);
    if (w->r->v[P_INPUT] == INPUT_PIXELS) o.preprocess = &w->preprocess;
    return took(w, kf_graph_import_onnx_memory(w->onnx, w->onnx_bytes, &o, &graph, &err), "import", &err) ? graph
                                                                                                          : NULL;
}

/* ---- running ------------------------------------------------------------ */

typedef struct comparison {
    const oracle *o;
    const kf__program *p;
    const char *wrong;
    int compared;
    bool holes;
} comparison;

/* NaN in the same places as the oracle's, infinities too; the other numbers are compared where there are no holes. */
static bool same_hole(float got, float want) {
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got);
    return isinf(want) || isinf(got) ? got == want
                                     : fabs((double)got - (double)want) <= 1e-3 * (1 + fabs((double)want));
}

/* Every tensor that the oracle has too, byte for byte; the oracle's are NCHW. */
static void compare_step(void *user, int32_t step, const float *data) {
    comparison *c = user;
    const kf__ptensor *t = &c->p->tensors[c->p->steps[step].out];
    size_t hw = (size_t)t->h * (size_t)t->w, ch = (size_t)t->c, e = kf_dtype_size(t->dtype);
    if ((t->dtype == KF_F32) != c->holes) return; /* without holes, f32 outputs are compared at the end */
    for (int i = 0; i < c->o->n; i++) {
        const kf__dense *d = &c->o->value[i];
        if (strcmp(c->o->name[i], t->name) != 0 || d->dtype != t->dtype) continue;
        c->compared++;
        for (size_t k = 0; k < (size_t)t->n * hw * ch && !c->wrong; k++) { /* k counts n, h, w, c */
            size_t n = k / (hw * ch), at = k / ch % hw, cc = k % ch;
            size_t place = (n * ch + cc) * hw + at;
            bool same = c->holes ? same_hole(data[k], ((const float *)d->data)[place])
                                 : memcmp((const char *)data + k * e, (const char *)d->data + place * e, e) == 0;
            if (!same) c->wrong = t->name;
        }
    }
}

/* Relative length of the difference; infinite where one is not finite. */
static double relative_error(const float *got, const float *want, size_t n, double least) {
    double d = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        d += ((double)got[i] - (double)want[i]) * ((double)got[i] - (double)want[i]);
        all += (double)want[i] * (double)want[i];
    }
    all = fmax(sqrt(all), least * sqrt((double)n));
    return all > 0 ? sqrt(d) / all : d > 0 ? INFINITY : isnan(d) ? INFINITY : 0;
}

typedef struct runs {
    const void *file;
    size_t bytes;
    kf_tensor in;
    const oracle *o;
    const kf__dense *want;
    bool integer, holes;
    const struct runs *then; /* another input of the same file, or NULL */
} runs;

/* docs/NUMERICS.md: float outputs within 1e-5 of the double reference; integer ones equal, except behind a softmax. */
static bool same_output(work *w, const runs *x, const kf__program *p, const float *got, size_t n) {
    bool soft = p->outputs[0].scores == KF_SCORES_PROBABILITIES;
    for (size_t i = 0; x->holes && i < n; i++)
        if (!same_hole(got[i], ((const float *)x->want->data)[i])) return false;
    if (x->holes) return true;
    if (x->integer && !soft) return memcmp(got, x->want->data, n * sizeof *got) == 0;
    double d = relative_error(got, x->want->data, n, 1e-3 * x->o->magnitude), bound = x->integer ? 1e-4 : 1e-5;
    if (d / bound > w->to->worst) w->to->worst = d / bound;
    return d <= bound;
}

static bool run_session(work *w, const runs *x, const kf_model *m, const char *level, int threads) {
    kf_session_options o;
    kf_session *s;
    kf_error err = {0};
    kf_tensor out;
    char text[120];
    kf_session_options_init(&o);
    o.threads = threads;
    if (!took(w, kf_session_create(m, &o, &s, &err), "session", &err)) return false;
    if (!took(w, kf_model_output(m, 0, &out, &err), "output", &err)) return false;
    size_t n = out.bytes / sizeof(float);
    out.data = need(malloc(out.bytes));
    comparison c = {.o = x->o, .p = m->p, .holes = x->holes};
    if ((x->integer || x->holes) && threads == 1) s->probe = compare_step, s->probe_user = &c;
    bool fine = took(w, kf_session_run(s, &x->in, 1, &out, 1, &err), "run", &err);
    if (fine && (c.wrong || !same_output(w, x, m->p, out.data, n))) {
        snprintf(text, sizeof text, "%s on %s, %d threads", c.wrong ? c.wrong : "the output", level, threads);
        const char *what = x->holes ? "NaN or infinity lost" : "floats differ";
        set(w, FAILED, KF_OK, x->integer ? "integers differ" : what, text);
        fine = false;
    }
    free(out.data);
    kf_session_destroy(&s);
    if (x->integer) w->to->runs_int++;
    else w->to->runs_f32++;
    return fine;
}

static void run_levels(work *w, const runs *x) {
    kf__cpu_level levels[KF_CPU_LEVELS];
    int n = sweep_levels(levels);
    for (int i = 0; i < n; i++) {
        kf__program *p;
        kf_model *m;
        kf_error err = {0};
        if (!took(w, kf__format_read(x->file, x->bytes, NULL, 0, &p, &err), "read", &err)) break;
        if (!took(w, kf__model_create_at(p, levels[i], NULL, &m, &err), "load", &err)) break;
        bool fine = run_session(w, x, m, kf__cpu_level_name(levels[i]), 1);
        if (fine && w->r->v[P_THREADS]) fine = run_session(w, x, m, kf__cpu_level_name(levels[i]), 2);
        kf_model_destroy(&m);
        if (!fine) break;
    }
}

/* ---- border classes ------------------------------------------------------------ */

/* Computes rules of docs/NUMERICS.md without src/tensor, which both oracles and the runtime share and could be wrong
 * together. */
static uint64_t taps_inside(const kf__axis *a, int32_t in, int32_t at) {
    uint64_t bits = 0;
    for (int32_t t = 0; t < a->taps; t++) {
        int64_t x = (int64_t)at * a->stride - a->before + (int64_t)t * a->dilation;
        if (x >= 0 && x < in) bits |= (uint64_t)1 << t;
    }
    return bits;
}

static bool classes_hold(const kf__axis *a, int32_t in, int32_t out) {
    uint64_t seen[64];
    int32_t *cls = need(malloc((size_t)out * sizeof *cls)), n = 0;
    kf__taps *taps = need(malloc((size_t)out * sizeof *taps));
    int32_t told = kf__border_classes(a, in, out, cls, taps);
    bool fine = a->taps < 32;
    for (int32_t i = 0; fine && i < out; i++) {
        uint64_t bits = taps_inside(a, in, i);
        int32_t k = 0;
        while (k < n && seen[k] != bits) k++;
        if (k == n) seen[n++] = bits;
        fine = cls[i] == k && bits == (((uint64_t)1 << taps[k].count) - 1) << taps[k].first;
    }
    free(cls), free(taps);
    return fine && n == told;
}

static void check_classes(work *w, const kf__program *p) {
    for (int32_t i = 0; i < p->n_steps; i++) {
        const kf__step *s = &p->steps[i];
        const kf__ptensor *x = &p->tensors[s->in[0]], *y = &p->tensors[s->out];
        const kf__axis rows = kf__window_rows(&s->window), columns = kf__window_columns(&s->window);
        if (s->border_bias && (!classes_hold(&rows, x->h, y->h) || !classes_hold(&columns, x->w, y->w)))
            set(w, FAILED, KF_OK, "border classes", s->name);
    }
}

/* ---- one precision ------------------------------------------------------------ */

static kf_status keep(void *user, const kf__graph *g, kf__vid v, const kf__dense *d, kf_error *err) {
    oracle *o = user;
    size_t n = 0;
    if (o->n < MOST_VALUES) o->name[o->n] = g->values[v].name, o->value[o->n++] = *d;
    float most = 0; /* in f32: gcc 12 for aarch64 fails on the maximum of widened floats */
    if (d->dtype == KF_F32 && kf__shape_count(&d->shape, &n))
        for (size_t i = 0; i < n; i++) most = fmaxf(most, fabsf(((const float *)d->data)[i]));
    o->magnitude = fmax(o->magnitude, (double)most);
    return KF_OK;
}

static bool oracle_runs(work *w, const kf__graph *g, kf__dense in, oracle *o, kf__dense *out, kf__arena *arena) {
    kf_error err = {0};
    kf_status st = g->n_outputs == 1 ? kf__ref_run(g, &in, 1, out, 1, keep, o, arena, &err) : KF_ERR_INTERNAL;
    return took(w, st, "oracle", &err);
}

/* Through a file and, for some, through one on disk, which has to meet its golden vector. */
static void compile_and_run(work *w, kf_graph *graph, runs *x, const char *folder) {
    kf__program *p;
    kf_error err = {0};
    void *data;
    size_t bytes;
    if (!took(w, kf__lower(graph->g, &p, &err), "lower", &err)) return;
    check_classes(w, p);
    bool fine = took(w, kf__format_write(p, &data, &bytes, &err), "write", &err);
    kf__program_destroy(&p);
    if (!fine) return;
    x->file = data, x->bytes = bytes;
    run_levels(w, x);
    if (x->then && w->to->result != FAILED) {
        runs then = *x->then;
        then.file = data, then.bytes = bytes;
        run_levels(w, &then);
    }
    free(data);
    if (!folder || w->to->result == FAILED) return;
    char path[300];
    kf_model *m;
    kf_verify_report v = {.size = sizeof v};
    snprintf(path, sizeof path, "%s/%d.kfx", folder, (int)getpid());
    if (!took(w, kf_graph_save(graph, path, &err), "save", &err)) return;
    fine = took(w, kf_model_load(path, NULL, &m, &err), "load", &err);
    unlink(path);
    if (!fine) return;
    if (took(w, kf_model_verify(m, 1, &v, &err), "verify", &err) && v.first >= 0)
        set(w, FAILED, KF_OK, "verify", v.name);
    kf_model_destroy(&m);
}

static kf_tensor tensor_of(work *w, kf_dtype type, void *data) {
    return (kf_tensor){.dtype = type,
                       .rank = 4,
                       .shape = {w->f.n, w->f.cin, w->f.h, w->f.w},
                       .data = data,
                       .bytes = w->count * kf_dtype_size(type)};
}

static kf__dense dense_of(work *w, kf_dtype type, void *data) {
    return (kf__dense){
        .dtype = type, .shape = kf__shape_make(4, (int64_t[]){w->f.n, w->f.cin, w->f.h, w->f.w}), .data = data};
}

/* NaN at one place; in some networks infinities elsewhere too, whose difference is NaN again. */
static void make_holes(work *w) {
    memcpy(w->real[HOLES], w->real[0], w->count * sizeof(float));
    const float hole[] = {NAN, INFINITY, -INFINITY};
    kf__random g = {w->seed + 99};
    for (int i = 0; i < (w->seed % 3 ? 1 : 3); i++)
        w->real[HOLES][kf__random_range(&g, 0, (int64_t)w->count - 1)] = hole[(i + (int)(w->seed % 2)) % 3];
}

static void check_float(work *w, const char *folder) {
    kf_graph *graph = import(w);
    kf_error err = {0};
    kf__arena arena;
    oracle o = {.n = 0}, odd = o;
    kf__dense out, odd_out;
    if (!graph) return;
    make_holes(w);
    kf__arena_init(&arena, NULL);
    if (oracle_runs(w, graph->g, dense_of(w, KF_F32, w->real[0]), &o, &out, &arena) &&
        oracle_runs(w, graph->g, dense_of(w, KF_F32, w->real[HOLES]), &odd, &odd_out, &arena) &&
        took(w, kf_graph_optimize(graph, KF_OPTIMIZE_FUSE, &err), "optimize", &err)) {
        runs then = {.in = tensor_of(w, KF_F32, w->real[HOLES]), .o = &odd, .want = &odd_out, .holes = true};
        runs x = {.in = tensor_of(w, KF_F32, w->real[0]), .o = &o, .want = &out, .then = &then};
        compile_and_run(w, graph, &x, folder);
    }
    kf__arena_free(&arena);
    kf_graph_destroy(&graph);
}

/* The product's quantizer with the row's options. No search for roundings where a layer is deep: it takes long. */
static bool quantize(work *w, kf_graph *graph) {
    kf_quantize_options o;
    kf_error err = {0};
    kf_tensor samples[SAMPLES];
    const char *names[MOST_VALUES];
    int32_t n = 0;
    int kind = w->r->v[P_QUANTIZER];
    kf_quantize_options_init(&o);
    o.threads = 1;
    o.rounding = w->f.kh * w->f.kw * w->f.cin <= 64;
    if (!took(w, kf_graph_optimize(graph, KF_OPTIMIZE_FUSE, &err), "optimize", &err)) return false;
    for (size_t i = 0; i < graph->g->n_nodes && n < MOST_VALUES; i++) {
        const kf__node *node = &graph->g->nodes[i];
        if (kind != Q_SIXTEEN_WEIGHTS || node->op == KF_OP_CONV) names[n++] = node->name;
    }
    if (kind == Q_SIXTEEN_OUTPUTS) o.int16_outputs = names, o.n_int16_outputs = n;
    if (kind == Q_SIXTEEN_NODES) o.int16_nodes = names, o.n_int16 = n;
    if (kind == Q_SIXTEEN_WEIGHTS) o.int16_weights = names, o.n_int16_weights = n;
    for (int k = 0; k < SAMPLES; k++) {
        samples[k] = tensor_of(w, KF_F32, w->real[k]);
        if (w->planes)
            samples[k] = (kf_tensor){
                .dtype = KF_U8, .rank = 3, .shape = {w->f.h, w->f.w, 3}, .data = w->pixels[k], .bytes = w->count};
    }
    return took(w, kf_graph_quantize(graph, samples, SAMPLES, &o, &err), "quantize", &err);
}

static bool quantize_plainly(work *w, kf_graph *graph) {
    kf_error err = {0};
    kf__dense in[SAMPLES];
    if (!took(w, kf_graph_optimize(graph, KF_OPTIMIZE_FUSE, &err), "optimize", &err)) return false;
    for (int k = 0; k < SAMPLES; k++) in[k] = dense_of(w, KF_F32, w->real[k]);
    graph->g->meta.preprocess.valid = w->planes != NULL; /* the helper's sign for pixels */
    return took(w, qh_quantize(graph->g, in, SAMPLES, w->r->v[P_QUANTIZER] == Q_PLAIN ? 0 : 2, &err), "quantize", &err);
}

/* A network that the product's quantizer refuses still runs, by the plain one; the refusal is counted all the same. */
static kf_graph *quantized(work *w) {
    kf_graph *graph = import(w);
    if (!graph || (w->r->v[P_QUANTIZER] < Q_PLAIN && quantize(w, graph))) return graph;
    bool refused = w->r->v[P_QUANTIZER] < Q_PLAIN && w->to->result == REFUSED;
    if (refused) {
        kf_graph_destroy(&graph);
        graph = import(w);
    }
    if (graph && (refused || w->r->v[P_QUANTIZER] >= Q_PLAIN) && quantize_plainly(w, graph)) return graph;
    kf_graph_destroy(&graph);
    return NULL;
}

static void check_int(work *w, const char *folder) {
    kf_graph *graph = quantized(w);
    kf__arena arena;
    oracle o = {.n = 0};
    kf__dense out;
    if (!graph) return;
    kf__arena_init(&arena, NULL);
    void *input = w->planes ? (void *)w->planes : (void *)w->real[0];
    kf_dtype type = w->planes ? KF_U8 : KF_F32;
    if (oracle_runs(w, graph->g, dense_of(w, type, input), &o, &out, &arena)) {
        runs x = {.in = tensor_of(w, type, input), .o = &o, .want = &out, .integer = true};
        compile_and_run(w, graph, &x, folder);
    }
    kf__arena_free(&arena);
    kf_graph_destroy(&graph);
}

void sweep_check(const net_row *r, uint64_t seed, int index, const char *folder, outcome *to) {
    work w = {.r = r, .seed = seed * 1000003u + (uint64_t)index * 7919u, .to = to};
    *to = (outcome){.result = RAN};
    if (!first_layer_of(r, &w.f)) {
        set(&w, FAILED, KF_OK, "geometry", "no such network");
        return;
    }
    w.onnx = network_bytes(r, w.seed, &w.onnx_bytes);
    make_inputs(&w);
    check_float(&w, folder);
    if (to->result != FAILED) check_int(&w, folder);
    free_inputs(&w);
}
