/* libFuzzer target: bytes as a command line, one argument a line, through the parsers of the verb that the first line
 * names; also as
 * --preprocess and --input-shape. Nothing runs: argp_parse is replaced by one that parses and then reports wrong usage.
 * The same build rules as fuzz_kfx.c.
 * Owner rule: the arguments are one copy, released after each input. */
#include <dlfcn.h>
#include <setjmp.h>
#include <string.h>

#include "common/cli.h"
#include "kitfox/rdk.h"

enum { MAX_ARGS = 64, DEPTH = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int (*const VERBS[])(int, char **) = {
    cmd_classify, cmd_run,  cmd_info,  cmd_import, cmd_simplify, cmd_export, cmd_check, cmd_quantize, cmd_zoo,
    cmd_compare,  cmd_eval, cmd_bench, cmd_pull,   cmd_stream,   cmd_verify, cmd_rdk,   cmd_serve};
static const char *const NAMES[] = {"classify", "run",      "info",   "import",  "simplify", "export",
                                    "check",    "quantize", "zoo",    "compare", "eval",     "bench",
                                    "pull",     "stream",   "verify", "rdk",     "serve"};
enum { N_VERBS = sizeof VERBS / sizeof *VERBS };

static jmp_buf refusal[DEPTH];
static int depth;

/* argp_error does not return in the program; here it ends the parser that called it, so that argp releases what it
 * holds. */
void argp_error(const struct argp_state *state, const char *fmt, ...) {
    (void)state;
    if (!fmt[0] || depth < 1) abort();
    longjmp(refusal[depth - 1], 1);
}

/* Every parser of the tree gets a guard around it; a guard is a function, so there are so many of them. */
enum { PARSERS = 16, CHILDREN = 8 };
static argp_parser_t inner[PARSERS];
static int n_inner;

static error_t guarded(argp_parser_t parser, int key, char *arg, struct argp_state *state) {
    if (depth == DEPTH) abort();
    if (!parser) return ARGP_ERR_UNKNOWN;
    error_t e = EINVAL;
    if (setjmp(refusal[depth++]) == 0) e = parser(key, arg, state);
    depth--;
    return e;
}

#define EACH(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define GUARD(i)                                                                                                       \
    static error_t guard##i(int key, char *arg, struct argp_state *state) { return guarded(inner[i], key, arg, state); }
EACH(GUARD)
#define NAME(i) guard##i,
static const argp_parser_t GUARDS[PARSERS] = {EACH(NAME)};

static struct argp copies[PARSERS];
static struct argp_child children[PARSERS][CHILDREN + 1];

static const struct argp *guard(const struct argp *argp) {
    if (n_inner == PARSERS) abort(); /* no verb has more */
    int me = n_inner++;
    copies[me] = *argp;
    inner[me] = argp->parser;
    copies[me].parser = GUARDS[me];
    memset(children[me], 0, sizeof children[me]);
    for (int i = 0; argp->children && argp->children[i].argp; i++) {
        if (i == CHILDREN) abort();
        children[me][i] = (struct argp_child){guard(argp->children[i].argp), 0, NULL, argp->children[i].group};
        copies[me].children = children[me];
    }
    return &copies[me];
}

error_t argp_parse(const struct argp *argp, int argc, char **argv, unsigned flags, int *end, void *input) {
    error_t (*real)(const struct argp *, int, char **, unsigned, int *, void *);
    void *f = dlsym(RTLD_NEXT, "argp_parse");
    if (!f) abort();
    memcpy(&real, &f, sizeof f);
    n_inner = 0;
    real(guard(argp), argc, argv, flags | ARGP_NO_EXIT | ARGP_NO_ERRS | ARGP_NO_HELP, end, input);
    return EINVAL;
}

static void as_options(const char *text) {
    kf_error err = {0};
    kf_preprocess p;
    kf_graph *g = NULL;
    kf_import_options o;
    if (kf_preprocess_by_name(text, &p, &err) != KF_OK && !err.text[0]) abort();
    kf_import_options_init(&o);
    o.input_shape = text;
    if (kf_graph_import(FREE_BATCH, &o, &g, &err) == KF_OK) kf_graph_destroy(&g);
    else if (!err.text[0]) abort();
}

/* `rdk TOOL FLAGS`: a tool would run, so that its flags alone are read. */
static bool as_tool(int argc, char **argv) {
    static const rdk_flag *const tables[] = {rdk_exec_flags, rdk_checker_flags, rdk_makertbin_flags, rdk_page_flags};
    static const char *const names[] = {"hrt_model_exec", "hb_mapper", "hb_mapper", "hb_perf"};
    bool any = false;
    for (int i = 0; i < 4 && argc > 1 && strcmp(argv[0], "rdk") == 0; i++) {
        const char *word = NULL;
        const rdk_tool tool = {names[i], "", "", tables[i], i == 0, i < 3 ? NULL : &word};
        rdk_value values[RDK_MOST_FLAGS];
        int status = -1;
        if (strcmp(argv[1], names[i]) != 0) continue;
        if (!rdk_parse(&tool, argc - 1, argv + 1, values, &status) && status == -1) abort();
        any = true;
    }
    return any;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *argv[MAX_ARGS + 1] = {0}, *copy = malloc(size + 1);
    int argc = 0;
    if (!copy) return 0;
    if (size) memcpy(copy, data, size);
    copy[size] = '\0';
    for (char *at = copy; argc < MAX_ARGS; *at++ = '\0') {
        argv[argc++] = at;
        at += strcspn(at, "\n");
        if (!*at) break;
    }
    for (int i = 0; i < N_VERBS && !as_tool(argc, argv); i++)
        if (strcmp(argv[0], NAMES[i]) == 0 && VERBS[i](argc, argv) != EXIT_USAGE) abort();
    as_options(argv[argc - 1]); /* the last: argp has sorted the options before the rest */
    free(copy);
    return 0;
}

#if defined(KF_REPLAY)
#include "replay.h"
#endif
