/* Fetching one file: attempts with back-off, checks before the rename.
 * Owner rule: one transfer at a time owns "path.part" through flock. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pull/transfer.h"
#include "data/plain.h"

/* These bytes are never resumed: without a tag the next attempt begins at 0. The empty part itself goes in leave(). */
static void drop_part(kf__transfer *t) {
    char path[4096];
    kf__tag_path(t->f, path, sizeof path);
    unlink(path);
    t->at = 0;
    if (ftruncate(t->fd, 0) != 0) t->disk = true;
}

/* ---- what an attempt came to ------------------------------------------------------------------------------------- */

/* Everything that can be known about a complete part, before it gets its name. */
static kf_status judge(kf__transfer *t, const char *part, kf__fetched *out, kf_error *err) {
    const char *url = t->f->url, *wanted = t->f->sha256 ? t->f->sha256 : t->linked;
    if (t->range && t->range_total != t->at)
        KF_FAIL(err, KF_ERR_CORRUPT,
                "%.600s: the length differs from the one the server announced; try again later or another --mirror",
                url);
    if (t->linked_size && t->linked_size != t->at)
        KF_FAIL(err, KF_ERR_CORRUPT,
                "%.600s: the file is shorter or longer than the hub lists it; try again later or another --mirror",
                url);
    KF_TRY(kf_file_sha256(part, out->sha256, err));
    if (wanted[0] && strcmp(out->sha256, wanted) != 0)
        KF_FAIL(err, KF_ERR_CORRUPT,
                "%.500s: the SHA-256 differs: %s arrived, %s is %s; try again later or another --mirror", url,
                out->sha256, wanted, t->f->sha256 ? "asked for" : "published");
    return t->f->check ? t->f->check(part, url, err) : KF_OK;
}

/* Complete, worth another try, final; or none of the cases that a function looks at. */
typedef enum verdict { DONE, AGAIN, GIVE_UP, OPEN } verdict;

static verdict because(verdict v, kf_error *err, kf_status st, const char *place, const char *fmt, ...) KF_PRINTF(5, 6);
static verdict because(verdict v, kf_error *err, kf_status st, const char *place, const char *fmt, ...) {
    char why[400];
    va_list args;
    va_start(args, fmt);
    kf__lab_vprint(why, sizeof why, fmt, args);
    va_end(args);
    kf_error_set(err, st, "%.600s: %s", place, why);
    return v;
}

/* What this end could not do. */
static verdict after_this_end(kf__transfer *t, CURLcode rc, kf_error *err) {
    const char *url = t->f->url;
    if (t->stopped) return because(GIVE_UP, err, KF_ERR_CANCELLED, url, "stopped by the caller; nothing is kept");
    if (t->setup != CURLE_OK)
        return because(GIVE_UP, err, KF_ERR_UNSUPPORTED, "pull",
                       "this libcurl refuses an option that keeps the transfer safe; %s; install a newer libcurl4",
                       t->c->text(t->setup));
    if (rc == CURLE_OUT_OF_MEMORY)
        return because(GIVE_UP, err, KF_ERR_MEMORY, url, "out of memory in the transfer; free some");
    if (t->disk || (rc == CURLE_WRITE_ERROR && !t->too_large && !t->changed))
        return because(GIVE_UP, err, KF_ERR_IO, t->f->path, "cannot write; %s; check folder and space",
                       strerror(t->disk_errno ? t->disk_errno : errno));
    if (!t->too_large) return OPEN;
    drop_part(t);
    return because(GIVE_UP, err, KF_ERR_LIMIT, url, "larger than such a file can be; check --mirror");
}

/* What the server answered. */
static verdict after_answer(kf__transfer *t, CURLcode rc, long code, kf__fetched *out, kf_error *err) {
    const char *url = t->f->url;
    if (t->changed || code == 416) {
        drop_part(t);
        return because(AGAIN, err, KF_ERR_IO, url, "the server does not resume where it was asked to; started over");
    }
    out->missing = code == 404 || code == 410 || rc == CURLE_FILE_COULDNT_READ_FILE;
    if (out->missing) return because(GIVE_UP, err, KF_ERR_IO, url, "not found; check --mirror");
    out->offline = rc == CURLE_COULDNT_RESOLVE_HOST || rc == CURLE_COULDNT_RESOLVE_PROXY || rc == CURLE_COULDNT_CONNECT;
    if (out->offline)
        return because(rc == CURLE_COULDNT_CONNECT ? AGAIN : GIVE_UP, err, KF_ERR_IO, url, "cannot be reached; %s",
                       t->c->text(rc));
    if (code >= 500 || code == 429 || code == 408)
        return because(AGAIN, err, KF_ERR_IO, url, "the server answers %ld; try again later or another --mirror", code);
    if (code >= 400) return because(GIVE_UP, err, KF_ERR_IO, url, "the server answers %ld; check --mirror", code);
    return OPEN;
}

/* What became of the bytes. */
static verdict after_bytes(kf__transfer *t, CURLcode rc, long code, kf_error *err) {
    const char *url = t->f->url;
    if (rc == CURLE_OPERATION_TIMEDOUT)
        return because(AGAIN, err, KF_ERR_IO, url,
                       "too slow; under %lld bytes a second for %d s; run it again to go on where it stopped, or see "
                       "--slowest and --timeout",
                       (long long)t->f->slowest, t->f->stall_s);
    if (rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CACERT_BADFILE)
        return because(
            GIVE_UP, err, KF_ERR_IO, url,
            "the transfer broke; %s; check --mirror, or name a file of trusted certificates in SSL_CERT_FILE",
            t->c->text(rc));
    if (rc == CURLE_UNSUPPORTED_PROTOCOL || rc == CURLE_URL_MALFORMAT || rc == CURLE_TOO_MANY_REDIRECTS)
        return because(GIVE_UP, err, KF_ERR_IO, url, "the transfer broke; %s; check --mirror", t->c->text(rc));
    if (rc != CURLE_OK)
        return because(AGAIN, err, KF_ERR_IO, url, "the transfer broke; %s; run it again to go on where it stopped",
                       t->c->text(rc));
    if (!t->started && code == 206) {
        drop_part(t);
        return because(AGAIN, err, KF_ERR_IO, url, "the server sends an empty range; started over");
    }
    if (!t->started) t->at = 0; /* an empty answer replaces what was there */
    return DONE;
}

static verdict after(kf__transfer *t, CURLcode rc, long code, kf__fetched *out, kf_error *err) {
    out->missing = out->offline = false;
    verdict v = after_this_end(t, rc, err);
    if (v == OPEN) v = after_answer(t, rc, code, out, err);
    if (v == OPEN) v = after_bytes(t, rc, code, err);
    return v;
}

/* ---- attempts ---------------------------------------------------------------------------------------------------- */

/* In short steps, so that the caller can stop it. */
static kf_status wait_for_next(kf__transfer *t, long ms, kf_error *err) {
    enum { STEP = 50 };
    for (; ms > 0; ms -= STEP) {
        struct timespec ts = {0, (ms < STEP ? ms : STEP) * 1000000};
        if (!kf__transfer_tell(t, 0, 0)) return after_this_end(t, CURLE_OK, err), err->status;
        nanosleep(&ts, NULL);
    }
    return KF_OK;
}

static void note(const kf__transfer *t, int next, long ms, const kf_error *err) {
    char text[KF_ERROR_TEXT + 64];
    if (!t->f->notice) return;
    kf__lab_print(text, sizeof text, "%s; attempt %d of %d in %.1f s", err->text, next, t->f->tries, (double)ms / 1000);
    t->f->notice(t->f->user, text);
}

/* All bytes came: to the disk, and judged. The caller hears of the last byte too. */
static kf_status complete(kf__transfer *t, const char *part, kf__fetched *out, kf_error *err) {
    out->resumed |= t->from > 0;
    if (!kf__transfer_tell(t, t->at, t->at)) return after_this_end(t, CURLE_OK, err), err->status;
    if (ftruncate(t->fd, (off_t)t->at) != 0 || fsync(t->fd) != 0)
        KF_FAIL(err, KF_ERR_IO, "%.600s: cannot write; check the disk", part);
    return judge(t, part, out, err);
}

static kf_status fetch_part(kf__transfer *t, const char *part, kf__fetched *out, kf_error *err) {
    long code = 0, wait = t->f->wait_ms;
    for (int i = 1;; i++) {
        CURLcode rc =
            kf__transfer_attempt(t, &code); /* a statement of its own: after() reads the code that this sets */
        verdict v = after(t, rc, code, out, err);
        if (v == DONE) {
            kf_status st = complete(t, part, out, err);
            if (st == KF_OK || st == KF_ERR_CANCELLED || st == KF_ERR_MEMORY) return st;
            drop_part(t); /* wrong bytes must not be resumed */
        }
        if (v == GIVE_UP || i >= t->f->tries) return err->status;
        long ms = t->retry_after > 0 && t->retry_after <= 30 ? t->retry_after * 1000 : wait;
        note(t, i + 1, ms, err);
        KF_TRY(wait_for_next(t, ms, err));
        wait = wait * 2 > 30000 ? 30000 : wait * 2;
    }
}

/* ---- the part ---------------------------------------------------------------------------------------------------- */

/* Open and lock the part. Its owner may have given it its final name between the two, so the name is looked up again.
 */
static kf_status open_part(const char *part, int *fd, kf_error *err) {
    struct stat held, named;
    for (int i = 0; i < 100; i++) {
        if ((*fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666)) < 0)
            KF_FAIL(err, KF_ERR_IO, "%.600s: cannot write; %s; check the folder", part, strerror(errno));
        bool locked = flock(*fd, LOCK_EX | LOCK_NB) == 0;
        if (locked && fstat(*fd, &held) == 0 && S_ISREG(held.st_mode) && stat(part, &named) == 0 &&
            held.st_ino == named.st_ino && held.st_dev == named.st_dev)
            return KF_OK;
        close(*fd);
        if (!locked) break;
    }
    KF_FAIL(err, KF_ERR_IO, "%.600s: another pull is fetching this file; wait for it", part);
}

/* A part stays only when a later run can go on with it: it has bytes and a tag. */
static void leave(const kf__fetch *f, int fd, bool keep) {
    char part[4096], tag[4096];
    struct stat st;
    snprintf(part, sizeof part, "%.4000s.part", f->path);
    kf__tag_path(f, tag, sizeof tag);
    keep = keep && fstat(fd, &st) == 0 && st.st_size > 0 && stat(tag, &st) == 0;
    if (!keep) unlink(tag), unlink(part);
    close(fd);
}

kf_status kf__fetch_part(const kf__fetch *f, kf__fetched *out, kf_error *err) {
    char part[4096];
    kf__transfer t = {.f = f};
    *out = (kf__fetched){.fd = -1};
    KF_TRY(kf__curl_load(&t.c, err));
    if (strlen(f->path) > 4000 || strlen(f->url) > 4000)
        KF_FAIL(err, KF_ERR_LIMIT, "%.600s: the name is too long", f->path);
    snprintf(part, sizeof part, "%.4000s.part", f->path);
    KF_TRY(open_part(part, &t.fd, err));
    kf_status st = fetch_part(&t, part, out, err);
    out->bytes = t.at;
    if (st == KF_OK) out->fd = t.fd;
    else leave(f, t.fd, st != KF_ERR_CANCELLED);
    return st;
}

kf_status kf__fetch_name(const kf__fetch *f, kf__fetched *got, kf_error *err) {
    char part[4096], tag[4096];
    snprintf(part, sizeof part, "%.4000s.part", f->path);
    kf__tag_path(f, tag, sizeof tag);
    unlink(tag); /* before the rename: afterwards both names may belong to another pull */
    kf_status st = kf_file_replace(part, f->path, err);
    if (st != KF_OK) unlink(part);
    close(got->fd);
    got->fd = -1;
    return st;
}

void kf__fetch_forget(const kf__fetch *f, kf__fetched *got) {
    if (got->fd >= 0) leave(f, got->fd, false);
    got->fd = -1;
}
