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
/** The node table that scripts of the zoo's users search for, or one JSON object a line on standard output. */
void quantize_print_nodes(FILE *to, const kf_graph *g, bool json);
/** kitfox quantize CONFIG.yaml: everything from the file, outputs into its working_dir. `q` holds the switches of the
 * command line. */
kf_status quantize_yaml(const char *path, const cli_common *common, const kf_quantize_options *q, size_t limit,
                        quantize_report *r, kf_error *err);
/** The last line or object: what was written, how far it agrees with float, and whether it is the faster. */
kf_status quantize_print_summary(const kf_graph *g, const char *out, size_t given, double seconds,
                                 const quantize_report *r, const quantize_pace *pace, bool json, kf_error *err);
/** The samples as 0.npy, 1.npy.. into folder/input, both made; on failure they are gone again. */
kf_status quantize_dump(const pictures *p, const char *folder, const char *input, kf_error *err);
/** Remove such folders: the numbered .npy files, then themselves if nothing else is there. */
void quantize_dump_remove(const char *folder, const char *input);
/** As far as that goes without quantizing or writing anything: model, node names and calibration files. *input gets the
 * network's input (data NULL, name not to be used), *samples the number of calibration samples. Notices about keys are
 * not repeated. */
kf_status quantize_yaml_try(const char *path, const cli_common *common, size_t limit, kf_tensor *input, size_t *samples,
                            kf_error *err);
/** kitfox check CONFIG.yaml: what the file says, whether it would work, and whether raw NV12 frames have the range that
 * it names. `width` 0: frames have the network's size. */
kf_status check_yaml(const char *path, const cli_common *common, char **frames, size_t n_frames, long width,
                     long height, kf_error *err);

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
/** Ranking and outcome on `to`, JSON objects on standard output with `json`; a notice on standard error when the target
 * was not met. Nothing for a graph that had no target. `all`: the whole ranking. */
void quantize_print_search(FILE *to, const kf_graph *g, bool json, bool all);

#endif
