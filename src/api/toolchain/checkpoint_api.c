/* Import of a checkpoint with the JSON file beside it: the caller's options first, then the file, then the
 * architecture. Calls import and zoo. Owner rule: the sidecar ends with the call; the graph copies what it keeps. */
#include "api/toolchain/graph_api.h"
#include "import/checkpoint.h"
#include "import/sidecar.h"

static kf_status describe(const kf__sidecar *s, const kf_import_options *options, kf__graph *g, kf_error *err) {
    kf_import_options o = *options;
    kf_preprocess p;
    int32_t classes = (int32_t)g->values[g->outputs[0]].shape.dim[1];
    if (!o.labels && s->classes && s->classes != classes)
        KF_FAIL(err, KF_ERR_FORMAT, "%s: num_classes: %d, but the checkpoint has %d classes", s->path, s->classes,
                classes);
    if (!o.labels && s->n_labels) {
        if (s->n_labels != classes)
            KF_FAIL(err, KF_ERR_FORMAT, "%s: %d class names, but the checkpoint has %d classes", s->path, s->n_labels,
                    classes);
        o.labels = s->labels;
        o.n_labels = s->n_labels;
    }
    if (!o.preprocess) {
        KF_TRY(kf_preprocess_by_name(g->meta.arch, &p, err));
        kf_preprocess_copy(&p, &s->given, s->fields);
        o.preprocess = &p;
    }
    KF_TRY(kf__graph_describe(g, &o, err));
    if (options->preprocess) return KF_OK;
    const char *from = g->meta.arch;
    if (s->fields) {
        const char *slash = strrchr(s->path, '/');
        from = slash ? slash + 1 : s->path;
    }
    g->meta.origin = KF_ORIGIN_RECOGNIZED;
    if (!(g->meta.preprocess_source = kf__arena_strdup(&g->arena, from))) KF_FAIL_MEMORY(err, strlen(from));
    return KF_OK;
}

kf_status kf__import_checkpoint(const char *path, const void *data, size_t bytes, const kf_import_options *options,
                                kf__graph **out, kf_error *err) {
    kf__sidecar s;
    *out = NULL;
    KF_TRY(kf__sidecar_read(path, &s, err));
    if (s.path && options->file) options->file(options->file_user, s.path);
    kf__checkpoint_options o = {.asked = *options, .side = s.side};
    if (!o.asked.arch) o.asked.arch = s.arch;
    kf_status st = kf__checkpoint_read(data, bytes, &o, out, err);
    if (o.asked.arch && o.asked.arch == s.arch &&
        (st == KF_ERR_ARGUMENT || st == KF_ERR_UNSUPPORTED || st == KF_ERR_SHAPE))
        kf_error_prefix(err, st, "%s by %s", s.arch, s.path);
    if (st == KF_OK && (st = describe(&s, options, *out, err)) != KF_OK) kf__graph_destroy(out);
    kf__sidecar_free(&s);
    return st;
}

kf_status kf_graph_import_tensors(const kf_tensor *tensors, size_t n, const char *arch,
                                  const kf_import_options *options, kf_graph **out, kf_error *err) {
    if (!tensors || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_import_tensors: tensors and out are needed");
    const kf__checkpoint_tensors all = {tensors, n};
    const kf__sidecar none = {0};
    kf__checkpoint_options o = {0};
    kf__graph *g;
    *out = NULL;
    KF_TRY(kf__import_options_read(&o.asked, options, err));
    if (arch) o.asked.arch = arch;
    KF_TRY(kf__checkpoint_take(&all, &o, &g, err));
    kf_status st = describe(&none, &o.asked, g, err);
    if (st == KF_OK) return kf__graph_wrap(g, out, err);
    kf__graph_destroy(&g);
    return st;
}
