/* What the two ways into the verb quantize share.
 * Owner rule: nothing is kept. */
#ifndef KITFOX_QUANTIZE_VERB_H
#define KITFOX_QUANTIZE_VERB_H

#include <stdio.h>

#include "common/pictures.h"
#include "kitfox/lab.h"
#include "kitfox/quantize_pace.h"
#include "kitfox/quantize_report.h"

/** By its suffix. */
bool quantize_is_yaml(const char *name);
/** kitfox quantize CONFIG.yaml: everything from the file, outputs into its working_dir. `q` holds the switches of the
 *  command line. */
kf_status quantize_yaml(const char *path, const cli_common *common, const kf_quantize_options *q, size_t limit,
                        quantize_report *r, kf_error *err);

/** Raw NV12 frames of the command line. `width` 0: they have the network's size. */
typedef struct yaml_frames {
    char **paths;
    size_t n;
    long width, height;
} yaml_frames;
/** kitfox check CONFIG.yaml: what the file says, whether it would work, and whether the frames have the range that it
 *  names. */
kf_status check_yaml(const char *path, const cli_common *common, const yaml_frames *frames, kf_error *err);

/** On standard output: the node table that scripts of the zoo's users search for, or one JSON object a line. */
void quantize_print_nodes(const kf_graph *g, bool json);
/** The last line or object: what was written, how far it agrees with float and how much that says, and whether it is
 * the faster. */
kf_status quantize_print_summary(const kf_graph *g, const char *out, const kf_samples *given, double seconds,
                                 const quantize_report *r, const quantize_pace *pace, bool json, kf_error *err);
/** Ranking and outcome of the search, or JSON objects; a notice on standard error when the target was not met. Nothing
 *  for a graph that had no target. `all`: the whole ranking. */
void quantize_print_search(const kf_graph *g, bool json, bool all);

/** Options of 16-bit storage: nodes by name, and the search for a target. The child parser's input. */
enum { QUANTIZE_MOST_NAMES = 256 };
typedef struct quantize_search {
    kf_quantize_options *q; /* gets the parsed options */
    const char *outputs[QUANTIZE_MOST_NAMES], *weights[QUANTIZE_MOST_NAMES];
    int32_t *labels;
    bool limited, given; /* --max-int16-macs; a target */
} quantize_search;
extern const struct argp quantize_search_argp;
/** With --target-drop: classes of the pictures into s->q->labels where the folder has a labels.csv or class folders for
 * all of them; else a notice. Optimizes the graph. quantize_search_free releases. */
kf_status quantize_search_labels(quantize_search *s, kf_graph *g, const char *folder, const pictures *p, kf_error *err);
void quantize_search_free(quantize_search *s);
#endif
