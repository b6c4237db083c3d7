/* 16-bit storage in the verb quantize: its options, and labels of the calibration pictures.
 * Owner rule: quantize_search_free releases the labels. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/files.h"
#include "kitfox/quantize.h"

enum { KEY_DROP = 2100, KEY_COSINE, KEY_LIMIT, KEY_OUTPUT, KEY_WEIGHTS };

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
