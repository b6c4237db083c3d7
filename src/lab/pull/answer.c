/* What a server's headers say, and what is kept beside a part so that a later attempt can go on with it.
 * A part is resumed only when the server's validator (strong ETag, else an old enough Last-Modified) is the one it was
 * begun under.
 * Owner rule: borrows the transfer. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "pull/transfer.h"
#include "data/plain.h"

static bool header_value(const char *line, size_t n, const char *name, char *out, size_t cap) {
    size_t m = strlen(name);
    if (n <= m || !kf__lab_same(line, name, m)) return false;
    while (m < n && (line[m] == ' ' || line[m] == '\t')) m++;
    while (n > m && (line[n - 1] == '\r' || line[n - 1] == '\n' || line[n - 1] == ' ')) n--;
    if (n - m >= cap) return false;
    memcpy(out, line + m, n - m);
    out[n - m] = '\0';
    return true;
}

/* Each status line begins a new answer; only what the hub says about the linked file survives its redirect. */
static void new_answer(kf__transfer *t) {
    t->tag[0] = t->modified[0] = t->date[0] = '\0';
    t->range = false;
    t->range_total = t->length = 0;
    t->retry_after = 0;
}

static void take_range(kf__transfer *t, const char *value) {
    unsigned long long first, last, total;
    if (sscanf(value, "bytes %llu-%llu/%llu", &first, &last, &total) != 3) return;
    t->range = true;
    t->range_start = first;
    t->range_total = total;
}

static void take_linked_tag(kf__transfer *t, const char *value) {
    if (strlen(value) == 66 && strspn(value + 1, "0123456789abcdef") == 64)
        snprintf(t->linked, sizeof t->linked, "%.64s", value + 1);
}

size_t kf__answer_header(char *line, size_t size, size_t count, void *user) {
    kf__transfer *t = user;
    size_t n = size * count;
    char v[300];
    if (n > 5 && memcmp(line, "HTTP/", 5) == 0) {
        new_answer(t);
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
        take_linked_tag(t, v);
    } else if (header_value(line, n, "content-range:", v, sizeof v)) {
        take_range(t, v);
    }
    return n;
}

/* A time stamp counts only when it is old: two versions may share a young one. */
const char *kf__answer_validator(const kf__transfer *t) {
    if (t->tag[0]) return t->tag;
    time_t then = t->c->date(t->modified, NULL), now = t->c->date(t->date, NULL);
    return then >= 0 && now >= 0 && now - then >= 2 ? t->modified : "";
}

/* ---- the tag beside a part --------------------------------------------------------------------------------------- */

void kf__tag_path(const kf__fetch *f, char *out, size_t room) { snprintf(out, room, "%.4000s.part.tag", f->path); }

/* The validator goes to disk before the first byte: a part without one is never resumed. */
static bool save_tag(const kf__transfer *t) {
    char path[4096];
    kf__tag_path(t->f, path, sizeof path);
    const char *v = kf__answer_validator(t);
    unlink(path);
    if (!v[0]) return true;
    FILE *f = fopen(path, "wxe"); /* new: nothing is written through a link */
    if (!f) return false;
    bool ok = fprintf(f, "%s\n%s\n%llu\n", t->f->url, v, (unsigned long long)t->length) > 0;
    return fclose(f) == 0 && ok;
}

bool kf__tag_read(kf__transfer *t) {
    char path[4096], url[4096], total[32];
    int fd;
    uint64_t bytes;
    kf__tag_path(t->f, path, sizeof path);
    if (kf_file_open(path, &fd, &bytes, NULL) != KF_OK) return false;
    FILE *in = fdopen(fd, "rb");
    bool ok = in && fgets(url, sizeof url, in) && fgets(t->begun_under, sizeof t->begun_under, in) &&
              fgets(total, sizeof total, in);
    if (in) fclose(in);
    else close(fd);
    if (!ok) return false;
    url[strcspn(url, "\n")] = t->begun_under[strcspn(t->begun_under, "\n")] = '\0';
    t->begun_total = strtoull(total, NULL, 10);
    return t->begun_under[0] && strcmp(url, t->f->url) == 0;
}

/* ---- the first byte of a body ------------------------------------------------------------------------------------ */

/* Is this range of the file that the part was begun from? Some servers answer a range whatever If-Range says; a right
 * one repeats its ETag, but need not repeat its date. */
static bool same_file(const kf__transfer *t) {
    if (!t->range || t->range_start != t->at || (t->begun_total && t->range_total != t->begun_total)) return false;
    if (t->begun_under[0] == '"') return strcmp(t->tag, t->begun_under) == 0;
    return !t->modified[0] || strcmp(t->modified, t->begun_under) == 0;
}

bool kf__answer_begin(kf__transfer *t, long code) {
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
