/* libFuzzer target: bytes as a request, in the form of tests/serve/fixture.h, through the guard and the handlers of
 * `kitfox serve`. Whatever comes, the answer is one: a status that fits, JSON that is JSON, lengths that hold; the same
 * bytes as a form, as base64, and packed. The same build rules as fuzz_kfx.c.
 * Owner rule: the service lives as long as the process. */
#include "../serve/fixture.h"

#include "serve/base64.h"
#include "serve/inflate.h"
#include "serve/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static sv_service service;
static sv_guard guards[2];

static void begin(void) {
    static bool begun;
    kf_error err = {0};
    if (begun) return;
    if (fixture_begin(&service, &err) != KF_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    strcpy(guards[1].token, "correct-horse-battery");
    guards[1].hosts[guards[1].n_hosts++] = "cats.example";
    begun = true;
}

static void check_json(const char *text, size_t bytes, bool is_error) {
    sv_json json;
    kf_error err = {0};
    if (text[0] == '[') return; /* the index; what it holds is of the server alone */
    if (sv_json_read(text, bytes, &json, &err) != KF_OK) abort();
    if (is_error && !json_object_get(json.root, "error") && !json_object_get(json.root, "pictures")) abort();
    sv_json_free(&json);
}

static void check(const sv_answer *a) {
    static const int STATUSES[] = {200, 400, 401, 403, 404, 405, 413, 415, 503, 504};
    bool known = false;
    for (size_t i = 0; i < sizeof STATUSES / sizeof *STATUSES; i++) known |= a->status == STATUSES[i];
    if (!known || !a->type || (a->status >= 400) != (a->cause != SV_NONE)) abort();
    if (a->json_bytes > a->bytes || (a->status >= 400 && a->json_bytes)) abort();
    if (a->json_bytes) check_json(a->body, a->json_bytes, false);
    else if (a->bytes && strcmp(a->type, "application/json") == 0) check_json(a->body, a->bytes, a->status >= 400);
    if (a->status == 405 && !a->allow) abort();
}

static void as_parts(const fixture_request *f) {
    sv_bytes parts[8];
    size_t n;
    kf_error err = {0};
    const char *type = fixture_header((void *)(uintptr_t)f, "Content-Type");
    uint8_t *out = malloc(f->r.bytes / 4 * 3 + 3);
    if (type && sv_multipart(type, f->r.body, f->r.bytes, parts, 8, &n, &err) == KF_OK)
        for (size_t i = 0; i < n; i++)
            if (parts[i].data < f->r.body || parts[i].data + parts[i].bytes > f->r.body + f->r.bytes) abort();
    if (out && sv_base64((const char *)f->r.body, f->r.bytes, out, &n) && n > f->r.bytes / 4 * 3 + 3) abort();
    free(out);
    if (sv_inflate(f->r.body, f->r.bytes, 1 << 20, &out, &n, &err) == KF_OK && n > 1 << 20) abort();
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fixture_request f;
    char model[SV_MAX_NAME + 1], version[16], *copy = malloc(size ? size : 1);
    const char *allow;
    begin();
    if (!copy) return 0;
    if (size) memcpy(copy, data, size);
    if (fixture_parse(copy, size, &f)) {
        sv_route route = sv_route_of(&f.r, model, version, &allow);
        for (int i = 0; i < 2; i++) {
            sv_answer a = {0};
            if (sv_guard_allows(&guards[i], &f.r, route, &a) && route != SV_ROUTE_PROFILE)
                sv_handle(&service, &f.r, 0, 0, &a);
            else if (!a.status) a.status = 200, a.type = "";
            check(&a);
            sv_metrics_count(service.metrics, &a, 1);
            sv_answer_free(&a);
        }
        as_parts(&f);
    }
    free(copy);
    return 0;
}

#if defined(KF_REPLAY)
#include "replay.h"
#endif
