/* kitfox rdk TOOL ARGUMENTS: hb_mapper, hrt_model_exec and hb_perf by their names and flags, and links with these
 * names. Owner rule: nothing is kept. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kitfox/rdk.h"

static const struct rdk_verb {
    const char *name;
    int (*run)(int argc, char **argv);
} TOOLS[] = {{"hb_mapper", rdk_mapper}, {"hrt_model_exec", rdk_exec}, {"hb_perf", rdk_page}};
enum { N_TOOLS = sizeof TOOLS / sizeof *TOOLS };

typedef struct options {
    const char *folder;
} options;

static const struct argp_option OPTIONS[] = {
    {"install", 'i', "DIR", 0, "make links with the tools' names in this folder; put it first in PATH", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case 'i': o->folder = arg; return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "%s: no tool of the board; there are hb_mapper, hrt_model_exec, hb_perf", arg);
        return 0;
    case ARGP_KEY_END:
        if (!o->folder) argp_error(state, "a tool is needed: hb_mapper, hrt_model_exec, hb_perf; or --install DIR");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* May `path` become a link to `program`? Not where something else is that is not such a link. */
static kf_status check_place(const char *path, const char *program, bool *there, kf_error *err) {
    char to[RDK_PATH];
    struct stat st;
    *there = lstat(path, &st) == 0;
    if (!*there && errno != ENOENT) return cli_error_at(err, KF_ERR_IO, path, strerror(errno));
    if (!*there) return KF_OK;
    ssize_t n = readlink(path, to, sizeof to - 1);
    if (n >= 0) to[n] = '\0';
    if (n < 0 || strcmp(to, program) != 0)
        return cli_error_at(err, KF_ERR_IO, path, "there is such a file already; remove it, or choose another folder");
    return KF_OK;
}

/* All places are looked at before the first link is made. */
static kf_status install(const char *folder, kf_error *err) {
    char program[RDK_PATH], path[N_TOOLS][RDK_PATH];
    bool there[N_TOOLS];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0) return cli_error_at(err, KF_ERR_IO, "/proc/self/exe", strerror(errno));
    program[n] = '\0';
    for (int i = 0; i < N_TOOLS; i++) {
        if (snprintf(path[i], RDK_PATH, "%s/%s", folder, TOOLS[i].name) >= RDK_PATH)
            return cli_error_at(err, KF_ERR_IO, folder, "the name is too long");
        KF_TRY(check_place(path[i], program, &there[i], err));
    }
    for (int i = 0; i < N_TOOLS; i++) {
        if (!there[i] && symlink(program, path[i]) != 0) return cli_error_at(err, KF_ERR_IO, path[i], strerror(errno));
        printf("%s -> %s\n", path[i], program);
    }
    return KF_OK;
}

int cmd_rdk(int argc, char **argv) {
    static const char doc[] =
        "The tools of the RDK boards by their names and flags, on this CPU: hb_mapper checker|makertbin, "
        "hrt_model_exec "
        "model_info|infer|perf, hb_perf. `kitfox rdk TOOL --help' lists the flags of each. A program or link with the "
        "name of a tool is that tool.";
    const struct argp argp = {OPTIONS, parse, "TOOL ARGUMENTS...\n--install DIR", doc, NULL, NULL, NULL};
    options o = {0};
    kf_error err = {0};
    for (int i = 0; argc > 1 && i < N_TOOLS; i++)
        if (strcmp(argv[1], TOOLS[i].name) == 0) return TOOLS[i].run(argc - 1, argv + 1);
    if (cli_parse(&argp, argc, argv, &o) != 0) return EXIT_USAGE;
    return install(o.folder, &err) == KF_OK ? EXIT_DONE : cli_fail(&err);
}
