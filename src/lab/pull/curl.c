/* libcurl, found at run time, and one attempt with it.
 * Owner rule: the library handle stays open until the process ends; everything else of an attempt is released here. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pull/transfer.h"

/* ---- loading ----------------------------------------------------------------------------------------------------- */

/* Member of kf__curl, and the function behind it. */
/* clang-format off */
#define CURL_FUNCTIONS(X)                                                                                              \
    X(init, curl_easy_init) X(cleanup, curl_easy_cleanup) X(perform, curl_easy_perform) X(setopt, curl_easy_setopt)    \
    X(getinfo, curl_easy_getinfo) X(text, curl_easy_strerror) X(append, curl_slist_append)                             \
    X(free_all, curl_slist_free_all) X(global, curl_global_init) X(date, curl_getdate)
/* clang-format on */

#if defined(KF_STATIC)
/* A static program has libcurl linked in. The parentheses keep curl's macros of the same names out. */
static kf_status find_functions(kf__curl *c, kf_error *err) {
    (void)err;
#define X(member, function) c->member = (function);
    CURL_FUNCTIONS(X)
#undef X
    return KF_OK;
}
#else
static kf_status find_functions(kf__curl *c, kf_error *err) {
    static const char *const NAMES[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl-nss.so.4"};
    static void *library;
    const struct {
        void *to;
        const char *name;
    } FUNCTIONS[] = {
#define X(member, function) {&c->member, #function},
        CURL_FUNCTIONS(X)
#undef X
    };
    for (size_t i = 0; !library && i < sizeof NAMES / sizeof *NAMES; i++)
        library = dlopen(NAMES[i], RTLD_NOW | RTLD_LOCAL);
    if (!library)
        KF_FAIL(err, KF_ERR_UNSUPPORTED, "pull: libcurl is not installed; on Debian: apt-get install libcurl4");
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++) {
        void *f = dlsym(library, FUNCTIONS[i].name);
        if (!f) KF_FAIL(err, KF_ERR_UNSUPPORTED, "pull: this libcurl lacks: %s", FUNCTIONS[i].name);
        memcpy(FUNCTIONS[i].to, &f, sizeof f);
    }
    return KF_OK;
}
#endif

static kf_status load(kf__curl *c, kf_error *err) {
    KF_TRY(find_functions(c, err));
    if (c->global(CURL_GLOBAL_DEFAULT) != 0) KF_FAIL(err, KF_ERR_MEMORY, "pull: libcurl does not start");
    return KF_OK;
}

kf_status kf__curl_load(const kf__curl **out, kf_error *err) {
    static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
    static kf__curl curl;
    static bool loaded;
    pthread_mutex_lock(&one);
    kf_status st = loaded ? KF_OK : load(&curl, err);
    loaded = st == KF_OK;
    pthread_mutex_unlock(&one);
    *out = &curl;
    return st;
}

/* ---- callbacks of an attempt ------------------------------------------------------------------------------------- */

bool kf__transfer_tell(kf__transfer *t, uint64_t done, uint64_t total) {
    if (!t->stopped && t->f->progress) t->stopped = t->f->progress(t->f->user, done, total) != 0;
    return !t->stopped;
}

static bool write_all(kf__transfer *t, const char *data, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
        ssize_t w = write(t->fd, data + done, bytes - done);
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) {
            t->disk = true;
            t->disk_errno = errno;
            return false;
        }
        done += (size_t)w;
        t->at += (uint64_t)w;
    }
    return true;
}

static size_t on_data(char *data, size_t size, size_t count, void *user) {
    kf__transfer *t = user;
    size_t n = size * count;
    long code = 0;
    t->c->getinfo(t->curl, CURLINFO_RESPONSE_CODE, &code);
    if (code != 0 && code != 200 && code != 206) return n; /* an error page is not content */
    if (!t->started && !kf__answer_begin(t, code)) return 0;
    if (t->at + n > t->f->max_bytes) {
        t->too_large = true;
        return 0;
    }
    return write_all(t, data, n) ? n : 0;
}

static int on_progress(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up) {
    kf__transfer *t = user;
    (void)now, (void)up_total, (void)up;
    if (!t->started) return !kf__transfer_tell(t, 0, 0);
    uint64_t all = total > 0 ? t->from + (uint64_t)total : 0;
    if (all && all < t->at) all = t->at; /* a server may send more than it announced */
    return !kf__transfer_tell(t, t->at, all);
}

/* ---- an attempt -------------------------------------------------------------------------------------------------- */

/* Options by number, value by pointer or long: the first refusal is kept. */
#define SET(option, value)                                                                                             \
    do {                                                                                                               \
        CURLcode rc_ = t->c->setopt(t->curl, option, value);                                                           \
        if (t->setup == CURLE_OK && rc_ != CURLE_OK) t->setup = rc_;                                                   \
    } while (0)

/* By name, or by bit as libcurl before 7.85 has it: the old names are deprecated in the header. Without a limit a
 * redirect could read a local file, so nothing is fetched then. From https it goes neither to http nor to a file. */
static void limit_protocols(kf__transfer *t) {
    enum { BITS = 181, REDIRECT_BITS = 182, HTTP = 1, HTTPS = 2, LOCAL = 1 << 10 };
    bool secure = strncmp(t->f->url, "https:", 6) == 0;
    const char *redirects = secure ? "https" : "http,https";
    long redirect_bits = secure ? HTTPS : HTTP | HTTPS;
    if (t->c->setopt(t->curl, CURLOPT_PROTOCOLS_STR, "http,https,file") != CURLE_OK)
        SET((CURLoption)BITS, (long)(HTTP | HTTPS | LOCAL));
    if (t->c->setopt(t->curl, CURLOPT_REDIR_PROTOCOLS_STR, redirects) != CURLE_OK)
        SET((CURLoption)REDIRECT_BITS, redirect_bits);
}

/* The certificates by which servers are judged: those that SSL_CERT_FILE names; NULL leaves libcurl's own choice. A
 * static program was not made for this system, so it looks where systems keep them. */
static const char *certificates(void) {
    const char *named = getenv("SSL_CERT_FILE");
    if (named && *named) return named;
#if defined(KF_STATIC)
    static const char *const PLACES[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                         "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};
    for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++)
        if (access(PLACES[i], R_OK) == 0) return PLACES[i];
#endif
    return NULL;
}

static void set_options(kf__transfer *t, struct curl_slist *headers) {
    const char *authorities = certificates();
    t->setup = CURLE_OK;
    limit_protocols(t);
    if (authorities) SET(CURLOPT_CAINFO, authorities);
    SET(CURLOPT_URL, t->f->url);
    SET(CURLOPT_FOLLOWLOCATION, 1L);
    SET(CURLOPT_MAXREDIRS, 8L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_CONNECTTIMEOUT, (long)t->f->stall_s);
    SET(CURLOPT_LOW_SPEED_LIMIT, (long)t->f->slowest);
    SET(CURLOPT_LOW_SPEED_TIME, (long)t->f->stall_s);
    SET(CURLOPT_USERAGENT, "kitfox");
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_HEADERFUNCTION, kf__answer_header);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_WRITEFUNCTION, on_data);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, t);
}
#undef SET

/* Range and its condition: without the condition it could mix two files. False: no memory. */
static bool ask_for_rest(kf__transfer *t, struct curl_slist **headers) {
    char line[400];
    struct curl_slist *longer = NULL;
    snprintf(line, sizeof line, "Range: bytes=%llu-", (unsigned long long)t->at);
    *headers = t->c->append(NULL, line);
    snprintf(line, sizeof line, "If-Range: %s", t->begun_under);
    if (*headers) longer = t->c->append(*headers, line);
    return longer != NULL;
}

static CURLcode perform(kf__transfer *t, bool resume) {
    struct curl_slist *headers = NULL;
    CURLcode rc = CURLE_OUT_OF_MEMORY;
    if (!resume || ask_for_rest(t, &headers)) {
        set_options(t, headers);
        rc = t->setup == CURLE_OK ? t->c->perform(t->curl) : t->setup;
    }
    t->c->free_all(headers);
    return rc;
}

CURLcode kf__transfer_attempt(kf__transfer *t, long *code) {
    struct stat st;
    t->started = t->too_large = t->disk = t->changed = t->range = false;
    t->linked_size = 0;
    t->linked[0] = '\0';
    t->at = fstat(t->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    bool resume = t->at > 0 && strncmp(t->f->url, "http", 4) == 0 && kf__tag_read(t);
    if (!resume) t->at = 0, t->begun_under[0] = '\0';
    t->from = t->at;
    t->setup = CURLE_OK;
    *code = 0;
    if (ftruncate(t->fd, (off_t)t->at) != 0 || lseek(t->fd, (off_t)t->at, SEEK_SET) < 0) return CURLE_WRITE_ERROR;
    if (!kf__transfer_tell(t, 0, 0)) return CURLE_ABORTED_BY_CALLBACK;
    if (!(t->curl = t->c->init())) return CURLE_OUT_OF_MEMORY;
    CURLcode rc = perform(t, resume);
    t->c->getinfo(t->curl, CURLINFO_RESPONSE_CODE, code);
    t->c->cleanup(t->curl);
    return rc;
}
