/* Signals, and what systemd is told.
 * Owner rule: nothing is kept. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "serve/server.h"

void sv_notify(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (!path || strlen(path) >= sizeof to.sun_path || (*path != '/' && *path != '@')) return;
    memcpy(to.sun_path, path, strlen(path));
    if (*path == '@') to.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, size) < 0) errno = 0;
    close(fd);
}

static void ends(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
}

void sv_signals_block(void) {
    sigset_t set;
    ends(&set);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void tell_again(const char *what, kf_status st, const kf_error *err) {
    if (st == KF_OK) cli_say("%s loaded again", what);
    else cli_say("%s stays as it was: %s", what, err->text);
}

/* SIGHUP: certificate and token, every model again from its file, and what is new in the folder. What cannot be read
 * stays as it was, and a model that a client unloaded stays so. */
static void reload(sv_settings *o, sv_service *s) {
    sv_state state;
    kf_error wrong = {0};
    sv_notify("RELOADING=1");
    if (o->certificate) tell_again("the certificate", sv_tls_load(o->certificate, o->key, &wrong), &wrong);
    if (o->token) tell_again("the token", sv_guard_token(&o->guard, o->token, &wrong), &wrong);
    sv_models_scan(s->models);
    sv_service_count_models(s);
    for (int i = 0; sv_models_at(s->models, i, &state); i++) {
        kf_error err = {0};
        if (state.unloaded) continue;
        tell_again(state.name, sv_models_load(s->models, state.name, &err), &err);
    }
    sv_notify("READY=1");
}

void sv_signals_wait(sv_settings *o, sv_service *s) {
    sigset_t set;
    int number = 0;
    ends(&set);
    sigaddset(&set, SIGHUP);
    while (sigwait(&set, &number) == 0 && number == SIGHUP) reload(o, s);
}

bool sv_signals_end_within(int ms) {
    sigset_t set;
    const struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    ends(&set);
    return sigtimedwait(&set, NULL, &wait) > 0;
}
