/* 16-bit storage in the verb quantize: its options, and the progress of the search.
 * Owner rule: nothing is kept. */
#include <stdlib.h>

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

/* The search has stages, not nodes. */
static int progress(void *user, size_t done, size_t total) {
    (void)user;
    return cli_progress("searching, per mille", done, total);
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
        if (s->given) s->q->progress = progress;
        else if (s->limited)
            argp_error(state, "--max-int16-macs limits a search; give --target-drop or --target-cosine too");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp quantize_search_argp = {OPTIONS, parse, NULL, NULL, NULL, NULL, NULL};
