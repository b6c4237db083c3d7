/* POST /classify: pictures in, labels out, for curl and for people.
 * Owner rule: nothing is kept. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "serve/base64.h"
#include "serve/multipart.h"
#include "serve/service.h"
#include "serve/text.h"

enum { MAX_PICTURES = 64, DEFAULT_TOP = 5, VIEW_QUALITY = 90 };

typedef struct wishes {
    size_t k;
    bool view; /* the pixels that the network sees, too */
} wishes;

static void put_top(const sv_model *m, const kf_score *top, size_t n, sv_text *to) {
    sv_text_put(to, "\"top\":[");
    for (size_t i = 0; i < n; i++) {
        const char *label = kf_model_label(m->model, top[i].index);
        sv_text_add(to, "%s{\"index\":%d,\"label\":", i ? "," : "", top[i].index);
        sv_text_string(to, label);
        sv_text_put(to, ",\"score\":");
        sv_text_number(to, top[i].score);
        sv_text_put(to, "}");
    }
    sv_text_put(to, "]");
}

/* The pixels that the network sees, as a URL of their own. */
static void put_view(const kf_image *seen, sv_text *to) {
    void *jpeg = NULL;
    size_t bytes;
    if (kf_image_encode_jpeg(seen, VIEW_QUALITY, &jpeg, &bytes, NULL) != KF_OK) return;
    char *text = malloc(bytes / 3 * 4 + 5);
    if (text) {
        sv_text_put(to, ",\"view\":\"data:image/jpeg;base64,");
        sv_text_bytes(to, text, sv_base64_of(jpeg, bytes, text));
        sv_text_put(to, "\"");
    }
    free(text);
    free(jpeg);
}

/* One picture as a JSON object; a failure is told in it, with its status. */
static int put_picture(const sv_model *m, kf_session *session, const sv_bytes *picture, const wishes *w, float *scores,
                       sv_answer *a, sv_text *to) {
    kf_score top[SV_MAX_CLASSES];
    kf_error err = {0};
    size_t found = 0;
    int64_t start = sv_now(), decode = 0;
    kf_image seen = {0};
    kf_status st = sv_picture_scores(m, session, picture, scores, &decode, w->view ? &seen : NULL, &err);
    if (st == KF_OK) st = kf_scores_rank(m->info.scores, scores, (size_t)m->classes, w->k, top, &found, &err);
    int64_t all = sv_now() - start;
    a->decode += decode, a->compute += all - decode;
    if (st != KF_OK) {
        kf_image_free(&seen);
        sv_text_put(to, "{\"error\":");
        sv_text_string(to, err.text);
        sv_text_put(to, "}");
        return sv_status_of(st, &a->cause);
    }
    sv_text_put(to, "{");
    put_top(m, top, found, to);
    if (seen.pixels) put_view(&seen, to);
    kf_image_free(&seen);
    sv_text_add(to, ",\"ms\":%.3f,\"decode_ms\":%.3f}", (double)(all - decode) / 1e6, (double)decode / 1e6);
    a->pictures++;
    return 200;
}

static kf_status parts_of(const sv_request *r, sv_bytes *parts, size_t *n, kf_error *err) {
    const char *type = r->header(r->user, "Content-Type");
    if (type && strncasecmp(type, "multipart/", 10) == 0)
        return sv_multipart(type, r->body, r->bytes, parts, MAX_PICTURES, n, err);
    if (!r->bytes) KF_FAIL(err, KF_ERR_ARGUMENT, "the body is empty; send a picture: curl --data-binary @cat.jpg URL");
    parts[0] = (sv_bytes){r->body, r->bytes}, *n = 1;
    return KF_OK;
}

static kf_status wishes_of(const sv_request *r, wishes *w, kf_error *err) {
    const char *text = r->query ? r->query(r->user, "k") : NULL;
    char *end;
    *w = (wishes){DEFAULT_TOP, r->query && r->query(r->user, "view")};
    if (!text) return KF_OK;
    long n = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || n < 1 || n > SV_MAX_CLASSES)
        KF_FAIL(err, KF_ERR_ARGUMENT, "k=%.40s: 1 to %d is needed", text, SV_MAX_CLASSES);
    w->k = (size_t)n;
    return KF_OK;
}

static void answer(const sv_model *m, kf_session *session, const sv_bytes *parts, size_t n, const wishes *w,
                   int64_t deadline, float *scores, sv_answer *a) {
    sv_text t = {0};
    int status = 200;
    sv_text_put(&t, "{\"model\":");
    sv_text_string(&t, m->name);
    sv_text_put(&t, ",\"pictures\":[");
    for (size_t i = 0; i < n; i++) {
        if (i) sv_text_put(&t, ",");
        if (deadline && sv_now() > deadline) {
            sv_text_free(&t);
            sv_answer_error(a, 504, SV_TIMEOUT, "the time of the request was over before all pictures were computed");
            return;
        }
        int one = put_picture(m, session, &parts[i], w, scores, a, &t);
        if (one != 200) status = one;
    }
    sv_text_put(&t, "]}\n");
    a->status = n > 1 && a->pictures ? 200 : status; /* of several the good ones count */
    if (a->status == 200) a->cause = SV_NONE;
    a->type = "application/json";
    a->body = sv_text_take(&t, &a->bytes);
    if (!a->body) sv_answer_error(a, 503, SV_INTERNAL, "no memory for the answer");
}

void sv_classify(const sv_model *m, const sv_request *r, int worker, sv_answer *a) {
    sv_bytes parts[MAX_PICTURES];
    kf_error err = {0};
    size_t n;
    wishes w;
    kf_status st = wishes_of(r, &w, &err);
    if (st == KF_OK) st = parts_of(r, parts, &n, &err);
    if (st == KF_OK && !m->info.preprocess.valid)
        st = kf_error_set(&err, KF_ERR_ARGUMENT, "model %s takes no pictures; send tensors to /v2/models/%s/infer",
                          m->name, m->name);
    float *scores = st == KF_OK ? malloc((size_t)m->classes * sizeof *scores) : NULL;
    if (st == KF_OK && !scores) st = kf_error_set(&err, KF_ERR_MEMORY, "no memory for the scores");
    if (st != KF_OK) sv_answer_failed(a, st, &err);
    else answer(m, m->sessions[worker], parts, n, &w, r->deadline, scores, a);
    free(scores);
}
