/* What the file says of the network, against the network: its input's name and layout, and names of nodes.
 * Whatever changes nothing is a note; what could not be followed is an error, here or where it is used.
 * Owner rule: borrows the job. */
#include <stdlib.h>
#include <string.h>

#include "rdk/rdk.h"

enum { TOLD = 10 }; /* names; the others are counted */

int kf__rdk_by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

const char **kf__rdk_node_names(const kf_graph *g, size_t *count, kf_error *err) {
    kf_node_info n = {.size = sizeof n};
    kf_error end;
    size_t total = 0;
    for (int32_t i = 0; kf_graph_node(g, i, &n, &end) == KF_OK; i++) total += 1 + (size_t)n.n_sources;
    const char **names = calloc(total + 1, sizeof *names);
    if (!names) kf_error_set(err, KF_ERR_MEMORY, "out of memory for the names of the nodes");
    *count = total;
    total = 0;
    for (int32_t i = 0; names && kf_graph_node(g, i, &n, &end) == KF_OK; i++) {
        names[total++] = n.name;
        for (int32_t k = 0; k < n.n_sources; k++) names[total++] = n.sources[k];
    }
    if (names) qsort(names, total, sizeof *names, kf__rdk_by_text);
    return names;
}

/* A name of another network's input: nothing is read by it, but the file may be meant for another model. */
static void check_name(kf__rdk_job *j, const kf_tensor *in) {
    const kf_rdk_config *c = j->c;
    char text[400];
    if (!c->input_name || !*c->input_name || strcmp(c->input_name, in->name) == 0) return;
    snprintf(text, sizeof text,
             "%.150s: input_name is '%.80s', but the input of the network is '%.80s'; correct it, or onnx_model",
             kf_rdk_place(c, "input_name"), c->input_name, in->name);
    kf__rdk_note(j, text);
}

/* The files are read in the layout that is written there, whatever the network has; with one channel, both are one. */
static void check_layout(kf__rdk_job *j, const kf_tensor *in) {
    const kf_rdk_config *c = j->c;
    bool first = in->rank == 4 && in->shape[1] == 3, last = in->rank == 4 && in->shape[3] == 3;
    char text[500];
    if (c->trained == KF_INPUT_GRAY || c->trained == KF_INPUT_FEATUREMAP || first == last) return;
    if (last == (c->nhwc != 0)) return;
    const char *const layout[] = {"NCHW", "NHWC"}, *const files[] = {"[C,H,W]", "[H,W,C]"};
    const char *const where[] = {"last", "first"};
    int n = snprintf(text, sizeof text,
                     "%.150s: input_layout_train is %s, but the input '%.80s' of the network is %lldx%lldx%lldx%lld, "
                     "channels %s; ",
                     kf_rdk_place(c, "input_layout_train"), layout[c->nhwc != 0], in->name, (long long)in->shape[0],
                     (long long)in->shape[1], (long long)in->shape[2], (long long)in->shape[3], where[first]);
    if (c->pictures || c->random) snprintf(text + n, sizeof text - (size_t)n, "correct it, or onnx_model");
    else
        snprintf(text + n, sizeof text - (size_t)n, "the calibration files are read as %s; write %s if they are not",
                 files[c->nhwc != 0], layout[c->nhwc == 0]);
    kf__rdk_note(j, text);
}

/* Nothing is done with these names, so a wrong one spoils nothing. */
static kf_status check_mentions(kf__rdk_job *j, const kf_tensor *in, kf_error *err) {
    size_t n, count, unknown = 0;
    const kf__rdk_mention *m = kf__rdk_mentions(j->c, &n);
    char text[500];
    if (n == 0) return KF_OK;
    const char **names = kf__rdk_node_names(j->g, &count, err);
    if (!names) return KF_ERR_MEMORY;
    for (size_t i = 0; i < n; i++) {
        bool known = m[i].input ? strcmp(m[i].name, in->name) == 0
                                : bsearch(&m[i].name, names, count, sizeof *names, kf__rdk_by_text) != NULL;
        if (known || unknown++ >= TOLD) continue;
        snprintf(text, sizeof text, "%.150s: %s names '%.200s'; the network has no such %s; correct it, or onnx_model",
                 m[i].place, m[i].key, m[i].name, m[i].input ? "input" : "node");
        kf__rdk_note(j, text);
    }
    free(names);
    snprintf(text, sizeof text, "%zu more names of the file are not in the network", unknown - TOLD);
    if (unknown > TOLD) kf__rdk_note(j, text);
    return KF_OK;
}

kf_status kf__rdk_network_check(kf__rdk_job *j, kf_error *err) {
    kf_tensor in;
    KF_TRY(kf_graph_input(j->g, 0, &in, err));
    check_name(j, &in);
    check_layout(j, &in);
    return check_mentions(j, &in, err);
}

/* What the quantizer would refuse after all the work before it. */
kf_status kf__rdk_network_fits(const kf__rdk_job *j, kf_error *err) {
    const char *at = kf_rdk_place(j->c, "onnx_model");
    kf_graph_info info = {.size = sizeof info};
    kf_node_info n = {.size = sizeof n};
    kf_tensor in;
    kf_error end;
    KF_TRY(kf_graph_get_info(j->g, &info, err));
    KF_TRY(kf_graph_input(j->g, 0, &in, err));
    if (info.n_inputs != 1)
        KF_FAIL(err, KF_ERR_UNSUPPORTED,
                "%s: onnx_model: the network has %d inputs; networks with one are quantized; export one with one", at,
                info.n_inputs);
    if (in.rank > 1 && in.shape[0] > 1)
        KF_FAIL(err, KF_ERR_UNSUPPORTED,
                "%s: onnx_model: the network takes %lld pictures at a time; networks for one are quantized; export it "
                "with a batch of 1",
                at, (long long)in.shape[0]);
    for (int32_t i = 0; kf_graph_node(j->g, i, &n, &end) == KF_OK; i++)
        if (strcmp(n.op, "QuantizeLinear") == 0 || strcmp(n.op, "DequantizeLinear") == 0)
            KF_FAIL(err, KF_ERR_UNSUPPORTED,
                    "%s: onnx_model: node '%.200s' (%s): the network is quantized already; give the float one", at,
                    n.name, n.op);
    return KF_OK;
}
