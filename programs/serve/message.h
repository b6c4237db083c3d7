/* A request and its answer, apart from any socket, so that tests and fuzzers drive the same handlers as the network.
 * Owner rule: a request borrows everything; an answer owns `body`, which sv_answer_free releases. */
#ifndef KITFOX_SERVE_MESSAGE_H
#define KITFOX_SERVE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kitfox/lab.h"

/** Why a request failed, for the metrics. */
typedef enum sv_cause {
    SV_NONE = 0,
    SV_BAD_REQUEST, /* malformed, wrong shape, wrong type */
    SV_REFUSED,     /* token, Host, Origin, a call that is switched off */
    SV_NOT_FOUND,   /* no such path or model */
    SV_TOO_LARGE,   /* a limit of sizes */
    SV_FULL,        /* the queue has no room */
    SV_TIMEOUT,     /* its deadline passed */
    SV_PICTURE,     /* a picture that cannot be decoded */
    SV_GONE,        /* the client did not wait, or was cut */
    SV_INTERNAL,
    SV_CAUSES
} sv_cause;

typedef struct sv_request {
    const char *method, *path;                           /* the path is decoded, without query */
    const char *(*header)(void *user, const char *name); /* NULL: absent */
    const char *(*query)(void *user, const char *name);  /* likewise; NULL: there are none */
    void *user;                                          /* of both */
    const uint8_t *body;                                 /* [bytes]; NULL where bytes is 0 */
    size_t bytes;
    const char *peer; /* address of the client */
    int64_t began;    /* sv_now of its first byte */
    int64_t deadline; /* sv_now after which nothing more is computed for it; 0: none */
} sv_request;

typedef struct sv_answer {
    int status;
    const char *type; /* Content-Type; static */
    void *body;
    size_t bytes;
    size_t json_bytes;                      /* of a binary answer: bytes of its JSON; 0: it has no tensors */
    const char *allow;                      /* of a 405: the method that the path has; static. NULL: none */
    int retry_after;                        /* seconds; 0: none */
    bool borrowed;                          /* `body` is static */
    sv_cause cause;                         /* where status is an error */
    char model[128];                        /* whose counters it belongs to; "": none */
    int pictures;                           /* images that were computed */
    int64_t queue, decode, compute, encode; /* nanoseconds */
} sv_answer;

/** Monotonic nanoseconds. */
int64_t sv_now(void);
/** Release the body. */
void sv_answer_free(sv_answer *a);
/** An error as the protocol has it: {"error": text}. Where memory is short the body is empty. */
void sv_answer_error(sv_answer *a, int status, sv_cause cause, const char *text);
/** The HTTP status and the cause that fit a status of the library. */
int sv_status_of(kf_status st, sv_cause *cause);
/** sv_answer_error from a call of the library. */
void sv_answer_failed(sv_answer *a, kf_status st, const kf_error *err);

#endif
