/* libFuzzer target: bytes as a command line, one argument a line, through the parsers of the verb that the first line
 * names; also as
 * --preprocess and --input-shape. Nothing runs: argp_parse is replaced by one that parses and then reports wrong usage.
 * The same build rules as fuzz_kfx.c.
 * Owner rule: the arguments are one copy, released after each input. */
#include <dlfcn.h>
#include <setjmp.h>
#include <string.h>

#include "common/cli.h"

enum { MAX_ARGS = 64, DEPTH = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int (*const VERBS[])(int, char **) = {cmd_classify, cmd_run,   cmd_info,     cmd_import, cmd_simplify,
                                             cmd_export,   cmd_check, cmd_quantize, cmd_zoo,    cmd_compare,
                                             cmd_eval,     cmd_bench, cmd_pull,     cmd_stream, cmd_verify};
static const char *const NAMES[] = {"classify", "run",     "info", "import", "simplify", "export", "check", "quantize",
                                    "zoo",      "compare", "eval", "bench",  "pull",     "stream", "verify"};
enum { N_VERBS = sizeof VERBS / sizeof *VERBS };

static jmp_buf refusal[DEPTH];
static int depth;
enum { CHILDREN = 2 };
static argp_parser_t
    inner[1 + CHILDREN]; /* the verb's parser, that of the common options, and that of more of its own */

/* argp_error does not return in the program; here it ends the parser that called it, so that argp releases what it
 * holds. */
void argp_error(const struct argp_state *state, const char *fmt, ...) {
    (void)state;
    if (!fmt[0] || depth < 1) abort();
    longjmp(refusal[depth - 1], 1);
}

static error_t guarded(argp_parser_t parser, int key, char *arg, struct argp_state *state) {
    if (depth == DEPTH) abort();
    error_t e = EINVAL;
    if (setjmp(refusal[depth++]) == 0) e = parser(key, arg, state);
    depth--;
    return e;
}

static error_t outer_parser(int key, char *arg, struct argp_state *state) { return guarded(inner[0], key, arg, state); }
static error_t first_child(int key, char *arg, struct argp_state *state) { return guarded(inner[1], key, arg, state); }
static error_t second_child(int key, char *arg, struct argp_state *state) { return guarded(inner[2], key, arg, state); }

error_t argp_parse(const struct argp *argp, int argc, char **argv, unsigned flags, int *end, void *input) {
    error_t (*real)(const struct argp *, int, char **, unsigned, int *, void *);
    void *f = dlsym(RTLD_NEXT, "argp_parse");
    struct argp copy = *argp, child[CHILDREN];
    struct argp_child children[CHILDREN + 1] = {{0}};
    if (!f) abort();
    memcpy(&real, &f, sizeof f);
    inner[0] = argp->parser;
    copy.parser = outer_parser;
    for (int i = 0; argp->children && argp->children[i].argp; i++) {
        if (i == CHILDREN) abort(); /* no verb has more */
        child[i] = *argp->children[i].argp;
        children[i] = (struct argp_child){&child[i], 0, NULL, argp->children[i].group};
        inner[1 + i] = child[i].parser;
        child[i].parser = i ? second_child : first_child;
        copy.children = children;
    }
    real(&copy, argc, argv, flags | ARGP_NO_EXIT | ARGP_NO_ERRS | ARGP_NO_HELP, end, input);
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
    for (int i = 0; i < N_VERBS; i++)
        if (strcmp(argv[0], NAMES[i]) == 0 && VERBS[i](argc, argv) != EXIT_USAGE) abort();
    as_options(argv[argc - 1]); /* the last: argp has sorted the options before the rest */
    free(copy);
    return 0;
}

#if defined(KF_REPLAY)
#include "replay.h"
#endif
