/* kitfox rdk: the board's command-line tools by their names and flags, over the verbs and the library.
 * Owner rule: values point into the command line; each function says who frees what. */
#ifndef KITFOX_RDK_H
#define KITFOX_RDK_H

#include "common/cli.h"
#include "common/files.h"
#include "kitfox/bench.h"

/* ---- flags ------------------------------------------------------------------------------------------------------- */

enum { RDK_MOST_FLAGS = 24, RDK_MOST_PAIRS = 15, RDK_MOST_FILES = 16, RDK_PATH = 4096 };

/** What a flag takes. A PAIR is two words, and may be repeated. */
typedef enum rdk_takes { RDK_SWITCH, RDK_TEXT, RDK_NUMBER, RDK_PAIR } rdk_takes;

/** A flag of a tool. */
typedef struct rdk_flag {
    const char *name;
    char letter; /**< 0: none */
    rdk_takes takes;
    const char *does;     /**< for --help */
    const char *idle;     /**< why it has no meaning here, said once when it is given; NULL: it has one */
    long least, most, is; /**< of a NUMBER: its range, and its default */
} rdk_flag;

/** What a command line says of a flag. */
typedef struct rdk_value {
    bool given;
    const char *text;                   /**< of a TEXT; else NULL */
    long number;                        /**< of a NUMBER; of a SWITCH 0 or 1 */
    char *const *pairs[RDK_MOST_PAIRS]; /**< of a PAIR: each points at two words */
    int n_pairs;
} rdk_value;

/** A tool, or a subcommand of one. */
typedef struct rdk_tool {
    const char *name;      /**< as it calls itself in messages */
    const char *arguments; /**< of the usage line */
    const char *does;
    const rdk_flag *flags; /**< the last one has no name */
    bool ignores_words;    /**< words that belong to no flag: ignored, else refused */
    const char **word;     /**< takes one such word; NULL: none */
} rdk_tool;

/** Read the flags in argv[1..]: --k=v, --k v, -k v, and for switches --k=false and --nok; the last repeat wins.
 *  `values` has room for all flags. True: go on. False: *status is the exit status; help or an error was printed. */
bool rdk_parse(const rdk_tool *tool, int argc, char **argv, rdk_value *values, int *status);

/** Those of each tool; the last one has no name. */
extern const rdk_flag rdk_exec_flags[], rdk_checker_flags[], rdk_makertbin_flags[], rdk_page_flags[];

/* ---- models ------------------------------------------------------------------------------------------------------ */

/** Load what a board's path means: a model file, or for a .bin the .kfx file beside it under the same stem. `place`
 *  gets the file that was read. UNSUPPORTED: machine code of the board. The caller destroys the model. */
kf_status rdk_open(const char *path, kf_model **m, char place[RDK_PATH], kf_error *err);
/** The name of a model inside a .bin: its prefix. Here the file's name without its suffix; `name` has RDK_PATH bytes.
 */
void rdk_model_name(const char *path, char *name);
/** "a,b" into parts, in place; at most `most`. Returns how many, -1: more. */
int rdk_split(char *list, char **parts, int most);
/** Is the input a picture, and are there NV12 frames of its size (both sides even) that it was made for? */
bool rdk_takes_frames(const kf_model_info *info);

/* ---- tools ------------------------------------------------------------------------------------------------------- */

/** hb_mapper checker|makertbin, hrt_model_exec model_info|infer|perf, hb_perf; argv[0] is the tool. Exit statuses. */
int rdk_mapper(int argc, char **argv);
int rdk_exec(int argc, char **argv);
int rdk_page(int argc, char **argv);

/** hrt_model_exec infer. `files`: one for each input. */
typedef struct rdk_infer {
    const kf_model *model;
    char *files[RDK_MOST_FILES];
    int n_files;
    long frames, digits, axis; /**< repeats; digits and line breaks of text */
    bool dump, text, classify; /**< write inputs and outputs; as text; print the best class */
} rdk_infer;
kf_status rdk_infer_run(const rdk_infer *job, kf_error *err);

/** hrt_model_exec model_info: what the board's tool prints of a model. */
void rdk_print_model(const kf_model *m, const char *name);

/** Smallest time of each step on one core, over `frames` runs; released with kf_bench_free. */
kf_status rdk_profile(const kf_model *m, int32_t frames, kf_bench_result *out, kf_error *err);
/** Write profiler.log and profiler.csv into `folder`. */
kf_status rdk_write_profile(const char *folder, const char *name, const kf_model *m, const kf_bench_result *r,
                            kf_error *err);

#endif
