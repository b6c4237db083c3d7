/* Fetching: libcurl found at run time, ranges guarded by If-Range, back-off, checks before the rename.
 * A part is resumed only when the server's validator (strong ETag, else an old enough Last-Modified) is the one it was
 * begun under.
 * Owner rule: one transfer at a time owns "path.part" through flock; the library handle stays open until the program
 * ends. */
#include "common/fetch.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/files.h"

static struct {
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
} c;

typedef struct transfer {
    const cli_fetch *f;
    CURL *curl;
    int fd;
    uint64_t at, from;            /* bytes in the part now, and when this attempt began */
    uint64_t length, linked_size; /* 0: not told */
    uint64_t begun_total;         /* the length that a resumed part was begun under; 0: not told then */
    uint64_t range_start, range_total;
    bool range, started, too_large, disk, changed;
    int disk_errno;
    CURLcode setup; /* an option this libcurl refuses */
    long retry_after;
    char tag[300], modified[100], date[100], linked[65];
    char begun_under[300]; /* the validator that a resumed part was begun under */
    double begun;
} transfer;

static kf_status load_curl(kf_error *err) {
    static void *lib;
    static const char *const NAMES[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl-nss.so.4"};
    for (size_t i = 0; !lib && i < 3; i++) lib = dlopen(NAMES[i], RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        return cli_error_at(err, KF_ERR_UNSUPPORTED, "pull",
                            "libcurl is not installed; on Debian: apt-get install libcurl4");
    const struct {
        void *to;
        const char *name;
    } FUNCTIONS[] = {{&c.init, "curl_easy_init"},       {&c.cleanup, "curl_easy_cleanup"},
                     {&c.perform, "curl_easy_perform"}, {&c.setopt, "curl_easy_setopt"},
                     {&c.getinfo, "curl_easy_getinfo"}, {&c.text, "curl_easy_strerror"},
                     {&c.append, "curl_slist_append"},  {&c.free_all, "curl_slist_free_all"},
                     {&c.global, "curl_global_init"},   {&c.date, "curl_getdate"}};
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++) {
        void *f = dlsym(lib, FUNCTIONS[i].name);
        if (!f) return cli_error_at(err, KF_ERR_UNSUPPORTED, "pull: this libcurl lacks", FUNCTIONS[i].name);
        memcpy(FUNCTIONS[i].to, &f, sizeof f);
    }
    return c.global(CURL_GLOBAL_DEFAULT) == 0 ? KF_OK
                                              : cli_error_at(err, KF_ERR_MEMORY, "pull", "libcurl does not start");
}

static bool header_value(const char *line, size_t n, const char *name, char *out, size_t cap) {
    size_t m = strlen(name);
    if (n <= m || strncasecmp(line, name, m) != 0) return false;
    while (m < n && (line[m] == ' ' || line[m] == '\t')) m++;
    while (n > m && (line[n - 1] == '\r' || line[n - 1] == '\n' || line[n - 1] == ' ')) n--;
    if (n - m >= cap) return false;
    memcpy(out, line + m, n - m);
    out[n - m] = '\0';
    return true;
}

/* Each status line begins a new answer; only what the hub says about the linked file survives its redirect. */
static size_t on_header(char *line, size_t size, size_t count, void *user) {
    transfer *t = user;
    size_t n = size * count;
    char v[300];
    unsigned long long a, b, total;
    if (n > 5 && memcmp(line, "HTTP/", 5) == 0) {
        t->tag[0] = t->modified[0] = t->date[0] = '\0';
        t->range = false;
        t->range_total = t->length = 0;
        t->retry_after = 0;
    } else if (header_value(line, n, "etag:", v, sizeof v)) {
        if (v[0] == '"') snprintf(t->tag, sizeof t->tag, "%s", v);
    } else if (header_value(line, n, "last-modified:", v, sizeof t->modified)) {
        snprintf(t->modified, sizeof t->modified, "%.99s", v);
    } else if (header_value(line, n, "date:", v, sizeof t->date)) {
        snprintf(t->date, sizeof t->date, "%.99s", v);
    } else if (header_value(line, n, "content-length:", v, sizeof v)) {
        t->length = strtoull(v, NULL, 10);
    } else if (header_value(line, n, "retry-after:", v, sizeof v)) {
        t->retry_after = strtol(v, NULL, 10);
    } else if (header_value(line, n, "x-linked-size:", v, sizeof v)) {
        t->linked_size = strtoull(v, NULL, 10);
    } else if (header_value(line, n, "x-linked-etag:", v, sizeof v)) {
        if (strlen(v) == 66 && strspn(v + 1, "0123456789abcdef") == 64)
            snprintf(t->linked, sizeof t->linked, "%.64s", v + 1);
    } else if (header_value(line, n, "content-range:", v, sizeof v) &&
               sscanf(v, "bytes %llu-%llu/%llu", &a, &b, &total) == 3) {
        t->range = true;
        t->range_start = a;
        t->range_total = total;
    }
    return n;
}

static void tag_path(const cli_fetch *f, char *out, size_t cap) { snprintf(out, cap, "%.4000s.part.tag", f->path); }

/* What names these bytes for If-Range, or "". A time stamp counts only when it is old: two versions may share a young
 * one. */
static const char *validator(const transfer *t) {
    if (t->tag[0]) return t->tag;
    time_t then = c.date(t->modified, NULL), now = c.date(t->date, NULL);
    return then >= 0 && now >= 0 && now - then >= 2 ? t->modified : "";
}

/* The validator goes to disk before the first byte: a part without one is never resumed. */
static bool save_tag(const transfer *t) {
    char path[4096];
    tag_path(t->f, path, sizeof path);
    const char *v = validator(t);
    unlink(path);
    if (!v[0]) return true;
    FILE *f = fopen(path, "wxe"); /* new: nothing is written through a link */
    if (!f) return false;
    bool ok = fprintf(f, "%s\n%s\n%llu\n", t->f->url, v, (unsigned long long)t->length) > 0;
    return fclose(f) == 0 && ok;
}

static bool read_tag(transfer *t) {
    char path[4096], url[4096], total[32];
    tag_path(t->f, path, sizeof path);
    kf_error why;
    FILE *in = cli_open(path, &why);
    bool ok = in && fgets(url, sizeof url, in) && fgets(t->begun_under, sizeof t->begun_under, in) &&
              fgets(total, sizeof total, in);
    if (in) fclose(in);
    if (!ok) return false;
    url[strcspn(url, "\n")] = t->begun_under[strcspn(t->begun_under, "\n")] = '\0';
    t->begun_total = strtoull(total, NULL, 10);
    return t->begun_under[0] && strcmp(url, t->f->url) == 0;
}

/* Is this range of the file that the part was begun from? Some servers answer a range whatever If-Range says; a right
 * one repeats its ETag, but need not repeat its date. */
static bool same_file(const transfer *t) {
    if (!t->range || t->range_start != t->at || (t->begun_total && t->range_total != t->begun_total)) return false;
    return t->begun_under[0] == '"' ? strcmp(t->tag, t->begun_under) == 0
                                    : !t->modified[0] || strcmp(t->modified, t->begun_under) == 0;
}

/* First byte of a body that counts: decide between going on and starting over. */
static bool begin(transfer *t, long code) {
    t->started = true;
    if (code == 206) {
        t->changed = t->at == 0 || !same_file(t);
        return !t->changed;
    }
    t->at = t->from = 0;
    if (ftruncate(t->fd, 0) != 0 || lseek(t->fd, 0, SEEK_SET) != 0 || !save_tag(t)) {
        t->disk = true;
        t->disk_errno = errno;
        return false;
    }
    return true;
}

static size_t on_data(char *data, size_t size, size_t count, void *user) {
    transfer *t = user;
    size_t n = size * count;
    long code = 0;
    c.getinfo(t->curl, CURLINFO_RESPONSE_CODE, &code);
    if (code != 0 && code != 200 && code != 206) return n; /* an error page is not content */
    if (!t->started && !begin(t, code)) return 0;
    if (t->at + n > t->f->max_bytes) {
        t->too_large = true;
        return 0;
    }
    for (size_t done = 0; done < n;) {
        ssize_t w = write(t->fd, data + done, n - done);
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) {
            t->disk = true;
            t->disk_errno = errno;
            return 0;
        }
        done += (size_t)w;
        t->at += (uint64_t)w;
    }
    return n;
}

static int on_progress(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up) {
    transfer *t = user;
    static double last;
    double ms = cli_now_ms();
    if (!t->f->progress || ms - last < 100 || !t->started) return 0;
    last = ms;
    double all = (double)t->from + (double)total, share = total > 0 ? (double)t->at / all : 0;
    if (share > 1) share = 1; /* a server may send more than it announced */
    int bars = (int)(share * 30);
    fprintf(stderr, "\r[%.*s%*s] %3.0f %%  %.1f MiB  %.1f MiB/s ", bars, "##############################", 30 - bars,
            "", 100 * share, (double)t->at / 1048576, (double)(t->at - t->from) / 1048.576 / (ms - t->begun + 1));
    return 0;
}

/* Options by number, value by pointer or long: the first refusal is kept. */
#define SET(option, value)                                                                                             \
    do {                                                                                                               \
        CURLcode rc_ = c.setopt(t->curl, option, value);                                                               \
        if (t->setup == CURLE_OK && rc_ != CURLE_OK) t->setup = rc_;                                                   \
    } while (0)

/* By name, or by bit as libcurl before 7.85 has it. Without a limit a redirect could read a local file, so nothing is
 * fetched then. */
static void limit_protocols(transfer *t) {
    enum {
        BITS = 181,
        REDIRECT_BITS = 182,
        HTTP = 1,
        HTTPS = 2,
        LOCAL = 1 << 10
    };                                                  /* the old names are deprecated in the header */
    bool secure = strncmp(t->f->url, "https:", 6) == 0; /* never from https to http, never to a file */
    if (c.setopt(t->curl, CURLOPT_PROTOCOLS_STR, "http,https,file") != CURLE_OK)
        SET((CURLoption)BITS, (long)(HTTP | HTTPS | LOCAL));
    if (c.setopt(t->curl, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https") != CURLE_OK)
        SET((CURLoption)REDIRECT_BITS, (long)(secure ? HTTPS : HTTP | HTTPS));
}

static void set_options(transfer *t, struct curl_slist *headers) {
    t->setup = CURLE_OK;
    limit_protocols(t);
    SET(CURLOPT_URL, t->f->url);
    SET(CURLOPT_FOLLOWLOCATION, 1L);
    SET(CURLOPT_MAXREDIRS, 8L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_CONNECTTIMEOUT, (long)t->f->stall_s);
    SET(CURLOPT_LOW_SPEED_LIMIT, t->f->slowest);
    SET(CURLOPT_LOW_SPEED_TIME, (long)t->f->stall_s);
    SET(CURLOPT_USERAGENT, "kitfox");
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_WRITEFUNCTION, on_data);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, t);
}
#undef SET

/* One attempt. `code` gets the HTTP status, 0 for file: URLs and when there was none. */
static CURLcode attempt(transfer *t, long *code) {
    char line[400];
    struct curl_slist *headers = NULL, *longer;
    bool memory = true;
    struct stat st;
    t->started = t->too_large = t->disk = t->changed = t->range = false;
    t->linked_size = 0;
    t->linked[0] = '\0';
    t->at = fstat(t->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    bool resume = t->at > 0 && strncmp(t->f->url, "http", 4) == 0 && read_tag(t);
    if (!resume) t->at = 0, t->begun_under[0] = '\0';
    t->from = t->at;
    t->begun = cli_now_ms();
    t->setup = CURLE_OK;
    *code = 0;
    if (ftruncate(t->fd, (off_t)t->at) != 0 || lseek(t->fd, (off_t)t->at, SEEK_SET) < 0) return CURLE_WRITE_ERROR;
    if (!(t->curl = c.init())) return CURLE_OUT_OF_MEMORY;
    if (resume) {
        snprintf(line, sizeof line, "Range: bytes=%llu-", (unsigned long long)t->at);
        memory = (headers = c.append(NULL, line)) != NULL;
        snprintf(line, sizeof line, "If-Range: %s", t->begun_under);
        memory = memory &&
                 (longer = c.append(headers, line)) != NULL; /* a range without its condition could mix two files */
    }
    set_options(t, headers);
    CURLcode rc = !memory ? CURLE_OUT_OF_MEMORY : t->setup != CURLE_OK ? t->setup : c.perform(t->curl);
    *code = 0;
    c.getinfo(t->curl, CURLINFO_RESPONSE_CODE, code);
    c.cleanup(t->curl);
    c.free_all(headers);
    if (t->f->progress) fprintf(stderr, "\r%70s\r", "");
    return rc;
}

/* These bytes are never resumed: without a tag the next attempt begins at 0. The empty part itself goes in leave(). */
static void drop_part(transfer *t) {
    char path[4096];
    tag_path(t->f, path, sizeof path);
    unlink(path);
    t->at = 0;
    if (ftruncate(t->fd, 0) != 0) t->disk = true;
}

/* Everything that can be known about a complete part, before it gets its name. */
static kf_status judge(transfer *t, const char *part, cli_fetched *out, kf_error *err) {
    const char *url = t->f->url;
    if (t->range && t->range_total != t->at)
        return cli_error_at(
            err, KF_ERR_CORRUPT, url,
            "the length differs from the one the server announced; try again later or another --mirror");
    if (t->linked_size && t->linked_size != t->at)
        return cli_error_at(err, KF_ERR_CORRUPT, url,
                            "the file is shorter or longer than the hub lists it; try again later or another --mirror");
    kf_status st = kf_file_sha256(part, out->sha256, err);
    if (st != KF_OK) return st;
    const char *wanted = t->f->sha256 ? t->f->sha256 : t->linked;
    if (wanted[0] && strcmp(out->sha256, wanted) != 0)
        return cli_error(err, KF_ERR_CORRUPT,
                         "%.500s: the SHA-256 differs: %s arrived, %s is %s; try again later or another --mirror", url,
                         out->sha256, wanted, t->f->sha256 ? "asked for" : "published");
    return t->f->check ? t->f->check(part, url, err) : KF_OK;
}

/* What one attempt came to: done, worth another try, or final. */
typedef enum verdict { DONE, AGAIN, GIVE_UP } verdict;

static verdict after(transfer *t, CURLcode rc, long code, cli_fetched *out, kf_error *err) {
    char why[300];
    const char *url = t->f->url;
    out->missing = out->offline = false;
    if (t->setup != CURLE_OK) {
        snprintf(why, sizeof why,
                 "this libcurl refuses an option that keeps the transfer safe; %s; install a newer libcurl4",
                 c.text(t->setup));
        return cli_error_at(err, KF_ERR_UNSUPPORTED, "pull", why), GIVE_UP;
    }
    if (rc == CURLE_OUT_OF_MEMORY)
        return cli_error_at(err, KF_ERR_MEMORY, url, "out of memory in the transfer; free some"), GIVE_UP;
    if (t->disk || (rc == CURLE_WRITE_ERROR && !t->too_large && !t->changed)) {
        snprintf(why, sizeof why, "cannot write; %s; check folder and space",
                 strerror(t->disk_errno ? t->disk_errno : errno));
        return cli_error_at(err, KF_ERR_IO, t->f->path, why), GIVE_UP;
    }
    if (t->too_large)
        return cli_error_at(err, KF_ERR_LIMIT, url, "larger than such a file can be; check --mirror"), drop_part(t),
               GIVE_UP;
    if (t->changed || code == 416)
        return cli_error_at(err, KF_ERR_IO, url, "the server does not resume where it was asked to; started over"),
               drop_part(t), AGAIN;
    if (code == 404 || code == 410 || rc == CURLE_FILE_COULDNT_READ_FILE) {
        out->missing = true;
        return cli_error_at(err, KF_ERR_IO, url, "not found; check --mirror"), GIVE_UP;
    }
    if (rc == CURLE_COULDNT_RESOLVE_HOST || rc == CURLE_COULDNT_RESOLVE_PROXY || rc == CURLE_COULDNT_CONNECT) {
        out->offline = true;
        snprintf(why, sizeof why, "cannot be reached; %s", c.text(rc));
        return cli_error_at(err, KF_ERR_IO, url, why), rc == CURLE_COULDNT_CONNECT ? AGAIN : GIVE_UP;
    }
    if (code >= 400) {
        snprintf(why, sizeof why, "the server answers %ld; %s", code,
                 code >= 500 || code == 429 || code == 408 ? "try again later or another --mirror" : "check --mirror");
        return cli_error_at(err, KF_ERR_IO, url, why), code >= 500 || code == 429 || code == 408 ? AGAIN : GIVE_UP;
    }
    if (rc == CURLE_OPERATION_TIMEDOUT) {
        snprintf(why, sizeof why,
                 "too slow; under %ld bytes a second for %d s; run it again to go on where it stopped, or see "
                 "--slowest and --timeout",
                 t->f->slowest, t->f->stall_s);
        return cli_error_at(err, KF_ERR_IO, url, why), AGAIN;
    }
    if (rc != CURLE_OK) {
        bool final = rc == CURLE_UNSUPPORTED_PROTOCOL || rc == CURLE_URL_MALFORMAT || rc == CURLE_TOO_MANY_REDIRECTS ||
                     rc == CURLE_PEER_FAILED_VERIFICATION;
        snprintf(why, sizeof why, "the transfer broke; %s; %s", c.text(rc),
                 final ? "check --mirror" : "run it again to go on where it stopped");
        return cli_error_at(err, KF_ERR_IO, url, why), final ? GIVE_UP : AGAIN;
    }
    if (!t->started && code == 206)
        return cli_error_at(err, KF_ERR_IO, url, "the server sends an empty range; started over"), drop_part(t), AGAIN;
    if (!t->started) t->at = 0; /* an empty answer replaces what was there */
    return DONE;
}

static void pause_ms(long ms) {
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&ts, NULL);
}

static kf_status fetch_part(transfer *t, const char *part, cli_fetched *out, kf_error *err) {
    long code = 0, wait = t->f->wait_ms;
    for (int i = 1;; i++) {
        out->tries = i;
        CURLcode rc = attempt(t, &code); /* a statement of its own: after() reads the code that this sets */
        verdict v = after(t, rc, code, out, err);
        if (v == DONE) {
            out->resumed |= t->from > 0;
            if (ftruncate(t->fd, (off_t)t->at) != 0 || fsync(t->fd) != 0)
                return cli_error_at(err, KF_ERR_IO, part, "cannot write; check the disk");
            if (judge(t, part, out, err) == KF_OK) return KF_OK;
            drop_part(t); /* wrong bytes must not be resumed */
        }
        if (v == GIVE_UP || i >= t->f->tries) return err->status;
        long this_wait = t->retry_after > 0 && t->retry_after <= 30 ? t->retry_after * 1000 : wait;
        cli_say("note: %s; attempt %d of %d in %.1f s", err->text, i + 1, t->f->tries, (double)this_wait / 1000);
        pause_ms(this_wait);
        wait = wait * 2 > 30000 ? 30000 : wait * 2;
    }
}

static kf_status cannot_write(kf_error *err, const char *path) {
    char why[300];
    snprintf(why, sizeof why, "cannot write; %s; check the folder", strerror(errno));
    return cli_error_at(err, KF_ERR_IO, path, why);
}

/* Open and lock the part. Its owner may have given it its final name between the two, so the name is looked up again.
 */
static kf_status open_part(const char *part, int *fd, kf_error *err) {
    struct stat held, named;
    for (int i = 0; i < 100; i++) {
        if ((*fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666)) < 0) return cannot_write(err, part);
        bool locked = flock(*fd, LOCK_EX | LOCK_NB) == 0;
        if (locked && fstat(*fd, &held) == 0 && S_ISREG(held.st_mode) && stat(part, &named) == 0 &&
            held.st_ino == named.st_ino && held.st_dev == named.st_dev)
            return KF_OK;
        close(*fd);
        if (!locked) break;
    }
    return cli_error_at(err, KF_ERR_IO, part, "another pull is fetching this file; wait for it");
}

/* A part stays only when a later run can go on with it: it has bytes and a tag. */
static void leave(const cli_fetch *f, int fd, bool keep) {
    char part[4096], tag[4096];
    struct stat st;
    snprintf(part, sizeof part, "%.4000s.part", f->path);
    tag_path(f, tag, sizeof tag);
    keep = keep && fstat(fd, &st) == 0 && st.st_size > 0 && stat(tag, &st) == 0;
    if (!keep) unlink(tag), unlink(part);
    close(fd);
}

kf_status cli_fetch_part(const cli_fetch *f, cli_fetched *out, kf_error *err) {
    char part[4096];
    *out = (cli_fetched){.fd = -1};
    kf_status st = load_curl(err);
    if (st != KF_OK) return st;
    if (strlen(f->path) > 4000 || strlen(f->url) > 4000)
        return cli_error_at(err, KF_ERR_LIMIT, f->path, "the name is too long");
    snprintf(part, sizeof part, "%.4000s.part", f->path);
    transfer t = {.f = f};
    if ((st = open_part(part, &t.fd, err)) != KF_OK) return st;
    st = fetch_part(&t, part, out, err);
    out->bytes = t.at;
    if (st == KF_OK) out->fd = t.fd;
    else leave(f, t.fd, true);
    return st;
}

kf_status cli_fetch_name(const cli_fetch *f, cli_fetched *got, kf_error *err) {
    char part[4096], tag[4096];
    snprintf(part, sizeof part, "%.4000s.part", f->path);
    tag_path(f, tag, sizeof tag);
    unlink(tag); /* before the rename: afterwards both names may belong to another pull */
    kf_status st = kf_file_replace(part, f->path, err);
    if (st != KF_OK) unlink(part);
    close(got->fd);
    got->fd = -1;
    return st;
}

void cli_fetch_forget(const cli_fetch *f, cli_fetched *got) {
    if (got->fd >= 0) leave(f, got->fd, false);
    got->fd = -1;
}
