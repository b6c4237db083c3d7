/* The bit contract as hashes: every tensor of the quantized built-in network on five pictures under four whole-number
 * transforms, by the kernels of every level on one and two threads and by the integer oracle, against
 * tests/golden/everyday10_int8.hashes. Links libkitfoxc and libkitfoximg. `--model` and `--hashes` print both files as
 * they were made, `--pixels` the inputs, for the numpy check. Owner rule: tests free all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/toolchain/graph_api.h"
#include "base/fp.h"
#include "cpu/cpu.h"
#include "format/format.h"
#include "hash/sha256.h"
#include "lower/lower.h"
#include "os/file.h"
#include "quantize_helper.h"
#include "runtime/session.h"

enum { SIDE = 64, SHRINK = 5, PICTURES = 5, TRANSFORMS = 4, INPUTS = PICTURES * TRANSFORMS, STEPS = 128, NAME = 160 };
static const char *const PICTURE[PICTURES] = {"airplane", "automobile", "frog", "ship", "truck"};
static const char *const TRANSFORM[TRANSFORMS] = {"identity", "mirror", "swap", "invert"};

typedef uint8_t pixels[SIDE][SIDE][3];
static pixels inputs[INPUTS];

/* One line of the hash file each. A step's hash goes over its bytes for all inputs in turn, an input's over all its
 * steps. */
typedef struct table {
    int n;
    char name[1 + STEPS + INPUTS][NAME], hex[1 + STEPS + INPUTS][65];
} table;

typedef struct run {
    const kf__program *p;
    kf__sha256 step[STEPS], input;
    int32_t next; /* step whose bytes come next */
} run;

static void in_source(char *to, size_t n, const char *name) {
    const char *source = getenv("KITFOX_SOURCE");
    snprintf(to, n, "%s/%s", source ? source : ".", name);
}

static void line(table *t, kf__sha256 *hash, const char *format, ...) {
    uint8_t digest[32];
    va_list args;
    va_start(args, format);
    vsnprintf(t->name[t->n], NAME, format, args);
    va_end(args);
    kf__sha256_done(hash, digest);
    kf__sha256_hex(digest, t->hex[t->n++]);
}

/* The middle 320 x 320 pixels, each 5 x 5 of them rounded to their mean in whole numbers. */
static void shrink(const kf_image *in, pixels out) {
    int32_t x0 = (in->width - SIDE * SHRINK) / 2, y0 = (in->height - SIDE * SHRINK) / 2;
    for (int32_t y = 0; y < SIDE; y++)
        for (int32_t x = 0; x < SIDE; x++)
            for (int c = 0; c < 3; c++) {
                int sum = SHRINK * SHRINK / 2;
                for (int k = 0; k < SHRINK * SHRINK; k++)
                    sum += in->pixels[(size_t)(y0 + y * SHRINK + k / SHRINK) * in->stride +
                                      (size_t)(x0 + x * SHRINK + k % SHRINK) * 3 + (size_t)c];
                out[y][x][c] = (uint8_t)(sum / (SHRINK * SHRINK));
            }
}

static uint8_t transformed(pixels in, int transform, int y, int x, int c) {
    switch (transform) {
    case 1: return in[y][SIDE - 1 - x][c];
    case 2: return in[y][x][2 - c];
    case 3: return (uint8_t)(255 - in[y][x][c]);
    default: return in[y][x][c];
    }
}

static int load_inputs(void **state) {
    char path[700], name[100];
    kf_image image;
    kf_error err = {0};
    for (int p = 0; p < PICTURES; p++) {
        snprintf(name, sizeof name, "examples/pictures/%s.jpg", PICTURE[p]);
        in_source(path, sizeof path, name);
        if (kf_image_load(path, NULL, &image, &err) != KF_OK) return fprintf(stderr, "%s\n", err.text);
        if (image.width < SIDE * SHRINK || image.height < SIDE * SHRINK)
            return fprintf(stderr, "%s: too small\n", path);
        pixels *own = &inputs[p * TRANSFORMS];
        shrink(&image, own[0]);
        kf_image_free(&image);
        for (int k = SIDE * SIDE * 3; k < TRANSFORMS * SIDE * SIDE * 3; k++) {
            int t = k / (SIDE * SIDE * 3), y = k / (SIDE * 3) % SIDE, x = k / 3 % SIDE, c = k % 3;
            own[t][y][x][c] = transformed(own[0], t, y, x, c);
        }
    }
    return 0;
}

static kf__program *program(void) {
    char path[700];
    kf__file map;
    kf__program *p;
    kf_error err = {0};
    in_source(path, sizeof path, "tests/golden/everyday10_int8_v1.kfx");
    if (kf__file_read(path, 1 << 24, &map, &err) != KF_OK ||
        kf__format_read(map.data, map.size, NULL, false, &p, &err) != KF_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    kf__file_free(&map);
    if (p->n_steps > STEPS) exit(1);
    return p;
}

static void start(run *r, table *t, const kf__program *p) {
    kf__sha256 hash;
    *r = (run){.p = p};
    t->n = 0;
    kf__sha256_init(&hash);
    kf__sha256_add(&hash, inputs, sizeof inputs);
    line(t, &hash, "pixels");
    t->n += p->n_steps; /* the steps' lines are filled in by finish */
    for (int i = 0; i < p->n_steps; i++) kf__sha256_init(&r->step[i]);
}

static void finish(run *r, table *t) {
    int n = t->n;
    t->n = 1;
    for (int i = 0; i < r->p->n_steps; i++) line(t, &r->step[i], "step %d %s", i, r->p->steps[i].name);
    t->n = n;
}

static void add(run *r, int32_t step, const void *data, size_t bytes) {
    kf__sha256_add(&r->step[step], data, bytes);
    kf__sha256_add(&r->input, data, bytes);
    r->next = step + 1;
}

static void line_of_input(run *r, table *t, int i) {
    line(t, &r->input, "input %s %s", PICTURE[i / TRANSFORMS], TRANSFORM[i % TRANSFORMS]);
}

/* ---- the kernels ------------------------------------------------------------------------------------------------- */

static void see_step(void *user, int32_t step, const float *data) {
    run *r = user;
    const kf__ptensor *t = &r->p->tensors[r->p->steps[step].out];
    assert_int_equal(step, r->next);
    add(r, step, data, (size_t)t->n * (size_t)t->h * (size_t)t->w * (size_t)t->c * kf_dtype_size(t->dtype));
}

/* `gemm`: instead of the level's own, or NULL. */
static void by_kernels(kf__cpu_level level, kf__gemm_u8_fn *gemm, int threads, table *t) {
    kf_model *m;
    kf_session *s;
    kf_error err = {0};
    run r;
    kf__program *p = program();
    if (kf__model_create(p, NULL, &m, &err) != KF_OK) fail_msg("%s", err.text);
    assert_int_equal(m->cpu, level);
    if (gemm) m->kernels_int.gemm_u8 = gemm;
    assert_int_equal(kf__session_create(m, threads, false, NULL, &s, &err), KF_OK);
    start(&r, t, p);
    s->probe = see_step, s->probe_user = &r;
    for (int i = 0; i < INPUTS; i++) {
        kf__sha256_init(&r.input);
        r.next = 0;
        kf__session_put_pixels(s, 0, inputs[i], false, true);
        kf__session_steps(s);
        assert_int_equal(r.next, p->n_steps);
        line_of_input(&r, t, i);
    }
    finish(&r, t);
    kf__session_destroy(&s);
    kf_model_destroy(&m);
}

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
            real[i][c][k % (SIDE * SIDE)] = (float)(((double)inputs[i][y][x][c] / 255 - p->mean[c]) / p->std[c]);
        }
        in[i] = (kf__dense){.dtype = KF_F32, .shape = graph->g->values[graph->g->inputs[0]].shape, .data = real[i]};
    }
    if (st == KF_OK) st = real ? qh_quantize(graph->g, in, INPUTS, 7, err) : KF_ERR_MEMORY;
    free(real);
    if (st != KF_OK) kf_graph_destroy(&graph);
    return graph;
}

static bool by_oracle(const kf__program *p, table *t) {
    run r;
    kf_error err = {0};
    kf_graph *graph = quantized(&err);
    start(&r, t, p);
    for (int i = 0; i < INPUTS && graph && !*err.text; i++) {
        uint8_t nchw[3 * SIDE * SIDE];
        for (int k = 0; k < 3 * SIDE * SIDE; k++) nchw[k] = inputs[i][k / SIDE % SIDE][k % SIDE][k / (SIDE * SIDE)];
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

/* ---- against the file -------------------------------------------------------------------------------------------- */

static void read_table(table *t) {
    char path[700], text[400];
    in_source(path, sizeof path, "tests/golden/everyday10_int8.hashes");
    FILE *f = fopen(path, "r");
    if (!f) fail_msg("%s: cannot open", path);
    t->n = 0;
    while (fgets(text, sizeof text, f)) {
        if (*text == '#') continue;
        size_t end = strcspn(text, "\n");
        assert_true(end > 66 && end - 65 < NAME && t->n < (int)KF_COUNT(t->hex) && text[64] == ' ');
        text[end] = 0;
        memcpy(t->hex[t->n], text, 64), t->hex[t->n][64] = 0;
        strcpy(t->name[t->n++], text + 65);
    }
    fclose(f);
}

/* First line of the kind that differs; NULL when none does. */
static const char *differs(const table *want, const table *got, const char *kind) {
    for (int i = 0; i < want->n; i++)
        if (strncmp(want->name[i], kind, strlen(kind)) == 0 && strcmp(want->hex[i], got->hex[i]) != 0)
            return want->name[i];
    return NULL;
}

static void compare(const table *got, const char *who, int threads) {
    table *want = calloc(1, sizeof *want);
    read_table(want);
    assert_int_equal(want->n, got->n);
    for (int i = 0; i < want->n; i++) assert_string_equal(want->name[i], got->name[i]);
    if (differs(want, got, "pixels"))
        fail_msg("the decoder gives other pixels than when the hashes were made; nothing is said about the network");
    const char *step = differs(want, got, "step"), *input = differs(want, got, "input");
    if (step || input)
        fail_msg("%s, %d threads: first differs %s, of inputs %s", who, threads, step ? step : "no step",
                 input ? input : "none");
    free(want);
}

static void kernels_give_the_hashes(void **state) {
    table *t = calloc(1, sizeof *t);
    const char *before = getenv("KITFOX_CPU");
    char *kept = before ? strdup(before) : NULL;
    for (int level = 0; level < KF_CPU_LEVELS; level++) {
        const char *name = kf__cpu_level_name((kf__cpu_level)level);
        if (!kf__cpu_usable((kf__cpu_level)level)) {
            printf("%s: not on this machine\n", name);
            continue;
        }
        setenv("KITFOX_CPU", name, 1);
        for (int threads = 1; threads <= 2; threads++) {
            by_kernels((kf__cpu_level)level, NULL, threads, t);
            compare(t, name, threads);
        }
        printf("%s: %d lines agree on 1 and 2 threads\n", name, t->n);
    }
    if (kept) setenv("KITFOX_CPU", kept, 1);
    else unsetenv("KITFOX_CPU");
    free(kept);
    free(t);
}

#if defined(KF_AMX)
/* The kernel of AMX on a model of tiles (tests/kernels/tile_model.h), for machines that have none. */
extern kf__gemm_u8_fn kf_k_gemm_u8_amx_model;
extern unsigned kf_k_tiles_amx_model(bool *left);
static void a_model_of_tiles_gives_the_hashes(void **state) {
    bool left = true;
    if (!kf__cpu_level_contains(kf__cpu_level_now(), KF_CPU_AVX512VNNI)) skip();
    table *t = calloc(1, sizeof *t);
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
    table *t = calloc(1, sizeof *t);
    kf__program *p = program();
    assert_true(by_oracle(p, t));
    compare(t, "oracle", 1);
    kf__program_destroy(&p);
    free(t);
}

/* The inputs are 20 different ones: a transform that does nothing would make a quarter of the hashes mean less. */
static void inputs_differ(void **state) {
    for (int i = 0; i < INPUTS; i++)
        for (int k = 0; k < i; k++) assert_memory_not_equal(inputs[i], inputs[k], sizeof inputs[0]);
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
    kf_image picture = {
        .width = SIDE - 3, .height = SIDE - 11, .pixels = inputs[1][0][0], .stride = sizeof inputs[1][0]};
    char path[700];
    size_t n = 0;
    in_source(path, sizeof path, "tests/golden/everyday10_int8_v1.kfx");
    kf_session_options_init(&o);
    o.threads = 2;
    bool ok = kf_model_load(path, NULL, &m, &err) == KF_OK && kf_session_create(m, &o, &s, &err) == KF_OK &&
              kf_session_classify(s, &picture, 10, top, &n, &err) == KF_OK && n == 10;
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
    table *t = calloc(1, sizeof *t);
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
    if (strcmp(what, "--pixels") == 0) return fwrite(inputs, sizeof inputs, 1, stdout) != 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(inputs_differ),
                                       cmocka_unit_test(kernels_give_the_hashes),
                                       cmocka_unit_test(a_model_of_tiles_gives_the_hashes),
                                       cmocka_unit_test(the_oracle_gives_the_hashes),
                                       cmocka_unit_test(the_file_is_written_again),
                                       cmocka_unit_test(a_callers_environment_changes_nothing)};
    return cmocka_run_group_tests(tests, load_inputs, NULL);
}
