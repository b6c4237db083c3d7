/* Runs the rewrites of passes.def in order, level by level, until nothing changes.
 * Owner rule: the graph owns everything; the tables here are constant. */
#include "passes/passes.h"

/* Levels of passes.def. Those in the middle are on the way to the last: no graph stays there. */
enum level { SIMPLIFY, RECOGNIZE, JOIN, FUSE };

typedef kf_status (*pass_fn)(kf__graph *g, bool *changed, kf_error *err);

static const struct {
    const char *name;
    pass_fn run;
    enum level level;
} PASSES[] = {
#define KF_PASS(suffix, lvl) {#suffix, kf__pass_##suffix, lvl},
#include "passes/passes.def"
#undef KF_PASS
};

/* A graph that still changes after this many rounds has two passes undoing each other: a bug, not an input. */
enum { MAX_ROUNDS = 64 };

static kf_status run_one(kf__graph *g, size_t i, bool *changed, kf_error *err) {
    bool did = false;
    kf__graph_index_uses(g);
    if (!g->uses) KF_FAIL_MEMORY(err, g->n_values);
    kf_status st = PASSES[i].run(g, &did, err);
    if (st == KF_OK && !g->uses) KF_FAIL_MEMORY(err, g->n_values); /* it could not grow: scans would take too long */
#ifndef NDEBUG
    if (st == KF_OK) st = kf__graph_verify_uses(g, err);
#endif
    if (st != KF_OK) return kf_error_prefix(err, st, "pass %s", PASSES[i].name);
    if (!did) return KF_OK;
    *changed = true;
    KF_TRY(kf__graph_compact(g, err));
    st = kf__graph_infer(g, err);
    if (st != KF_OK) return kf_error_prefix(err, st, "after pass %s", PASSES[i].name);
#ifndef NDEBUG
    st = kf__graph_verify(g, err);
    if (st != KF_OK) return kf_error_prefix(err, st, "after pass %s", PASSES[i].name);
#endif
    return KF_OK;
}

static kf_status run_level(kf__graph *g, enum level level, kf_error *err) {
    for (int round = 0; round < MAX_ROUNDS; round++) {
        bool changed = false;
        for (size_t i = 0; i < KF_COUNT(PASSES); i++)
            if (PASSES[i].level == level || (level == JOIN && PASSES[i].level == RECOGNIZE))
                KF_TRY(run_one(g, i, &changed, err));
        if (!changed) return KF_OK;
    }
    KF_FAIL(err, KF_ERR_INTERNAL, "optimize: the rewrites did not settle after %d rounds; please report this model",
            (int)MAX_ROUNDS);
}

kf_status kf__passes_run(kf__graph *g, kf_optimize_level level, kf_error *err) {
    KF_TRY(kf__graph_compact(g, err));
    KF_TRY(kf__graph_infer(g, err));
    kf__graph_set_budget(g);
    kf_status st = KF_OK;
    const enum level last = level == KF_OPTIMIZE_FUSE ? FUSE : SIMPLIFY;
    for (int l = SIMPLIFY; st == KF_OK && l <= (int)last; l++) st = run_level(g, (enum level)l, err);
    kf__graph_drop_uses(g);
    KF_TRY(st);
    st = kf__graph_check_finite(g, err);
    if (st != KF_OK) return kf_error_prefix(err, st, "after folding constants");
    return level == KF_OPTIMIZE_FUSE ? kf__graph_check_copies(g, err) : KF_OK;
}
