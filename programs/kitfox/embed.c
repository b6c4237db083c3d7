/* Build-time helper: compiles the built-in model, everyday10, into the .kfx that the program embeds.
 * Floor 8.
 * Owner rule: reads MODEL.onnx and its JSON description, writes one file. */
#include <jansson.h>
#include <stdio.h>

#include "kitfox/compile.h"

enum { MAX_CLASSES = 64 };

int main(int argc, char **argv) {
    kf_import_options o;
    kf_preprocess p;
    kf_error err = {0};
    kf_graph *g = NULL;
    json_error_t where;
    const char *labels[MAX_CLASSES];
    if (argc != 4) return 2;
    json_t *j = json_load_file(argv[2], 0, &where), *classes = json_object_get(j, "classes"), *v;
    size_t i;
    kf_import_options_init(&o);
    if (!j || json_array_size(classes) > MAX_CLASSES || kf_preprocess_by_name("everyday10", &p, &err) != KF_OK) {
        fprintf(stderr, "%s: %s %s\n", argv[2], where.text, err.text);
        return 1;
    }
    json_array_foreach(classes, i, v) labels[i] = json_string_value(v);
    o.preprocess = &p;
    o.labels = labels;
    o.n_labels = (int32_t)json_array_size(classes);
    kf_status st = kf_graph_import(argv[1], &o, &g, &err);
    if (st == KF_OK) st = kf_graph_save(g, argv[3], &err);
    if (st != KF_OK) fprintf(stderr, "%s\n", err.text);
    kf_graph_destroy(&g);
    json_decref(j);
    return st == KF_OK ? 0 : 1;
}
