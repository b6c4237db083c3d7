/* What the two ways into the verb quantize share: a model with options, and a YAML file.
 * Owner rule: a job borrows its strings; each way releases what it makes. */
#ifndef KITFOX_QUANTIZE_VERB_H
#define KITFOX_QUANTIZE_VERB_H

#include "common/choice.h"
#include "common/compared.h"
#include "kitfox/lab.h"

/** Options of 16-bit storage: nodes by name, and the search for a target. The child parser's input. */
enum { QUANTIZE_MOST_NAMES = 256 };
typedef struct quantize_search {
    kf_quantize_options *q; /* gets the parsed options */
    const char *outputs[QUANTIZE_MOST_NAMES], *weights[QUANTIZE_MOST_NAMES];
    bool limited, given; /* --max-int16-macs; a target */
} quantize_search;
extern const struct argp quantize_search_argp;

/** What the command line says. */
typedef struct quantize_job {
    cli_common common;
    const char *model, *out, *calib; /* model: the YAML file of that way, which has no others of these */
    const char *report, *data;       /* --report, --data; NULL: none */
    cli_choice choice;
    kf_quantize_options q;
    quantize_search search;
    bool nodes;
    kf_origin origin;        /* of the network's preprocessing */
    size_t skipped;          /* calibration files that could not be read */
    kf_model_options limits; /* of what is compiled to be judged: quantize_judging */
} quantize_job;

/** By its suffix. */
bool quantize_is_yaml(const char *name);
/** kitfox quantize MODEL: one output file, and a page. */
kf_status quantize_model(quantize_job *job, kf_error *err);
/** kitfox quantize CONFIG.yaml: everything from the file, outputs into its working_dir. */
kf_status quantize_yaml(quantize_job *job, kf_error *err);

/** How the job's network is judged. The options point into the job. */
void quantize_judging(quantize_job *job, kf_judge_options *how);
/** The page, where one is wanted: `model` was quantized, `out` is the written file. */
kf_status quantize_write_page(const quantize_job *job, const kf_judge *judge, const kf_graph *g, const char *model,
                              const char *out, kf_error *err);

/** Raw NV12 frames of the command line. `width` 0: they have the network's size. */
typedef struct yaml_frames {
    char **paths;
    size_t n;
    long width, height;
} yaml_frames;
/** kitfox check CONFIG.yaml: what the file says, whether it would work, and whether the frames have the range that it
 *  names. */
kf_status check_yaml(const char *path, const cli_common *common, const yaml_frames *frames, kf_error *err);

/** A note where the instruction set in use may give another file than the usual ones. */
void quantize_note_level(void);
/** On standard output: the node table that scripts of the zoo's users search for, or one JSON object a line. */
void quantize_print_nodes(const kf_graph *g, bool json);
/** The last line or object: what was written, how far it agrees with float, and whether it is the faster. */
kf_status quantize_print_summary(const quantize_job *job, const kf_judge *judge, const char *out, double seconds,
                                 kf_error *err);
/** Ranking and outcome of the search, or JSON objects; a notice on standard error when the target was not met. Nothing
 *  for a graph that had no target. `all`: the whole ranking. */
void quantize_print_search(const kf_graph *g, bool json, bool all);
#endif
