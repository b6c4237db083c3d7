/* The bit contract as hashes: every tensor of the quantized built-in network by the kernels of every level on one and
 * two threads (hashes.h) and by the integer oracle. Links libkitfoxc and libkitfoximg. `--model` and `--hashes` print
 * both files as they were made, `--pixels` the inputs, for the numpy check. Owner rule: tests free all. */
#include "api/toolchain/graph_api.h"
#include "base/fp.h"
#include "hashes.h"
#include "lower/lower.h"
#include "quantize_helper.h"

/* ---- the oracle -------------------------------------------------------------------------------------------------- */

static kf_status see_value(void *user, const kf__graph *g, kf__vid v, const kf__dense *d, kf_error *err) {
    run *r = user;
    if (r->next >= r->p->n_steps) return KF_OK;
    const kf__ptensor *t = &r->p->tensors[r->p->steps[r->next].out];
    size_t hw = (size_t)t->h * (size_t)t->w, c = (size_t)t->c, e = kf_dtype_size(t->dtype);
    if (strcmp(g->values[v].name, t->name) != 0) return KF_OK; /* the input, or another shape of a value */
    if (d->dtype != t->dtype) KF_FAIL(err, KF_ERR_SHAPE, "%s: another type", t->name);
    char *nhwc = malloc(hw * c * e);
    if (!nhwc) KF_FAIL_MEMORY(err, hw * c * e);
    for (size_t i = 0; i < hw * c; i++) memcpy(nhwc + i * e, (const char *)d->data + (i % c * hw + i / c) * e, e);
    add(r, r->next, nhwc, hw * c * e);
    free(nhwc);
    return KF_OK;
}

/* The graph of the committed file: the built-in network, quantized by the tests' own quantizer on these inputs, every
 * seventh layer to 16 bits. Made anew each time, in double and whole numbers: the file does not hold scales, from which
 * the oracle works. */
static kf_graph *quantized(kf_error *err) {
    char path[700];
    kf_graph *graph;
    kf_status st;
    in_source(path, sizeof path, "data/everyday10.onnx");
    if (kf_graph_import(path, NULL, &graph, err) != KF_OK) return NULL;
    st = kf_graph_optimize(graph, KF_OPTIMIZE_FUSE, err);
    const kf_preprocess *p = &graph->g->meta.preprocess;
    float(*real)[3][SIDE * SIDE] = malloc(INPUTS * sizeof *real);
    kf__dense in[INPUTS];
    for (int i = 0; real && i < INPUTS; i++) {
        for (int k = 0; k < 3 * SIDE * SIDE; k++) {
            int c = k / (SIDE * SIDE), y = k / SIDE % SIDE, x = k % SIDE;
            real[i][c][k % (SIDE * SIDE)] = (float)(((double)pictures[i][y][x][c] / 255 - p->mean[c]) / p->std[c]);
        }
        in[i] = (kf__dense){.dtype = KF_F32, .shape = graph->g->values[graph->g->inputs[0]].shape, .data = real[i]};
    }
    if (st == KF_OK) st = real ? qh_quantize(graph->g, in, INPUTS, 7, err) : KF_ERR_MEMORY;
    free(real);
    if (st != KF_OK) kf_graph_destroy(&graph);
    return graph;
}

static bool by_oracle(const kf__program *p, hash_table *t) {
    run r;
    kf_error err = {0};
    kf_graph *graph = quantized(&err);
    start(&r, t, p);
    for (int i = 0; i < INPUTS && graph && !*err.text; i++) {
        uint8_t nchw[3 * SIDE * SIDE];
        for (int k = 0; k < 3 * SIDE * SIDE; k++) nchw[k] = pictures[i][k / SIDE % SIDE][k % SIDE][k / (SIDE * SIDE)];
        kf__dense in = {.dtype = KF_U8, .shape = graph->g->values[graph->g->inputs[0]].shape, .data = nchw}, out[4];
        kf__arena arena;
        kf__arena_init(&arena, NULL);
        kf__sha256_init(&r.input);
        r.next = 0;
        if (kf__ref_run(graph->g, &in, 1, out, graph->g->n_outputs, see_value, &r, &arena, &err) == KF_OK &&
            r.next != p->n_steps)
            snprintf(err.text, sizeof err.text, "the oracle has no value for step %d, %s", r.next,
                     p->steps[r.next].name);
        kf__arena_free(&arena);
        line_of_input(&r, t, i);
    }
    if (*err.text) fprintf(stderr, "%s\n", err.text);
    finish(&r, t);
    kf_graph_destroy(&graph);
    return !*err.text;
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

#if defined(KF_AMX)
/* The kernel of AMX on a model of tiles (tests/kernels/tile_model.h), for machines that have none. */
extern kf__gemm_u8_fn kf_k_gemm_u8_amx_model;
extern unsigned kf_k_tiles_amx_model(bool *left);
static void a_model_of_tiles_gives_the_hashes(void **state) {
    bool left = true;
    if (!kf__cpu_level_contains(kf__cpu_level_now(), KF_CPU_AVX512VNNI)) skip();
    hash_table *t = calloc(1, sizeof *t);
    const char *before = getenv("KITFOX_CPU");
    char *kept = before ? strdup(before) : NULL;
    setenv("KITFOX_CPU", kf__cpu_level_name(KF_CPU_AVX512VNNI), 1);
    for (int threads = 1; threads <= 2; threads++) {
        by_kernels(KF_CPU_AVX512VNNI, kf_k_gemm_u8_amx_model, threads, t);
        compare(t, "a model of tiles", threads);
    }
    if (kept) setenv("KITFOX_CPU", kept, 1);
    else unsetenv("KITFOX_CPU");
    unsigned products = kf_k_tiles_amx_model(&left);
    printf("a model of tiles: %d lines agree on 1 and 2 threads, %u products\n", t->n, products);
    assert_true(products > 0 && !left);
    free(kept);
    free(t);
}
#else
static void a_model_of_tiles_gives_the_hashes(void **state) { skip(); }
#endif

static void the_oracle_gives_the_hashes(void **state) {
    hash_table *t = calloc(1, sizeof *t);
    kf__program *p = program();
    assert_true(by_oracle(p, t));
    compare(t, "oracle", 1);
    kf__program_destroy(&p);
    free(t);
}

/* The inputs are 20 different ones: a transform that does nothing would make a quarter of the hashes mean less. */
static void inputs_differ(void **state) {
    for (int i = 0; i < INPUTS; i++)
        for (int k = 0; k < i; k++) assert_memory_not_equal(pictures[i], pictures[k], sizeof pictures[0]);
}

/* Each compiler writes the program of the committed file as the bytes that were read. */
static void the_file_is_written_again(void **state) {
    char path[700];
    kf__file map;
    kf_error err = {0};
    void *data;
    size_t bytes;
    kf__program *p = program();
    in_source(path, sizeof path, "tests/golden/everyday10_int8_v1.kfx");
    assert_int_equal(kf__file_read(path, 1 << 24, &map, &err), KF_OK);
    assert_int_equal(kf__format_write(p, &data, &bytes, &err), KF_OK);
    assert_int_equal(bytes, map.size);
    assert_memory_equal(data, map.data, bytes);
    kf__mem_free(NULL, data);
    kf__file_free(&map);
    kf__program_destroy(&p);
}

/* From file to scores: load, resize, run on two threads, softmax. */
static bool scores_of_a_picture(kf_score top[10]) {
    kf_session_options o;
    kf_model *m = NULL;
    kf_session *s = NULL;
    kf_error err = {0};
    kf_image part = {
        .width = SIDE - 3, .height = SIDE - 11, .pixels = pictures[1][0][0], .stride = sizeof pictures[1][0]};
    char path[700];
    size_t n = 0;
    in_source(path, sizeof path, "tests/golden/everyday10_int8_v1.kfx");
    kf_session_options_init(&o);
    o.threads = 2;
    bool ok = kf_model_load(path, NULL, &m, &err) == KF_OK && kf_session_create(m, &o, &s, &err) == KF_OK &&
              kf_session_classify(s, &part, 10, top, &n, &err) == KF_OK && n == 10;
    for (size_t i = 0; i < n; i++) top[i].label = NULL; /* of another model each time */
    kf_session_destroy(&s);
    kf_model_destroy(&m);
    return ok;
}

/* A program that flushes denormals and rounds down gets the same scores, and keeps its environment. */
static void a_callers_environment_changes_nothing(void **state) {
    static const int MODES[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    kf_score want[10], got[10];
    memset(want, 0, sizeof want);
    memset(got, 0, sizeof got);
    const uint64_t before = kf__fp_control();
    assert_true(scores_of_a_picture(want));
    for (size_t i = 0; i < KF_COUNT(MODES); i++) {
        fesetround(MODES[i]);
        kf__fp_set_control(kf__fp_control() | KF_FP_FLUSH);
        bool flushes = (kf__fp_control() & KF_FP_FLUSH) != 0, ok = scores_of_a_picture(got);
        bool kept = fegetround() == MODES[i] && ((kf__fp_control() & KF_FP_FLUSH) != 0) == flushes;
        kf__fp_set_control(before);
        fesetround(FE_TONEAREST);
        assert_true(ok && kept);
        assert_memory_equal(want, got, sizeof want);
    }
}

static int write_hashes(void) {
    hash_table *t = calloc(1, sizeof *t);
    kf__program *p = program();
    bool ok = by_oracle(p, t);
    printf("# SHA-256 of the tensors of everyday10_int8_v1.kfx in NHWC order, little-endian: of a step for all 20 "
           "inputs in turn, of an input for\n"
           "# all steps in turn. Inputs: tests/e2e/test_hashes.c. Made by the integer oracle; never changes unless "
           "docs/NUMERICS.md does.\n");
    for (int i = 0; i < t->n; i++) printf("%s %s\n", t->hex[i], t->name[i]);
    kf__program_destroy(&p);
    free(t);
    return !ok;
}

static int write_model(void) {
    kf_error err = {0};
    kf__program *p = NULL;
    void *file;
    size_t n;
    kf_graph *graph = quantized(&err);
    bool ok = graph && kf__lower(graph->g, &p, &err) == KF_OK && kf__format_write(p, &file, &n, &err) == KF_OK;
    if (!ok) return fprintf(stderr, "%s\n", err.text);
    ok = fwrite(file, n, 1, stdout) == 1;
    kf__mem_free(NULL, file);
    kf__program_destroy(&p);
    kf_graph_destroy(&graph);
    return !ok;
}

int main(int argc, char **argv) {
    const char *what = argc == 2 ? argv[1] : "";
    if (*what && load_inputs(NULL)) return 1;
    if (strcmp(what, "--model") == 0) return write_model();
    if (strcmp(what, "--hashes") == 0) return write_hashes();
    if (strcmp(what, "--pixels") == 0) return fwrite(pictures, sizeof pictures, 1, stdout) != 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(inputs_differ),
                                       cmocka_unit_test(kernels_give_the_hashes),
                                       cmocka_unit_test(a_model_of_tiles_gives_the_hashes),
                                       cmocka_unit_test(the_oracle_gives_the_hashes),
                                       cmocka_unit_test(the_file_is_written_again),
                                       cmocka_unit_test(a_callers_environment_changes_nothing)};
    return cmocka_run_group_tests(tests, load_inputs, NULL);
}
