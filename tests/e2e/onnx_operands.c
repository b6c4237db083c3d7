/* Takes ONNX models through import, writing, optimizing, the reference and the compiler, for test_onnx_operands.py.
 * Standard input: models one after the other, each behind its length in decimal digits and a line feed. A line of
 * output for each: "refused STAGE STATUS TEXT", "large TYPE SHAPE :", or "ran TYPE SHAPE : FIRST VALUES" of the output.
 * Owner rule: everything is released after each model, so that a sanitizer sees what is not. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kitfox/compile.h"

enum { MOST_ELEMENTS = 1 << 20, SHOWN = 64 };

static size_t elements(const int64_t *shape, int32_t rank) {
    size_t n = 1;
    for (int32_t i = 0; i < rank; i++) {
        if (shape[i] > MOST_ELEMENTS) return SIZE_MAX;
        n *= (size_t)shape[i];
        if (n > MOST_ELEMENTS) return SIZE_MAX;
    }
    return n;
}

/* Tensors small enough for the reference? */
static bool is_small(kf_graph *g, const kf_graph_info *info) {
    kf_node_info node = {.size = sizeof node};
    kf_tensor t;
    for (int32_t i = 0; i < info->n_nodes; i++)
        if (kf_graph_node(g, i, &node, NULL) != KF_OK || elements(node.shape, node.rank) == SIZE_MAX) return false;
    for (int32_t i = 0; i < info->n_inputs; i++)
        if (kf_graph_input(g, i, &t, NULL) != KF_OK || elements(t.shape, t.rank) == SIZE_MAX) return false;
    if (kf_graph_output(g, 0, &t, NULL) != KF_OK || elements(t.shape, t.rank) == SIZE_MAX) return false;
    return info->n_inputs <= 8 && info->n_outputs == 1;
}

static double value_at(const kf_tensor *t, size_t i) {
    switch (t->dtype) {
    case KF_F32: return (double)((const float *)t->data)[i];
    case KF_I64: return (double)((const int64_t *)t->data)[i];
    case KF_I32: return ((const int32_t *)t->data)[i];
    case KF_I16: return ((const int16_t *)t->data)[i];
    case KF_I8: return ((const int8_t *)t->data)[i];
    case KF_U8:
    case KF_BOOL: return ((const uint8_t *)t->data)[i];
    case KF_F64:
    case KF_F16:
    case KF_BF16:
    case KF_DTYPE_NONE:
    case KF_DTYPE_COUNT: break;
    }
    return 0;
}

/* Inputs count -3, -2 ... 3 and again, times 0.25 in f32; bool is 1 for odd positions. */
static void fill(kf_tensor *t) {
    size_t n = elements(t->shape, t->rank);
    t->bytes = n * kf_dtype_size(t->dtype);
    t->data = calloc(t->bytes + 1, 1);
    if (!t->data) abort();
    for (size_t i = 0; i < n; i++) {
        int v = (int)(i % 7) - 3;
        switch (t->dtype) {
        case KF_F32: ((float *)t->data)[i] = (float)v * 0.25f; break;
        case KF_I64: ((int64_t *)t->data)[i] = v; break;
        case KF_I32: ((int32_t *)t->data)[i] = v; break;
        case KF_I16: ((int16_t *)t->data)[i] = (int16_t)v; break;
        case KF_I8: ((int8_t *)t->data)[i] = (int8_t)v; break;
        case KF_U8: ((uint8_t *)t->data)[i] = (uint8_t)(v + 3); break;
        case KF_BOOL: ((uint8_t *)t->data)[i] = (uint8_t)(i % 2); break;
        case KF_F64:
        case KF_F16:
        case KF_BF16:
        case KF_DTYPE_NONE:
        case KF_DTYPE_COUNT: break;
        }
    }
}

static void show(const char *word, const kf_tensor *t) {
    printf("%s %s", word, kf_dtype_name(t->dtype));
    for (int32_t i = 0; i < t->rank; i++) printf("%c%lld", i ? 'x' : ' ', (long long)t->shape[i]);
    printf(" :");
}

static void large(const kf_graph *g) {
    kf_tensor out;
    if (kf_graph_output(g, 0, &out, NULL) != KF_OK) abort();
    show("large", &out);
    printf("\n");
}

static kf_status reference(kf_graph *g, const kf_graph_info *info, kf_error *err) {
    static double room[MOST_ELEMENTS];
    kf_tensor in[8] = {{0}}, out = {.data = room, .bytes = sizeof room};
    for (int32_t i = 0; i < info->n_inputs; i++) {
        if (kf_graph_input(g, i, &in[i], err) != KF_OK) abort();
        fill(&in[i]);
    }
    kf_status st = kf_graph_run_reference(g, in, (size_t)info->n_inputs, &out, 1, err);
    for (int32_t i = 0; i < info->n_inputs; i++) free(in[i].data);
    if (st != KF_OK) return st;
    show("ran", &out);
    size_t n = elements(out.shape, out.rank);
    for (size_t i = 0; i < n && i < SHOWN; i++) printf(" %.9g", value_at(&out, i));
    printf("\n");
    return KF_OK;
}

static void refused(const char *stage, kf_status st, const kf_error *err) {
    if (!err->text[0]) abort(); /* a refusal without a reason is a bug */
    printf("refused %s %s %s\n", stage, kf_status_name(st), err->text);
}

/* Everything that the program may do with a file that imports; the line of output comes from the reference. */
static void use(kf_graph *g) {
    kf_graph_info info = {.size = sizeof info};
    kf_model *m;
    kf_error err = {0};
    void *data;
    size_t bytes;
    kf_status st = kf_graph_get_info(g, &info, &err);
    if (st == KF_OK && kf_graph_write_onnx(g, &data, &bytes, NULL) == KF_OK) free(data);
    if (st == KF_OK) st = kf_graph_optimize(g, KF_OPTIMIZE_SIMPLIFY, &err);
    if (st == KF_OK) st = kf_graph_get_info(g, &info, &err);
    if (st == KF_OK && kf_graph_write_onnx(g, &data, &bytes, NULL) == KF_OK) free(data);
    if (st != KF_OK) {
        refused("simplify", st, &err);
        return;
    }
    if (!is_small(g, &info)) large(g);
    else if ((st = reference(g, &info, &err)) != KF_OK) refused("reference", st, &err);
    if (kf_graph_compile(g, NULL, &m, NULL) == KF_OK) kf_model_destroy(&m);
}

int main(void) {
    size_t bytes;
    while (scanf("%zu", &bytes) == 1 && getchar() == '\n') {
        char *data = malloc(bytes + !bytes);
        if (!data || fread(data, 1, bytes, stdin) != bytes) return 1;
        kf_graph *g;
        kf_error err = {0};
        kf_status st = kf_graph_import_onnx_memory(data, bytes, NULL, &g, &err);
        free(data);
        if (st != KF_OK) refused("import", st, &err);
        else use(g);
        if (st == KF_OK) kf_graph_destroy(&g);
        fflush(stdout);
    }
    return 0;
}
