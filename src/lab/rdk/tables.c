/* What the quantizer reports, as text: the node table that scripts of the zoo's users search for, and the search.
 * Owner rule: texts are malloc'ed for the caller. */
#include <stdlib.h>

#include "rdk/rdk.h"
#include "data/plain.h"

enum { SHOWN = 20 };

static void print_nodes(FILE *f, const kf_graph *g) {
    kf_quantized_node n = {.size = sizeof n};
    kf_error end;
    fprintf(f, "%-60s %-18s %-18s %-12s %s\n", "Node", "Type", "Cosine Similarity", "Threshold", "DataType");
    for (int32_t i = 0; kf_graph_quantized_node(g, i, &n, &end) == KF_OK; i++)
        kf__lab_write(f, "%-60s %-18s %-18.6f %-12.6f %s\n", n.name, n.op, n.cosine, n.threshold,
                      kf_quantized_type(n.dtype));
}

static void print_candidates(FILE *f, const kf_graph *g, const kf_search_result *r, bool all) {
    kf_search_candidate c = {.size = sizeof c};
    kf_error end;
    if (r->candidates) fprintf(f, "%5s  %-8s %8s %12s  %s\n", "Place", "What", "Gain %", "MACs", "Node");
    for (int32_t i = 0; kf_graph_search_candidate(g, i, &c, &end) == KF_OK; i++) {
        char place[16] = "-";
        if (c.place) snprintf(place, sizeof place, "%d", c.place);
        if (all || c.place || i < SHOWN)
            kf__lab_write(f, "%5s  %-8s %8.2f %12lld  %s\n", place, c.weights ? "weights" : "output", c.gain,
                          (long long)c.macs, c.node);
        else if (i == SHOWN || i == r->promoted)
            fprintf(f, "       ... %d more; --nodes prints them\n", r->candidates - i);
    }
}

static void print_search(FILE *f, const kf_graph *g, const kf_search_result *r, bool all) {
    const char *what = r->labelled ? "of accuracy" : "of agreement with float";
    print_candidates(f, g, r, all);
    kf__lab_write(f, "search, on %d held-out samples%s (one is %.2f points):\n", r->held_out,
                  r->labelled ? " with labels" : "", 100.0 / r->held_out);
    kf__lab_write(f, "  all int8:  %.2f points %s lost, cosine %.6f, SQNR %.2f dB\n", r->drop_before, what,
                  r->cosine_before, r->sqnr_before);
    if (r->candidates)
        kf__lab_write(f, "  %d promoted: %.2f points %s lost, cosine %.6f, SQNR %.2f dB, %.2f %% of MACs in int16\n",
                      r->promoted, r->drop, what, r->cosine, r->sqnr, r->int16_macs);
    const char *how = r->promoted || !r->met ? "" : " without int16";
    fprintf(f, "  the target is %s%s\n", r->met ? "met" : "NOT met", how);
}

const char *kf_quantized_type(kf_dtype dtype) {
    if (dtype == KF_I16) return "int16";
    return dtype == KF_U8 ? "int8" : "float";
}

/* `nodes`: that table, else the search. */
static kf_status make_text(const kf_graph *g, bool nodes, bool all, char **text, kf_error *err) {
    kf_search_result r = {.size = sizeof r};
    kf_error none;
    size_t bytes;
    if (!g || !text) KF_FAIL(err, KF_ERR_ARGUMENT, "a quantized graph and a place for its text are needed");
    *text = NULL;
    FILE *f = open_memstream(text, &bytes);
    if (f && nodes) print_nodes(f, g);
    if (f && !nodes && kf_graph_search_result(g, &r, &none) == KF_OK) print_search(f, g, &r, all);
    bool ok = f && !ferror(f);
    if (f && (fclose(f) != 0 || !*text)) ok = false;
    if (ok) return KF_OK;
    free(*text);
    *text = NULL;
    KF_RDK_FAIL_MEMORY(err);
}

kf_status kf_quantized_table(const kf_graph *graph, char **text, kf_error *err) {
    return make_text(graph, true, false, text, err);
}

kf_status kf_search_table(const kf_graph *graph, int32_t all, char **text, kf_error *err) {
    return make_text(graph, false, all != 0, text, err);
}
