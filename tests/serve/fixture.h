/* A service with two small models, and requests from text, for C tests of the handlers:
 *     POST /v2/models/small/infer?k=5
 *     Header: value
 *     (an empty line, then the body)
 * Owner rule: a parsed request borrows its text, which is changed; fixture_end releases the service. */
#ifndef SERVE_FIXTURE_H
#define SERVE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "serve/guard.h"
#include "serve/service.h"

enum { FIXTURE_HEADERS = 16 };

typedef struct fixture_request {
    sv_request r;
    char *names[FIXTURE_HEADERS], *values[FIXTURE_HEADERS], *query;
    int n;
} fixture_request;

static inline kf_status fixture_load(void *user, const char *path, kf_model **out, kf_error *err) {
    (void)user;
    return kf_model_load(path, NULL, out, err);
}

/* Models "verified_small_v1" (pictures of 8 x 8, 5 labels) and "verified_int8_v1" (a tensor of two images, two
 * outputs).
 */
static inline kf_status fixture_begin(sv_service *s, kf_error *err) {
    static const char *const NAMES[] = {"verified_small_v1", "verified_int8_v1"};
    const char *root = getenv("KITFOX_SOURCE");
    *s = (sv_service){.repository = true};
    KF_TRY(sv_metrics_create(&s->metrics, err));
    KF_TRY(sv_queue_create(1, 4, &s->queue, err));
    KF_TRY(sv_models_create(1, fixture_load, NULL, &s->models, err));
    for (int i = 0; i < 2; i++) {
        char path[1000];
        snprintf(path, sizeof path, "%s/tests/golden/%s.kfx", root ? root : ".", NAMES[i]);
        KF_TRY(sv_models_add(s->models, path, err));
        KF_TRY(sv_models_load(s->models, NAMES[i], err));
    }
    sv_service_count_models(s);
    strcpy(s->first, NAMES[0]);
    return KF_OK;
}

static inline void fixture_end(sv_service *s) {
    sv_queue_destroy(&s->queue);
    sv_models_destroy(&s->models);
    sv_metrics_destroy(&s->metrics);
}

static inline const char *fixture_header(void *user, const char *name) {
    const fixture_request *f = user;
    for (int i = 0; i < f->n; i++)
        if (strcasecmp(f->names[i], name) == 0) return f->values[i];
    return NULL;
}

/* Of k and view alone, which is all that is asked for. */
static inline const char *fixture_query(void *user, const char *name) {
    static char value[64];
    const fixture_request *f = user;
    size_t n = strlen(name);
    for (const char *at = f->query; at && *at; at += strcspn(at, "&"), at += *at == '&') {
        if (strncmp(at, name, n) != 0 || at[n] != '=') continue;
        size_t length = strcspn(at + n + 1, "&");
        if (length >= sizeof value) length = sizeof value - 1;
        memcpy(value, at + n + 1, length);
        value[length] = 0;
        return value;
    }
    return NULL;
}

static inline char *fixture_line(char **at, char *end) {
    char *line = *at, *stop = memchr(line, '\n', (size_t)(end - line));
    if (!stop) return NULL;
    *stop = 0;
    *at = stop + 1;
    return line;
}

/* False: there is no first line, or no empty one. */
static inline bool fixture_parse(char *text, size_t bytes, fixture_request *f) {
    char *at = text, *end = text + bytes, *line = fixture_line(&at, end);
    char *path = line ? strchr(line, ' ') : NULL;
    *f = (fixture_request){.r = {.header = fixture_header, .query = fixture_query, .user = f, .peer = "test"}};
    if (!path) return false;
    *path++ = 0;
    f->query = strchr(path, '?');
    if (f->query) *f->query++ = 0;
    f->r.method = line, f->r.path = path;
    while ((line = fixture_line(&at, end)) != NULL && *line) {
        char *value = strchr(line, ':');
        if (!value || f->n == FIXTURE_HEADERS) continue;
        *value++ = 0;
        f->names[f->n] = line, f->values[f->n++] = value + strspn(value, " ");
    }
    if (!line) return false;
    f->r.body = (const uint8_t *)at, f->r.bytes = (size_t)(end - at);
    f->r.began = sv_now();
    return true;
}

#endif
