/* kitfox verify [MODEL...]: does this machine compute what the model's golden vector says?
 * Owner rule: one model at a time. */
#include <stdio.h>

#include "common/cli.h"
#include "kitfox/bench.h"

typedef struct options {
    cli_common common;
    char **args;
    int n_args;
} options;

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    (void)arg;
    switch (key) {
    case ARGP_KEY_INIT: cli_inputs(state, &o->common, 3); return 0;
    case ARGP_KEY_ARGS:
        o->args = state->argv + state->next;
        o->n_args = state->argc - state->next;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void print_json(const char *name, const kf_verify_report *r) {
    kf_verdict v = kf_verify_verdict(r);
    json_t *o = cli_pack("{s:s,s:s,s:b,s:b,s:i,s:i,s:s,s:f,s:f}", "kind", "verified", "model", name, "agrees",
                         v != KF_DIFFERS, "identical", v == KF_IDENTICAL, "steps", r->steps, "exact", r->exact, "isa",
                         kf_cpu_name(), "difference", r->difference, "tolerance", r->tolerance);
    if (v == KF_DIFFERS)
        json_object_set_new(
            o, "step",
            cli_pack("{s:i,s:s,s:s,s:s}", "index", r->first, "node", r->name, "op", r->op, "kernel", r->kernel));
    cli_print_json(o);
}

static void print_text(const char *name, const kf_verify_report *r) {
    kf_verdict v = kf_verify_verdict(r);
    if (v == KF_IDENTICAL) printf("%s: identical, all %d steps byte for byte (%s)\n", name, r->steps, kf_cpu_name());
    if (v == KF_AGREES)
        printf("%s: agrees, %d of %d steps byte for byte, the others within %.0e (largest difference %.1e, %s)\n", name,
               r->exact, r->steps, r->tolerance, r->difference, kf_cpu_name());
}

static kf_status differs(const char *name, const kf_verify_report *r, kf_error *err) {
    char how[80] = "its bytes are others";
    if (r->tolerance > 0)
        snprintf(how, sizeof how, "relative difference %.2e, at most %.0e is allowed", r->difference, r->tolerance);
    return cli_error(err, KF_ERR_CORRUPT,
                     "%.300s: step %d, %.200s (%s, kernel %s on %s), is the first that differs; %s; try "
                     "KITFOX_CPU=scalar, and please report it",
                     name, r->first, r->name, r->op, r->kernel, kf_cpu_name(), how);
}

static kf_status one(const char *name, const options *o, kf_error *err) {
    kf_model *m = NULL;
    kf_verify_report r = {.size = sizeof r};
    const char *shown = name ? name : "everyday10";
    KF_TRY(cli_load_model(name, &o->common, &m, err));
    kf_status st = kf_model_verify(m, o->common.threads, &r, err);
    if (st != KF_OK) kf_error_prefix(err, st, "%.600s", shown);
    else if (o->common.json) print_json(shown, &r);
    else print_text(shown, &r);
    if (st == KF_OK && kf_verify_verdict(&r) == KF_DIFFERS) st = differs(shown, &r, err);
    kf_model_destroy(&m);
    return st;
}

int cmd_verify(int argc, char **argv) {
    const struct argp_child children[] = {
        {&cli_threads_argp, 0, NULL, 0}, {&cli_json_argp, 0, NULL, 0}, {&cli_limits_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {NULL,
                              parse,
                              "[MODEL.kfx...]",
                              "Run the made-up input of the model's golden vector on this machine and compare every "
                              "step: identical (quantized models, byte for byte), agrees (f32, within a tolerance), or "
                              "the first step that differs (exit status 1).",
                              children,
                              NULL,
                              NULL};
    options o = {0};
    int failed = EXIT_DONE;
    if (cli_parse(&argp, argc, argv, &o) != 0) return EXIT_USAGE;
    for (int i = 0; i < o.n_args || i == 0; i++) {
        kf_error err = {0};
        if (one(o.n_args ? o.args[i] : NULL, &o, &err) != KF_OK) failed = cli_fail(&err);
    }
    return failed;
}
