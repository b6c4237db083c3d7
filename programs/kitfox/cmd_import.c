/* kitfox import IN -o OUT.kfx: compile once, ship one file.
 * Owner rule: the output appears whole or not at all. */
#include <stdio.h>
#include <string.h>

#include "common/compared.h"
#include "common/files.h"
#include "kitfox/info.h"

/* KEY_FIELD + k is the option of member k of the preprocessing. */
enum { KEY_RESIZE = 1000, KEY_FIELD, MOST_FIELDS = 32, NAME_ROOM = 32 };

typedef struct options {
    cli_common common;
    const char *in, *out;
    kf_preprocess given;
    uint32_t fields; /* of `given`, as kf_preprocess_copy takes them */
    int resize;      /* 0: not given */
} options;

static const struct argp_option OPTIONS[] = {
    {"output", 'o', "OUT.kfx", 0, "the compiled model (required)", 0},
    {"resize", KEY_RESIZE, "N", 0, "short side in pixels before the centre is cut; instead of --crop-pct", 0},
};
enum { N_OPTIONS = sizeof OPTIONS / sizeof *OPTIONS };

/* Names and help of the options that kf_preprocess_field lists. */
typedef struct option_list {
    struct argp_option all[N_OPTIONS + MOST_FIELDS + 1];
    char names[MOST_FIELDS][NAME_ROOM], help[MOST_FIELDS][160];
} option_list;

static void option_name(const kf_field *f, char name[NAME_ROOM]) {
    snprintf(name, NAME_ROOM, "%s", f->key);
    for (char *c = name; *c; c++)
        if (*c == '_') *c = '-';
}

static void option_help(const kf_field *f, char *help, size_t room) {
    size_t at = (size_t)snprintf(help, room, "%s", f->help);
    for (int i = 0; f->words && at < room && i <= (int)f->hi; i++)
        at += (size_t)snprintf(help + at, room - at, "%s%s", i ? ", " : ": ", f->words[i]);
    if (f->n > 1) snprintf(help + at, room - at, "; one number for all %d", f->n);
}

static const char *option_arg(const kf_field *f) {
    if (f->words) return "NAME";
    if (f->n > 1) return "R,G,B";
    return f->kind == KF_FIELD_INTEGER ? "N" : "F";
}

static void list_options(option_list *l) {
    const kf_field *f;
    int n = N_OPTIONS;
    *l = (option_list){0};
    memcpy(l->all, OPTIONS, sizeof OPTIONS);
    for (int k = 0; k < MOST_FIELDS && (f = kf_preprocess_field(k)) != NULL; k++) {
        if (!f->help) continue;
        option_name(f, l->names[k]);
        option_help(f, l->help[k], sizeof l->help[k]);
        l->all[n++] = (struct argp_option){l->names[k], KEY_FIELD + k, option_arg(f), 0, l->help[k], 0};
    }
}

/* Options of argp are looked up by the key that list_options gave them. */
static bool parse_field(int key, const char *arg, options *o, struct argp_state *state) {
    const kf_field *f = key >= KEY_FIELD ? kf_preprocess_field(key - KEY_FIELD) : NULL;
    char name[NAME_ROOM];
    kf_error err;
    if (!f) return false;
    option_name(f, name);
    if (kf_preprocess_parse(&o->given, f, arg, &err) != KF_OK) argp_error(state, "--%s: %s", name, err.text);
    o->fields |= (uint32_t)1 << (key - KEY_FIELD);
    return true;
}

static bool gives(const options *o, const char *key) {
    const kf_field *f;
    for (int k = 0; (f = kf_preprocess_field(k)) != NULL; k++)
        if (strcmp(f->key, key) == 0) return o->fields >> k & 1;
    return false;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: cli_inputs(state, &o->common, 3); return 0;
    case 'o': o->out = arg; return 0;
    case KEY_RESIZE: o->resize = (int)cli_number(state, "--resize", arg, 1, 16384); return 0;
    case ARGP_KEY_ARG:
        if (o->in) argp_error(state, "%s: one input only", arg);
        o->in = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->in || !o->out) argp_error(state, "IN and -o OUT.kfx are needed");
        if (o->resize && gives(o, "crop_pct"))
            argp_error(state, "--resize and --crop-pct say the same thing; give one of them");
        return 0;
    default: return parse_field(key, arg, o, state) ? 0 : ARGP_ERR_UNKNOWN;
    }
}

static kf_status report(const options *o, kf_graph *g, kf_error *err) {
    kf_graph_info info = {.size = sizeof info};
    KF_TRY(kf_graph_get_info(g, &info, err));
    if (!o->common.json) fprintf(stderr, "%s written\n", cli_shown(o->out));
    else
        cli_print_json(cli_pack("{s:s,s:s,s:s,s:I,s:s?,s:o}", "kind", "imported", "model", o->in, "output", o->out,
                                "bytes", (json_int_t)compared_file_bytes(o->out), "name", info.name, "preprocess",
                                info_preprocess_json(&info.preprocess)));
    return KF_OK;
}

int cmd_import(int argc, char **argv) {
    const struct argp_child children[] = {
        {&cli_labels_argp, 0, NULL, 0}, {&cli_import_argp, 0, NULL, 0}, {&cli_json_argp, 0, NULL, 0}, {0}};
    option_list list;
    list_options(&list);
    const char *what = "Compile an ONNX model or a safetensors checkpoint into one file with preprocessing and labels.";
    const struct argp argp = {list.all, parse, "IN -o OUT.kfx", what, children, NULL, NULL};
    options o = {0};
    kf_error err = {0};
    kf_graph *g = NULL;
    if (cli_parse(&argp, argc, argv, &o) != 0) return EXIT_USAGE;
    const cli_output out = {o.out, "-o", true};
    cli_json_beside(o.out);
    kf_status st = cli_outputs_check(&out, 1, (const char *const[]){o.in, o.common.labels}, 2, &err);
    o.common.outputs = &out, o.common.n_outputs = 1;
    if (st == KF_OK) st = cli_import(o.in, &o.common, &g, &err);
    if (st == KF_OK && (o.fields || o.resize)) st = kf_graph_change_picture(g, &o.given, o.fields, o.resize, &err);
    if (st == KF_OK) st = kf_graph_save(g, cli_output_name(o.out), &err);
    if (st == KF_OK) st = report(&o, g, &err);
    kf_graph_destroy(&g);
    return cli_error_in(&err, st, o.in) == KF_OK ? EXIT_DONE : cli_fail(&err);
}
