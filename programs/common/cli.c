/* Shared command line pieces: messages, common options, loading a MODEL argument. Needs the runtime alone.
 * Owner rule: see cli.h. */
#include "common/cli.h"
#include "common/files.h"
#include "common/kinds.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int cli_fail(const kf_error *err) {
    fprintf(stderr, "%s: %s\n", cli_program, cli_shown(err->text));
    cli_print_error(err->status, err->text);
    return EXIT_FAILED;
}

kf_status cli_error(kf_error *err, kf_status st, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    return err->status = st;
}

kf_status cli_error_at(kf_error *err, kf_status st, const char *what, const char *why) {
    return cli_error(err, st, "%.600s: %.400s", what, why);
}

int cli_say(const char *fmt, ...) {
    char text[4096];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    fprintf(stderr, "%s: %s\n", cli_program, cli_shown(text));
    return EXIT_FAILED;
}

void cli_note_threads(int started, int wanted) {
    static atomic_flag said = ATOMIC_FLAG_INIT;
    if (started >= wanted || atomic_flag_test_and_set(&said)) return;
    fprintf(stderr, "%s: note: %d of %d threads can be started; going on with %d; results are the same\n", cli_program,
            started, wanted, started);
}

void cli_fewer_threads(void *user, int32_t started, int32_t wanted) {
    (void)user;
    cli_note_threads(started, wanted);
}

kf_status cli_error_in(kf_error *err, kf_status st, const char *file) {
    char text[KF_ERROR_TEXT];
    if (st == KF_OK || strstr(err->text, file)) return st;
    snprintf(text, sizeof text, "%.200s: %.800s", file, err->text);
    memcpy(err->text, text, sizeof text);
    return st;
}

/* Compared as a long: after a cast to int, 2^32 + 1 would pass as 1. */
long cli_number(struct argp_state *state, const char *option, const char *arg, long lo, long hi) {
    char *end;
    errno = 0;
    long n = strtol(arg, &end, 10);
    bool ok = end != arg && !*end && errno == 0 && n >= lo && n <= hi;
    if (!ok && hi == LONG_MAX) argp_error(state, "%s %s: a number from %ld is needed", option, arg, lo);
    if (!ok) argp_error(state, "%s %s: a number from %ld to %ld is needed", option, arg, lo, hi);
    return ok ? n : lo;
}

size_t cli_bytes(struct argp_state *state, const char *option, const char *arg) {
    static const char UNITS[] = "KMG";
    char *end;
    errno = 0;
    unsigned long long n = strtoull(arg, &end, 10);
    bool ok = *arg >= '0' && *arg <= '9' && errno == 0 && n > 0;
    const char *unit = *end ? strchr(UNITS, *end) : NULL;
    int shift = unit ? 10 * (int)(unit - UNITS + 1) : 0;
    if (unit) end++;
    if (!ok || *end || n > SIZE_MAX >> shift)
        argp_error(state, "%s %s: a number of bytes is needed, from 1 on; K, M or G may follow, as in 8G", option, arg);
    return (size_t)n << shift;
}

void cli_max_pixels(struct argp_state *state, const char *arg) {
    kf_image_limit(cli_number(state, "--max-pixels", arg, 1, (long)1 << 32), NULL);
}

int cli_numbers(struct argp_state *state, const char *option, const char *arg, int hi, int *numbers, int most) {
    char *end;
    for (int i = 0; i < most; arg = end + 1) {
        long n = strtol(arg, &end, 10);
        if (end == arg || n < 1 || n > hi || (*end && *end != ','))
            argp_error(state, "%s: numbers from 1 to %d with commas are needed", option, hi);
        numbers[i++] = (int)n;
        if (!*end) return i;
    }
    argp_error(state, "%s: at most %d numbers", option, most);
    return 0;
}

const char *cli_base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void cli_frame_size(struct argp_state *state, const char *option, const char *arg, long *width, long *height) {
    char *end;
    errno = 0;
    *width = strtol(arg, &end, 10);
    bool ok = end != arg && *end == 'x' && end[1] >= '0' && end[1] <= '9';
    if (ok) *height = strtol(end + 1, &end, 10);
    if (!ok || *end || errno || *width < 2 || *height < 2 || *width > KF_IMAGE_MAX_SIDE || *height > KF_IMAGE_MAX_SIDE)
        argp_error(state, "%s %s: two sides of 2 to %d pixels are needed; write 1920x1080", option, arg,
                   KF_IMAGE_MAX_SIDE);
    else if (*width % 2 || *height % 2)
        argp_error(state, "%s %s: both sides must be even; a chroma pair serves 2x2 pixels; crop the frames", option,
                   arg);
}

void cli_note_skipped(size_t skipped, size_t all) {
    char text[120];
    snprintf(text, sizeof text, "%zu of %zu pictures cannot be read and were skipped; --strict stops at the first",
             skipped, all);
    if (skipped) cli_note(NULL, text);
}

double cli_now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void *take_or_end(size_t bytes) {
    void *p = malloc(bytes);
    if (p) return p;
    cli_say("out of memory; %zu bytes were asked for; close other programs", bytes);
    exit(EXIT_FAILED);
}

void cli_guard_json(void) { json_set_alloc_funcs(take_or_end, free); }

enum { MAX_MEMORY = 0x4d01, MAX_OPERATIONS, SCORES, BATCH }; /* options without a letter */

static const struct argp_option LIMITS[] = {
    {"max-memory", MAX_MEMORY, "BYTES", 0,
     "most that a model takes, and each session of it (K, M or G may follow; default: 4G a session; 64M and 32 times "
     "its file a model)",
     11},
    {"max-operations", MAX_OPERATIONS, "N", 0, "most operations of one run (default 274877906944)", 11},
    {0},
};

static error_t parse_limit(int key, char *arg, struct argp_state *state) {
    cli_common *c = state->input;
    switch (key) {
    case MAX_MEMORY: c->max_memory = cli_bytes(state, "--max-memory", arg); return 0;
    case MAX_OPERATIONS: c->max_operations = cli_number(state, "--max-operations", arg, 1, LONG_MAX); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp cli_limits_argp = {.options = LIMITS, .parser = parse_limit};

static const struct argp_option IMPORT[] = {
    {"preprocess", 'p', "timm:NAME", 0, "picture preprocessing of a timm model", 10},
    {"input-shape", 's', "SHAPE", 0, "1x3x224x224, for ONNX files with free dimensions", 10},
    {"batch", BATCH, "N", 0, "pictures at a time, where an ONNX file fixes another number (as a rule 1)", 10},
    {"arch", 'a', "NAME", 0, "timm name of a .safetensors checkpoint (default: recognized)", 10},
    {"max-fold-bytes", CLI_KEY_MAX_FOLD, "N", 0, CLI_MAX_FOLD_HELP, 10},
    {"scores", SCORES, "WHAT", 0,
     "what the first output gives: logits, probabilities, independent, log or features (default: as the model says)",
     10},
    {0},
};
static const struct argp_option LABELS[] = {
    {"labels", 'l', "FILE", 0, "class names: text, or JSON list or object", 10},
    {0},
};
static const struct argp_option THREADS[] = {
    {"threads", 't', "N", 0, "cores for one picture (default: all usable, at most 4)", 10},
    {0},
};
static const struct argp_option JSON[] = {
    {"json", 'j', NULL, 0, "one JSON object a line", 10},
    {0},
};

static void parse_scores(cli_common *c, const char *arg, struct argp_state *state) {
    kf_error err;
    if (kf_scores_kind_from_name(arg, &c->scores, &err) != KF_OK) argp_error(state, "--scores: %s", err.text);
}

void cli_inputs(const struct argp_state *state, cli_common *c, int n) {
    for (int i = 0; i < n; i++) state->child_inputs[i] = c;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    cli_common *c = state->input;
    switch (key) {
    case 'l': c->labels = arg; return 0;
    case 'p': c->preprocess = arg; return 0;
    case 's': c->input_shape = arg; return 0;
    case 'a': c->arch = arg; return 0;
    case 'j': c->json = true; return 0;
    case BATCH: c->batch = (int32_t)cli_number(state, "--batch", arg, 1, 1 << 24); return 0;
    case SCORES: parse_scores(c, arg, state); return 0;
    case CLI_KEY_MAX_FOLD: c->max_fold_bytes = (long)cli_bytes(state, "--max-fold-bytes", arg); return 0;
    case 't': c->threads = (int)cli_number(state, "--threads", arg, 1, 64); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_import(int key, char *arg, struct argp_state *state) {
    if (key == ARGP_KEY_INIT) cli_inputs(state, state->input, 1);
    return parse(key, arg, state);
}

static const struct argp_child PICTURES[] = {{&cli_picture_argp, 0, NULL, 0}, {0}};
const struct argp cli_import_argp = {.options = IMPORT, .parser = parse_import, .children = PICTURES};
const struct argp cli_labels_argp = {.options = LABELS, .parser = parse};
const struct argp cli_threads_argp = {.options = THREADS, .parser = parse};
const struct argp cli_json_argp = {.options = JSON, .parser = parse};

static error_t parse_all(int key, char *arg, struct argp_state *state) {
    (void)arg;
    if (key != ARGP_KEY_INIT) return ARGP_ERR_UNKNOWN;
    cli_inputs(state, state->input, 5);
    return 0;
}

static const struct argp_child ALL[] = {{&cli_labels_argp, 0, NULL, 0},  {&cli_import_argp, 0, NULL, 0},
                                        {&cli_threads_argp, 0, NULL, 0}, {&cli_json_argp, 0, NULL, 0},
                                        {&cli_limits_argp, 0, NULL, 0},  {0}};
const struct argp cli_common_argp = {.parser = parse_all, .children = ALL};

bool cli_is_model(const char *arg) {
    cli_kind kind = cli_kind_of(arg);
    return strcmp(arg, "everyday10") == 0 || (kind != CLI_UNKNOWN && kind != CLI_PICTURE);
}

bool cli_is_imported(const char *arg) {
    cli_kind kind = cli_kind_of(arg);
    return strcmp(arg, "everyday10") != 0 && (kind == CLI_SOURCE || kind == CLI_TORCH);
}

kf_status cli_labels(const char *path, const kf_model *m, kf_labels *labels, kf_error *err) {
    kf_tensor out;
    if (path) {
        kf_status st = kf_labels_fit(labels, m, cli_note, NULL, err);
        return st == KF_OK ? st : kf_error_prefix(err, st, "%.600s", path);
    }
    KF_TRY(kf_model_output(m, kf_model_ranked(m), &out, err));
    size_t classes = out.bytes / sizeof(float);
    if (kf_model_label(m, 0) || (classes != 1000 && classes != 1001)) return KF_OK;
    fprintf(stderr,
            "%s: note: the model has no names for its %zu classes; --labels FILE gives them (docs/CLI.md says where "
            "ImageNet's are)\n",
            cli_program, classes);
    return KF_OK;
}

void cli_note(void *user, const char *text) {
    (void)user;
    fprintf(stderr, "%s: note: %s\n", cli_program, cli_shown(text));
}

void cli_line(void *user, const char *text) {
    (void)user;
    fprintf(stderr, "%s: %s\n", cli_program, cli_shown(text));
}

kf_status cli_dataset(const char *data, const char *list, const kf_model *m, kf_dataset **out, kf_error *err) {
    kf_dataset_options o;
    kf_dataset_options_init(&o);
    o.list = list;
    o.model = m;
    o.notice = cli_note;
    return kf_dataset_open(data, &o, out, err);
}

/* A compiled model holds what its import decided. An option that would have no effect is refused.
 */
static kf_status refuse_import_options(const char *name, const cli_common *c, kf_error *err) {
    char name_of[CLI_OPTION_ROOM];
    const char *option = cli_picture_option(&c->picture, name_of);
    if (c->max_fold_bytes) option = "--max-fold-bytes";
    if (c->arch) option = "--arch";
    if (c->labels) option = "--labels";
    if (c->batch) option = "--batch";
    if (c->input_shape) option = "--input-shape";
    if (c->preprocess) option = "--preprocess";
    if (!option) return KF_OK;
    err->status = KF_ERR_ARGUMENT;
    snprintf(
        err->text, sizeof err->text,
        "%.700s: %s does not apply; the model is compiled already; give it to kitfox import, or use the .onnx file",
        name, option);
    return err->status;
}

void cli_model_options(const cli_common *c, kf_model_options *out) {
    kf_model_options_init(out);
    out->max_model_bytes = out->max_session_bytes = c->max_memory;
    out->max_operations = c->max_operations;
    out->scores = c->scores;
}

static kf_status load_compiled(const char *arg, const cli_common *c, const kf_model_options *o, kf_model **out,
                               kf_error *err) {
    kf_model_info info = {.size = sizeof info};
    KF_TRY(kf_file_explain(arg, KF_FILE_KFX, kf_model_load(arg, o, out, err), err));
    if (!c->pictures || kf_model_get_info(*out, &info, NULL) != KF_OK) return KF_OK;
    const cli_prepared p = {info.preprocess_origin, info.preprocess_source, &info.preprocess, true, false};
    cli_tell_preprocess(arg, &p, &c->picture);
    return KF_OK;
}

kf_status cli_load_model(const char *arg, const cli_common *c, kf_model **out, kf_error *err) {
    bool builtin = !arg || strcmp(arg, "everyday10") == 0;
    kf_model_options o;
    cli_model_options(c, &o);
    if (!builtin && cli_is_imported(arg)) return cli_compile(arg, c, &o, out, err);
    kf_status st = refuse_import_options(builtin ? "everyday10" : arg, c, err);
    if (st != KF_OK) return st;
    if (!builtin) return load_compiled(arg, c, &o, out, err);
    const void *data;
    size_t bytes = cli_builtin(&data);
    if (bytes) return kf_model_load_memory(data, bytes, &o, out, err);
    return cli_error(err, KF_ERR_ARGUMENT, "no model is given; give a .kfx file that kitfox import made");
}
