/* What the verbs share: errors in the contract's form, MODEL arguments, notices.
 * Owner rule: each function says who frees what. */
#ifndef KITFOX_CLI_H
#define KITFOX_CLI_H

#include <argp.h>
#include <stdbool.h>

#include "common/json.h"
#include "common/parse.h"
#include "common/terminal.h"
#include "common/text.h"
#include "kitfox/lab.h"

/** Exit statuses of the contract. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/** What the options of pictures say. */
typedef struct cli_picture {
    kf_preprocess given;
    uint32_t fields; /* of `given`, as kf_preprocess_copy takes them */
    int32_t resize;  /* 0: not given */
    bool bgr;        /* --bgr is given */
} cli_picture;

/** Options that several verbs have. cli_common_parser fills them. */
typedef struct cli_common {
    const char *labels, *preprocess, *input_shape, *arch;
    int threads;
    size_t max_memory;      /* of a model, and of each of its sessions; 0: the library's limits */
    int64_t max_operations; /* of one run; 0: the library's limit */
    long max_fold_bytes;    /* of kf_import_options */
    kf_scores_kind scores;  /* 0: as the model says */
    int32_t batch;          /* --batch; 0: not given */
    bool one;               /* the verb needs one picture at a time, whatever the file fixes */
    bool json;
    bool pictures; /* the verb prepares pictures: it says where how to do so was guessed */
    cli_picture picture;
    bool no_doctor;                                                            /* no hint about other preprocessing */
    void (*node)(void *user, const char *name, const char *op, int32_t known); /* of kf_import_options */
    void *node_user;
    const struct cli_output *outputs; /* an import that reads one of them is refused: see cli_output_apart */
    size_t n_outputs;
} cli_common;

/** Child parsers; the input of each is a cli_common. A verb takes those that have an effect in it: of imports
 * (--preprocess, --input-shape, --arch, --max-fold-bytes), of a model's classes (--labels), of runs (--threads), of
 * loading and running (--max-memory, --max-operations), --json, and all of them. */
extern const struct argp cli_import_argp, cli_labels_argp, cli_threads_argp, cli_limits_argp, cli_json_argp,
    cli_common_argp;
/** At ARGP_KEY_INIT: the first `n` children get `c`. */
void cli_inputs(const struct argp_state *state, cli_common *c, int n);

/** --resize, --bgr, and an option for each member of kf_preprocess_field, as --mean; its input is a cli_common. Part of
 *  cli_import_argp. cli_picture_begin fills the table; call it once, before anything is parsed. */
extern const struct argp cli_picture_argp;
void cli_picture_begin(void);
/** Does it give the member with this key, as "mean"? */
bool cli_picture_gives(const cli_picture *p, const char *key);
/** The first option that was given, or NULL; `name` may hold it. */
enum { CLI_OPTION_ROOM = 40 };
const char *cli_picture_option(const cli_picture *p, char name[CLI_OPTION_ROOM]);

/** Where the preprocessing of a model comes from. */
typedef struct cli_prepared {
    kf_origin origin;
    const char *source; /* or NULL */
    const kf_preprocess *preprocess;
    bool beside;   /* a JSON file beside it belongs to it, as that of a checkpoint does: no guess */
    bool imported; /* now; else it was loaded, and what was recognized was said when it was made */
} cli_prepared;
/** The one note about preprocessing that nobody stated: what was assumed, or recognized from what. Once for a model;
 *  nothing where `given` has mean and std. */
void cli_tell_preprocess(const char *name, const cli_prepared *p, const cli_picture *given);

/** "kitfox: text", or the name of this program, on standard error, and with --json as a line; returns EXIT_FAILED. */
int cli_fail(const kf_error *err);
/** The same for people alone. What stands between the colon and the end of the line is shown by cli_show. */
int cli_say(const char *fmt, ...) KF_PRINTF(1, 2);
/** Fill `err` and return `st`. */
kf_status cli_error(kf_error *err, kf_status st, const char *fmt, ...) KF_PRINTF(3, 4);
/** Same, as "what: why": a file or an option, and what is wrong with it. */
kf_status cli_error_at(kf_error *err, kf_status st, const char *what, const char *why);

/** Put "file: " before the text of an error `st` that does not name `file` yet; returns `st`. */
kf_status cli_error_in(kf_error *err, kf_status st, const char *file);

/** The option --max-fold-bytes of every verb that imports: its key and its help. */
enum { CLI_KEY_MAX_FOLD = 900 };
#define CLI_MAX_FOLD_HELP "most bytes of constants made from those of the file (default: 256 MiB and 16 times theirs)"

/** The option --max-pixels of every verb that reads pictures: its key and its help; cli_max_pixels takes it. */
enum { CLI_KEY_MAX_PIXELS = 901 };
#define CLI_MAX_PIXELS_HELP "most pixels of a picture, width times height (default 100000000, and 16384 a side)"
void cli_max_pixels(struct argp_state *state, const char *arg);

/** A number of an option; outside [lo, hi] it is a usage error in the option's name. */
long cli_number(struct argp_state *state, const char *option, const char *arg, long lo, long hi);
/** Bytes, from 1 on: a number, and K, M or G for 2^10, 2^20 or 2^30 of them; else a usage error. */
size_t cli_bytes(struct argp_state *state, const char *option, const char *arg);
/** "1,2,4" into at most `most` numbers of 1 to `hi`; else a usage error. Returns how many. */
int cli_numbers(struct argp_state *state, const char *option, const char *arg, int hi, int *numbers, int most);
/** The part of a path behind its last slash. */
const char *cli_base_name(const char *path);
/** "WxH" of NV12 frames: both even and in 2..KF_IMAGE_MAX_SIDE; else a usage error. */
void cli_frame_size(struct argp_state *state, const char *option, const char *arg, long *width, long *height);
/** A note on standard error, once in the life of the program, when fewer threads were started than wanted. Thread safe.
 */
void cli_note_threads(int started, int wanted);
/** The same as `fewer_threads` of options. */
void cli_fewer_threads(void *user, int32_t started, int32_t wanted);
/** A note: so many of so many pictures were skipped. Nothing for 0. */
void cli_note_skipped(size_t skipped, size_t all);
/** Monotonic milliseconds. */
double cli_now_ms(void);
/** kf_scores_json as a value for cli_pack. */
json_t *cli_scores(const kf_score *top, size_t n);
/** The same for people: a line a class, with a bar; in colour on a terminal unless NO_COLOR is set. */
void cli_print_scores(const kf_score *top, size_t n);
/** From now on an allocation that fails inside jansson ends the program with a message: jansson ignores some failures
 * and continues with incomplete text. */
void cli_guard_json(void);

/** A first argument is a model by its suffix, or by the built-in name. */
bool cli_is_model(const char *arg);
/** Is this MODEL argument imported (.onnx, .safetensors), not loaded? */
bool cli_is_imported(const char *arg);
/** The limits that the command line gave. */
void cli_model_options(const cli_common *c, kf_model_options *out);
/** Load .kfx, .onnx or the built-in model (NULL or "everyday10"). The caller destroys the model. Options of `c` that
 * only an import can honour are refused for a compiled model. */
kf_status cli_load_model(const char *arg, const cli_common *c, kf_model **out, kf_error *err);
/** The options of an import that the command line gave. `options` points into the rest: do not copy it. The caller
 * frees `labels` after success. */
typedef struct cli_importing {
    kf_import_options options;
    kf_preprocess preprocess;
    kf_labels labels;
    const cli_common *common;
    kf_error apart; /* ARGUMENT: the import read a file that is one of common->outputs */
} cli_importing;
kf_status cli_import_options(const cli_common *c, cli_importing *out, kf_error *err);
/** Give the graph the labels that cli_import_options read; errors name their file. */
kf_status cli_import_labels(cli_importing *i, kf_graph *g, kf_error *err);
/** Import for compiling or checking. */
kf_status cli_import(const char *path, const cli_common *c, kf_graph **out, kf_error *err);

/** Import IN, optimize to `level`, check the written bytes against IN on random inputs, write OUT: the whole of the
 * verbs `simplify` and `export`. Returns the exit status. */
int cli_rewrite(int argc, char **argv, kf_optimize_level level, const char *doc);

/** Notices of the library on standard error: "kitfox: note: text", and "kitfox: text". */
void cli_note(void *user, const char *text);
void cli_line(void *user, const char *text);
/** After the model was loaded: make `labels`, read from --labels `path`, fit it; errors name the file. Without a path,
 * a note on standard error where the model has no names either. */
kf_status cli_labels(const char *path, const kf_model *m, kf_labels *labels, kf_error *err);
/** The labelled pictures of folder `data`, or those of `list` (NULL: all): kf_dataset_open; lines that cannot be read
 * go to standard error. */
kf_status cli_dataset(const char *data, const char *list, const kf_model *m, kf_dataset **out, kf_error *err);

/** Import the MODEL argument `arg` and compile it. UNSUPPORTED in kitfox-run. The caller destroys the model. */
kf_status cli_compile(const char *arg, const cli_common *c, const kf_model_options *o, kf_model **out, kf_error *err);
/** The bytes of the embedded model file; 0 where the program has none. Static. */
size_t cli_builtin(const void **data);
/** "kitfox" or "kitfox-run", for messages. */
extern const char cli_program[];

/** A verb: the word, its function (argv[0] is the verb), and what it does. */
typedef struct cli_verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *does;
} cli_verb;
/** The verbs of this program; the last one has no name. */
extern const cli_verb cli_verbs[];
/** Names by which this program is the verb `rdk` with that tool; the last one is NULL. */
extern const char *const cli_tools[];

/** A library of others that the program uses: linked, or loaded when it is needed. */
typedef struct cli_library {
    const char *name;
    const char *(*version)(void); /* of one that is linked; NULL: it is loaded */
    const char *files[4];         /* of one that is loaded: for dlopen, the first that is there; then NULL */
    const char *symbol;           /* and its function without arguments that returns the version */
    bool asks;                    /* that function takes the least version that will do; NULL is any */
} cli_library;
/** Those that this program has and the other has not; the last has no name. */
extern const cli_library cli_libraries[];
/** --version with `argc` more arguments: --verbose (or -v) and --json (or -j). Returns the exit status. */
int cli_version(int argc, char **argv);

/** One function per verb; argv[0] is the verb. */
int cmd_classify(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_zoo(int argc, char **argv);
int cmd_quantize(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_simplify(int argc, char **argv);
int cmd_pull(int argc, char **argv);
int cmd_rdk(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_stream(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_serve(int argc, char **argv);

#endif
