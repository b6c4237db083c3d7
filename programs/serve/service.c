/* Paths to handlers, and the handlers that compute nothing.
 * Owner rule: see service.h. */
#include "serve/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kitfox/preprocess.h"
#include "serve/text.h"

/* ---- paths ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *method, *path; /* "*" stands for a model, and "+" for a version that may be left out */
    sv_route route;
} ROUTES[] = {
    {"GET", "/", SV_ROUTE_PAGE},
    {"GET", "/docs", SV_ROUTE_PAGE},
    {"GET", "/v2", SV_ROUTE_SERVER},
    {"GET", "/v2/health/live", SV_ROUTE_LIVE},
    {"GET", "/v2/health/ready", SV_ROUTE_READY},
    {"GET", "/metrics", SV_ROUTE_METRICS},
    {"GET", "/v2/models/stats", SV_ROUTE_STATS},
    {"GET", "/v2/models/*", SV_ROUTE_MODEL},
    {"GET", "/v2/models/*/ready", SV_ROUTE_MODEL_READY},
    {"GET", "/v2/models/*/stats", SV_ROUTE_STATS},
    {"POST", "/v2/models/*/infer", SV_ROUTE_INFER},
    {"POST", "/v2/repository/index", SV_ROUTE_INDEX},
    {"POST", "/v2/repository/models/*/load", SV_ROUTE_LOAD},
    {"POST", "/v2/repository/models/*/unload", SV_ROUTE_UNLOAD},
    {"GET", "/profile/*", SV_ROUTE_PROFILE},
    {"POST", "/classify", SV_ROUTE_CLASSIFY},
    {"POST", "/classify/*", SV_ROUTE_CLASSIFY},
};

/* One segment up to the next slash into `to`; false where it does not fit. */
static bool segment(const char **at, char *to, size_t room) {
    size_t n = strcspn(*at, "/");
    if (!n || n >= room) return false;
    memcpy(to, *at, n);
    to[n] = 0;
    *at += n;
    return true;
}

static bool matches(const char *pattern, const char *path, char *model, char version[16]) {
    model[0] = version[0] = 0;
    for (; *pattern; pattern++) {
        if (*pattern != '*') {
            if (*path++ != *pattern) return false;
            continue;
        }
        if (!segment(&path, model, SV_MAX_NAME + 1)) return false;
        if (strncmp(path, "/versions/", 10) != 0) continue;
        path += 10;
        if (!segment(&path, version, 16)) return false;
    }
    return *path == 0;
}

sv_route sv_route_of(const sv_request *r, char model[SV_MAX_NAME + 1], char version[16], const char **allow) {
    const char *method = strcmp(r->method, "HEAD") == 0 ? "GET" : r->method;
    *allow = NULL;
    for (size_t i = 0; i < sizeof ROUTES / sizeof *ROUTES; i++) {
        if (!matches(ROUTES[i].path, r->path, model, version)) continue;
        if (strcmp(ROUTES[i].method, method) == 0) return ROUTES[i].route;
        *allow = strcmp(ROUTES[i].method, "GET") == 0 ? "GET, HEAD" : ROUTES[i].method;
    }
    model[0] = version[0] = 0;
    return SV_ROUTE_NONE;
}

bool sv_route_computes(sv_route route) {
    return route == SV_ROUTE_INFER || route == SV_ROUTE_CLASSIFY || route == SV_ROUTE_PROFILE ||
           route == SV_ROUTE_LOAD || route == SV_ROUTE_UNLOAD;
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

void sv_answer_text(sv_answer *a, sv_text *t, const char *type) {
    a->body = sv_text_take(t, &a->bytes);
    a->status = 200, a->type = type;
    if (!a->body) sv_answer_error(a, 503, SV_INTERNAL, "no memory for the answer");
}

static void put_tensors(sv_text *t, const kf_tensor *tensors, int n) {
    for (int i = 0; i < n; i++) {
        sv_text_put(t, i ? ",{\"name\":" : "{\"name\":");
        sv_text_string(t, tensors[i].name);
        sv_text_add(t, ",\"datatype\":\"%s\",\"shape\":[-1", sv_datatype(tensors[i].dtype));
        for (int k = 1; k < tensors[i].rank; k++) sv_text_add(t, ",%lld", (long long)tensors[i].shape[k]);
        sv_text_put(t, "]}");
    }
}

/* What the page's card tells. The file that a model was made from is not in it: that would be a path of this machine.
 */
static void put_facts(const sv_model *m, sv_text *t) {
    const kf_preprocess *p = &m->info.preprocess;
    const char *quantized = m->info.quantized ? "true" : "false";
    const char *pictures = p->valid ? "true" : "false";
    int width = p->valid ? p->width : 0;
    int height = p->valid ? p->height : 0;
    sv_text_add(t, "{\"quantized\":%s,\"pictures\":%s,\"width\":%d,\"height\":%d,\"macs\":%lld,\"loads\":%d", quantized,
                pictures, width, height, (long long)m->info.macs, m->loads);
    sv_text_add(t, ",\"parameters\":%lld,\"labels\":%d,\"architecture\":", (long long)m->info.parameters,
                m->info.n_labels);
    sv_text_string(t, m->info.arch ? m->info.arch : m->info.name);
    if (p->valid)
        sv_text_add(t, ",\"crop_pct\":%g,\"crop_mode\":\"%s\",\"interpolation\":\"%s\"", p->crop_pct,
                    kf_crop_name(p->crop), kf_filter_name(p->filter));
    sv_text_bytes(t, "}", 1);
}

void sv_describe_model(const sv_model *m, sv_answer *a) {
    sv_text t = {0};
    sv_text_add(&t, "{\"name\":\"%s\",\"versions\":[\"" SV_VERSION "\"],\"platform\":\"kitfox_kfx\",\"inputs\":[",
                m->name);
    put_tensors(&t, m->inputs, m->info.n_inputs);
    sv_text_put(&t, "],\"outputs\":[");
    put_tensors(&t, m->outputs, m->info.n_outputs);
    sv_text_put(&t, "],\"parameters\":");
    put_facts(m, &t);
    sv_text_bytes(&t, "}", 1);
    sv_answer_text(a, &t, "application/json");
}

static void answer_server(sv_answer *a) {
    sv_text t = {0};
    sv_text_add(&t,
                "{\"name\":\"kitfox\",\"version\":\"%s\",\"extensions\":[\"binary_tensor_data\",\"classification\","
                "\"statistics\",\"model_repository\"]}",
                kf_version());
    sv_answer_text(a, &t, "application/json");
}

static void answer_flag(sv_answer *a, const char *key, bool value) {
    sv_text t = {0};
    sv_text_add(&t, "{\"%s\":%s}", key, value ? "true" : "false");
    sv_answer_text(a, &t, "application/json");
    if (!value && a->status == 200) a->status = 503;
}

static void answer_metrics(sv_service *s, sv_answer *a) {
    sv_text t = {0};
    sv_metrics_write(s->metrics, sv_queue_waiting(s->queue), atomic_load(&s->connections), &t);
    sv_answer_text(a, &t, "text/plain; version=0.0.4; charset=utf-8");
}

void sv_service_count_models(sv_service *s) {
    sv_state state;
    for (int i = 0; sv_models_at(s->models, i, &state); i++) sv_metrics_add(s->metrics, state.name);
}

static void no_model(sv_answer *a, const char *name) {
    char text[SV_MAX_NAME + 40];
    snprintf(text, sizeof text, "there is no model %s", name);
    sv_answer_error(a, 404, SV_NOT_FOUND, text);
}

static void answer_stats(sv_service *s, const char *model, sv_answer *a) {
    sv_text t = {0};
    sv_state state;
    int n = 0;
    sv_text_put(&t, "{\"model_stats\":[");
    for (int i = 0; sv_models_at(s->models, i, &state); i++) {
        if (*model && strcmp(model, state.name) != 0) continue;
        if (n++) sv_text_put(&t, ",");
        sv_metrics_stats(s->metrics, state.name, SV_VERSION, &t);
    }
    sv_text_put(&t, "]}");
    sv_answer_text(a, &t, "application/json");
    if (*model && !n) no_model(a, model);
}

static void answer_infer(const sv_model *m, const sv_request *r, int worker, sv_answer *a) {
    sv_infer f;
    void *outputs[SV_MAX_TENSORS] = {NULL};
    kf_error err = {0};
    kf_status st = sv_infer_read(m, r, &f, &err);
    if (st != KF_OK) {
        sv_answer_failed(a, st, &err);
        return;
    }
    st = sv_infer_run(m, m->sessions[worker], &f, outputs, a, &err);
    if (st != KF_OK) sv_answer_failed(a, st, &err);
    else sv_infer_write(m, &f, outputs, a);
    for (int k = 0; k < f.n_wanted; k++) free(outputs[k]);
    sv_infer_free(&f);
}

/* ---- dispatch ---------------------------------------------------------------------------------------------------- */

static void answer_model(sv_route route, const sv_model *m, const sv_request *r, int worker, sv_answer *a) {
    sv_text t = {0};
    switch (route) {
    case SV_ROUTE_MODEL: sv_describe_model(m, a); return;
    case SV_ROUTE_INFER: answer_infer(m, r, worker, a); return;
    case SV_ROUTE_CLASSIFY: sv_classify(m, r, worker, a); return;
    case SV_ROUTE_PROFILE: sv_profile(m, a); return;
    default: sv_text_add(&t, "{\"name\":\"%s\",\"ready\":true}", m->name); sv_answer_text(a, &t, "application/json");
    }
}

static void with_model(sv_service *s, sv_route route, const char *name, const char *version, const sv_request *r,
                       int worker, sv_answer *a) {
    bool known;
    char text[300];
    sv_model *m = sv_models_take(s->models, name, &known);
    if (known) snprintf(a->model, sizeof a->model, "%s", name);
    if (!known) {
        no_model(a, name);
    } else if (*version && strcmp(version, SV_VERSION) != 0) {
        snprintf(text, sizeof text, "model %s has version " SV_VERSION " only", name);
        sv_answer_error(a, 404, SV_NOT_FOUND, text);
    } else if (!m) {
        snprintf(text, sizeof text, "model %s is not loaded", name);
        sv_answer_error(a, 503, SV_NOT_FOUND, text);
    } else answer_model(route, m, r, worker, a);
    sv_model_drop(m);
}

static void answer_none(const char *allow, sv_answer *a) {
    if (!allow) sv_answer_error(a, 404, SV_NOT_FOUND, "there is no such path; /docs lists them");
    else sv_answer_error(a, 405, SV_BAD_REQUEST, "this path has another method");
    a->allow = allow;
}

void sv_handle(sv_service *s, const sv_request *r, int worker, int64_t queued, sv_answer *a) {
    char model[SV_MAX_NAME + 1], version[16];
    const char *allow;
    sv_route route = sv_route_of(r, model, version, &allow);
    a->queue = queued;
    switch (route) {
    case SV_ROUTE_NONE: answer_none(allow, a); return;
    case SV_ROUTE_PAGE:
        if (!sv_page(r->path, a)) sv_answer_error(a, 404, SV_NOT_FOUND, "there is no such path");
        return;
    case SV_ROUTE_SERVER: answer_server(a); return;
    case SV_ROUTE_LIVE: answer_flag(a, "live", true); return;
    case SV_ROUTE_READY: answer_flag(a, "ready", !atomic_load(&s->draining) && sv_models_ready(s->models)); return;
    case SV_ROUTE_METRICS: answer_metrics(s, a); return;
    case SV_ROUTE_STATS: answer_stats(s, model, a); return;
    case SV_ROUTE_INDEX:
    case SV_ROUTE_LOAD:
    case SV_ROUTE_UNLOAD: sv_repository(s, route, model, r, a); return;
    case SV_ROUTE_CLASSIFY: with_model(s, route, *model ? model : s->first, version, r, worker, a); return;
    case SV_ROUTE_MODEL:
    case SV_ROUTE_MODEL_READY:
    case SV_ROUTE_PROFILE:
    case SV_ROUTE_INFER: with_model(s, route, model, version, r, worker, a); return;
    }
}
