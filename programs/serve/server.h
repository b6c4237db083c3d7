/* The whole server: what it is asked for, from its start to its end.
 * Owner rule: strings are borrowed from the command line. */
#ifndef KITFOX_SERVE_SERVER_H
#define KITFOX_SERVE_SERVER_H

#include "common/cli.h"
#include "serve/http.h"
#include "serve/tls.h"

typedef struct sv_settings {
    cli_common common;
    const char *listen, *certificate, *key, *token, *repository, *user;
    long port, queue, drain_s, timeout_ms;
    bool calls;
    sv_log log;
    sv_guard guard;
    sv_http_options http;
    char **models;
    int n_models;
} sv_settings;

/** Serve until a signal ends it. Errors are those of the start. */
kf_status sv_serve(sv_settings *o, kf_error *err);

/** Signals that the server waits for; blocked in all threads that start later. */
void sv_signals_block(void);
/** Wait for SIGTERM or SIGINT; SIGHUP loads certificate, token and models again. */
void sv_signals_wait(sv_settings *o, sv_service *s);
/** Did SIGTERM or SIGINT come within so many milliseconds? */
bool sv_signals_end_within(int ms);
/** Tell systemd (sd_notify's protocol), where it listens. */
void sv_notify(const char *state);

/** Before any thread starts: nothing that this process runs gains rights, and it starts no programs. Where the kernel
 * does not know such filters it goes on without. */
void sv_sandbox(void);
/** Become user `name` for good. ARGUMENT: no such user, or this process may not. */
kf_status sv_become(const char *name, kf_error *err);
/** Room for so many open files; *most is lowered to what the limits of the system leave. */
void sv_room_for_files(int *most);

#endif
