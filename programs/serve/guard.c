/* Token, Host and Origin.
 * Owner rule: see guard.h. */
#include "serve/guard.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static pthread_mutex_t token_lock = PTHREAD_MUTEX_INITIALIZER; /* the token may be replaced while requests are judged */

kf_status sv_guard_token(sv_guard *g, const char *path, kf_error *err) {
    void *data;
    size_t bytes;
    KF_TRY(kf_file_read(path, 4096, &data, &bytes, err));
    const char *text = data;
    size_t n = strcspn(text, "\r\n");
    bool good = n >= 16 && n <= SV_MAX_TOKEN && n + strspn(text + n, "\r\n") == bytes;
    for (size_t i = 0; i < n && good; i++) good = text[i] > ' ' && text[i] < 127;
    if (good) {
        pthread_mutex_lock(&token_lock);
        memcpy(g->token, text, n);
        g->token[n] = 0;
        pthread_mutex_unlock(&token_lock);
    }
    free(data);
    if (!good)
        KF_FAIL(err, KF_ERR_ARGUMENT, "%.600s: a token is one line of 16 to %d printable characters without blanks",
                path, SV_MAX_TOKEN);
    return KF_OK;
}

/* Time depends on the length of what the client sent, never on where it differs. */
static bool equal(const char *token, const char *given) {
    size_t n = strlen(token), m = strlen(given);
    unsigned char different = n != m;
    for (size_t i = 0; i < m; i++) different |= (unsigned char)(given[i] ^ token[i % n]);
    return !different;
}

/* "localhost", an address, or a name that was given; with or without the port. */
static bool known_host(const sv_guard *g, const char *host, size_t n) {
    char name[256];
    if (n >= sizeof name) return false;
    memcpy(name, host, n);
    name[n] = 0;
    char *end = strrchr(name, ':');
    if (end && strspn(end + 1, "0123456789") == strlen(end + 1) && (name[0] != '[' || end[-1] == ']')) *end = 0;
    if (strcasecmp(name, "localhost") == 0) return true;
    if (name[0] == '[' || strspn(name, "0123456789.") == strlen(name)) return true; /* no name to rebind */
    for (int i = 0; i < g->n_hosts; i++)
        if (strcasecmp(name, g->hosts[i]) == 0) return true;
    return false;
}

static bool good_host(const sv_guard *g, const sv_request *r) {
    const char *host = r->header(r->user, "Host");
    return g->any_host || !host || known_host(g, host, strlen(host));
}

/* The page of this very server, or no page at all. */
static bool good_origin(const sv_request *r) {
    const char *origin = r->header(r->user, "Origin"), *host = r->header(r->user, "Host");
    const char *site = r->header(r->user, "Sec-Fetch-Site");
    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0) return false;
    if (!origin) return true;
    const char *at = strstr(origin, "://");
    return at && host && strcasecmp(at + 3, host) == 0;
}

static bool is_read(const char *method) { return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0; }

static bool open_to_all(sv_route route) {
    return route == SV_ROUTE_PAGE || route == SV_ROUTE_LIVE || route == SV_ROUTE_READY;
}

static bool good_token(const sv_guard *g, const sv_request *r) {
    char token[SV_MAX_TOKEN + 1];
    pthread_mutex_lock(&token_lock);
    memcpy(token, g->token, sizeof token);
    pthread_mutex_unlock(&token_lock);
    if (!*token) return true; /* none is asked for */
    const char *header = r->header(r->user, "Authorization");
    if (!header || strncasecmp(header, "Bearer ", 7) != 0) return false;
    header += 7 + strspn(header + 7, " ");
    return equal(token, header);
}

bool sv_guard_allows(const sv_guard *g, const sv_request *r, sv_route route, sv_answer *a) {
    if (!good_host(g, r)) {
        sv_answer_error(a, 403, SV_REFUSED, "this name of the server is not known to it; start it with --host NAME");
        return false;
    }
    /* A link from another site may open the page; it may read and send nothing else. */
    if (!good_origin(r) && !(route == SV_ROUTE_PAGE && is_read(r->method))) {
        sv_answer_error(a, 403, SV_REFUSED, "requests from pages of other sites are refused");
        return false;
    }
    if (open_to_all(route) || good_token(g, r)) return true;
    sv_answer_error(a, 401, SV_REFUSED, "the token is missing or wrong; send Authorization: Bearer TOKEN");
    return false;
}
