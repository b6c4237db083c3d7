/* kitfox verify [MODEL...]: does this machine compute what the model's golden vector says?
 * Owner rule: one model at a time. */
#include <stdio.h>

#include "common/cli.h"

typedef struct options {
    cli_common common;
    char **args;
    int n_args;
} options;

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    (void)arg;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->common; return 0;
    case ARGP_KEY_ARGS:
        o->args = state->argv + state->next;
        o->n_args = state->argc - state->next;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void print_json(const char *name, const kf_verify_report *r) {
    json_t *o = json_pack("{s:s,s:b,s:b,s:i,s:i,s:s,s:f,s:f}", "model", name, "agrees", r->first < 0, "identical",
                          r->first < 0 && r->exact == r->steps, "steps", r->steps, "exact", r->exact, "isa",
                          kf_cpu_name(), "difference", r->difference, "tolerance", r->tolerance);
    if (r->first >= 0)
        json_object_set_new(
            o, "step",
            json_pack("{s:i,s:s,s:s,s:s}", "index", r->first, "name", r->name, "op", r->op, "kernel", r->kernel));
    cli_print_json(o);
}

static kf_status one(const char *name, const options *o, kf_error *err) {
    kf_model *m = NULL;
    kf_verify_report r = {.size = sizeof r};
    kf_status st = cli_load_model(name, &o->common, &m, err);
    const char *shown = name ? name : "everyday10";
    if (st == KF_OK && (st = kf_model_verify(m, o->common.threads, &r, err)) != KF_OK) {
        char why[400];
        snprintf(why, sizeof why, "%.390s", err->text);
        cli_error_at(err, st, shown, why);
    }
    if (st == KF_OK && o->common.json) print_json(shown, &r);
    else if (st == KF_OK && r.first < 0 && r.exact == r.steps)
        printf("%s: identical, all %d steps byte for byte (%s)\n", shown, r.steps, kf_cpu_name());
    else if (st == KF_OK && r.first < 0)
        printf("%s: agrees, %d of %d steps byte for byte, the others within %.0e (largest difference %.1e, %s)\n",
               shown, r.exact, r.steps, r.tolerance, r.difference, kf_cpu_name());
    if (st == KF_OK && r.first >= 0) {
        char how[80] = "its bytes are others";
        if (r.tolerance > 0)
            snprintf(how, sizeof how, "relative difference %.2e, at most %.0e is allowed", r.difference, r.tolerance);
        st = cli_error(err, KF_ERR_CORRUPT,
                       "%.300s: step %d, %.200s (%s, kernel %s on %s), is the first that differs; %s; try "
                       "KITFOX_CPU=scalar, and please report it",
                       shown, r.first, r.name, r.op, r.kernel, kf_cpu_name(), how);
    }
    kf_model_destroy(&m);
    return st;
}

int cmd_verify(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
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
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_USAGE;
    for (int i = 0; i < o.n_args || i == 0; i++) {
        kf_error err = {0};
        if (one(o.n_args ? o.args[i] : NULL, &o, &err) != KF_OK) failed = cli_fail(&err);
    }
    return failed;
}
