/* The kitfox program: picks the verb.
 * Owner rule: nothing is kept between verbs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cli.h"
#include "common/files.h"

static const struct {
    const char *name;
    int (*run)(int, char **);
    const char *does;
} VERBS[] = {
    {"classify", cmd_classify, "top-k labels of pictures"},
    {"stream", cmd_stream, "camera frames on standard input, one JSON line each"},
    {"run", cmd_run, "raw tensors in and out"},
    {"info", cmd_info, "inputs, outputs, preprocessing, parameters, MACs"},
    {"import", cmd_import, "ONNX to a compiled .kfx file"},
    {"check", cmd_check, "which nodes of an ONNX file compile, and into what"},
    {"simplify", cmd_simplify, "a smaller ONNX file that computes the same"},
    {"export", cmd_export, "the optimized float network as ONNX"},
    {"quantize", cmd_quantize, "8-bit model from a float one and typical pictures"},
    {"compare", cmd_compare, "how far two models agree on pictures"},
    {"eval", cmd_eval, "top-1 and top-5 on a labelled folder"},
    {"verify", cmd_verify, "does this machine compute what the model file says"},
    {"zoo", cmd_zoo, "architectures that a checkpoint can have"},
    {"bench", cmd_bench, "latency, frames per second, memory"},
    {"pull", cmd_pull, "published weights by name"},
};

static void usage(FILE *to) {
    fputs("Usage: kitfox VERB [OPTIONS] ARGUMENTS\n\n", to);
    for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++) fprintf(to, "  %-10s %s\n", VERBS[i].name, VERBS[i].does);
    fputs("\nkitfox VERB --help explains each verb. Where a MODEL is left out, the built-in everyday10 is used.\n", to);
}

/* Results that did not arrive are a failure: a full disk must not look like success. */
static int finish(int status) {
    errno = 0;
    if (cli_json_lost() && !status) status = EXIT_FAILED;
    if (fflush(stdout) == 0 && !ferror(stdout)) return status;
    int failed = cli_say("standard output: cannot write; %s; check the space where it goes",
                         errno ? strerror(errno) : "an earlier write failed");
    return status ? status : failed;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        usage(stdout);
        return finish(EXIT_DONE);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("kitfox %s\n", kf_version());
        return finish(EXIT_DONE);
    }
    argp_err_exit_status = EXIT_USAGE;
    cli_guard_json();
    cli_signals_install();
    for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++)
        if (strcmp(argv[1], VERBS[i].name) == 0) {
            static char name[64];
            snprintf(name, sizeof name, "kitfox %s", VERBS[i].name);
            argv[1] = name;
            errno = 0;
            int status = VERBS[i].run(argc - 1, argv + 1);
            bool silent = status == EXIT_USAGE && errno == ENOMEM; /* argp gives up without a word */
            return finish(silent ? cli_say("out of memory for the options; close other programs") : status);
        }
    fprintf(stderr, "kitfox: %s: unknown verb; try one of", argv[1]);
    for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++) fprintf(stderr, "%s %s", i ? "," : "", VERBS[i].name);
    fputc('\n', stderr);
    return EXIT_USAGE;
}
