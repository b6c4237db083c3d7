/* One file over http, https or from a file: URL: resumed, retried, checked, then renamed into place. libcurl is loaded
 * on first use, since linking it costs every start.
 * Owner rule: one transfer at a time owns "path.part" through flock; the library handle stays open until the process
 * ends. */
#ifndef KITFOX_LAB_TRANSFER_H
#define KITFOX_LAB_TRANSFER_H

#include <curl/curl.h>
#include <stdbool.h>

#include "kitfox/lab.h"
#include "kitfox/pull.h"

/** The functions of libcurl that are used. */
typedef struct kf__curl {
    __typeof__(curl_easy_init) *init;
    __typeof__(curl_easy_cleanup) *cleanup;
    __typeof__(curl_easy_perform) *perform;
    CURLcode (*setopt)(CURL *, CURLoption, ...);
    CURLcode (*getinfo)(CURL *, CURLINFO, ...);
    __typeof__(curl_easy_strerror) *text;
    __typeof__(curl_slist_append) *append;
    __typeof__(curl_slist_free_all) *free_all;
    __typeof__(curl_global_init) *global;
    __typeof__(curl_getdate) *date;
} kf__curl;

/** Load libcurl once. UNSUPPORTED where there is none, MEMORY. Thread safe. */
kf_status kf__curl_load(const kf__curl **out, kf_error *err);

/** What to fetch and how patient to be. */
typedef struct kf__fetch {
    const char *url, *path; /**< from, and the final name; "path.part" and "path.part.tag" live beside it meanwhile */
    uint64_t max_bytes;     /**< refuse more */
    int32_t tries, wait_ms; /**< attempts in all; first pause (doubles, at most 30 s) */
    int32_t stall_s;        /**< seconds without a connection, or below `slowest`, that end an attempt */
    int64_t slowest;        /**< bytes a second; 1: only a server that sends nothing is given up */
    const char *sha256;     /**< 64 lower-case hexadecimal digits that the content has to have; NULL: not known */
    int (*progress)(void *user, uint64_t done, uint64_t total); /**< of kf_pull_options; may be NULL */
    kf_message_fn notice;                                       /**< of kf_pull_options; may be NULL */
    void *user;
    /** Judges the complete file before it gets its name; may be NULL. */
    kf_status (*check)(const char *path, const char *place, kf_error *err);
} kf__fetch;

/** What happened. */
typedef struct kf__fetched {
    int fd; /**< the locked part between kf__fetch_part and kf__fetch_name; else -1 */
    uint64_t bytes;
    char sha256[65];
    bool resumed; /**< some bytes were kept from before */
    bool missing; /**< the server has no such file */
    bool offline; /**< it could not be reached */
} kf__fetched;

/** Fetch one file as far as "path.part", complete and checked; `f->path` is untouched. What was got is ended by
 *  kf__fetch_name or kf__fetch_forget. After a failure nothing needs ending; a part remains only when a later call can
 *  go on with it, and never after CANCELLED. `err` is not NULL. Errors: as kf_pull. */
kf_status kf__fetch_part(const kf__fetch *f, kf__fetched *out, kf_error *err);
/** Give the part its name, in place of what had it. Errors: IO. */
kf_status kf__fetch_name(const kf__fetch *f, kf__fetched *got, kf_error *err);
/** Remove the part; nothing to do when there is none (fd -1). */
void kf__fetch_forget(const kf__fetch *f, kf__fetched *got);

/* ---- between the files of this folder -----------------------------------------------------------------------------
 */

/** An attempt and what its answer says. Members up to `fd` are set by the owner, the rest by the attempt. */
typedef struct kf__transfer {
    const kf__fetch *f;
    const kf__curl *c;
    int fd; /* of the part */
    CURL *curl;
    uint64_t at, from;            /* bytes in the part now, and when this attempt began */
    uint64_t length, linked_size; /* 0: not told */
    uint64_t begun_total;         /* the length that a resumed part was begun under; 0: not told then */
    uint64_t range_start, range_total;
    bool range, started, too_large, disk, changed;
    bool stopped; /* by the caller's progress; stays set */
    int disk_errno;
    CURLcode setup; /* an option that this libcurl refuses */
    long retry_after;
    char tag[300], modified[100], date[100], linked[65];
    char begun_under[300]; /* the validator that a resumed part was begun under */
} kf__transfer;

/** Tell the caller's progress; false, and `stopped` is set, where it asks to stop. */
bool kf__transfer_tell(kf__transfer *t, uint64_t done, uint64_t total);
/** One attempt. `code` gets the HTTP status, 0 for file: URLs and when there was none. */
CURLcode kf__transfer_attempt(kf__transfer *t, long *code);
/** A header line, as libcurl gives it; `user` is the transfer. */
size_t kf__answer_header(char *line, size_t size, size_t count, void *user);
/** First byte of a body that counts: decide between going on and starting over. */
bool kf__answer_begin(kf__transfer *t, long code);
/** What names these bytes for If-Range, or "". */
const char *kf__answer_validator(const kf__transfer *t);
/** The name of what is kept beside a part: URL, validator and length that it was begun under. */
void kf__tag_path(const kf__fetch *f, char *out, size_t room);
/** Read it: false where there is none of this URL. */
bool kf__tag_read(kf__transfer *t);

#endif
