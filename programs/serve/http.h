/* HTTP/1.1 by libmicrohttpd: one thread moves bytes, the workers compute, one watches deadlines.
 * Owner rule: sv_http_stop ends what sv_http_start began; the service and the guard have to outlive it. */
#ifndef KITFOX_SERVE_HTTP_H
#define KITFOX_SERVE_HTTP_H

#include <sys/socket.h>

#include "serve/guard.h"
#include "serve/log.h"

typedef struct sv_http_options {
    struct sockaddr_storage address; /* to listen at, with the port; 0: any free one */
    const char *where;               /* the same as text, and below the port, for messages */
    int port;
    const char *certificate, *key; /* PEM text; NULL: no TLS */
    size_t max_body;               /* bytes of one request's body */
    size_t max_bodies;             /* bytes of all bodies together */
    int max_connections, max_per_address;
    int header_s, body_s, idle_s; /* seconds until the headers, the body, and the next request have to be there */
} sv_http_options;
void sv_http_options_init(sv_http_options *o);

typedef struct sv_http sv_http;
kf_status sv_http_start(sv_service *service, const sv_guard *guard, sv_log *log, const sv_http_options *o,
                        sv_http **out, kf_error *err);
/** The port that is listened at. */
int sv_http_port(const sv_http *http);
/** Requests that are being read or computed. */
int sv_http_busy(sv_http *http);
/** Take no new connections. */
void sv_http_quiesce(sv_http *http);
/** From now on requests that wait for a worker are answered 503. */
void sv_http_cut(sv_http *http);
/** Cut what is left, and end the threads. The queue has to have ended: no request may be with a worker. */
void sv_http_stop(sv_http **http);

#endif
