/* Quantized networks end to end: every tensor of a session equals the integer oracle to the bit, on every instruction
 * set, on one and two threads, for one and two images, before and after a trip through a model file. Links libkitfoxc.
 * The built-in network is always tested, those of ../shared where they are. Owner rule: each test frees what it makes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "../unit/graph_builder.h"
#include "api/toolchain/graph_api.h"
#include "format/format.h"
#include "hash/sha256.h"
#include "lower/lower.h"
#include "../kernels/signed_groups.h"
#include "quantize_helper.h"
#include "runtime/session.h"

typedef struct network {
    const char *name, *path, *shape;
    int wide_every;
    int pixels, images;
} network;

static const network CASES[] = {
    {"everyday10", "data/everyday10.onnx", NULL, 0, 1, 0},
    {"everyday10, a third i16", "data/everyday10.onnx", NULL, 3, 1, 0},
    {"everyday10, two images", "data/everyday10.onnx", NULL, 5, 1, 2},
    {"large_100", "../shared/models/mobilenetv3_large_100.onnx", NULL, 0, 1, 0},
    {"large_100 as feature map, some i16", "../shared/models/mobilenetv3_large_100.onnx", NULL, 4, 0, 0},
    {"tf_minimal", "../shared/models/tf_mobilenetv3_large_minimal_100.onnx", NULL, 0, 1, 0},
    {"torchvision small", "../shared/models/torchvision_mobilenet_v3_small_op17.onnx", NULL, 0, 1, 0},
    {"ppocr", "../shared/models/ch_ppocr_mobile_v2.0_cls.onnx", "1x3x48x192", 0, 1, 0},
};

/* What the oracle saw, by value name. */
typedef struct seen {
    const char *name;
    kf__dense d;
} seen;
typedef struct oracle {
    seen list[512];
    size_t n;
} oracle;

static kf_status keep(void *user, const kf__graph *g, kf__vid v, const kf__dense *d, kf_error *err) {
    oracle *o = user;
    assert_true(o->n < 512);
    o->list[o->n++] = (seen){g->values[v].name, *d};
    return KF_OK;
}

typedef struct comparison {
    const oracle *o;
    const kf__program *p;
    int compared, wrong;
    const char *place;
} comparison;

static void compare(void *user, int32_t step, const float *data) {
    comparison *c = user;
    const kf__ptensor *t = &c->p->tensors[c->p->steps[step].out];
    size_t hw = (size_t)t->h * (size_t)t->w, ch = (size_t)t->c, e = kf_dtype_size(t->dtype);
    if (c->p->steps[step].op == KF_STEP_SOFTMAX) return; /* outside the bit contract */
    for (size_t i = 0; i < c->o->n; i++) {
        const kf__dense *d = &c->o->list[i].d;
        if (strcmp(c->o->list[i].name, t->name) != 0 || d->dtype != t->dtype) continue;
        c->compared++;
        for (size_t k = 0; k < (size_t)t->n * hw * ch; k++) { /* k counts n, h, w, c */
            size_t n = k / (hw * ch), at = k / ch % hw, cc = k % ch;
            if (memcmp((const char *)data + k * e, (const char *)d->data + ((n * ch + cc) * hw + at) * e, e) == 0)
                continue;
            if (!c->wrong++) c->place = t->name;
            return;
        }
    }
}

#if defined(KF_AMX)
extern kf__gemm_u8_fn kf_k_gemm_u8_amx_model;
#endif
/* Instead of the level's own integer kernels, or NULL. */
static const kf__kernels_int *kernels_instead;

static void run_session(kf__program *p, kf_dtype type, const void *input, const oracle *o, const kf__dense *out,
                        const char *what, int threads) {
    struct kf_model *m;
    struct kf_session *s;
    kf_error err = {0};
    kf__kernels floats;
    kf__kernels_int own;
    kf__kernels_select(kf__cpu_level_now(), &floats);
    kf__kernels_select_int(kf__cpu_level_now(), &own);
    const kf__kernels_int *kernels = kernels_instead ? kernels_instead : &own;
    kf_status st = kf__model_create_with(p, kf__cpu_level_now(), &floats, kernels, NULL, &m, &err);
    if (st != KF_OK) fail_msg("%s: %s", what, err.text);
    assert_int_equal(kf__session_create(m, threads, false, NULL, &s, &err), KF_OK);
    comparison c = {.o = o, .p = p};
    s->probe = compare, s->probe_user = &c;
    if (type == KF_U8) kf__session_put_pixels(s, 0, input, false, false);
    else kf__session_put_f32(s, 0, input, false);
    kf__session_steps(s);
    if (c.wrong)
        fail_msg("%s, %s, %d threads: %d of %d tensors differ, first %s", what, kf_cpu_name(), threads, c.wrong,
                 c.compared, c.place);
    assert_true(c.compared * 10 >= p->n_steps * 9); /* all but conversions have their value in the oracle */
    for (int32_t i = 0; i < p->n_outputs; i++) {
        const kf__ptensor *t = &p->tensors[p->outputs[i].tensor];
        size_t n = (size_t)t->n * (size_t)t->h * (size_t)t->w * (size_t)t->c;
        float *got = malloc(n * sizeof *got);
        kf__session_get_f32(s, i, got);
        if (p->outputs[i].scores != KF_SCORES_PROBABILITIES) assert_memory_equal(got, out[i].data, n * sizeof *got);
        free(got);
    }
    kf__session_destroy(&s);
    kf_model_destroy(&m);
}

static kf__program *lowered(const kf__graph *g, bool through_file) {
    kf__program *p, *again;
    kf_error err = {0};
    void *data, *twice;
    size_t bytes, more;
    if (kf__lower(g, &p, &err) != KF_OK) fail_msg("%s", err.text);
    if (!through_file) return p;
    assert_int_equal(kf__format_write(p, &data, &bytes, &err), KF_OK);
    kf__program_destroy(&p);
    if (kf__format_read(data, bytes, NULL, 0, &again, &err) != KF_OK) fail_msg("%s", err.text);
    assert_int_equal(kf__format_write(again, &twice, &more, &err), KF_OK);
    assert_int_equal(bytes, more);
    assert_memory_equal(data, twice, bytes);
    free(data);
    free(twice);
    return again;
}

/* The network fused and quantized on one made-up picture, which comes back as u8 and f32. */
static kf_graph *quantized(const network *c, const char *path, uint8_t **picture, float **normalized) {
    kf_import_options o;
    kf_graph *graph;
    kf_error err = {0};
    kf_import_options_init(&o);
    o.input_shape = c->shape;
    if (kf_graph_import(path, &o, &graph, &err) != KF_OK) fail_msg("%s", err.text);
    if (c->images) { /* the file says 1: another batch, inferred again */
        for (size_t i = 0; i < graph->g->n_nodes; i++) graph->g->values[graph->g->nodes[i].out[0]].shape.rank = -1;
        graph->g->values[graph->g->inputs[0]].shape.dim[0] = c->images;
    }
    if (kf_graph_optimize(graph, KF_OPTIMIZE_FUSE, &err) != KF_OK) fail_msg("%s", err.text);
    kf__graph *g = graph->g;
    if (!c->pixels) g->meta.preprocess.valid = 0;
    const kf__shape *shape = &g->values[g->inputs[0]].shape;
    size_t count = 0, hw = (size_t)(shape->dim[2] * shape->dim[3]);
    assert_true(kf__shape_count(shape, &count));
    uint8_t *bytes = malloc(count);
    float *real = malloc(count * 4);
    kf__random r = {7};
    for (size_t i = 0; i < count; i++) { /* a smooth picture with noise */
        int64_t wave = (int64_t)((i % hw) * 7 / 5 + i / hw * 40) % 180;
        bytes[i] = (uint8_t)(128 + (wave < 90 ? wave : 180 - wave) - 45 + kf__random_range(&r, -30, 30));
        real[i] = (float)(((double)bytes[i] / 255 - g->meta.preprocess.mean[i / hw % 3]) /
                          (c->pixels ? g->meta.preprocess.std[i / hw % 3] : 0.25));
    }
    kf__dense in = {.dtype = KF_F32, .shape = *shape, .data = real};
    if (qh_quantize(g, &in, 1, c->wide_every, &err) != KF_OK) fail_msg("%s", err.text);
    *picture = bytes, *normalized = real;
    return graph;
}

/* Every level, one and two threads, straight and through a file, against the oracle; of small networks also on a
 * product as other processors have it. */
static void check_graph(const kf__graph *g, const kf__dense *in, const char *name, bool with_signed_groups) {
    kernels_instead = NULL;
    oracle *seen_all = calloc(1, sizeof *seen_all);
    kf_error err = {0};
    kf__arena arena;
    kf__arena_init(&arena, NULL);
    kf__dense out[4];
    if (kf__ref_run(g, in, 1, out, g->n_outputs, keep, seen_all, &arena, &err) != KF_OK)
        fail_msg("%s: %s", name, err.text);
    for (int i = 0; kf_cpu_level_name(i); i++) {
        if (kf_cpu_limit(kf_cpu_level_name(i), NULL) != KF_OK) continue;
        for (int threads = 1; threads <= 2; threads++)
            run_session(lowered(g, threads == 2), in->dtype, in->data, seen_all, out, name, threads);
    }
#if defined(KF_AMX)
    const char *below = kf__cpu_level_name(KF_CPU_AVX512VNNI); /* the kernel of AMX on a model of tiles */
    if (kf_cpu_limit(below, NULL) == KF_OK && strcmp(kf_cpu_name(), below) == 0) {
        kf__kernels_int tiles;
        kf__kernels_select_int(KF_CPU_AVX512VNNI, &tiles);
        tiles.gemm_u8 = kf_k_gemm_u8_amx_model;
        kernels_instead = &tiles;
        run_session(lowered(g, false), in->dtype, in->data, seen_all, out, name, 2);
    }
#endif
    const kf__kernels_int other = signed_groups_table();
    kernels_instead = &other;
    if (with_signed_groups) run_session(lowered(g, false), in->dtype, in->data, seen_all, out, name, 2);
    kernels_instead = NULL;
    assert_int_equal(kf_cpu_limit(NULL, NULL), KF_OK);
    kf__arena_free(&arena);
    free(seen_all);
}

/* Every tensor of the built-in network on one picture, by the helper's quantizer: the same bytes with every compiler
 * and machine. */
static const char ALL_TENSORS[] = "e79c50b21a8ca1c2303f51778064dd5def5ae54c1665262a867ffd2da2ca112f";

static kf_status add_to_hash(void *user, const kf__graph *g, kf__vid v, const kf__dense *d, kf_error *err) {
    size_t n = 0;
    if (!kf__shape_count(&d->shape, &n)) return KF_ERR_SHAPE;
    kf__sha256_add(user, d->data, n * kf_dtype_size(d->dtype));
    return KF_OK;
}

static void check_hash(void **state) {
    char path[700], hex[65];
    uint8_t *bytes, digest[32];
    float *real;
    kf_error err = {0};
    const char *source = getenv("KITFOX_SOURCE");
    snprintf(path, sizeof path, "%s/data/everyday10.onnx", source ? source : ".");
    kf_graph *graph = quantized(&CASES[0], path, &bytes, &real);
    kf__dense in = {.dtype = KF_U8, .shape = graph->g->values[graph->g->inputs[0]].shape, .data = bytes}, out[4];
    kf__sha256 hash;
    kf__sha256_init(&hash);
    kf__arena arena;
    kf__arena_init(&arena, NULL);
    gb_ok(kf__ref_run(graph->g, &in, 1, out, graph->g->n_outputs, add_to_hash, &hash, &arena, &err), &err);
    kf__sha256_done(&hash, digest);
    kf__sha256_hex(digest, hex);
    assert_string_equal(hex, ALL_TENSORS);
    kf__arena_free(&arena);
    free(bytes);
    free(real);
    kf_graph_destroy(&graph);
}

static void check_network(void **state) {
    const network *c = *state;
    char path[700];
    uint8_t *bytes;
    float *real;
    const char *source = getenv("KITFOX_SOURCE");
    snprintf(path, sizeof path, "%s/%s", source ? source : ".", c->path);
    if (access(path, R_OK) != 0) skip();
    kf_graph *graph = quantized(c, path, &bytes, &real);
    const kf__shape *shape = &graph->g->values[graph->g->inputs[0]].shape;
    kf__dense in = {
        .dtype = c->pixels ? KF_U8 : KF_F32, .shape = *shape, .data = c->pixels ? (void *)bytes : (void *)real};
    check_graph(graph->g, &in, c->name, false);
    free(bytes);
    free(real);
    kf_graph_destroy(&graph);
}

/* Steps that MobileNetV3 does not have: groups, dilation, pools, products, concatenation, a quantized value as an
 * output. */
enum { RARE_INPUTS = 2 * 8 * 11 * 9 };
static kf__graph *rare_steps(int wide, float data[RARE_INPUTS]) {
    kf__graph *g = gb_new();
    kf_error err = {0};
    kf__vid x = gb_input(g, "x", S(2, 8, 11, 9));
    kf__vid c1 = gb_conv(g, "grouped", x, gb_random(g, S(12, 4, 3, 3)), gb_random(g, S(12)), 1, 1, 2);
    kf__vid a = NODE(g, ACT, "hswish", c1);
    gb_last(g)->attrs.act.kind = KF_ACT_HSWISH;
    kf__vid m = NODE(g, MUL, "product", c1, a), sum = NODE(g, ADD, "sum", a, m);
    gb_last(g)->attrs.post_act = (kf__activation){KF_ACT_CLIP, 0, INFINITY};
    kf__vid top = NODE(g, MAX_POOL, "top", sum);
    gb_last(g)->attrs.window = (kf__window){3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1};
    kf__vid mean = NODE(g, AVG_POOL, "mean", a);
    gb_last(g)->attrs.window = (kf__window){3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1};
    kf__vid cat = NODE(g, CONCAT, "cat", top, mean);
    gb_last(g)->attrs.axis = 1;
    kf__vid e = gb_conv(g, "expand", cat, gb_random(g, S(40, 24, 1, 1)), gb_random(g, S(40)), 1, 0, 1);
    gb_last(g)->attrs.act = (kf__activation){KF_ACT_CLIP, 0, 6};
    kf__vid dw = gb_conv(g, "dilated", e, gb_random(g, S(40, 1, 3, 3)), gb_random(g, S(40)), 1, 2, 40);
    gb_last(g)->attrs.window.dh = gb_last(g)->attrs.window.dw = 2;
    kf__vid res = NODE(g, CONV, "residual", dw, gb_random(g, S(24, 40, 1, 1)), gb_random(g, S(24)), cat);
    gb_last(g)->attrs.window = (kf__window){1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0};
    gb_last(g)->attrs.act.kind = KF_ACT_HSWISH;
    gb_last(g)->attrs.post_act = (kf__activation){KF_ACT_CLIP, -1, 2};
    kf__vid pool = NODE(g, GLOBAL_AVG_POOL, "pool", res), flat = NODE(g, FLATTEN, "flat", pool);
    gb_last(g)->attrs.axis = 1;
    gb_output(g, NODE(g, FC, "classes", flat, gb_random(g, S(10, 24)), gb_random(g, S(10))));
    gb_output(g, res);
    gb_ok(kf__graph_compact(g, &err), &err);
    gb_ok(kf__graph_infer(g, &err), &err);
    kf__random r = {3};
    for (size_t i = 0; i < RARE_INPUTS; i++) data[i] = (float)(kf__random_unit(&r) * 4 - 2);
    kf__dense in = {.dtype = KF_F32, .shape = S(2, 8, 11, 9), .data = data};
    gb_ok(qh_quantize(g, &in, 1, wide, &err), &err);
    return g;
}

static void check_rare_steps(void **state) {
    float data[RARE_INPUTS];
    for (int wide = 0; wide < 4; wide++) {
        kf__graph *g = rare_steps(wide, data);
        kf__dense in = {.dtype = KF_F32, .shape = S(2, 8, 11, 9), .data = data};
        check_graph(g, &in, "rare steps", true);
        kf__graph_destroy(&g);
    }
}

/* Dense windows of every kind: uneven borders and strides, rows further apart, a row of taps alone, columns further
 * apart. */
enum { WINDOW_INPUTS = 2 * 3 * 13 * 37 };
static void check_windows(void **state) {
    static const kf__window WINDOWS[] = {{5, 3, 2, 1, 1, 1, 1, 1, 2, 3, 0},
                                         {3, 3, 1, 2, 2, 1, 1, 2, 0, 2, 3},
                                         {1, 7, 1, 1, 1, 1, 1, 0, 3, 0, 3},
                                         {3, 2, 1, 1, 1, 3, 1, 1, 1, 1, 2}};
    static const char *const NAMES[] = {"uneven", "rows apart", "one row", "columns apart"};
    float data[WINDOW_INPUTS];
    kf__random r = {5};
    for (size_t i = 0; i < WINDOW_INPUTS; i++) data[i] = (float)(kf__random_unit(&r) * 4 - 1);
    kf__dense in = {.dtype = KF_F32, .shape = S(2, 3, 13, 37), .data = data};
    for (int wide = 0; wide < 3; wide++) {
        kf__graph *g = gb_new();
        kf_error err = {0};
        kf__vid x = gb_input(g, "x", S(2, 3, 13, 37));
        for (size_t i = 0; i < KF_COUNT(WINDOWS); i++) {
            int64_t from = i ? 5 + (int64_t)i : 3;
            x = gb_conv(g, NAMES[i], x, gb_random(g, S(6 + (int64_t)i, from, WINDOWS[i].kh, WINDOWS[i].kw)),
                        gb_random(g, S(6 + (int64_t)i)), 1, 0, 1);
            gb_last(g)->attrs.window = WINDOWS[i];
            gb_last(g)->attrs.act.kind = i % 2 ? KF_ACT_HSWISH : KF_ACT_NONE;
        }
        gb_output(g, x);
        gb_ok(kf__graph_compact(g, &err), &err);
        gb_ok(kf__graph_infer(g, &err), &err);
        gb_ok(qh_quantize(g, &in, 1, wide, &err), &err);
        check_graph(g, &in, "windows", true);
        kf__graph_destroy(&g);
    }
}

/* Windows of every kind: strides that differ, dilation, padding that counts and that does not, a last window that ends
 * outside. */
static void check_pool_windows(void **state) {
    for (int wide = 0; wide < 4; wide++) {
        kf__graph *g = gb_new();
        kf_error err = {0};
        float data[RARE_INPUTS];
        kf__vid x = gb_input(g, "x", S(2, 8, 11, 9)),
                c = gb_conv(g, "expand", x, gb_random(g, S(20, 8, 1, 1)), gb_random(g, S(20)), 1, 0, 1);
        kf__vid part[4];
        part[0] = NODE(g, AVG_POOL, "mean of all", c);
        gb_last(g)->attrs.window = (kf__window){3, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1};
        gb_last(g)->attrs.count_include_pad = 1;
        part[1] = NODE(g, AVG_POOL, "mean inside", c);
        gb_last(g)->attrs.window = (kf__window){2, 3, 2, 1, 2, 2, 1, 1, 2, 1, 2};
        part[2] = NODE(g, MAX_POOL, "largest", c);
        gb_last(g)->attrs.window = (kf__window){3, 3, 2, 1, 2, 2, 1, 2, 2, 2, 2};
        part[3] = gb_conv(g, "squeeze", c, gb_random(g, S(20, 1, 5, 5)), gb_random(g, S(20)), 1, 2, 20);
        gb_last(g)->attrs.window.sh = 2;
        kf__vid cat = NODE(g, CONCAT, "cat", part[0], part[1], part[2], part[3]), ends = NODE(g, MAX_POOL, "ends", cat);
        gb_last(g)->attrs.window = (kf__window){2, 2, 2, 2, 1, 1, 1, 0, 0, 0, 0};
        gb_last(g)->attrs.ceil_mode = 1;
        for (size_t i = 0; i < g->n_nodes; i++)
            if (g->nodes[i].op == KF_OP_CONCAT) g->nodes[i].attrs.axis = 1;
        kf__vid flat = NODE(g, FLATTEN, "flat", NODE(g, GLOBAL_AVG_POOL, "pool", ends));
        gb_last(g)->attrs.axis = 1;
        gb_output(g, NODE(g, FC, "classes", flat, gb_random(g, S(10, 80)), gb_random(g, S(10))));
        gb_ok(kf__graph_compact(g, &err), &err);
        gb_ok(kf__graph_infer(g, &err), &err);
        kf__random r = {7};
        for (size_t i = 0; i < RARE_INPUTS; i++) data[i] = (float)(kf__random_unit(&r) * 4 - 2);
        kf__dense in = {.dtype = KF_F32, .shape = S(2, 8, 11, 9), .data = data};
        gb_ok(qh_quantize(g, &in, 1, wide, &err), &err);
        check_graph(g, &in, "pool windows", true);
        kf__graph_destroy(&g);
    }
}

/* A program that breaks one rule of the contract is refused, and the error names the place. */
typedef struct damage {
    const char *what;
    const char *says;
} damage;
static const damage DAMAGES[] = {{"scale", "scale"},       {"zero", "zero point"},   {"bounds", "bounds"},
                                 {"clip", "bounds"},       {"mul", "factor"},        {"weights", "weight"},
                                 {"overflow", "overflow"}, {"residual", "residual"}, {"channel", "of channel"},
                                 {"output", "not f32"}};

static kf__step *first_of(kf__program *p, kf__step_op op) {
    for (int32_t i = 0; i < p->n_steps; i++)
        if (p->steps[i].op == op) return &p->steps[i];
    fail_msg("no such step");
    return NULL;
}

static void break_program(kf__program *p, const char *what) {
    kf__step *conv = first_of(p, KF_STEP_CONV), *dw = first_of(p, KF_STEP_DWCONV);
    kf__ptensor *x = &p->tensors[conv->in[0]], *y = &p->tensors[conv->out];
    if (!strcmp(what, "scale")) y->scale = 1e-31f;
    if (!strcmp(what, "zero")) y->zero = 256;
    if (!strcmp(what, "bounds")) y->qmax = 256;
    if (!strcmp(what, "clip")) conv->qlo = -1;
    if (!strcmp(what, "mul")) ((float *)(uintptr_t)p->consts[conv->consts[KF_CONST_MUL]].data)[3] = NAN;
    if (!strcmp(what, "weights")) p->consts[conv->consts[KF_CONST_W]].dtype = KF_U8;
    if (!strcmp(what, "overflow"))
        ((int32_t *)(uintptr_t)p->consts[conv->consts[KF_CONST_BIAS]].data)[2] = INT32_MAX - 5;
    if (!strcmp(what, "residual"))
        for (int32_t i = 0; i < p->n_steps; i++)
            p->steps[i].direct |= p->steps[i].op == KF_STEP_CONV && p->steps[i].n_in == 2;
    if (!strcmp(what, "channel")) ((float *)(uintptr_t)p->consts[p->tensors[dw->in[0]].scales].data)[1] = 0;
    if (!strcmp(what, "output"))
        p->outputs[0].tensor = conv->out, p->outputs[0].rank = 4,
        memcpy(p->outputs[0].shape, (int64_t[]){y->n, y->c, y->h, y->w}, 32);
    (void)x;
}

static void check_refused(void **state) {
    float data[RARE_INPUTS];
    for (size_t i = 0; i < KF_COUNT(DAMAGES); i++) {
        kf_error err = {0};
        kf__graph *g = rare_steps(0, data);
        kf__program *p = lowered(g, false);
        assert_int_equal(kf__program_validate(p, &err), KF_OK);
        break_program(p, DAMAGES[i].what);
        assert_int_equal(kf__program_validate(p, &err), KF_ERR_CORRUPT);
        if (!strstr(err.text, DAMAGES[i].says)) fail_msg("%s: %s", DAMAGES[i].what, err.text);
        kf__program_destroy(&p);
        kf__graph_destroy(&g);
    }
}

/* test_int8 MODEL.onnx OUT.kfx: the same quantizer as a tool, for profiles; `rare` instead of a model gives the corpus
 * file. */
static int save(const char *path, const char *out) {
    uint8_t *bytes = NULL;
    float *real = NULL, data[RARE_INPUTS];
    void *file;
    size_t n;
    kf_error err = {0};
    bool rare = strcmp(path, "rare") == 0;
    kf_graph *graph = rare ? NULL : quantized(&(network){.name = path, .pixels = 1}, path, &bytes, &real);
    kf__graph *g = rare ? rare_steps(3, data) : graph->g;
    kf__program *p = lowered(g, false);
    if (kf__format_write(p, &file, &n, &err) != KF_OK) return 1;
    FILE *f = fopen(out, "wb");
    bool ok = f && fwrite(file, 1, n, f) == n;
    if (f) ok &= fclose(f) == 0;
    kf__program_destroy(&p);
    if (rare) kf__graph_destroy(&g);
    kf_graph_destroy(&graph);
    free(file), free(bytes), free(real);
    return !ok;
}

int main(int argc, char **argv) {
    if (argc == 3) return save(argv[1], argv[2]);
    struct CMUnitTest tests[KF_COUNT(CASES) + 5];
    tests[KF_COUNT(CASES)] = (struct CMUnitTest)cmocka_unit_test(check_rare_steps);
    tests[KF_COUNT(CASES) + 1] = (struct CMUnitTest)cmocka_unit_test(check_refused);
    tests[KF_COUNT(CASES) + 2] = (struct CMUnitTest)cmocka_unit_test(check_hash);
    tests[KF_COUNT(CASES) + 3] = (struct CMUnitTest)cmocka_unit_test(check_windows);
    tests[KF_COUNT(CASES) + 4] = (struct CMUnitTest)cmocka_unit_test(check_pool_windows);
    for (size_t i = 0; i < KF_COUNT(CASES); i++)
        tests[i] = (struct CMUnitTest){CASES[i].name, check_network, NULL, NULL, (void *)(uintptr_t)&CASES[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
