/* Who may ask: the token, and names in Host and Origin. A page of another site can reach a server on loopback through
 * the browser; these headers tell it.
 * Owner rule: strings are borrowed for the life of the guard. */
#ifndef KITFOX_SERVE_GUARD_H
#define KITFOX_SERVE_GUARD_H

#include "serve/service.h"

enum { SV_MAX_TOKEN = 512, SV_MAX_HOSTS = 16 };

typedef struct sv_guard {
    char token[SV_MAX_TOKEN + 1];    /* "": none is asked for */
    const char *hosts[SV_MAX_HOSTS]; /* names that clients may use, beside addresses and localhost */
    int n_hosts;
    bool any_host; /* Host may be anything */
} sv_guard;

/** One line of a file, without the line's end; also while requests are judged. ARGUMENT: empty, too long, or not
 *  printable; IO: the token stays as it was. */
kf_status sv_guard_token(sv_guard *g, const char *path, kf_error *err);
/** False: `a` is the refusal (401, 403). The page, health and /docs need no token. */
bool sv_guard_allows(const sv_guard *g, const sv_request *r, sv_route route, sv_answer *a);

#endif
