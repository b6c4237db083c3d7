/* The programs kitfox and kitfox-run: picks the verb.
 * Owner rule: nothing is kept between verbs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cli.h"
#include "common/files.h"

static void usage(FILE *to) {
    const void *builtin;
    const char *models = "Where a MODEL is left out, the built-in everyday10 is used.";
    if (!cli_builtin(&builtin)) models = "MODEL is a .kfx file that kitfox import made.";
    fprintf(to, "Usage: %s VERB [OPTIONS] ARGUMENTS\n\n", cli_program);
    for (const cli_verb *v = cli_verbs; v->name; v++) fprintf(to, "  %-10s %s\n", v->name, v->does);
    fprintf(to, "\n%s VERB --help explains each verb. %s\n", cli_program, models);
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
        printf("%s %s\n", cli_program, kf_version());
        return finish(EXIT_DONE);
    }
    argp_err_exit_status = EXIT_USAGE;
    cli_guard_json();
    cli_signals_install();
    for (const cli_verb *v = cli_verbs; v->name; v++)
        if (strcmp(argv[1], v->name) == 0) {
            static char name[64];
            snprintf(name, sizeof name, "%s %s", cli_program, v->name);
            argv[1] = name;
            errno = 0;
            int status = v->run(argc - 1, argv + 1);
            bool silent = status == EXIT_USAGE && errno == ENOMEM; /* argp gives up without a word */
            return finish(silent ? cli_say("out of memory for the options; close other programs") : status);
        }
    fprintf(stderr, "%s: %s: unknown verb; try one of", cli_program, argv[1]);
    for (const cli_verb *v = cli_verbs; v->name; v++) fprintf(stderr, "%s %s", v == cli_verbs ? "" : ",", v->name);
    fputc('\n', stderr);
    return EXIT_USAGE;
}
