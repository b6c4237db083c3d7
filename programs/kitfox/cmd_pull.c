/* kitfox pull NAME: published weights by name, with the config.json that import reads beside them.
 * Owner rule: the library leaves nothing half-written behind; here are options, the bar and the answer. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/bar.h"
#include "common/cli.h"
#include "common/files.h"
#include "kitfox/pull.h"

enum {
    KEY_MIRROR = 1000,
    KEY_LIST,
    KEY_RETRIES,
    KEY_WAIT,
    KEY_TIMEOUT,
    KEY_SLOWEST,
    KEY_SHA256,
    KEY_FORCE,
    MAX_NAMES = 32
};

typedef struct options {
    kf_pull_options pull;
    const char *names[MAX_NAMES];
    int n_names;
    bool list, json;
    cli_bar bar;
} options;

static const struct argp_option OPTIONS[] = {
    {"mirror", KEY_MIRROR, "URL", 0,
     "http, https or file URL that holds REPOSITORY/FILE or REPOSITORY/resolve/main/FILE", 0},
    {"output", 'o', "DIR|FILE", 0, "a folder, or the weights' name (default: the cache folder)", 0},
    {"list", KEY_LIST, NULL, 0, "the names and where they come from", 0},
    {"force", KEY_FORCE, NULL, 0, "replace what is there", 0},
    {"retries", KEY_RETRIES, "N", 0, "attempts for one file (default 5)", 0},
    {"wait", KEY_WAIT, "MS", 0, "first pause between attempts, doubled each time (default 1000)", 0},
    {"timeout", KEY_TIMEOUT, "S", 0,
     "seconds without a connection or below --slowest before a new attempt (default 30)", 0},
    {"slowest", KEY_SLOWEST, "BYTES", 0, "bytes per second that a server has to send (default 1024)", 0},
    {"sha256", KEY_SHA256, "HEX", 0,
     "hash that the weights must have (default: the one that the server publishes, if any); one NAME", 0},
    {"json", 'j', NULL, 0, "one JSON object per line", 0},
    {0},
};

static error_t parse_end(const options *o, struct argp_state *state) {
    kf_error err;
    if (!o->list && o->n_names == 0) argp_error(state, "a NAME is needed; --list prints them");
    if (o->pull.sha256 && o->n_names > 1) argp_error(state, "--sha256 is of one file; pull one NAME at a time");
    if (kf_pull_options_check(&o->pull, &err) != KF_OK) argp_error(state, "%s", err.text);
    return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case KEY_MIRROR: o->pull.mirror = arg; return 0;
    case 'o': o->pull.output = arg; return 0;
    case KEY_LIST: o->list = true; return 0;
    case KEY_FORCE: o->pull.force = 1; return 0;
    case 'j': o->json = true; return 0;
    case KEY_RETRIES: o->pull.tries = (int32_t)cli_number(state, "--retries", arg, 1, 100); return 0;
    case KEY_WAIT: o->pull.wait_ms = (int32_t)cli_number(state, "--wait", arg, 1, 60000); return 0;
    case KEY_TIMEOUT: o->pull.timeout_s = (int32_t)cli_number(state, "--timeout", arg, 1, 3600); return 0;
    case KEY_SLOWEST: o->pull.slowest = cli_number(state, "--slowest", arg, 1, 1 << 30); return 0;
    case KEY_SHA256: o->pull.sha256 = arg; return 0;
    case ARGP_KEY_ARG:
        if (o->n_names == MAX_NAMES) argp_error(state, "at most %d names", MAX_NAMES);
        o->names[o->n_names++] = arg;
        return 0;
    case ARGP_KEY_END: return parse_end(o, state);
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int list(bool json) {
    kf_weights w = {.size = sizeof w};
    for (int32_t i = 0; kf_weights_get(i, &w, NULL) == KF_OK; i++) {
        if (json)
            cli_print_json(cli_pack("{s:s,s:s,s:s,s:s,s:s,s:b}", "kind", "weights", "name", w.name, "repository",
                                    w.repository, "file", w.file, "licence", w.licence, "cached", w.cached));
        else printf("%-42s %-48s %-13s%s\n", w.name, w.repository, w.licence, w.cached ? "here" : "");
    }
    return EXIT_DONE;
}

static void report(const char *name, const kf_pull_result *r, bool json) {
    bool cached = !r->source;
    if (json)
        cli_print_json(cli_pack("{s:s,s:s,s:s,s:s,s:I,s:s,s:s?,s:b,s:b}", "kind", "pulled", "name", name, "file",
                                r->file, "config", r->config, "bytes", (json_int_t)r->bytes, "sha256", r->sha256,
                                "source", r->source, "cached", cached, "resumed", r->resumed));
    else printf("%s  %s  sha256 %s%s\n", name, r->file, r->sha256, cached ? "  already there" : "");
}

static int progress(void *user, uint64_t done, uint64_t total) {
    options *o = user;
    cli_bar_bytes(&o->bar, done, total);
    return cli_cancelled();
}

static void notice(void *user, const char *text) {
    options *o = user;
    cli_bar_end(&o->bar);
    cli_note(NULL, text);
}

static int pull(const char *name, options *o) {
    kf_weights w = {.size = sizeof w};
    kf_pull_result done = {.size = sizeof done};
    kf_error err;
    if (kf_weights_find(name, &w, &err) != KF_OK) return cli_fail(&err);
    cli_signals_wait(); /* the first one gives the transfer up and removes what came, a second one ends at once */
    kf_status st = kf_pull(name, &o->pull, &done, &err);
    cli_bar_end(&o->bar);
    cli_signals_go();
    if (st != KF_OK) return cli_fail(&err);
    report(w.name, &done, o->json);
    kf_pull_result_free(&done);
    return EXIT_DONE;
}

int cmd_pull(int argc, char **argv) {
    const struct argp argp = {OPTIONS, parse, "NAME...", "Fetch published weights and their config.json.",
                              NULL,    NULL,  NULL};
    options o = {.bar.shown = isatty(2)};
    int status = EXIT_DONE;
    kf_pull_options_init(&o.pull);
    o.pull.progress = progress, o.pull.notice = notice, o.pull.user = &o;
    if (cli_parse(&argp, argc, argv, &o) != 0) return EXIT_USAGE;
    if (o.list) return list(o.json);
    for (int i = 0; i < o.n_names; i++) {
        int bad = pull(o.names[i], &o);
        if (bad) status = bad;
    }
    return status;
}
