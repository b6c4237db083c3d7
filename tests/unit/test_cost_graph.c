/* Cost of reading, rewriting, compiling and writing graphs against their size: files twice as large may cost about
 * twice as much. Work is counted, not timed: nodes, readers and names looked at, and bytes of the arenas. And the
 * limits on what a small file may ask for. Owner rule: each test destroys its graphs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "import/onnx_reader.h"
#include "import/onnx_writer.h"
#include "kitfox/compile.h"
#include "lower/lower.h"
#include "onnx_builder.h"
#include "passes/passes.h"

/* Over three doublings: tables that double at their own sizes leave some room, squares (64 times) do not. */
enum { LEAST = 500, TIMES = 8 };
static const double MOST_GROWTH = 24; /* names are hashed with a seed: what collides differs from run to run */

typedef struct series {
    const char *name;
    void (*fill)(buf *g, int n); /* input x, output y */
    bool compiles;
} series;

/* Node i of a chain of n from x to y. */
static buf link_of(const char *op, int i, int n, const char *more) {
    char in[64], out[32];
    snprintf(in, sizeof in, i == 0 ? "x%s%s" : "v%3$d%1$s%2$s", *more ? " " : "", more, i);
    snprintf(out, sizeof out, i == n - 1 ? "y" : "v%d", i + 1);
    return node(op, in, out);
}

static void weights(buf *g, const char *name, float value, int64_t o, int64_t i) {
    float *w = malloc((size_t)(o * i) * sizeof *w);
    assert_non_null(w);
    for (int64_t k = 0; k < o * i; k++) w[k] = value;
    tensor(g, name, 1, 4, (const int64_t[]){o, i, 1, 1}, w, (size_t)(o * i) * sizeof *w);
    free(w);
}

static void same_upper(buf *node) {
    buf a = {0};
    text(&a, 1, "auto_pad");
    text(&a, 4, "SAME_UPPER");
    num(&a, 20, 3);
    put(node, 5, &a);
}

static void fill_auto_pad(buf *g, int n) {
    weights(g, "w", 0.3f, 2, 2);
    for (int i = 0; i < n; i++) {
        buf c = link_of("Conv", i, n, "w");
        same_upper(&c);
        put(g, 1, &c);
    }
}

static void fill_reversed(buf *g, int n) {
    weights(g, "w", 0.3f, 2, 2);
    for (int i = n; i-- > 0;) {
        buf c = link_of("Conv", i, n, "w");
        same_upper(&c);
        put(g, 1, &c);
    }
}

static void fill_relu(buf *g, int n) {
    for (int i = 0; i < n; i++) {
        buf c = link_of(i % 2 ? "Relu" : "Sigmoid", i, n, "");
        put(g, 1, &c);
    }
}

static void fill_identity(buf *g, int n) {
    for (int i = 0; i < n; i++) {
        buf c = link_of(i ? "Identity" : "Relu", i, n, "");
        put(g, 1, &c);
    }
}

static void fill_bias(buf *g, int n) {
    weights(g, "w", 0.3f, 2, 2);
    weights(g, "c", 0.5f, 1, 1);
    for (int i = 0; i < n; i++) {
        buf c = link_of(i % 2 ? "Add" : "Conv", i, n, i % 2 ? "c" : "w");
        put(g, 1, &c);
    }
}

static void fill_residual(buf *g, int n) {
    weights(g, "w", 0.3f, 2, 2);
    for (int i = 0; i < n; i++) {
        buf c = link_of(i % 2 ? "Add" : "Conv", i, n, i % 2 ? "x" : "w");
        put(g, 1, &c);
    }
}

/* n readers of one tensor, then the sum of what they make. */
static void readers(buf *g, int n, bool same) {
    char in[32], out[32];
    for (int i = 0; i < n; i++) {
        snprintf(in, sizeof in, "k%d", i);
        if (!same) weights(g, in, 0.001f * (float)(i + 2), 2, 2);
        snprintf(in, sizeof in, same ? "x" : "x k%d", i);
        snprintf(out, sizeof out, "a%d", i);
        buf c = node(same ? "Sigmoid" : "Conv", in, out);
        put(g, 1, &c);
    }
    for (int i = 1; i < n; i++) {
        snprintf(in, sizeof in, i == 1 ? "a0 a1" : "s%d a%d", i - 1, i);
        snprintf(out, sizeof out, i == n - 1 ? "y" : "s%d", i);
        buf c = node("Add", in, out);
        put(g, 1, &c);
    }
}

static void fill_readers(buf *g, int n) { readers(g, n, false); }
static void fill_same(buf *g, int n) { readers(g, n, true); }

static void fill_unread(buf *g, int n) {
    char name[400];
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%0*d", (int)sizeof name - 1, i); /* and long names */
        weights(g, name, 1, 1, 1);
    }
    buf c = node("Relu", "x", "y");
    put(g, 1, &c);
}

/* Integers that are folded one after the other into the target of a Reshape. */
static void fill_shapes(buf *g, int n) {
    char in[32], out[32];
    const int64_t zeros[4] = {0};
    buf c = node("Shape", "x", "s0");
    put(g, 1, &c);
    tensor(g, "z", 7, 1, (const int64_t[]){4}, zeros, sizeof zeros);
    for (int i = 0; i < n; i++) {
        snprintf(in, sizeof in, "s%d z", i);
        snprintf(out, sizeof out, "s%d", i + 1);
        c = node("Add", in, out);
        put(g, 1, &c);
    }
    snprintf(in, sizeof in, "r s%d", n);
    c = node("Relu", "x", "r");
    put(g, 1, &c);
    c = node("Reshape", in, "y");
    put(g, 1, &c);
}

/* Opset 13, x of [1,2,4,4]. */
static buf model(void (*fill)(buf *g, int n), int n) {
    buf m = {0}, g = {0}, set = {0};
    fill(&g, n);
    value(&g, 11, "x", 4, (const int64_t[]){1, 2, 4, 4});
    value(&g, 12, "y", 0, NULL);
    num(&set, 2, 13);
    num(&m, 1, 8);
    put(&m, 7, &g);
    put(&m, 8, &set);
    return m;
}

typedef struct cost {
    double read, rewrite, write, memory;
} cost;

static double looks_since(uint64_t *last) {
    double n = (double)(kf__graph_looks - *last);
    *last = kf__graph_looks;
    return n;
}

static cost measure(const series *s, int n) {
    buf m = model(s->fill, n);
    const kf__onnx_options options = {0};
    kf_error err = {0};
    kf__graph *g;
    kf__program *p;
    cost c = {0};
    void *data;
    size_t bytes;
    uint64_t last = kf__graph_looks;
    if (kf__onnx_read(m.data, m.len, &options, &g, &err) != KF_OK) fail_msg("%s: %s", s->name, err.text);
    c.read = looks_since(&last);
    if (kf__passes_run(g, KF_OPTIMIZE_SIMPLIFY, &err) != KF_OK) fail_msg("%s: %s", s->name, err.text);
    if (kf__passes_run(g, KF_OPTIMIZE_FUSE, &err) != KF_OK) fail_msg("%s: %s", s->name, err.text);
    c.rewrite = looks_since(&last);
    if (kf__onnx_write(g, &data, &bytes, &err) != KF_OK) fail_msg("%s: %s", s->name, err.text);
    c.write = looks_since(&last);
    c.memory = (double)g->arena.used;
    if (s->compiles) {
        if (kf__lower(g, &p, &err) != KF_OK) fail_msg("%s: %s", s->name, err.text);
        c.memory += (double)p->arena.used;
        kf__program_destroy(&p);
    }
    free(data);
    kf__graph_destroy(&g);
    kf__strbuf_free(&m);
    return c;
}

static void grows(const series *s, const char *what, double before, double after) {
    if (after > MOST_GROWTH * before + 1000)
        fail_msg("%s: %s went from %.0f to %.0f in a file of %d times the nodes", s->name, what, before, after, TIMES);
}

static void growth_is_linear(void **state) {
    static const series ALL[] = {
        {"auto_pad", fill_auto_pad, true},
        {"reversed", fill_reversed, true},
        {"activations", fill_relu, true},
        {"identities", fill_identity, true},
        {"biases", fill_bias, true},
        {"residuals", fill_residual, true},
        {"readers", fill_readers, true},
        {"same nodes", fill_same, true},
        {"unread constants", fill_unread, true},
        {"shape arithmetic", fill_shapes, false},
    };
    for (size_t i = 0; i < KF_COUNT(ALL); i++) {
        const cost few = measure(&ALL[i], LEAST), many = measure(&ALL[i], LEAST * TIMES);
        grows(&ALL[i], "looks while reading", few.read, many.read);
        grows(&ALL[i], "looks while rewriting", few.rewrite, many.rewrite);
        grows(&ALL[i], "looks while writing", few.write, many.write);
        grows(&ALL[i], "memory", few.memory, many.memory);
    }
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

static int64_t one_extent; /* of each constant that fill_bomb makes */

/* Three large constants, and their sum to a number. */
static void fill_bomb(buf *g, int n) {
    char out[32], in[64];
    tensor(g, "s", 7, 1, (const int64_t[]){1}, &one_extent, sizeof one_extent);
    for (int i = 0; i < n; i++) {
        snprintf(out, sizeof out, "c%d", i);
        buf c = node("ConstantOfShape", "s", out);
        put(g, 1, &c);
        snprintf(in, sizeof in, "c%d", i);
        snprintf(out, sizeof out, "r%d", i);
        c = node("ReduceSum", in, out);
        put(g, 1, &c);
        snprintf(in, sizeof in, i == 0 ? "x r0" : "v%d r%d", i, i);
        snprintf(out, sizeof out, i == n - 1 ? "y" : "v%d", i + 1);
        c = node("Add", in, out);
        put(g, 1, &c);
    }
}

static void fill_product(buf *g, int n) {
    const int64_t side[2] = {n, n};
    tensor(g, "s", 7, 1, (const int64_t[]){2}, side, sizeof side);
    buf c = node("ConstantOfShape", "s", "a");
    put(g, 1, &c);
    c = node("MatMul", "a a", "b");
    put(g, 1, &c);
    c = node("ReduceSum", "b", "r");
    put(g, 1, &c);
    c = node("Add", "x r", "y");
    put(g, 1, &c);
}

/* Every layer reads the same constant, and gets a copy of its own. */
static void fill_shared(buf *g, int n) {
    weights(g, "w", 0.3f, 2, 2);
    for (int i = 0; i < n; i++) {
        buf c = link_of("Conv", i, n, "w");
        put(g, 1, &c);
    }
}

static kf_status optimize(void (*fill)(buf *g, int n), int n, uint64_t most, kf_error *err) {
    buf m = model(fill, n);
    kf_import_options o;
    kf_graph *g = NULL;
    kf_import_options_init(&o);
    o.max_fold_bytes = most;
    kf_status st = kf_graph_import_onnx_memory(m.data, m.len, &o, &g, err);
    if (st == KF_OK) st = kf_graph_optimize(g, KF_OPTIMIZE_FUSE, err);
    kf_graph_destroy(&g);
    kf__strbuf_free(&m);
    return st;
}

static void limited(void (*fill)(buf *g, int n), int n, uint64_t most, uint64_t enough) {
    kf_error err = {0};
    assert_int_equal(optimize(fill, n, most, &err), KF_ERR_LIMIT);
    assert_non_null(strstr(err.text, "max_fold_bytes"));
    if (enough && optimize(fill, n, enough, &err) != KF_OK) fail_msg("%s", err.text);
}

static void folding_is_limited_in_sum(void **state) {
    kf_error err = {0};
    one_extent = 100000; /* 400 kB each */
    limited(fill_bomb, 3, 1000000, 1300000);
    limited(fill_product, 200, 1000000, 2200000); /* 8 million multiply-adds */
    limited(fill_shared, 100, 1000, 100 * 16);
    one_extent = 1 << 26; /* refused before it is made: 256 MB each */
    limited(fill_bomb, 2, (uint64_t)1 << 20, 0);
    assert_int_equal(optimize(fill_shared, 100, 0, &err), KF_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(growth_is_linear), cmocka_unit_test(folding_is_limited_in_sum)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
