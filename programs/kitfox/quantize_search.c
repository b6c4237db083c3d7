/* 16-bit storage in the verb quantize: its options, labels of the calibration pictures, and what the search came to.
 * Owner rule: quantize_search_free releases the labels. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/files.h"
#include "kitfox/quantize.h"

enum { KEY_DROP = 2100, KEY_COSINE, KEY_LIMIT, KEY_OUTPUT, KEY_WEIGHTS, SHOWN = 20 };

static const struct argp_option OPTIONS[] = {
    {"target-drop", KEY_DROP, "POINTS", 0,
     "search for nodes to store in int16 until at most POINTS percent points of top-1 are lost on a quarter of the "
     "samples, held out: of accuracy "
     "where the folder has labels, else of agreement with float. If it cannot be met, a note says so and the best "
     "model is written",
     2},
    {"target-cosine", KEY_COSINE, "C", 0,
     "like --target-drop, until the cosine of the logits with float is C or more (0.999)", 2},
    {"max-int16-macs", KEY_LIMIT, "PERCENT", 0, "multiply-adds that the search may make int16 (default 10)", 2},
    {"int16-output", KEY_OUTPUT, "NODE", 0, "this node writes int16 (repeat)", 2},
    {"int16-weights", KEY_WEIGHTS, "NODE", 0, "this node's weights are int16 (repeat)", 2},
    {0},
};

static double real(struct argp_state *state, const char *option, const char *arg, double most) {
    char *end = NULL;
    double x = strtod(arg, &end);
    if (*end || end == arg || !(x >= 0 && x <= most))
        argp_error(state, "%s %s: a number from 0 to %g is needed", option, arg, most);
    return x;
}

static void add(struct argp_state *state, const char *option, const char **list, int32_t *n, const char *name) {
    if (*n == QUANTIZE_MOST_NAMES) argp_error(state, "%s: at most %d nodes", option, QUANTIZE_MOST_NAMES);
    else list[(*n)++] = name;
}

/* Own progress: the search has stages, not nodes. */
static int bar(void *user, size_t done, size_t total) {
    (void)user;
    if (!isatty(2)) return cli_signals_waited();
    int filled = (int)(30 * done / total);
    fprintf(stderr, "\rsearching [%.*s%.*s] %3zu %%", filled, "##############################", 30 - filled,
            "..............................", 100 * done / total);
    if (done == total) fprintf(stderr, "\r%60s\r", "");
    return cli_signals_waited();
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    quantize_search *s = state->input;
    switch (key) {
    case KEY_DROP: s->q->target_drop = real(state, "--target-drop", arg, 100), s->given = true; return 0;
    case KEY_COSINE:
        s->q->target_cosine = real(state, "--target-cosine", arg, 1), s->given = true;
        if (s->q->target_cosine == 0) argp_error(state, "--target-cosine 0: any network meets it; 0.999 is usual");
        return 0;
    case KEY_LIMIT: s->q->max_int16_macs = real(state, "--max-int16-macs", arg, 100), s->limited = true; return 0;
    case KEY_OUTPUT: add(state, "--int16-output", s->outputs, &s->q->n_int16_outputs, arg); return 0;
    case KEY_WEIGHTS: add(state, "--int16-weights", s->weights, &s->q->n_int16_weights, arg); return 0;
    case ARGP_KEY_END:
        s->q->int16_outputs = s->outputs, s->q->int16_weights = s->weights;
        if (s->given) s->q->progress = bar;
        else if (s->limited)
            argp_error(state, "--max-int16-macs limits a search; give --target-drop or --target-cosine too");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp quantize_search_argp = {OPTIONS, parse, NULL, NULL, NULL, NULL, NULL};

/* ---- labels ------------------------------------------------------------------------------------------------------ */

static const char INSTEAD[] = "; the drop is the share of pictures that float answers differently\n";

static size_t match(quantize_search *s, const kf_dataset *l, const pictures *p, int64_t classes) {
    size_t found = 0;
    for (size_t i = 0; i < p->n; i++) {
        int64_t truth = kf_dataset_class_of(l, p->paths[i]);
        bool known = truth >= 0 && truth < classes;
        s->labels[i] = known ? (int32_t)truth : -1;
        found += known;
    }
    return found;
}

kf_status quantize_search_labels(quantize_search *s, kf_graph *g, const char *folder, const pictures *p,
                                 kf_error *err) {
    kf_model *m = NULL;
    kf_tensor out;
    kf_dataset *l = NULL;
    if (s->q->target_drop < 0) return KF_OK;
    size_t held = p->n / 4;
    if (held && s->q->target_drop * (double)held < 100)
        fprintf(stderr,
                "kitfox: note: %zu samples are held out and one is %.2f points: a drop of %g asks that none is lost; "
                "more samples, or --target-cosine, judge finer\n",
                held, 100.0 / (double)held, s->q->target_drop);
    s->labels = calloc(p->n + 1, sizeof *s->labels);
    if (!s->labels) return cli_error_at(err, KF_ERR_MEMORY, folder, "out of memory for labels");
    kf_status st = kf_graph_compile(g, NULL, &m, err);
    if (st == KF_OK) st = kf_graph_output(g, 0, &out, err);
    if (st == KF_OK) st = cli_dataset(folder, NULL, m, &l, err);
    if (st == KF_OK) {
        int64_t classes = out.rank > 1 ? out.shape[1] : 1;
        size_t found = kf_dataset_fits(l, m) ? match(s, l, p, classes) : 0;
        if (found == p->n) s->q->labels = s->labels;
        else if (!found)
            fprintf(stderr, "kitfox: note: %s has no labels (labels.csv, or a folder for each class)%s", folder,
                    INSTEAD);
        else fprintf(stderr, "kitfox: note: only %zu of %zu pictures have a label%s", found, p->n, INSTEAD);
    }
    kf_dataset_destroy(&l);
    kf_model_destroy(&m);
    return st;
}

void quantize_search_free(quantize_search *s) {
    free(s->labels);
    s->labels = NULL;
}

/* ---- outcome ----------------------------------------------------------------------------------------------------- */

static json_t *decibel(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static void print_json(const kf_graph *g, const kf_search_result *r) {
    kf_search_candidate c = {.size = sizeof c};
    kf_error err;
    for (int32_t i = 0; kf_graph_search_candidate(g, i, &c, &err) == KF_OK; i++)
        cli_print_json(json_pack("{s:s,s:s,s:f,s:I,s:o}", "candidate", c.node, "what", c.weights ? "weights" : "output",
                                 "gain", c.gain, "macs", (json_int_t)c.macs, "place",
                                 c.place ? json_integer(c.place) : json_null()));
    cli_print_json(json_pack("{s:b,s:i,s:s,s:o,s:i,s:f,s:f,s:f,s:f,s:o,s:o,s:f}", "target_met", r->met, "held_out",
                             r->held_out, "drop_of", r->labelled ? "accuracy" : "agreement", "float_top1",
                             r->labelled ? json_real(r->float_top1) : json_null(), "promoted", r->promoted, "drop_int8",
                             r->drop_before, "drop", r->drop, "cosine_int8", r->cosine_before, "cosine", r->cosine,
                             "sqnr_db_int8", decibel(r->sqnr_before), "sqnr_db", decibel(r->sqnr), "int16_macs_percent",
                             r->int16_macs));
}

static void print_text(FILE *to, const kf_graph *g, const kf_search_result *r, bool all) {
    kf_search_candidate c = {.size = sizeof c};
    kf_error err;
    const char *what = r->labelled ? "of accuracy" : "of agreement with float";
    if (r->candidates) fprintf(to, "%5s  %-8s %8s %12s  %s\n", "Place", "What", "Gain %", "MACs", "Node");
    for (int32_t i = 0; kf_graph_search_candidate(g, i, &c, &err) == KF_OK; i++) {
        char place[16] = "-";
        if (c.place) snprintf(place, sizeof place, "%d", c.place);
        if (all || c.place || i < SHOWN)
            fprintf(to, "%5s  %-8s %8.2f %12lld  %s\n", place, c.weights ? "weights" : "output", c.gain,
                    (long long)c.macs, c.node);
        else if (i == SHOWN || i == r->promoted)
            fprintf(to, "       ... %d more; --nodes prints them\n", r->candidates - i);
    }
    fprintf(to, "search, on %d held-out samples%s (one is %.2f points):\n", r->held_out,
            r->labelled ? " with labels" : "", 100.0 / r->held_out);
    fprintf(to, "  all int8:  %.2f points %s lost, cosine %.6f, SQNR %.2f dB\n", r->drop_before, what, r->cosine_before,
            r->sqnr_before);
    if (r->candidates)
        fprintf(to, "  %d promoted: %.2f points %s lost, cosine %.6f, SQNR %.2f dB, %.2f %% of MACs in int16\n",
                r->promoted, r->drop, what, r->cosine, r->sqnr, r->int16_macs);
    fprintf(to, "  the target is %s%s\n", r->met ? "met" : "NOT met", r->promoted || !r->met ? "" : " without int16");
}

void quantize_print_search(FILE *to, const kf_graph *g, bool json, bool all) {
    kf_search_result r = {.size = sizeof r};
    kf_error err;
    if (kf_graph_search_result(g, &r, &err) != KF_OK) return;
    if (json) print_json(g, &r);
    else print_text(to, g, &r, all);
    if (!r.met && to == stdout)
        fprintf(stderr,
                "kitfox: note: the target was not met: %.2f points lost and cosine %.6f on %d held-out samples with "
                "%.2f %% of MACs in int16; "
                "this is the best found; raise --max-int16-macs, or give more samples\n",
                r.drop, r.cosine, r.held_out, r.int16_macs);
}
