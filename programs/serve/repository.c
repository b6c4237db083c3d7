/* The model repository extension: which models there are, and loading and unloading them by name.
 * Owner rule: see service.h. */
#include <stdio.h>
#include <string.h>

#include "serve/service.h"

static void put_state(const sv_state *state, sv_text *t) {
    sv_text_add(t, "{\"name\":\"%s\",\"version\":\"" SV_VERSION "\",\"state\":", state->name);
    if (state->loads) {
        sv_text_add(t, "\"READY\",\"reason\":\"\",\"loads\":%d}", state->loads);
        return;
    }
    sv_text_add(t, "\"UNAVAILABLE\",\"reason\":");
    sv_text_string(t, state->reason);
    sv_text_put(t, "}");
}

static void answer_index(sv_service *s, bool only_ready, sv_answer *a) {
    sv_text t = {0};
    sv_state state;
    int n = 0;
    sv_models_scan(s->models);
    sv_service_count_models(s);
    sv_text_put(&t, "[");
    for (int i = 0; sv_models_at(s->models, i, &state); i++) {
        if (only_ready && !state.loads) continue;
        if (n++) sv_text_put(&t, ",");
        put_state(&state, &t);
    }
    sv_text_put(&t, "]");
    sv_answer_text(a, &t, "application/json");
}

/* What a body may say: {"ready": true} of an index, {"parameters": {"unload_dependents": ...}} of an unload. Files and
 * configurations in it are refused; only the name counts. */
static kf_status read_body(const sv_request *r, bool *only_ready, kf_error *err) {
    sv_json json;
    const char *key;
    json_t *value;
    *only_ready = false;
    if (!r->bytes) return KF_OK;
    if (r->bytes > SV_MAX_JSON) KF_FAIL(err, KF_ERR_LIMIT, "%zu bytes; %zu are possible", r->bytes, SV_MAX_JSON);
    KF_TRY(sv_json_read(r->body, r->bytes, &json, err));
    kf_status st = KF_OK;
    json_t *p = json_object_get(json.root, "parameters");
    if (p && !json_is_object(p)) st = kf_error_set(err, KF_ERR_ARGUMENT, "\"parameters\" has to be an object");
    json_object_foreach(p, key, value) if (st == KF_OK && strcmp(key, "unload_dependents") != 0) st =
        kf_error_set(err, KF_ERR_ARGUMENT,
                     "the parameter \"%.100s\" is refused; models are the files that the server was started with", key);
    *only_ready = json_is_true(json_object_get(json.root, "ready"));
    sv_json_free(&json);
    return st;
}

static void change(sv_service *s, sv_route route, const char *model, sv_answer *a) {
    kf_error err = {0};
    sv_text t = {0};
    sv_state state = {.reason = ""};
    bool known;
    sv_models_scan(s->models);
    sv_service_count_models(s);
    sv_model_drop(sv_models_take(s->models, model, &known));
    if (!known) {
        sv_answer_error(a, 404, SV_NOT_FOUND, "there is no such model");
        return;
    }
    snprintf(a->model, sizeof a->model, "%s", model);
    kf_status st = KF_OK;
    if (route == SV_ROUTE_LOAD) st = sv_models_load(s->models, model, &err);
    else st = sv_models_unload(s->models, model, &err);
    for (int i = 0; st != KF_OK && sv_models_at(s->models, i, &state); i++)
        if (strcmp(state.name, model) == 0) break;
    if (st != KF_OK) sv_answer_error(a, st == KF_ERR_MEMORY ? 503 : 400, SV_INTERNAL, state.reason);
    else sv_answer_text(a, &t, "application/json");
}

void sv_repository(sv_service *s, sv_route route, const char *model, const sv_request *r, sv_answer *a) {
    kf_error err = {0};
    bool only_ready;
    if (route != SV_ROUTE_INDEX && !s->repository) {
        sv_answer_error(a, 403, SV_REFUSED, "loading and unloading are switched off; start with --repository-calls");
        return;
    }
    kf_status st = read_body(r, &only_ready, &err);
    if (st != KF_OK) sv_answer_failed(a, st, &err);
    else if (route == SV_ROUTE_INDEX) answer_index(s, only_ready, a);
    else change(s, route, model, a);
}
