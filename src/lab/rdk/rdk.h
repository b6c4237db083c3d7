/* What the files of this folder share: the configuration behind kf_rdk_config, and the parts of a quantization.
 * keys.c fills the configuration, job.c gives it its effect; network.c, calibration.c, log.c and
 * outputs.c serve job.c.
 * Owner rule: kf_rdk_free releases a configuration with everything in it; kf__rdk_job borrows it. */
#ifndef KF_RDK_H
#define KF_RDK_H

#include <stdio.h>

#include "kitfox/lab.h"
#include "rdk/yaml.h"

/** Parse and check a file that is in memory; as kf_rdk_load. */
kf_status kf__rdk_load_memory(const char *file, const char *text, size_t bytes, kf_message_fn notice, void *user,
                              kf_rdk_config **out, kf_error *err);

/** A name of the file that nothing is done with. It may still be of another network. */
typedef struct kf__rdk_mention {
    const char *key, *name, *place; /* place: "FILE:LINE:COLUMN" */
    bool input;                     /* of an input; else of a node */
} kf__rdk_mention;
/** All of them, in no order; they belong to the configuration. */
const kf__rdk_mention *kf__rdk_mentions(const kf_rdk_config *config, size_t *n);

/** ONNX in memory; `data` is released by its owner with free(). */
typedef struct kf__rdk_onnx {
    void *data;
    size_t bytes;
} kf__rdk_onnx;

/** One quantization, or as much of it as a check does. */
typedef struct kf__rdk_job {
    const kf_rdk_config *c;
    kf_rdk_options o;
    kf_quantize_options q;
    kf_judge_options how;
    kf_graph *g;
    kf_judge **judge;    /* the result's */
    kf_samples *samples; /* the result's, or a check's own */
    kf__rdk_onnx original, optimized, quantized;
    FILE *log; /* a memory stream of `log_text`: notices, one a line */
    char *log_text;
    size_t log_bytes;
    char *report; /* the whole log, with its tables from `tables` on */
    size_t report_bytes, tables;
    const char **every; /* all nodes, for all_int16 */
    bool stopped;       /* the progress callback asked to stop */
} kf__rdk_job;

/** Report one line to the caller and to the log. */
void kf__rdk_note(kf__rdk_job *j, const char *text);
/** "PLACE: key: " before the text of an error that does not name the file. Returns `st`. */
kf_status kf__rdk_at(const kf__rdk_job *j, const char *key, kf_status st, kf_error *err);
static inline bool kf__rdk_color(const kf_rdk_config *c) {
    return c->trained == KF_INPUT_RGB || c->trained == KF_INPUT_BGR;
}

/** Every name of every node, those of fused ones too, sorted by kf__rdk_by_text; the caller frees it. NULL: MEMORY. */
const char **kf__rdk_node_names(const kf_graph *g, size_t *count, kf_error *err);
int kf__rdk_by_text(const void *a, const void *b);
/** network.c: what the file says of the network's input and of nodes, against the network `j->g` as the ONNX file has
 *  it, edges not yet removed. Contradictions without an effect on the result become notes. */
kf_status kf__rdk_network_check(kf__rdk_job *j, kf_error *err);
/** Can a network of this form be quantized? After edges were removed. UNSUPPORTED: it cannot. */
kf_status kf__rdk_network_fits(const kf__rdk_job *j, kf_error *err);

/** calibration.c: fill j->samples for the network's input `in`. */
kf_status kf__rdk_calibration(kf__rdk_job *j, const kf_tensor *in, kf_error *err);

/** log.c: fill j->report. `input` names the network's input. */
kf_status kf__rdk_report(kf__rdk_job *j, const char *input, kf_error *err);

/** outputs.c: can all outputs be written, and is none of them an input? For the time before the work. */
kf_status kf__rdk_outputs_check(const kf__rdk_job *j, kf_error *err);
/** All outputs, or none of them. `input` names the network's input. */
kf_status kf__rdk_outputs_write(kf__rdk_job *j, const char *input, kf_error *err);
/** Path of the compiled model; false if it is too long for `room`. */
bool kf__rdk_output_model(const kf_rdk_config *c, char *to, size_t room);
/** Suffix of the quantized ONNX file. */
#define KF_RDK_QUANTIZED_ONNX "_quantized_model.onnx"

#endif
