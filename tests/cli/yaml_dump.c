/* What the YAML reader made of documents, as JSON: for test_yaml_peers.py.
 * Standard input: the bytes of a document in decimal, a line end, the document; and so on. A line of output for each.
 * Owner rule: the tree lives in the memory of one document. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "rdk/yaml.h"

static json_t *scalar(const kf__yaml_node *n) {
    static const char *const TYPES[] = {"null", "bool", "int", "float", "text"};
    bool truth = false;
    double x = 0;
    kf__yaml_type type = kf__yaml_scalar_type(n, &truth, &x);
    json_t *value = isfinite(x) ? json_real(x) : json_null();
    if (type == KF_YAML_BOOL) json_decref(value), value = json_boolean(truth);
    return json_pack("{s:s,s:s,s:o}", "text", n->text, "type", TYPES[type], "value", value);
}

static json_t *node(const kf__yaml_node *n) {
    json_t *o = n->kind == KF_YAML_SCALAR ? scalar(n) : json_object();
    json_t *items = n->kind == KF_YAML_SCALAR ? NULL : json_array();
    for (const kf__yaml_node *k = n->child; k; k = k->next) {
        json_t *at = json_pack("[i,i]", k->key_at.line, k->key_at.column);
        if (k->parent != n) exit(1);
        json_array_append_new(items, json_pack("[s,o,o]", k->key, at, node(k)));
    }
    if (items) json_object_set_new(o, n->kind == KF_YAML_MAPPING ? "mapping" : "list", items);
    json_object_set_new(o, "at", json_pack("[i,i]", n->at.line, n->at.column));
    return o;
}

static void dump(const char *text, size_t n) {
    kf__rdk_memory memory = {0};
    kf__yaml_tree tree;
    kf_error err = {0};
    kf_status st = kf__yaml_parse("c.yaml", text, n, &memory, &tree, &err);
    json_t *o = st == KF_OK ? node(tree.root) : json_pack("{s:s,s:s}", "status", kf_status_name(st), "error", err.text);
    int32_t count = 0;
    for (const kf__yaml_node *k = tree.root; st == KF_OK && k; k = kf__yaml_after(k)) count++;
    if (st == KF_OK) json_object_set_new(o, "nodes", json_integer(count == tree.n_nodes ? count : -1));
    char *line = json_dumps(o, JSON_COMPACT);
    puts(line ? line : "null");
    free(line);
    json_decref(o);
    kf__rdk_memory_free(&memory);
}

int main(void) {
    size_t n;
    while (scanf("%zu", &n) == 1 && getchar() == '\n') {
        char *text = malloc(n ? n : 1);
        if (!text || fread(text, 1, n, stdin) != n) return 1;
        dump(text, n);
        free(text);
    }
    return 0;
}
