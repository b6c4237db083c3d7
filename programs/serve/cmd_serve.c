/* kitfox serve MODEL...: an HTTP server that speaks the Open Inference Protocol. Its command line.
 * Owner rule: strings are those of argv. */
#include <string.h>

#include "serve/server.h"

enum {
    KEY_CERT = 1000,
    KEY_KEY,
    KEY_TOKEN,
    KEY_HOST,
    KEY_REPOSITORY,
    KEY_CALLS,
    KEY_USER,
    KEY_LOG,
    KEY_QUEUE,
    KEY_BODY,
    KEY_DRAIN,
    KEY_TIMEOUT,
    KEY_CONNECTIONS,
    KEY_PER_ADDRESS,
    KEY_HEADER_S,
    KEY_BODY_S,
    KEY_IDLE_S,
    MAX_PIXELS = 50000000
};

static const struct argp_option OPTIONS[] = {
    {"port", 'P', "N", 0, "TCP port; 0: any free one (default 8000)", 0},
    {"listen", KEY_CERT - 1, "ADDRESS", 0,
     "address to listen at (default 127.0.0.1: this machine alone); 0.0.0.0 is all of IPv4, :: all of IPv6", 0},
    {"host", KEY_HOST, "NAME", 0,
     "clients may call the server by this name (repeat; * is any); addresses and localhost always may", 0},
    {"repository", KEY_REPOSITORY, "DIR", 0, "also the .kfx, .onnx and .safetensors files of DIR", 0},
    {"repository-calls", KEY_CALLS, NULL, 0, "clients may load and unload these models", 0},
    {"token-file", KEY_TOKEN, "FILE", 0,
     "requests need Authorization: Bearer and the line of this file; /, /docs and /v2/health never do", 0},
    {"tls-cert", KEY_CERT, "FILE", 0, "certificate chain in PEM; with --tls-key", 0},
    {"tls-key", KEY_KEY, "FILE", 0, "its private key in PEM", 0},
    {"user", KEY_USER, "NAME", 0, "become this user once the socket is open", 0},
    {"queue", KEY_QUEUE, "N", 0, "requests that may wait for a worker; more get 503 (default 64)", 1},
    {"timeout", KEY_TIMEOUT, "MS", 0, "a request that takes longer gets 504 (default 30000)", 1},
    {"max-body", KEY_BODY, "N", 0, "most bytes of a request (default 64M); four times that of all together", 1},
    {"max-pixels", CLI_KEY_MAX_PIXELS, "N", 0, "most pixels of a picture, width times height (default 50000000)", 1},
    {"max-connections", KEY_CONNECTIONS, "N", 0, "open connections (default 1000)", 1},
    {"max-per-address", KEY_PER_ADDRESS, "N", 0, "of them from one address (default 500)", 1},
    {"header-timeout", KEY_HEADER_S, "S", 0, "seconds until the headers are there (default 10)", 1},
    {"body-timeout", KEY_BODY_S, "S", 0, "seconds until the body is there, and until an answer is read (default 30)",
     1},
    {"idle-timeout", KEY_IDLE_S, "S", 0, "seconds that a connection waits for the next request (default 60)", 1},
    {"drain", KEY_DRAIN, "S", 0, "seconds that running requests get at the end (default 30)", 1},
    {"log", KEY_LOG, "text|json|none", 0, "a line a request on standard error (default text)", 1},
    {0},
};

static int seconds(struct argp_state *state, const char *option, const char *arg) {
    return (int)cli_number(state, option, arg, 1, 86400);
}

static error_t parse_limit(int key, char *arg, struct argp_state *state, sv_settings *o) {
    switch (key) {
    case KEY_QUEUE: o->queue = cli_number(state, "--queue", arg, 1, 100000); return 0;
    case KEY_TIMEOUT: o->timeout_ms = cli_number(state, "--timeout", arg, 1, 3600000); return 0;
    case KEY_BODY: o->http.max_body = cli_bytes(state, "--max-body", arg); return 0;
    case CLI_KEY_MAX_PIXELS: cli_max_pixels(state, arg); return 0;
    case KEY_CONNECTIONS:
        o->http.max_connections = (int)cli_number(state, "--max-connections", arg, 1, 1000000);
        return 0;
    case KEY_PER_ADDRESS:
        o->http.max_per_address = (int)cli_number(state, "--max-per-address", arg, 1, 1000000);
        return 0;
    case KEY_HEADER_S: o->http.header_s = seconds(state, "--header-timeout", arg); return 0;
    case KEY_BODY_S: o->http.body_s = seconds(state, "--body-timeout", arg); return 0;
    case KEY_IDLE_S: o->http.idle_s = seconds(state, "--idle-timeout", arg); return 0;
    case KEY_DRAIN: o->drain_s = cli_number(state, "--drain", arg, 0, 3600); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void set_log(struct argp_state *state, sv_settings *o, const char *arg) {
    if (strcmp(arg, "text") == 0) o->log.form = SV_LOG_TEXT;
    else if (strcmp(arg, "json") == 0) o->log.form = SV_LOG_JSON;
    else if (strcmp(arg, "none") == 0) o->log.form = SV_LOG_NONE;
    else argp_error(state, "--log %s: text, json or none is needed", arg);
}

static void add_host(struct argp_state *state, sv_settings *o, const char *arg) {
    if (strcmp(arg, "*") == 0) o->guard.any_host = true;
    else if (o->guard.n_hosts == SV_MAX_HOSTS) argp_error(state, "--host: at most %d names", SV_MAX_HOSTS);
    else o->guard.hosts[o->guard.n_hosts++] = arg;
}

static void check(const struct argp_state *state, sv_settings *o) {
    if (!o->certificate != !o->key) argp_error(state, "--tls-cert and --tls-key belong together");
    if (o->http.max_body > SIZE_MAX / 8) argp_error(state, "--max-body: too much");
    else o->http.max_bodies = 4 * o->http.max_body;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    sv_settings *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->common; return 0;
    case 'P': o->port = cli_number(state, "--port", arg, 0, 65535); return 0;
    case KEY_CERT - 1: o->listen = arg; return 0;
    case KEY_HOST: add_host(state, o, arg); return 0;
    case KEY_TOKEN: o->token = arg; return 0;
    case KEY_CERT: o->certificate = arg; return 0;
    case KEY_KEY: o->key = arg; return 0;
    case KEY_REPOSITORY: o->repository = arg; return 0;
    case KEY_CALLS: o->calls = true; return 0;
    case KEY_USER: o->user = arg; return 0;
    case KEY_LOG: set_log(state, o, arg); return 0;
    case ARGP_KEY_ARGS: o->models = state->argv + state->next, o->n_models = state->argc - state->next; return 0;
    case ARGP_KEY_END: check(state, o); return 0;
    default: return parse_limit(key, arg, state, o);
    }
}

int cmd_serve(int argc, char **argv) {
    static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        OPTIONS,  parse, "[MODEL]...", "An HTTP server for models: Open Inference Protocol, pictures, metrics, a page.",
        children, NULL,  NULL};
    sv_settings o = {.listen = "127.0.0.1",
                     .port = 8000,
                     .queue = 64,
                     .drain_s = 30,
                     .timeout_ms = 30000,
                     .log = {.form = SV_LOG_TEXT}};
    kf_error err = {0};
    sv_http_options_init(&o.http);
    kf_image_limit(MAX_PIXELS, NULL); /* each worker may hold one, three bytes a pixel */
    if (cli_parse(&argp, argc, argv, &o) != 0) return EXIT_USAGE;
    kf_status st = sv_serve(&o, &err);
    return st == KF_OK ? EXIT_DONE : cli_fail(&err);
}
