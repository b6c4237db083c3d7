/* kf_check: can it be compiled? A verdict for each node of the file.
 * The file is imported twice: as it is, and optimized; a node's fate is read off the second graph's sources.
 * Owner rule: kf_check_result_free releases the nodes; both graphs are destroyed here. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "kitfox/lab.h"

static const char *const FATES[KF_FATE_COUNT] = {"supported", "fused", "folded", "unsupported", "not judged"};

const char *kf_node_fate_name(kf_node_fate fate) { return (uint32_t)fate < KF_FATE_COUNT ? FATES[fate] : NULL; }

kf_status kf_node_fate_from_name(const char *name, kf_node_fate *out, kf_error *err) {
    for (int i = 0; name && out && i < KF_FATE_COUNT; i++)
        if (strcmp(name, FATES[i]) == 0) return *out = (kf_node_fate)i, KF_OK;
    KF_FAIL(err, KF_ERR_ARGUMENT, "verdict %.80s: supported, fused, folded, unsupported or not judged is needed",
            name ? name : "NULL");
}

/* ---- the list ---------------------------------------------------------------------------------------------------- */

typedef struct job {
    const char *path;
    kf_check_result result;
    bool no_memory;
    kf_error *err;
} job;

void kf_check_result_free(kf_check_result *result) {
    kf_check_result r = {.size = sizeof r}, empty = r;
    if (!result || kf_info_write(&r, result, "kf_check_result", NULL) != KF_OK) return;
    for (size_t i = 0; i < r.n; i++) {
        free(r.nodes[i].name);
        free(r.nodes[i].op);
        free(r.nodes[i].detail);
    }
    free(r.nodes);
    kf_info_write(result, &empty, "kf_check_result", NULL);
}

/* The new last node, with copies of these strings; NULL, and noted, without memory. */
static kf_checked_node *add(job *j, const char *name, const char *op, const char *detail, kf_node_fate fate) {
    kf_check_result *r = &j->result;
    kf_checked_node *grown = realloc(r->nodes, (r->n + 1) * sizeof *grown), *n = NULL;
    if (grown) {
        r->nodes = grown, n = &grown[r->n++];
        *n = (kf_checked_node){strdup(name), strdup(op), strdup(detail), .fate = fate};
        r->count[fate]++;
    }
    if (n && n->name && n->op && n->detail) return n;
    j->no_memory = true;
    return NULL;
}

static kf_status finish(const job *j) {
    if (j->no_memory) KF_FAIL(j->err, KF_ERR_MEMORY, "%.600s: out of memory for its nodes; free some", j->path);
    return KF_OK;
}

/* ---- a file that cannot be imported ------------------------------------------------------------------------------ */

/* ONNX Runtime has operators of its own, which its optimizer puts in the place of the file's. */
static const char *why_unknown(const char *op) {
    static const char RUNTIME[] = "com.microsoft.";
    if (strncmp(op, RUNTIME, sizeof RUNTIME - 1) == 0)
        return "ONNX Runtime has it for itself; give the file that it optimized, or save that with ORT_ENABLE_BASIC";
    return "there is no such operator here";
}

static void on_node(void *user, const char *name, const char *op, int32_t known) {
    if (known) add(user, name, op, "", KF_FATE_UNJUDGED);
    else add(user, name, op, why_unknown(op), KF_FATE_UNSUPPORTED);
}

/* ---- a file that can --------------------------------------------------------------------------------------------- */

/* What became of the node called `name`; *detail is the step it went into, or the reason. */
static kf_status fate_of(const kf_graph *fused, int32_t n_nodes, const char *name, kf_node_fate *fate,
                         const char **detail, kf_error *err) {
    kf_node_info n = {.size = sizeof n};
    *detail = "", *fate = KF_FATE_FOLDED;
    for (int32_t i = 0; i < n_nodes; i++) {
        KF_TRY(kf_graph_node(fused, i, &n, err));
        for (int32_t k = 0; k < n.n_sources; k++) {
            if (strcmp(n.sources[k], name) != 0) continue;
            *detail = n.supported ? n.name : n.reason;
            *fate = strcmp(n.name, name) == 0 ? KF_FATE_SUPPORTED : KF_FATE_FUSED;
            if (!n.supported) *fate = KF_FATE_UNSUPPORTED;
            return KF_OK;
        }
    }
    return KF_OK;
}

static kf_status judge(job *j, kf_graph *file, kf_graph *fused) {
    kf_node_info n = {.size = sizeof n};
    kf_graph_info before = {.size = sizeof before}, after = before;
    KF_TRY(kf_graph_get_info(file, &before, j->err));
    KF_TRY(kf_graph_get_info(fused, &after, j->err));
    for (int32_t i = 0; i < before.n_nodes; i++) {
        const char *detail;
        kf_node_fate fate;
        KF_TRY(kf_graph_node(file, i, &n, j->err));
        KF_TRY(fate_of(fused, after.n_nodes, n.name, &fate, &detail, j->err));
        kf_checked_node *to = add(j, n.name, n.op, detail, fate);
        if (!to) break;
        to->rank = n.rank;
        memcpy(to->shape, n.shape, sizeof to->shape);
    }
    return finish(j);
}

static kf_status check(job *j, const kf_import_options *given) {
    kf_graph *file = NULL, *fused = NULL;
    kf_import_options o;
    kf_import_options_init(&o);
    KF_TRY(kf_options_read(&o, given, "kf_import_options", j->err));
    o.node = on_node, o.node_user = j;
    kf_status st = kf_graph_import(j->path, &o, &file, j->err);
    if (st != KF_OK && j->result.count[KF_FATE_UNSUPPORTED] && !j->no_memory) return st; /* with the nodes */
    kf_check_result_free(&j->result);
    if (j->no_memory) st = finish(j);
    o.node = NULL, o.notice = NULL; /* the first import told all there is to tell */
    if (st == KF_OK) st = kf_graph_import(j->path, &o, &fused, j->err);
    if (st == KF_OK) st = kf_graph_optimize(fused, KF_OPTIMIZE_FUSE, j->err);
    if (st == KF_OK) st = judge(j, file, fused);
    if (st != KF_OK) kf_check_result_free(&j->result);
    kf_graph_destroy(&fused);
    kf_graph_destroy(&file);
    return st;
}

kf_status kf_check(const char *path, const kf_import_options *options, kf_check_result *out, kf_error *err) {
    job j = {.path = path, .result.size = sizeof j.result, .err = err};
    KF_TRY(kf_info_write(out, &j.result, "kf_check_result", err));
    if (!path) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_check: `path` is needed");
    kf_status st = check(&j, options);
    kf_info_write(out, &j.result, "kf_check_result", NULL);
    return st;
}
