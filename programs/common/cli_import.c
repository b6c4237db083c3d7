/* What kitfox has and kitfox-run has not: MODEL arguments that are imported, and the built-in model.
 * programs/kitfox-run/no_import.c is the other form of this file.
 * Owner rule: see cli.h. */
#include <stdio.h>
#include <string.h>

#include "common/cli.h"
#include "common/files.h"

const char cli_program[] = "kitfox";

/* Files beside the model are inputs too. */
typedef struct beside {
    const cli_common *c;
    kf_error *err;
    kf_status status;
} beside;

static void on_file(void *user, const char *path) {
    beside *b = user;
    for (size_t i = 0; b->status == KF_OK && i < b->c->n_outputs; i++)
        b->status = cli_output_apart(&b->c->outputs[i], &path, 1, b->err);
}

kf_status cli_import(const char *path, const cli_common *c, kf_graph **out, kf_error *err) {
    kf_error why;
    beside files = {c, &why, KF_OK};
    kf_import_options o;
    kf_preprocess p;
    kf_labels labels = {0};
    kf_import_options_init(&o);
    o.input_shape = c->input_shape;
    o.arch = c->arch;
    o.max_fold_bytes = (uint64_t)c->max_fold_bytes;
    o.notice = cli_note;
    o.node = c->node;
    o.node_user = c->node_user;
    o.file = on_file;
    o.file_user = &files;
    if (c->preprocess) {
        const char *name = strncmp(c->preprocess, "timm:", 5) == 0 ? c->preprocess + 5 : c->preprocess;
        kf_status st = kf_preprocess_by_name(name, &p, err);
        if (st != KF_OK) return st;
        o.preprocess = &p;
    }
    if (c->labels) {
        kf_status st = kf_labels_load(c->labels, cli_note, NULL, &labels, err);
        if (st != KF_OK) return st;
        o.labels = (const char *const *)labels.items;
        o.n_labels = labels.n;
    }
    kf_status st = kf_graph_import(path, &o, out, err);
    kf_labels_free(&labels);
    if (st != KF_OK || files.status == KF_OK) return st;
    kf_graph_destroy(out);
    *err = why;
    return files.status;
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
