/* The programs kitfox and kitfox-run: picks the verb.
 * Owner rule: nothing is kept between verbs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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
    fprintf(to, "%s --version --verbose says how it was built, and with which libraries.\n", cli_program);
    fprintf(to, "KITFOX_CPU=NAME limits the instruction set (%s info --cpus lists the names),\n", cli_program);
    fprintf(to, "KITFOX_THREADS=N sets the number of threads where no option does.\n");
}

/* Before a verb reads its options: errors as JSON if they are to be. */
static void find_json(int argc, char **argv) {
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], "--json") == 0 || strcmp(argv[i], "-j") == 0) cli_json_on();
}

/* The libraries read these variables and pass over what they cannot use. Say so: they limit speed in silence. Not 0 for
 * an instruction set of another architecture, which is a mistake. */
static int note_environment(int argc, char **argv) {
    const char *cpu = getenv("KITFOX_CPU"), *threads = getenv("KITFOX_THREADS");
    kf_error err = {0};
    bool known = !cpu || !*cpu;
    for (int i = 0; !known && kf_cpu_level_name(i); i++) known = strcmp(kf_cpu_level_name(i), cpu) == 0;
    if (!known && kf_cpu_limit(cpu, &err) == KF_ERR_UNSUPPORTED) {
        find_json(argc, argv);
        kf_error_prefix(&err, KF_ERR_UNSUPPORTED, "KITFOX_CPU");
        cli_fail(&err);
        return EXIT_USAGE;
    }
    if (!known) {
        char names[256] = "";
        for (int i = 0; kf_cpu_level_name(i); i++)
            snprintf(names + strlen(names), sizeof names - strlen(names), " %s", kf_cpu_level_name(i));
        fprintf(stderr, "%s: note: KITFOX_CPU=%.40s is no instruction set for this machine; known are%s\n", cli_program,
                cpu, names);
    }
    if (!threads || !*threads) return EXIT_DONE;
    char *end;
    long n = strtol(threads, &end, 10);
    if (*end || n < 1 || n > KF_MAX_THREADS)
        fprintf(stderr, "%s: note: KITFOX_THREADS=%.40s is no number of threads; 1 to %d are possible\n", cli_program,
                threads, KF_MAX_THREADS);
    return EXIT_DONE;
}

/* Results that did not arrive are a failure: a full disk must not look like success. */
static int finish(int status) {
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return status;
    int failed = cli_say("standard output: cannot write; %s; check the space where it goes",
                         errno ? strerror(errno) : "an earlier write failed");
    return status ? status : failed;
}

static int unknown_verb(const char *word) {
    const cli_verb *near = NULL;
    size_t best = SIZE_MAX, d;
    for (const cli_verb *v = cli_verbs; v->name; v++)
        if (cli_resembles(word, v->name, &d) && d < best) best = d, near = v;
    fprintf(stderr, "%s: %s: unknown verb; ", cli_program, cli_shown(word));
    if (near) fprintf(stderr, "did you mean %s? There are", near->name);
    else fputs("try one of", stderr);
    for (const cli_verb *v = cli_verbs; v->name; v++) fprintf(stderr, "%s %s", v == cli_verbs ? "" : ",", v->name);
    fputc('\n', stderr);
    cli_print_error(KF_ERR_ARGUMENT, "there is no such verb");
    return EXIT_USAGE;
}

/* A link with the name of a tool of the board: `hb_mapper ...` is `kitfox rdk hb_mapper ...`. */
static char **as_tool(int *argc, char **argv) {
    static char **grown; /* as long as the program runs */
    for (const char *const *tool = cli_tools; *argc > 0 && *tool; tool++) {
        if (strcmp(cli_base_name(argv[0]), *tool) != 0) continue;
        grown = calloc((size_t)*argc + 3, sizeof *grown);
        if (!grown) return argv;
        grown[0] = argv[0], grown[1] = "rdk", grown[2] = (char *)*tool;
        memcpy(grown + 3, argv + 1, (size_t)(*argc - 1) * sizeof *grown);
        *argc += 2;
        return grown;
    }
    return argv;
}

int main(int argc, char **argv) {
    argv = as_tool(&argc, argv);
    cli_terminal_install();
    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        usage(stdout);
        return finish(EXIT_DONE);
    }
    if (strcmp(argv[1], "--version") == 0) return finish(cli_version(argc - 2, argv + 2));
    argp_err_exit_status = EXIT_USAGE;
    cli_guard_json();
    cli_picture_begin();
    cli_signals_install();
    int wrong = note_environment(argc, argv);
    if (wrong) return finish(wrong);
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
    find_json(argc, argv);
    return unknown_verb(argv[1]);
}
