/* What only kitfox has: MODEL arguments that are imported, and the built-in model. programs/kitfox-run/no_import.c is
 * the other form of this file.
 * Owner rule: see cli.h. */
#include <stdio.h>
#include <string.h>

#include "common/cli.h"
#include "common/files.h"
#include "common/kinds.h"

const char cli_program[] = "kitfox";

/* Files beside the model are inputs too. */
static void on_file(void *user, const char *path) {
    cli_importing *i = user;
    for (size_t k = 0; i->apart.status == KF_OK && k < i->common->n_outputs; k++)
        cli_output_apart(&i->common->outputs[k], &path, 1, &i->apart);
}

kf_status cli_import_options(const cli_common *c, cli_importing *out, kf_error *err) {
    kf_import_options *o = &out->options;
    *out = (cli_importing){.common = c};
    kf_import_options_init(o);
    o->input_shape = c->input_shape;
    o->batch = c->batch || !c->one ? c->batch : 1;
    o->arch = c->arch;
    o->max_fold_bytes = (uint64_t)c->max_fold_bytes;
    o->scores = c->scores;
    o->notice = cli_note;
    o->node = c->node;
    o->node_user = c->node_user;
    o->file = on_file;
    o->file_user = out;
    if (c->preprocess) {
        const char *name = strncmp(c->preprocess, "timm:", 5) == 0 ? c->preprocess + 5 : c->preprocess;
        KF_TRY(kf_preprocess_by_name(name, &out->preprocess, err));
        o->preprocess = &out->preprocess;
    }
    if (!c->labels) return KF_OK;
    KF_TRY(kf_labels_load(c->labels, &out->labels, err));
    o->labels = (const char *const *)out->labels.items;
    o->n_labels = out->labels.n;
    return KF_OK;
}

kf_status cli_import_labels(cli_importing *i, kf_graph *g, kf_error *err) {
    if (!i->labels.n) return KF_OK;
    kf_status st = kf_graph_name_classes(g, &i->labels, cli_note, NULL, err);
    return st == KF_OK ? st : kf_error_prefix(err, st, "%.600s", i->common->labels);
}

/* Options change what the file says, what was recognized, and what was assumed alike. */
static kf_status prepare(const char *path, const cli_common *c, kf_graph *g, kf_error *err) {
    const cli_picture *given = &c->picture;
    kf_graph_info info = {.size = sizeof info};
    KF_TRY(kf_graph_get_info(g, &info, err));
    const char *dot = strrchr(path, '.');
    bool is_onnx = dot && strcmp(dot, ".onnx") == 0;
    const cli_prepared p = {info.preprocess_origin, info.preprocess_source, &info.preprocess, !is_onnx,
                            cli_is_imported(path)};
    if (c->pictures) cli_tell_preprocess(path, &p, given);
    bool normalizes = c->preprocess || cli_picture_gives(given, "mean") || cli_picture_gives(given, "std");
    if (info.quantized && info.pixels && normalizes)
        return cli_error(err, KF_ERR_ARGUMENT,
                         "%.600s: mean and std are in the weights of a quantized model; give %s to kitfox quantize "
                         "with the float model",
                         path, c->preprocess ? "--preprocess" : "--mean and --std");
    if (!given->fields && !given->resize) return KF_OK;
    return kf_graph_change_picture(g, &given->given, given->fields, given->resize, err);
}

kf_status cli_import(const char *path, const cli_common *c, kf_graph **out, kf_error *err) {
    cli_importing i;
    *out = NULL;
    KF_TRY(cli_refuse_torch(path, err));
    KF_TRY(cli_import_options(c, &i, err));
    i.options.n_labels = 0; /* they are given below: one line may be a background class */
    kf_status st = kf_graph_import(path, &i.options, out, err);
    if (st == KF_OK && i.apart.status != KF_OK) *err = i.apart, st = err->status;
    if (st == KF_OK) st = cli_import_labels(&i, *out, err);
    kf_labels_free(&i.labels);
    if (st == KF_OK) st = prepare(path, c, *out, err);
    if (st != KF_OK) kf_graph_destroy(out);
    return st;
}

kf_status cli_compile(const char *arg, const cli_common *c, const kf_model_options *o, kf_model **out, kf_error *err) {
    kf_graph *g;
    kf_status st = cli_import(arg, c, &g, err);
    if (st != KF_OK) return st;
    st = kf_graph_compile(g, o, out, err);
    kf_graph_destroy(&g);
    return cli_error_in(err, st, arg);
}

size_t cli_builtin(const void **data) {
    extern const unsigned char cli_builtin_model[], cli_builtin_model_end[]; /* builtin.S */
    *data = cli_builtin_model;
    return (size_t)(cli_builtin_model_end - cli_builtin_model);
}
