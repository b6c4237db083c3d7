/* The sections about nodes: the table, worst first; what each costs alone; histograms with their clip range.
 * Owner rule: see report.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/html.h"
#include "report/report.h"
#include "data/plain.h"

/* A node of the table: from the comparison, and from the quantizer's record if there is one. */
typedef struct row {
    const kf_compared_node *n;
    double cosine, sqnr, alone_cosine, alone_sqnr;
    int32_t recorded; /* index in the quantizer's record, or -1 */
} row;

static bool shared(const kf_compared_node *n) { return n->step[0] >= 0 && n->step[1] >= 0; }

static int32_t find(const kf_graph *g, const char *name, kf_quantized_node *q) {
    kf_error err;
    for (int32_t i = 0; g && kf_graph_quantized_node(g, i, q, &err) == KF_OK; i++)
        if (strcmp(q->name, name) == 0) return i;
    return -1;
}

/* NAN and exact values come last. */
static double rank(double x) {
    if (isfinite(x)) return x;
    return isnan(x) ? 1e300 : 1e299;
}

static int by_sqnr(const void *a, const void *b) {
    const row *x = a, *y = b;
    double u = rank(x->sqnr), v = rank(y->sqnr);
    return u != v ? (u > v) - (u < v) : (x->n > y->n) - (x->n < y->n);
}

static int by_cost(const void *a, const void *b) {
    const row *x = a, *y = b;
    double u = rank(x->n->cost), v = rank(y->n->cost);
    return u != v ? (u > v) - (u < v) : (x->n > y->n) - (x->n < y->n);
}

static void node_table(FILE *f, row *rows, size_t n) {
    qsort(rows, n, sizeof *rows, by_sqnr);
    fputs("<table id=\"nodes\"><tr><th>node</th><th class=\"t\">type</th><th>A</th><th>B</th><th>cosine</th><th>SQNR, "
          "dB</th><th>alone: cosine</th><th>alone: SQNR, dB</th><th>million MACs</th></tr>\n",
          f);
    for (size_t i = 0; i < n; i++) {
        const kf_compared_node *p = rows[i].n;
        fputs("<tr><td>", f);
        kf__html_text(f, p->name);
        if (p->rescaled) fputs(" (rescaled)", f);
        fputs("</td><td class=\"t\">", f);
        kf__html_text(f, p->info[1]->op);
        fprintf(f, "</td><td>%s</td><td>%s</td>", kf_dtype_name(p->info[0]->dtype), kf_dtype_name(p->info[1]->dtype));
        kf__report_number(f, rows[i].cosine, 6);
        kf__report_number(f, rows[i].sqnr, 2);
        kf__report_number(f, rows[i].alone_cosine, 6);
        kf__report_number(f, rows[i].alone_sqnr, 2);
        kf__lab_write(f, "<td>%.3f</td></tr>\n", (double)p->info[1]->macs / 1e6);
    }
    fputs("</table>\n", f);
}

static void only_table(FILE *f, const report *r) {
    size_t n = 0;
    for (size_t i = 0; i < r->w->n_nodes; i++) n += !shared(&r->w->nodes[i]);
    if (!n) return;
    fprintf(f,
            "<h3>In one model only</h3>\n<p>%zu steps have no step of the same name and output size in the other "
            "model.</p>\n<table id=\"only\"><tr><th>node</th><th class=\"t\">type</th><th>in</th></tr>\n",
            n);
    for (size_t i = 0; i < r->w->n_nodes; i++) {
        const kf_compared_node *p = &r->w->nodes[i];
        if (shared(p)) continue;
        fputs("<tr><td>", f);
        kf__html_text(f, p->name);
        fprintf(f, "</td><td class=\"t\">%s</td><td>%s</td></tr>\n", p->info[p->step[0] >= 0 ? 0 : 1]->op,
                p->step[0] >= 0 ? "A" : "B");
    }
    fputs("</table>\n", f);
}

/* Errors of single nodes are nearly uncorrelated, so their powers nearly add up. A node's share of the sum is its
 * contribution to the whole error. */
static void cost_table(FILE *f, row *rows, size_t n, const report *r) {
    double total = 0, macs = 0;
    size_t measured = 0;
    for (size_t i = 0; i < n; i++) {
        measured += !isnan(rows[i].n->cost);
        if (isfinite(rows[i].n->cost)) total += pow(10, -rows[i].n->cost / 10);
        macs += (double)rows[i].n->info[1]->macs;
    }
    if (!measured) return;
    qsort(rows, n, sizeof *rows, by_cost);
    fprintf(
        f,
        "<h2>What each node costs</h2>\n<p>SQNR of A's output over %zu pictures when this node alone is B's and the "
        "rest is A's, the most expensive first; and its share of the error power of all nodes so measured, beside its "
        "share of the work. "
        "Nodes with much error and little work are the ones to keep in int16.</p>\n<table "
        "id=\"costs\"><tr><th>node</th><th>output SQNR, dB</th><th>share of error</th><th>share of MACs</th></tr>\n",
        r->w->node_images);
    for (size_t i = 0; i < n; i++) {
        double cost = rows[i].n->cost;
        fputs("<tr><td>", f);
        kf__html_text(f, rows[i].n->name);
        fputs("</td>", f);
        kf__report_number(f, cost, 2);
        kf__lab_write(f, "<td>%.1f %%</td><td>%.1f %%</td></tr>\n",
                      isfinite(cost) ? 100 * pow(10, -cost / 10) / total : 0,
                      macs > 0 ? 100 * (double)rows[i].n->info[1]->macs / macs : 0);
    }
    fputs("</table>\n", f);
}

static void chart(FILE *f, const row *rows, size_t n) {
    static const char *const NAMES[] = {"SQNR, run from the picture", "alone"};
    double *y = malloc(2 * n * sizeof *y + 1);
    if (!y) return;
    for (size_t i = 0; i < n; i++) y[i] = rows[i].sqnr, y[n + i] = rows[i].alone_sqnr;
    const kf__html_plot plot = {.y = (const double *const[]){y, y + n},
                                .names = NAMES,
                                .lines = 2,
                                .n = n,
                                .title = "SQNR in dB over the nodes in order, exact ones passed over",
                                .x_axis = "node, in the order of the network",
                                .y_axis = "SQNR, dB"};
    kf__html_lines(f, &plot);
    free(y);
}

static void histograms(FILE *f, const row *rows, size_t n, const report *r) {
    static const char *const WHAT[] = {"output", "weights"};
    kf_quantized_histogram h = {.size = sizeof h};
    kf_error err;
    if (!r->o.graph || kf_graph_quantized_histogram(r->o.graph, 0, 0, &h, &err) != KF_OK) return;
    fputs("<h2>Values and weights</h2>\n<p>Of the float network, in graph order. Heights go by the square root of the "
          "count. Solid lines: the widest range that the integers hold; dashed: the narrowest, where each channel has "
          "its own.</p>\n<div id=\"histograms\">\n",
          f);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].recorded < 0) continue;
        fputs("<details><summary>", f);
        kf__html_text(f, rows[i].n->name);
        fputs("</summary>\n", f);
        for (int32_t k = 0; k < 2; k++)
            if (kf_graph_quantized_histogram(r->o.graph, rows[i].recorded, k, &h, &err) == KF_OK)
                kf__html_histogram(f, &h, WHAT[k]);
        fputs("</details>\n", f);
    }
    fputs("</div>\n", f);
}

static size_t collect(const report *r, row *rows) {
    size_t n = 0;
    for (size_t i = 0; i < r->w->n_nodes; i++) {
        const kf_compared_node *p = &r->w->nodes[i];
        kf_quantized_node q = {.size = sizeof q};
        if (!shared(p)) continue;
        row *to = &rows[n++];
        *to = (row){p, p->cosine, p->sqnr, p->alone_cosine, p->alone_sqnr, find(r->o.graph, p->name, &q)};
        if (to->recorded >= 0)
            to->cosine = q.cosine, to->sqnr = q.sqnr, to->alone_cosine = q.alone_cosine, to->alone_sqnr = q.alone_sqnr;
    }
    return n;
}

void kf__report_nodes(FILE *f, const report *r) {
    int32_t samples = 0;
    kf_error err;
    row *rows = malloc((r->w->n_nodes + 1) * sizeof *rows);
    if (!rows || r->w->n_nodes == 0) return free(rows);
    size_t n = collect(r, rows);
    fputs("<h2>Nodes, worst first</h2>\n<p>Outputs of the same node in A and B, as real numbers. Cosine and SQNR: both "
          "networks run from the picture, so errors add up along the way. ",
          f);
    if (r->o.graph && kf_graph_quantized_summary(r->o.graph, NULL, NULL, &samples, &err) == KF_OK)
        fprintf(f,
                "Alone: the quantized node on the float network's values. Measured by the quantizer on its %d "
                "calibration samples.</p>\n",
                samples);
    else
        fprintf(f, "Alone: B's node on A's values, rounded as B stores them. Over %zu pictures.</p>\n",
                r->w->node_images);
    for (size_t i = 0; i < n; i++)
        if (rows[i].n->rescaled) {
            fputs("<p>B keeps the channels of nodes marked rescaled in other scales, by weights that were scaled "
                  "across layers; they are compared in A's units, by the factors that fit best.</p>\n",
                  f);
            break;
        }
    chart(f, rows, n);
    node_table(f, rows, n);
    only_table(f, r);
    cost_table(f, rows, n, r);
    n = collect(r, rows); /* back in graph order */
    histograms(f, rows, n, r);
    free(rows);
}
