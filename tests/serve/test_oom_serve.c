/* Every handler of the server while an allocation fails: it answers 503, or what it answers otherwise, and keeps
 * nothing. Owner rule: see tests/oom/oom.h. */
#include "../oom/oom.h"
#include "fixture.h"

#include <fcntl.h>
#include <unistd.h>

static sv_service service;

/* 503 is MEMORY with the answer's text; anything else that is not the usual status ends the test. */
static kf_status ask(const char *name, int usual, kf_error *err) {
    static char text[1 << 16]; /* no memory from malloc */
    char path[1000];
    fixture_request f;
    sv_answer a = {0};
    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/serve/%s", getenv("KITFOX_SOURCE"), name);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (fd >= 0) close(fd);
    if (n < 0 || !fixture_parse(text, (size_t)n, &f)) return kf_error_set(err, KF_ERR_INTERNAL, "%s", path);
    sv_handle(&service, &f.r, 0, 0, &a);
    int status = a.status;
    kf_status st = KF_OK;
    if (status == 503)
        st = kf_error_set(err, KF_ERR_MEMORY, "%.500s", a.body ? (char *)a.body : "no memory for a text");
    else if (status != usual)
        st = kf_error_set(err, KF_ERR_INTERNAL, "%d: %.500s", status, a.body ? (char *)a.body : "");
    sv_answer_free(&a);
    return st;
}

#define ASK(name, status)                                                                                              \
    static kf_status ask_##name(fixture *f, kf_error *err) {                                                           \
        (void)f;                                                                                                       \
        return ask(#name, status, err);                                                                                \
    }
ASK(json, 200)
ASK(nested, 200)
ASK(classes, 200)
ASK(binary, 200)
ASK(binary_batch, 200)
ASK(bytes, 200)
ASK(nv12, 200)
ASK(two_outputs, 200)
ASK(base64, 200)
ASK(raw_picture, 200)
ASK(classify, 200)
ASK(form, 200)
ASK(host, 200)
ASK(model, 200)
ASK(stats, 200)
ASK(index, 200)
ASK(config, 400)
ASK(method, 405)

static kf_status load(fixture *f, kf_error *err) {
    (void)f;
    return sv_models_load(service.models, "verified_small_v1", err);
}

/* An error text that finds no memory is left empty. That is the answer then: a status without a text. */
static const oom_case CASES[] = {{"json", ask_json, OOM_ANY},
                                 {"nested", ask_nested, OOM_ANY},
                                 {"classes", ask_classes, OOM_ANY},
                                 {"binary", ask_binary, OOM_ANY},
                                 {"batch", ask_binary_batch, OOM_ANY},
                                 {"bytes", ask_bytes, OOM_ANY},
                                 {"nv12", ask_nv12, OOM_ANY},
                                 {"outputs", ask_two_outputs, OOM_ANY},
                                 {"base64", ask_base64, OOM_ANY},
                                 {"raw", ask_raw_picture, OOM_ANY},
                                 {"classify", ask_classify, OOM_OTHER},
                                 {"form", ask_form, OOM_OTHER},
                                 {"host", ask_host, OOM_ANY},
                                 {"model", ask_model, OOM_ANY},
                                 {"stats", ask_stats, OOM_ANY},
                                 {"index", ask_index, OOM_ANY},
                                 {"config", ask_config, OOM_OTHER},
                                 {"method", ask_method, OOM_OTHER},
                                 {"load", load, OOM_JSON},
                                 {NULL, NULL, OOM_NONE}};

int main(void) {
    kf_error err = {0};
    fixture none = {0};
    int bad = 0;
    if (fixture_begin(&service, &err) != KF_OK) {
        printf("%s\n", err.text);
        return 1;
    }
    for (const oom_case *c = CASES; c->name; c++) bad += oom_sweep(c, &none, 0);
    fixture_end(&service);
    printf("%d failures\n", bad);
    return bad != 0;
}
