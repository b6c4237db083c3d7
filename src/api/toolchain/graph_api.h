/* The public graph handle.
 * Owner rule: the handle owns its graph. */
#ifndef KF_GRAPH_API_H
#define KF_GRAPH_API_H

#include "graph/graph.h"
#include "import/onnx_writer.h"
#include "kitfox/compile.h"
#include "quantize/search.h"

struct kf_graph {
    kf__graph *g;
    int level; /* -1 as imported, else the highest kf_optimize_level done */
    bool quantized;
    kf_qdq_form form;
    kf__qreport report; /* of the quantizer; lives in the graph's arena */
    kf__qsearch search; /* the same, where a target was set */
    bool searched;
};

/** `from` (NULL: defaults) in full, checked. */
kf_status kf__import_options_read(kf_import_options *to, const kf_import_options *from, kf_error *err);
/** Take over `g` into a new handle; on failure `g` is destroyed. */
kf_status kf__graph_wrap(kf__graph *g, kf_graph **out, kf_error *err);

/** Preprocessing, labels and defaults of `options` into the graph's description. */
kf_status kf__graph_describe(kf__graph *g, const kf_import_options *options, kf_error *err);
/** The same for an ONNX graph that was read from `path` (NULL: from memory): preprocessing that nobody gives is looked
 *  for in the JSON beside it, in names, and in the padding (recognize.c). */
kf_status kf__graph_recognize(kf__graph *g, const char *path, const kf_import_options *options, kf_error *err);
/** 255 or 1 if the network itself normalizes pixels of 0..255 or 0..1 before its first layer; else 0 (white.c). */
kf_status kf__graph_white(const kf__graph *g, uint64_t max_fold_bytes, double *white, kf_error *err);
/** A safetensors checkpoint in memory, read from `path`, beside which its JSON file may lie. */
kf_status kf__import_checkpoint(const char *path, const void *data, size_t bytes, const kf_import_options *options,
                                kf__graph **out, kf_error *err);

#endif
