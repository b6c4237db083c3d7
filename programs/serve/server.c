/* A server's life: models, workers, socket; then a signal, and everything back in an order in which no thread meets
 * what is gone.
 * Owner rule: everything that is made here is released here. */
#include "serve/server.h"

#include <malloc.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { TICK_MS = 20, LAST_WORDS_MS = 200 };

static kf_status load(void *user, const char *path, kf_model **out, kf_error *err) {
    return cli_load_model(path, user, out, err);
}

static kf_status resolve(const sv_settings *o, struct sockaddr_storage *out, kf_error *err) {
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char port[16];
    snprintf(port, sizeof port, "%ld", o->port);
    if (getaddrinfo(o->listen, port, &hints, &found) != 0)
        return cli_error(err, KF_ERR_ARGUMENT, "--listen %.200s: an IPv4 or IPv6 address is needed", o->listen);
    memcpy(out, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return KF_OK;
}

/* A file that was named has to be there; of a folder the others go on. */
static kf_status open_models(sv_settings *o, sv_service *s, int workers, kf_error *err) {
    sv_state state;
    int i, loaded = 0;
    KF_TRY(sv_models_create(workers, load, &o->common, &s->models, err));
    for (i = 0; i < o->n_models; i++) KF_TRY(sv_models_add(s->models, o->models[i], err));
    int named = o->n_models || o->repository ? o->n_models : 1;
    if (named > o->n_models) KF_TRY(sv_models_add(s->models, "everyday10", err));
    if (o->repository) KF_TRY(sv_models_folder(s->models, o->repository, err));
    sv_service_count_models(s);
    for (i = 0; sv_models_at(s->models, i, &state); i++) {
        kf_status st = sv_models_load(s->models, state.name, err);
        if (st != KF_OK && i < named) return st;
        if (st != KF_OK) cli_say("%s is not loaded: %s", state.name, err->text);
        else if (!loaded++) memcpy(s->first, state.name, sizeof state.name);
    }
    if (o->repository && !i) cli_say("note: --repository %s holds no model yet", o->repository);
    *err = (kf_error){0};
    return KF_OK;
}

/* Readiness goes off first; what runs may end within the deadline, or until a second signal. */
static void drain(const sv_settings *o, sv_service *s, sv_http *http) {
    int64_t until = sv_now() + (int64_t)o->drain_s * 1000000000;
    atomic_store(&s->draining, true);
    sv_notify("STOPPING=1");
    sv_http_quiesce(http);
    while (sv_http_busy(http) && sv_now() < until)
        if (sv_signals_end_within(TICK_MS)) break;
}

/* The workers end while libmicrohttpd still runs, so that each request gets its answer back; then it ends. */
static void end(sv_service *s, sv_http **http) {
    int cut = *http ? sv_http_busy(*http) : 0;
    if (*http) sv_http_cut(*http);
    if (s->queue) sv_queue_end(s->queue);
    int64_t until = sv_now() + LAST_WORDS_MS * 1000000LL;
    while (*http && sv_http_busy(*http) && sv_now() < until) sv_signals_end_within(TICK_MS);
    sv_http_stop(http);
    sv_queue_destroy(&s->queue);
    if (cut) cli_say("note: %d requests had not ended", cut);
}

static void tell_where(const sv_settings *o, const sv_service *s, const sv_http *http, double ms) {
    const char *scheme = o->certificate ? "https" : "http";
    const char *open = strchr(o->listen, ':') ? "[" : "";
    const char *close = *open ? "]" : "";
    char url[200];
    sv_state state;
    snprintf(url, sizeof url, "%s://%s%s%s:%d/", scheme, open, o->listen, close, sv_http_port(http));
    if (!cli_json_wanted()) {
        cli_say("%s at %s (%.0f ms)", *s->first ? s->first : "no model", url, ms);
        return;
    }
    json_t *names = json_array();
    for (int i = 0; sv_models_at(s->models, i, &state); i++)
        if (state.loads) json_array_append_new(names, cli_text(state.name));
    cli_print_json(cli_pack("{s:s,s:s,s:i,s:o,s:f}", "kind", "serve", "url", url, "port", sv_http_port(http), "models",
                            names, "ms", ms));
    fflush(stdout);
}

/* As many as a pool of sessions would have. */
static int cores(void) {
    kf_pool *pool = NULL;
    int32_t wanted = 1;
    if (kf_pool_create(0, NULL, &pool, NULL) == KF_OK) kf_pool_threads(pool, &wanted);
    kf_pool_destroy(&pool);
    return wanted;
}

static kf_status start(sv_settings *o, sv_service *s, sv_http **http, kf_error *err) {
    int workers = o->common.threads ? o->common.threads : cores();
    KF_TRY(resolve(o, &o->http.address, err));
    o->http.where = o->listen, o->http.port = (int)o->port;
    sv_room_for_files(&o->http.max_connections);
    if (o->token) KF_TRY(sv_guard_token(&o->guard, o->token, err));
    KF_TRY(sv_metrics_create(&s->metrics, err));
    KF_TRY(open_models(o, s, workers, err));
    KF_TRY(sv_queue_create(workers, (int)o->queue, &s->queue, err));
    if (o->certificate) KF_TRY(sv_tls_load(o->certificate, o->key, err));
    o->http.certificate = sv_tls_certificate(), o->http.key = sv_tls_key();
    KF_TRY(sv_http_start(s, &o->guard, &o->log, &o->http, http, err));
    o->http.certificate = o->http.key = NULL; /* libmicrohttpd has parsed them */
    return o->user ? sv_become(o->user, err) : KF_OK;
}

/* By itself glibc keeps, for each thread, what models and pictures once took: three times as much after some swaps. */
static void keep_little_memory(void) {
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 256 << 10);
    mallopt(M_TRIM_THRESHOLD, 256 << 10);
}

kf_status sv_serve(sv_settings *o, kf_error *err) {
    sv_service s = {.repository = o->calls, .timeout = o->timeout_ms * 1000000};
    sv_http *http = NULL;
    double began = cli_now_ms();
    keep_little_memory();
    sv_signals_block(); /* before any thread starts: all inherit it */
    sv_sandbox();
    kf_status st = start(o, &s, &http, err);
    if (st == KF_OK) {
        tell_where(o, &s, http, cli_now_ms() - began);
        sv_notify("READY=1");
        sv_signals_wait(o, &s);
        drain(o, &s, http);
    }
    end(&s, &http);
    sv_models_destroy(&s.models);
    sv_metrics_destroy(&s.metrics);
    sv_tls_end();
    return st;
}
