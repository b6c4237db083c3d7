/* Answers that are errors.
 * Owner rule: see message.h. */
#include "serve/message.h"

#include <stdlib.h>
#include <time.h>

#include "serve/text.h"

int64_t sv_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void sv_answer_free(sv_answer *a) {
    if (!a->borrowed) free(a->body);
    a->body = NULL, a->bytes = 0, a->borrowed = false;
}

void sv_answer_error(sv_answer *a, int status, sv_cause cause, const char *text) {
    sv_text t = {0};
    sv_answer_free(a);
    sv_text_put(&t, "{\"error\":");
    sv_text_string(&t, text);
    sv_text_put(&t, "}\n");
    a->status = status, a->cause = cause, a->type = "application/json", a->json_bytes = 0;
    a->body = sv_text_take(&t, &a->bytes);
}

int sv_status_of(kf_status st, sv_cause *cause) {
    switch (st) {
    case KF_ERR_ARGUMENT:
    case KF_ERR_SHAPE: *cause = SV_BAD_REQUEST; return 400;
    case KF_ERR_FORMAT:
    case KF_ERR_CORRUPT: *cause = SV_PICTURE; return 400;
    case KF_ERR_UNSUPPORTED: *cause = SV_PICTURE; return 415;
    case KF_ERR_LIMIT: *cause = SV_TOO_LARGE; return 413;
    case KF_ERR_MEMORY: *cause = SV_INTERNAL; return 503;
    case KF_ERR_CANCELLED: *cause = SV_TIMEOUT; return 504;
    default: *cause = SV_INTERNAL; return 500;
    }
}

void sv_answer_failed(sv_answer *a, kf_status st, const kf_error *err) {
    sv_cause cause;
    int status = sv_status_of(st, &cause);
    sv_answer_error(a, status, cause, err->text);
}
