/* The service behind every transport: models, counters, the handlers of all paths.
 * Owner rule: sv_service_destroy releases what create made. */
#ifndef KITFOX_SERVE_SERVICE_H
#define KITFOX_SERVE_SERVICE_H

#include "serve/infer.h"
#include "serve/metrics.h"
#include "serve/queue.h"

/** What is asked for. */
typedef enum sv_route {
    SV_ROUTE_NONE = 0,
    SV_ROUTE_PAGE,    /* GET / and /docs */
    SV_ROUTE_SERVER,  /* GET /v2 */
    SV_ROUTE_LIVE,    /* GET /v2/health/live */
    SV_ROUTE_READY,   /* GET /v2/health/ready */
    SV_ROUTE_METRICS, /* GET /metrics */
    SV_ROUTE_MODEL,   /* GET /v2/models/M */
    SV_ROUTE_MODEL_READY,
    SV_ROUTE_STATS,    /* GET /v2/models/M/stats, /v2/models/stats */
    SV_ROUTE_INDEX,    /* POST /v2/repository/index */
    SV_ROUTE_INFER,    /* POST /v2/models/M/infer: for a worker */
    SV_ROUTE_CLASSIFY, /* POST /classify, /classify/M: for a worker */
    SV_ROUTE_PROFILE,  /* GET /profile/M: for a worker */
    SV_ROUTE_LOAD,     /* POST /v2/repository/models/M/load: for a worker */
    SV_ROUTE_UNLOAD
} sv_route;

typedef struct sv_service {
    sv_models *models;
    sv_metrics *metrics;
    sv_queue *queue;
    bool repository;             /* load and unload may be called */
    atomic_bool draining;        /* readiness is off */
    atomic_int connections;      /* open now; the transport writes it */
    int64_t timeout;             /* nanoseconds that a request may take at most; 0: no limit */
    char first[SV_MAX_NAME + 1]; /* the model of /classify */
} sv_service;

/** Which handler a request needs. `model` gets the name in the path, and `version` the text after "versions"; "" where
 * there are none. *allow is NULL, or the method that the path has instead (405); SV_ROUTE_NONE and NULL: 404. */
sv_route sv_route_of(const sv_request *r, char model[SV_MAX_NAME + 1], char version[16], const char **allow);
/** Is it work for a worker? The others are answered at once. */
bool sv_route_computes(sv_route route);
/** Answer. `worker` is the worker's index, whose sessions are used; -1 for routes that do not compute. Never fails: the
 * answer is an error then. */
void sv_handle(sv_service *s, const sv_request *r, int worker, int64_t queued, sv_answer *a);

/** Counters for models that came to the folder since. */
void sv_service_count_models(sv_service *s);

/** Handlers by file. */
void sv_repository(sv_service *s, sv_route route, const char *model, const sv_request *r, sv_answer *a);
/** A text that is the whole answer, with status 200; 503 where it was lost. */
void sv_answer_text(sv_answer *a, sv_text *t, const char *type);
void sv_profile(const sv_model *m, sv_answer *a);
void sv_classify(const sv_model *m, const sv_request *r, int worker, sv_answer *a);
void sv_describe_model(const sv_model *m, sv_answer *a);
/** The embedded page, /docs and what they load; false: no such path. */
bool sv_page(const char *path, sv_answer *a);

#endif
