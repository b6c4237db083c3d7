/* kitfox zoo: the architectures that a checkpoint can have, with sizes and published accuracy.
 * Owner rule: everything printed is static or counted on the spot. */
#include <stdio.h>

#include "common/cli.h"

typedef struct options {
    cli_common common;
} options;

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    if (key == ARGP_KEY_INIT) {
        state->child_inputs[0] = &o->common;
        return 0;
    }
    if (key == ARGP_KEY_ARG) argp_error(state, "%s: this verb takes no arguments", arg);
    return ARGP_ERR_UNKNOWN;
}

static void print(const kf_zoo_entry *e, bool json) {
    char input[32], top1[16] = "-";
    snprintf(input, sizeof input, "1x3x%dx%d", e->height, e->width);
    if (e->top1 > 0) snprintf(top1, sizeof top1, "%.2f", e->top1);
    if (json)
        cli_print_json(cli_pack("{s:s,s:s,s:o,s:I,s:I,s:o,s:s}", "kind", "architecture", "name", e->name, "shape",
                                cli_shape((const int64_t[]){1, 3, e->height, e->width}, 4), "parameters",
                                (json_int_t)e->parameters, "macs", (json_int_t)e->macs, "top1",
                                e->top1 > 0 ? json_real(e->top1) : json_null(), "source", e->source));
    else
        printf("%-34s %-14s %11lld %13lld %7s  %s\n", e->name, input, (long long)e->parameters, (long long)e->macs,
               top1, e->source);
}

int cmd_zoo(int argc, char **argv) {
    const struct argp_child children[] = {{&cli_json_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        NULL,     parse,
        "",       "List the architectures that a checkpoint can have: top-1 is what their authors published.",
        children, NULL,
        NULL};
    options o = {0};
    kf_error err = {0};
    kf_zoo_entry e = {.size = sizeof e};
    if (cli_parse(&argp, argc, argv, &o) != 0) return EXIT_USAGE;
    if (!o.common.json)
        printf("%-34s %-14s %11s %13s %7s  %s\n", "name", "input", "parameters", "MACs", "top-1 %", "source");
    int32_t i = 0;
    while (kf_zoo_get(i, &e, &err) == KF_OK) {
        print(&e, o.common.json);
        i++;
    }
    return err.status == KF_ERR_ARGUMENT && i > 0 ? EXIT_DONE : cli_fail(&err);
}
