/* Fuzz target: an ONNX network, changed field by field (onnx_mutate.h), goes all the way: import, simplify, export,
 * compile, and runs on one level of the machine. What was written imports again, to the same graph and the same
 * numbers. With -DKF_REPLAY a plain program of files and changes of each (drive.h). Owner rule: everything is released
 * after each input. */
#include <unistd.h>

#define DRIVE_NAMES "parsed", "imported", "simplified", "written", "compiled", "ran"
enum { PARSED, IMPORTED, SIMPLIFIED, WRITTEN, COMPILED, RAN };

#include "../temporary.h"
#include "api/toolchain/graph_api.h"
#include "drive.h"
#include "onnx_mutate.h"
#include "program_work.h"
#include "runtime/model.h"

enum { MOST_ENDS = 8 };
#define MOST_WORK 4e6
#define MOST_ELEMENTS 2e6

#define REQUIRE(condition, ...)                                                                                        \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fputc('\n', stderr);                                                                                       \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* ---- bounds ------------------------------------------------------------ */

static double elements(const kf__graph *g, kf__vid v) {
    double n = 1;
    if (v < 0 || g->values[v].shape.rank < 0) return 0;
    for (int i = 0; i < g->values[v].shape.rank; i++) n *= (double)g->values[v].shape.dim[i];
    return n;
}

/* Multiply-adds, or elements read and written. */
static double node_work(const kf__graph *g, const kf__node *n) {
    double out = 0, in = 0, each = 1;
    for (int i = 0; i < n->n_out; i++) out += elements(g, n->out[i]);
    for (int i = 0; i < n->n_in; i++) in += elements(g, n->in[i]);
    if (n->op == KF_OP_AVG_POOL || n->op == KF_OP_MAX_POOL) each = (double)n->attrs.window.kh * n->attrs.window.kw;
    bool matrix = kf__op_table[n->op].role == KF_ROLE_MATRIX || kf__op_has_weights(n->op);
    if (matrix && n->n_in > 1) each = elements(g, n->in[1]); /* no row of weights is longer */
    return in + out * each;
}

/* Small enough to run in the slow reference. */
static bool bounded(const kf__graph *g) {
    double work = 0, all = 0;
    for (size_t i = 0; i < g->n_values; i++) all += elements(g, (kf__vid)i);
    for (size_t i = 0; i < g->n_nodes; i++) work += node_work(g, &g->nodes[i]);
    return work <= MOST_WORK && all <= MOST_ELEMENTS && g->n_inputs <= MOST_ENDS && g->n_outputs <= MOST_ENDS;
}

/* ---- numbers ------------------------------------------------------------ */

typedef struct numbers {
    kf_tensor in[MOST_ENDS], out[MOST_ENDS];
    size_t n_in, n_out;
} numbers;

static void free_numbers(numbers *x) {
    for (size_t i = 0; i < MOST_ENDS; i++) free(x->in[i].data), free(x->out[i].data);
    *x = (numbers){0};
}

static bool room(kf_tensor *t) { return (t->data = calloc(1, t->bytes + 1)) != NULL; }

/* Outputs of the reference for plain inputs; false: it refused, with a reason. */
static bool reference(kf_graph *g, numbers *x) {
    kf_error err = {0};
    *x = (numbers){.n_in = g->g->n_inputs, .n_out = g->g->n_outputs};
    bool fine = true;
    for (size_t i = 0; i < x->n_in; i++) {
        fine = fine && kf_graph_input(g, (int32_t)i, &x->in[i], &err) == KF_OK && x->in[i].dtype == KF_F32 &&
               room(&x->in[i]);
        if (fine) fill(&x->in[i], FILL_PLAIN);
    }
    for (size_t i = 0; i < x->n_out; i++)
        fine = fine && kf_graph_output(g, (int32_t)i, &x->out[i], &err) == KF_OK && room(&x->out[i]);
    if (fine && kf_graph_run_reference(g, x->in, x->n_in, x->out, x->n_out, &err) == KF_OK) return true;
    free_numbers(x);
    return false;
}

/* The same bits, but for the bits of what is no number. */
static bool same_floats(const float *x, const float *y, size_t n) {
    for (size_t k = 0; k < n; k++)
        if (memcmp(&x[k], &y[k], sizeof *x) != 0 && !(isnan(x[k]) && isnan(y[k]))) return false;
    return true;
}

static bool same_numbers(const numbers *a, const numbers *b) {
    for (size_t i = 0; i < a->n_out; i++) {
        const kf_tensor *x = &a->out[i], *y = &b->out[i];
        if (x->bytes != y->bytes || x->dtype != y->dtype) return false;
        if (x->dtype != KF_F32 && memcmp(x->data, y->data, x->bytes) != 0) return false;
        if (x->dtype == KF_F32 && !same_floats(x->data, y->data, x->bytes / sizeof(float))) return false;
    }
    return true;
}

/* Are all of its operators written as they are? Before opset 14 h-swish is spelled out, and rounds where its spelling
 * does. */
static bool written_as_it_is(const kf__graph *g) {
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == KF_OP_HARD_SWISH && g->opset < 14) return false;
    return true;
}

/* ---- export ------------------------------------------------------------ */

/* What the writer gives, the reader takes; `exact`: with the same numbers. It may refuse to write, with a reason. */
static void write_and_read(kf_graph *g, bool exact) {
    kf_graph *back;
    kf_error err = {0};
    void *data;
    size_t bytes;
    numbers a, b;
    if (kf_graph_write_onnx(g, &data, &bytes, &err) != KF_OK) {
        REQUIRE(err.text[0], "refused to write without a reason");
        return;
    }
    drive_count(WRITTEN);
    REQUIRE(kf_graph_import_onnx_memory(data, bytes, NULL, &back, &err) == KF_OK, "written, and not read: %s",
            err.text);
    REQUIRE(g->g->n_inputs == back->g->n_inputs && g->g->n_outputs == back->g->n_outputs,
            "%zu inputs, %zu outputs; read %zu, %zu", g->g->n_inputs, g->g->n_outputs, back->g->n_inputs,
            back->g->n_outputs);
    if (exact && written_as_it_is(g->g) && reference(g, &a)) {
        REQUIRE(reference(back, &b), "the graph runs; written and read it does not");
        REQUIRE(same_numbers(&a, &b), "the written graph gives other numbers");
        free_numbers(&a), free_numbers(&b);
    }
    kf_graph_destroy(&back);
    free(data);
}

/* ---- runs ------------------------------------------------------------ */

/* One of the usable levels, by the input's bytes. */
static void choose_level(const uint8_t *data, size_t size) {
    uint32_t h = 2166136261u;
    int usable[64], n = 0;
    for (size_t i = 0; i < size; i++) h = (h ^ data[i]) * 16777619u;
    for (int i = 0; n < 64 && kf_cpu_level_name(i); i++)
        if (kf_cpu_level_usable(i)) usable[n++] = i;
    if (n) kf_cpu_limit(kf_cpu_level_name(usable[(h >> 8) % (uint32_t)n]), NULL);
}

static void run_model(const kf_model *m) {
    kf_session_options o;
    kf_session *s;
    kf_error err = {0};
    numbers x = {.n_in = (size_t)m->p->n_inputs, .n_out = (size_t)m->p->n_outputs};
    kf_session_options_init(&o);
    o.threads = 1 + m->p->n_steps % 2;
    if (kf_session_create(m, &o, &s, &err) != KF_OK) {
        REQUIRE(err.text[0], "no session, without a reason");
        return;
    }
    bool fine = true;
    for (size_t i = 0; i < x.n_in; i++)
        fine = fine && kf_model_input(m, (int32_t)i, &x.in[i], NULL) == KF_OK && room(&x.in[i]);
    for (size_t i = 0; i < x.n_out; i++)
        fine = fine && kf_model_output(m, (int32_t)i, &x.out[i], NULL) == KF_OK && room(&x.out[i]);
    for (int kind = 0; fine && kind < FILL_KINDS; kind++) {
        for (size_t i = 0; i < x.n_in; i++) fill(&x.in[i], (fill_kind)kind);
        fine = kf_session_run(s, x.in, x.n_in, x.out, x.n_out, &err) == KF_OK;
        REQUIRE(fine, "a compiled network does not run: %s", err.text);
    }
    if (fine) drive_count(RAN);
    free_numbers(&x);
    kf_session_destroy(&s);
}

static void compile_and_run(kf_graph *g) {
    kf_model *m;
    kf_error err = {0};
    double bytes;
    if (kf_graph_compile(g, NULL, &m, &err) != KF_OK) {
        REQUIRE(err.text[0], "refused to compile without a reason");
        return;
    }
    drive_count(COMPILED);
    bool few = m->p->n_inputs <= MOST_ENDS && m->p->n_outputs <= MOST_ENDS;
    if (few && work_of(m->p, &bytes) <= MOST_WORK && bytes <= 4 * MOST_ELEMENTS) run_model(m);
    kf_model_destroy(&m);
}

/* ---- the target ------------------------------------------------------------ */

static void whole_way(kf_graph *g) {
    kf_error err = {0};
    write_and_read(g, true);
    for (int level = KF_OPTIMIZE_SIMPLIFY; level <= KF_OPTIMIZE_FUSE; level++) {
        if (kf_graph_optimize(g, (kf_optimize_level)level, &err) != KF_OK) {
            REQUIRE(err.text[0], "refused to simplify without a reason");
            return; /* it may be rewritten in part */
        }
        if (level == KF_OPTIMIZE_SIMPLIFY) drive_count(SIMPLIFIED);
        if (!bounded(g->g)) return;
        write_and_read(g, level == KF_OPTIMIZE_SIMPLIFY); /* fused operators are spelled out */
    }
    compile_and_run(g);
}

/* ---- weights beside the file ------------------------------------------------------------ */

static void write_file(const char *path, const void *data, size_t size) {
    FILE *f = fopen(path, "wb");
    if (f && fwrite(data, 1, size, f) == size && fclose(f) == 0) return;
    perror(path);
    exit(1);
}

/* The network in a folder of its own, with 512 bytes of weights that it may name: "w.bin". The folder is gone before
 * anything is run: a campaign kills its processes. */
static void from_folder(const uint8_t *data, size_t size) {
    uint8_t weights[512];
    char folder[200], model_path[256], weights_path[256];
    kf_graph *g;
    kf_error err = {0};
    REQUIRE(temporary_folder(folder, sizeof folder, "fuzz-onnx"), "no temporary folder");
    snprintf(model_path, sizeof model_path, "%s/m.onnx", folder);
    snprintf(weights_path, sizeof weights_path, "%s/w.bin", folder);
    for (size_t i = 0; i < sizeof weights; i++) weights[i] = i % 4 == 3 ? 0x3e : (uint8_t)(37 * i);
    write_file(weights_path, weights, sizeof weights);
    write_file(model_path, data, size);
    kf_status st = kf_graph_import(model_path, NULL, &g, &err);
    unlink(model_path), unlink(weights_path), rmdir(folder);
    if (st != KF_OK) {
        REQUIRE(err.text[0], "refused without a reason");
        return;
    }
    drive_count(IMPORTED);
    if (bounded(g->g)) whole_way(g);
    kf_graph_destroy(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    kf_graph *g;
    kf_error err = {0};
    kf__arena arena;
    kf__arena_init(&arena, NULL);
    if (ow_read(&arena, data, size, OW_MODEL, 0)) drive_count(PARSED);
    kf__arena_free(&arena);
    if (kf_graph_import_onnx_memory(data, size, NULL, &g, &err) != KF_OK) {
        REQUIRE(err.text[0], "refused without a reason");
        if (memmem(data, size, "location", 8)) from_folder(data, size); /* in memory there is no folder */
        return 0;
    }
    drive_count(IMPORTED);
    choose_level(data, size);
    if (bounded(g->g)) whole_way(g);
    kf_cpu_limit(NULL, NULL);
    kf_graph_destroy(&g);
    return 0;
}

/* Changes one byte or cuts the file there: damage that no message survives. */
static size_t damage(uint8_t *data, size_t size, unsigned seed) {
    size_t at = size ? seed % size : 0;
    if (size == 0 || seed >> 28 == 0) return at;
    data[at] = (uint8_t)(seed >> 20);
    return size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    if (seed % 16 == 0) return damage(data, size, seed / 16 * 2654435761u);
    size_t n = om_change_file(data, size, most, seed);
    return n ? n : damage(data, size, seed);
}
