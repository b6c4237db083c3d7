/* Requests from libmicrohttpd to the handlers and back.
 * A request's body is gathered by the one thread of libmicrohttpd; then the connection is suspended, a worker computes
 * the answer, and the connection goes on. Its state belongs to one of the two at a time.
 * Owner rule: see http.h; a request's state lives from its first callback to on_completed. */
#include "serve/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "serve/inflate.h"
#include "serve/mhd.h"
#include "serve/peers.h"
#include "serve/tls.h"

/* PATIENCE_MS: a client that is gone is looked for once its request waited so long. DROPPED: so many of the largest
 * bodies are read and dropped, so that a client that is still sending gets its refusal. */
enum { MAX_HEADER = 32 << 10, PATIENCE_MS = 100, DROPPED = 16 };

typedef struct exchange {
    sv_job job; /* first: the queue gives this back */
    sv_http *h;
    struct MHD_Connection *connection;
    sv_peer *peer;
    char *method, *path;
    uint8_t *body;
    size_t bytes, room;
    int64_t began, announced; /* announced: Content-Length, -1: unknown */
    sv_route route;
    bool refused; /* an answer is there before the body is */
    bool packed;  /* the body is compressed */
    bool computed, counted;
    sv_answer answer;
} exchange;

struct sv_http {
    sv_mhd mhd;
    sv_service *service;
    const sv_guard *guard;
    sv_log *log;
    sv_http_options o;
    struct MHD_Daemon *daemon;
    sv_peers *peers;
    int port, listener; /* listener: what a quiesced daemon left, or -1 */
    atomic_int busy;
    atomic_bool ending;
    atomic_size_t bodies; /* bytes of all of them */
};

void sv_http_options_init(sv_http_options *o) {
    *o = (sv_http_options){.max_body = (size_t)64 << 20,
                           .max_bodies = (size_t)256 << 20,
                           .max_connections = 1000,
                           .max_per_address = 500,
                           .header_s = 10,
                           .body_s = 30,
                           .idle_s = 60};
}

static void on_connection(void *user, struct MHD_Connection *c, void **context,
                          enum MHD_ConnectionNotificationCode code) {
    sv_http *h = user;
    if (code != MHD_CONNECTION_NOTIFY_STARTED) {
        sv_peers_remove(h->peers, *context);
        return;
    }
    const union MHD_ConnectionInfo *fd = h->mhd.get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *from = h->mhd.get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    int64_t due = sv_now() + (int64_t)h->o.header_s * 1000000000;
    *context = fd && from ? sv_peers_add(h->peers, fd->connect_fd, from->client_addr, due) : NULL;
    if (!*context && fd) shutdown(fd->connect_fd, SHUT_RDWR); /* nobody would watch it */
}

/* ---- a request --------------------------------------------------------------------------------------------------- */

static const char *header(void *user, const char *name) {
    const exchange *x = user;
    return x->h->mhd.lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

static const char *query(void *user, const char *name) {
    const exchange *x = user;
    return x->h->mhd.lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, name);
}

static sv_request request_of(exchange *x) {
    int64_t timeout = x->h->service->timeout;
    return (sv_request){.method = x->method,
                        .path = x->path,
                        .header = header,
                        .query = query,
                        .user = x,
                        .body = x->body,
                        .bytes = x->bytes,
                        .peer = x->peer ? x->peer->address : "?",
                        .began = x->began,
                        .deadline = timeout ? x->began + timeout : 0};
}

static void refuse(exchange *x, int status, sv_cause cause, const char *text) {
    sv_answer_error(&x->answer, status, cause, text);
    x->refused = true;
}

/* Bytes of bodies in memory: all of them together have a limit. */
static bool charge(exchange *x, size_t bytes) {
    sv_http *h = x->h;
    if (atomic_fetch_add(&h->bodies, bytes) + bytes <= h->o.max_bodies) return true;
    atomic_fetch_sub(&h->bodies, bytes);
    refuse(x, 503, SV_FULL, "the bodies of all requests together are too large now; try again");
    x->answer.retry_after = 1;
    return false;
}

static void drop_body(exchange *x) {
    atomic_fetch_sub(&x->h->bodies, x->room);
    free(x->body);
    x->body = NULL, x->room = 0;
}

/* False: the answer says why. */
static bool unpack(exchange *x) {
    uint8_t *plain;
    size_t n, most = x->h->o.max_body;
    kf_error err = {0};
    if (!x->packed) return true;
    if (!charge(x, most)) return false;
    kf_status st = sv_inflate(x->body, x->bytes, most, &plain, &n, &err);
    drop_body(x);
    atomic_fetch_sub(&x->h->bodies, most - n);
    x->body = plain, x->bytes = x->room = n;
    if (st != KF_OK) sv_answer_failed(&x->answer, st, &err);
    return st == KF_OK;
}

static bool is_gone(const exchange *x, int64_t waited) {
    if (!x->peer || waited < PATIENCE_MS * 1000000LL) return false;
    struct pollfd p = {.fd = x->peer->fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) == 1;
}

static void compute(sv_job *job, int worker) {
    exchange *x = (exchange *)job;
    int64_t now = sv_now(), waited = now - job->put, timeout = x->h->service->timeout;
    x->answer.queue = waited;
    if (atomic_load(&x->h->ending)) sv_answer_error(&x->answer, 503, SV_FULL, "the server ends");
    else if (is_gone(x, waited)) sv_answer_error(&x->answer, 499, SV_GONE, "the client did not wait");
    else if (timeout && now - x->began > timeout)
        sv_answer_error(&x->answer, 504, SV_TIMEOUT, "no worker was free before the deadline of the server");
    else if (unpack(x)) {
        sv_request r = request_of(x);
        sv_handle(x->h->service, &r, worker, waited, &x->answer);
    }
    x->computed = true;
    x->h->mhd.resume_connection(x->connection);
}

/* ---- headers ----------------------------------------------------------------------------------------------------- */

/* Those that decide something: twice would be two meanings. */
static const char *const ONCE[] = {"Host",   "Content-Length", "Transfer-Encoding", "Authorization",
                                   "Origin", "Content-Type",   "Content-Encoding",  "Inference-Header-Content-Length",
                                   "Expect", "Sec-Fetch-Site"};
enum { N_ONCE = sizeof ONCE / sizeof *ONCE };

typedef struct headers {
    int n[N_ONCE];
    bool good;
    int64_t length; /* -1: there is none */
} headers;

static enum MHD_Result on_header(void *user, enum MHD_ValueKind kind, const char *key, const char *value) {
    headers *l = user;
    (void)kind;
    for (int i = 0; i < N_ONCE; i++)
        if (strcasecmp(key, ONCE[i]) == 0) l->n[i]++;
    if (strcasecmp(key, "Content-Length") != 0) return MHD_YES;
    char *end;
    errno = 0;
    l->length = strtoll(value ? value : "", &end, 10);
    l->good = value && *value >= '0' && *value <= '9' && !*end && !errno;
    return MHD_YES;
}

/* The length of the body, and what is said twice. */
static void look_at_lengths(exchange *x) {
    headers l = {.length = -1, .good = true};
    char text[160];
    const char *chunked = header(x, "Transfer-Encoding"), *expect = header(x, "Expect");
    x->h->mhd.get_connection_values(x->connection, MHD_HEADER_KIND, on_header, &l);
    x->announced = l.length;
    for (int i = 0; i < N_ONCE && !x->refused; i++) {
        snprintf(text, sizeof text, "the header %s is given %d times", ONCE[i], l.n[i]);
        if (l.n[i] > 1) refuse(x, 400, SV_BAD_REQUEST, text);
    }
    if (x->refused) return;
    if (!l.good) refuse(x, 400, SV_BAD_REQUEST, "Content-Length is no number of bytes");
    else if (chunked && l.length >= 0)
        refuse(x, 400, SV_BAD_REQUEST, "Content-Length and Transfer-Encoding exclude each other");
    else if (chunked && strcasecmp(chunked, "chunked") != 0)
        refuse(x, 501, SV_BAD_REQUEST, "the only Transfer-Encoding that is read is chunked");
    else if (expect && strcasecmp(expect, "100-continue") != 0)
        refuse(x, 417, SV_BAD_REQUEST, "the only Expect that is met is 100-continue");
}

/* What the headers alone decide. */
static void look(exchange *x) {
    char version[16], text[160];
    const char *allow, *encoding = header(x, "Content-Encoding");
    sv_request r = request_of(x);
    x->route = sv_route_of(&r, x->answer.model, version, &allow); /* metrics pass over names that they do not know */
    if (x->route == SV_ROUTE_CLASSIFY && !*x->answer.model)
        memcpy(x->answer.model, x->h->service->first, sizeof x->h->service->first);
    look_at_lengths(x);
    if (x->refused) return;
    x->packed = encoding && sv_inflate_reads(encoding);
    if (!sv_guard_allows(x->h->guard, &r, x->route, &x->answer)) x->refused = true;
    else if (x->announced > (int64_t)x->h->o.max_body) {
        snprintf(text, sizeof text, "a body of %lld bytes; %zu are possible (--max-body)", (long long)x->announced,
                 x->h->o.max_body);
        refuse(x, 413, SV_TOO_LARGE, text);
    } else if (encoding && !x->packed && strcasecmp(encoding, "identity") != 0)
        refuse(x, 415, SV_BAD_REQUEST, "a Content-Encoding that is not read; gzip, deflate and identity are");
}

/* ---- bodies ------------------------------------------------------------------------------------------------------ */

static bool make_room(exchange *x, size_t needed) {
    size_t room = x->announced > 0 ? (size_t)x->announced : x->room * 2;
    if (room < needed) room = needed;
    if (!charge(x, room - x->room)) return false;
    uint8_t *grown = realloc(x->body, room);
    if (!grown) {
        atomic_fetch_sub(&x->h->bodies, room - x->room);
        refuse(x, 503, SV_INTERNAL, "no memory for the body");
        return false;
    }
    x->body = grown, x->room = room;
    return true;
}

/* After a refusal the rest is dropped; false: it is too much even for that. */
static bool gather(exchange *x, const char *data, size_t n) {
    size_t most = x->h->o.max_body;
    if (!x->refused && n > most - x->bytes)
        refuse(x, 413, SV_TOO_LARGE, "the body is larger than the server takes (--max-body)");
    if (!x->refused && x->bytes + n > x->room) make_room(x, x->bytes + n);
    if (!x->refused) memcpy(x->body + x->bytes, data, n);
    else if (x->room) drop_body(x);
    x->bytes += n;
    return x->bytes / DROPPED <= most;
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

static void count(exchange *x) {
    if (x->counted || !x->method || !x->path) return;
    sv_request r = request_of(x);
    int64_t total = sv_now() - x->began;
    x->counted = true;
    if (sv_route_computes(x->route) || x->answer.status >= 400)
        sv_metrics_count(x->h->service->metrics, &x->answer, total);
    sv_log_request(x->h->log, &r, &x->answer, total);
}

enum { TIMING_BYTES = 160 };

/* Server-Timing: how long the request waited for a worker, and what the worker did, in milliseconds. */
static void write_timing(char text[static TIMING_BYTES], const sv_answer *a) {
    const struct {
        const char *name;
        int64_t ns;
    } PARTS[] = {{"queue", a->queue}, {"decode", a->decode}, {"compute", a->compute}, {"encode", a->encode}};
    size_t at = 0;
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
        long long us = PARTS[i].ns / 1000;
        const char *comma = i ? ", " : "";
        int n =
            snprintf(text + at, TIMING_BYTES - at, "%s%s;dur=%lld.%03lld", comma, PARTS[i].name, us / 1000, us % 1000);
        if (n < 0 || (size_t)n >= TIMING_BYTES - at) return;
        at += (size_t)n;
    }
}

/* False: one of them has no memory, and an answer without it would mean something else. */
static bool add_headers(const exchange *x, struct MHD_Response *r) {
    const sv_mhd *m = &x->h->mhd;
    const sv_answer *a = &x->answer;
    char length[32], seconds[32], timing[TIMING_BYTES] = "";
    if (x->computed && a->compute > 0) write_timing(timing, a);
    snprintf(length, sizeof length, "%zu", a->json_bytes);
    snprintf(seconds, sizeof seconds, "%d", a->retry_after);
    const struct {
        bool wanted;
        const char *name, *value;
    } HEADERS[] = {
        {true, "Content-Type", a->type ? a->type : "application/json"},
        {true, "X-Content-Type-Options", "nosniff"},
        {true, "Cache-Control", "no-store"},
        /* The page: it loads nothing from elsewhere. */
        {a->borrowed, "Content-Security-Policy",
         "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src blob: data:; "
         "connect-src 'self'; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
        {a->borrowed, "Referrer-Policy", "no-referrer"},
        {a->json_bytes > 0, "Inference-Header-Content-Length", length},
        {a->retry_after > 0, "Retry-After", seconds},
        {*timing != 0, "Server-Timing", timing},
        {a->status == 401, "WWW-Authenticate", "Bearer"},
        {a->allow != NULL, "Allow", a->allow},
        {atomic_load(&x->h->service->draining), "Connection", "close"},
    };
    for (size_t i = 0; i < sizeof HEADERS / sizeof *HEADERS; i++)
        if (HEADERS[i].wanted && m->add_header(r, HEADERS[i].name, HEADERS[i].value) != MHD_YES) return false;
    return true;
}

static enum MHD_Result send_answer(exchange *x) {
    const sv_mhd *m = &x->h->mhd;
    sv_answer *a = &x->answer;
    drop_body(x);
    /* libmicrohttpd sends from the exchange's memory, which lives until on_completed. */
    void *body = a->body ? a->body : (void *)"";
    struct MHD_Response *r = m->create_response(a->body ? a->bytes : 0, body, MHD_RESPMEM_PERSISTENT);
    if (!r) return MHD_NO;
    enum MHD_Result done = MHD_NO;
    if (add_headers(x, r)) {
        count(x);
        /* A client that never reads is cut as one that never writes. */
        sv_peers_set_due(x->h->peers, x->peer, sv_now() + (int64_t)x->h->o.body_s * 1000000000);
        done = m->queue_response(x->connection, (unsigned)a->status, r);
    }
    m->destroy_response(r);
    return done;
}

/* A path, also where the whole URL was sent, as to a proxy. */
static const char *path_of(const char *url) {
    const char *at = strstr(url, "://");
    if (*url == '/' || !at) return url;
    at = strchr(at + 3, '/');
    return at ? at : "/";
}

/* A refusal goes out at once where nothing more comes, or waits for permission, or is too much to be dropped. */
static bool answers_now(const exchange *x) {
    bool body = x->announced > 0 || header((void *)(uintptr_t)x, "Transfer-Encoding");
    bool much = x->announced > 0 && (size_t)x->announced / DROPPED > x->h->o.max_body;
    return x->refused && (!body || much || x->answer.status == 501 || header((void *)(uintptr_t)x, "Expect"));
}

static enum MHD_Result begin(sv_http *h, struct MHD_Connection *c, const char *url, const char *method, void **state) {
    const union MHD_ConnectionInfo *context = h->mhd.get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    exchange *x = calloc(1, sizeof *x);
    if (!x) return MHD_NO;
    *state = x;
    atomic_fetch_add(&h->busy, 1);
    x->h = h, x->connection = c, x->began = sv_now(), x->job.run = compute;
    x->peer = context ? context->socket_context : NULL;
    x->method = strdup(method), x->path = strdup(path_of(url));
    if (!x->method || !x->path) return MHD_NO;
    sv_peers_set_due(h->peers, x->peer, x->began + (int64_t)h->o.body_s * 1000000000);
    look(x);
    return answers_now(x) ? send_answer(x) : MHD_YES;
}

static enum MHD_Result compute_later(exchange *x) {
    sv_peers_set_due(x->h->peers, x->peer, 0);
    x->h->mhd.suspend_connection(x->connection);
    if (sv_queue_put(x->h->service->queue, &x->job)) return MHD_YES;
    refuse(x, 503, SV_FULL, "the queue is full; try again");
    x->answer.retry_after = 1;
    x->h->mhd.resume_connection(x->connection);
    return MHD_YES;
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *data, size_t *bytes, void **state) {
    sv_http *h = user;
    exchange *x = *state;
    (void)version;
    if (!x) return begin(h, c, url, method, state);
    if (*bytes) {
        bool go_on = gather(x, data, *bytes);
        *bytes = 0;
        return go_on ? MHD_YES : MHD_NO;
    }
    if (x->computed || x->refused) return send_answer(x);
    if (sv_route_computes(x->route)) return compute_later(x);
    sv_request r = request_of(x);
    sv_handle(h->service, &r, -1, 0, &x->answer);
    return send_answer(x);
}

static void on_completed(void *user, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code) {
    sv_http *h = user;
    exchange *x = *state;
    (void)c;
    (void)code;
    if (!x) return;
    if (!x->counted) { /* it ended before its answer */
        sv_answer_error(&x->answer, 499, SV_GONE, "");
        count(x);
    }
    sv_peers_set_due(h->peers, x->peer, sv_now() + (int64_t)h->o.idle_s * 1000000000);
    atomic_fetch_sub(&h->busy, 1);
    drop_body(x);
    sv_answer_free(&x->answer);
    free(x->method);
    free(x->path);
    free(x);
    *state = NULL;
}

/* Decodes %XX in place. A zero would end the path early, so it stays as it was written. */
static size_t unescape(void *user, struct MHD_Connection *c, char *text) {
    static const char DIGITS[] = "0123456789abcdef0123456789ABCDEF";
    char *to = text;
    (void)user;
    (void)c;
    for (const char *at = text; *at;) {
        const char *high = *at == '%' && at[1] ? strchr(DIGITS, at[1]) : NULL;
        const char *low = high && at[2] ? strchr(DIGITS, at[2]) : NULL;
        int value = low ? (int)((high - DIGITS) % 16 * 16 + (low - DIGITS) % 16) : 0;
        *to++ = value ? (char)value : *at;
        at += value ? 3 : 1;
    }
    *to = 0;
    return (size_t)(to - text);
}

/* ---- start and end ----------------------------------------------------------------------------------------------- */

/* A socket of our own: libmicrohttpd tells no reason where it cannot make one. */
static kf_status listen_at(const sv_http_options *o, int *out, kf_error *err) {
    int yes = 1, family = o->address.ss_family;
    socklen_t size = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int fd = *out = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool good = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0;
    if (good && family == AF_INET6) good = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes) == 0;
    good = good && bind(fd, (const struct sockaddr *)&o->address, size) == 0 && listen(fd, SOMAXCONN) == 0;
    if (good) return KF_OK;
    const char *why = strerror(errno), *what = "choose another --port or --listen";
    if (errno == EADDRINUSE) why = "another program listens there";
    if (errno == EADDRNOTAVAIL) why = "this machine has no such address";
    if (errno == EACCES) why = "this port needs the rights of root";
    if (fd >= 0) close(fd);
    KF_FAIL(err, KF_ERR_IO, "serve: cannot listen at %s port %d: %s; %s", o->where, o->port, why, what);
}

static int port_of(int fd) {
    struct sockaddr_storage a = {0};
    socklen_t size = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &size) != 0) return 0;
    if (a.ss_family == AF_INET6) return ntohs(((const struct sockaddr_in6 *)&a)->sin6_port);
    return ntohs(((const struct sockaddr_in *)&a)->sin_port);
}

static kf_status start_daemon(sv_http *h, kf_error *err) {
    const sv_http_options *o = &h->o;
    struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)o->key},
                                   {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)o->certificate},
                                   {MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, sv_tls_callback()},
                                   {MHD_OPTION_END, 0, NULL}};
    /* poll: with epoll, libmicrohttpd 0.9.75 misses an end that arrives together with the last bytes before it. */
    unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;
    int fd;
    if (o->address.ss_family == AF_INET6) flags |= MHD_USE_IPv6;
    if (o->certificate) flags |= MHD_USE_TLS;
    else tls[0].option = MHD_OPTION_END;
    KF_TRY(listen_at(o, &fd, err));
    h->port = port_of(fd);
    h->daemon = h->mhd.start_daemon(
        flags, 0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_CONNECTION_LIMIT, (unsigned)o->max_connections,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)o->max_per_address, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)MAX_HEADER, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, unescape, h,
        MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    if (h->daemon) return KF_OK;
    close(fd);
    if (!o->certificate) KF_FAIL(err, KF_ERR_INTERNAL, "serve: libmicrohttpd does not start");
    KF_FAIL(err, KF_ERR_ARGUMENT, "--tls-cert and --tls-key cannot be used by libmicrohttpd");
}

kf_status sv_http_start(sv_service *service, const sv_guard *guard, sv_log *log, const sv_http_options *o,
                        sv_http **out, kf_error *err) {
    sv_http *h = *out = calloc(1, sizeof *h);
    if (!h) KF_FAIL(err, KF_ERR_MEMORY, "serve: no memory");
    h->service = service, h->guard = guard, h->log = log, h->o = *o, h->listener = -1;
    kf_status st = sv_mhd_load(&h->mhd, err);
    if (st == KF_OK && o->certificate && h->mhd.is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        st = kf_error_set(err, KF_ERR_UNSUPPORTED,
                          "serve: --tls-cert: this libmicrohttpd was built without TLS; "
                          "let a proxy in front of it speak TLS");
    if (st == KF_OK) st = sv_peers_create(&service->connections, &h->peers, err);
    if (st == KF_OK) st = start_daemon(h, err);
    if (st != KF_OK) sv_http_stop(out);
    return st;
}

int sv_http_port(const sv_http *h) { return h->port; }

int sv_http_busy(sv_http *h) { return atomic_load(&h->busy); }

/* The daemon may still look at the socket: it is closed after the daemon's end. */
void sv_http_quiesce(sv_http *h) {
    h->listener = h->mhd.quiesce_daemon(h->daemon);
    if (h->listener >= 0) shutdown(h->listener, SHUT_RD);
}

void sv_http_cut(sv_http *h) { atomic_store(&h->ending, true); }

void sv_http_stop(sv_http **http) {
    sv_http *h = *http;
    if (!h) return;
    if (h->daemon) h->mhd.stop_daemon(h->daemon);
    if (h->listener >= 0) close(h->listener);
    sv_peers_destroy(&h->peers);
    free(h);
    *http = NULL;
}
