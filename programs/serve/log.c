/* The access log.
 * Owner rule: see log.h. */
#include "serve/log.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "serve/text.h"

enum { MAX_LINE = 4096, MAX_PATH = 512 }; /* bytes; a line of a page never blocks a pipe that has room */

static void stamp(char text[40]) {
    struct timespec now;
    struct tm t;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &t);
    size_t n = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &t);
    snprintf(text + n, 40 - n, ".%03ldZ", now.tv_nsec / 1000000);
}

static void as_json(const sv_request *r, const sv_answer *a, uint64_t dropped, const char *when, double ms,
                    sv_text *t) {
    char path[MAX_PATH];
    sv_text_add(t, "{\"kind\":\"request\",\"time\":\"%s\",\"peer\":", when);
    sv_text_string(t, r->peer);
    sv_text_put(t, ",\"method\":");
    sv_text_string(t, r->method);
    sv_text_put(t, ",\"path\":");
    snprintf(path, sizeof path, "%s", r->path);
    sv_text_string(t, path);
    sv_text_add(t, ",\"status\":%d,\"bytes_in\":%zu,\"bytes_out\":%zu,\"pictures\":%d", a->status, r->bytes, a->bytes,
                a->pictures);
    sv_text_add(t, ",\"ms\":%.3f,\"queue_ms\":%.3f,\"decode_ms\":%.3f,\"compute_ms\":%.3f,\"dropped\":%llu}\n", ms,
                (double)a->queue / 1e6, (double)a->decode / 1e6, (double)a->compute / 1e6, (unsigned long long)dropped);
}

/* Control characters of a path would forge lines. */
static void as_text(const sv_request *r, const sv_answer *a, uint64_t dropped, const char *when, double ms,
                    sv_text *t) {
    char path[200];
    size_t n = 0;
    for (const char *p = r->path; *p && n < sizeof path - 1; p++) path[n++] = (*p < ' ' || *p == 127) ? '?' : *p;
    path[n] = 0;
    if (dropped) sv_text_add(t, "%llu lines were dropped\n", (unsigned long long)dropped);
    sv_text_add(t, "%s %s %s %s %d %zu %zu %.3f ms\n", when, r->peer, r->method, path, a->status, r->bytes, a->bytes,
                ms);
}

/* A reader that does not read must not stop the server: its lines are dropped, and the next one says how many. */
static void put_line(sv_log *log, const sv_text *t) {
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    size_t n = t->bytes < MAX_LINE ? t->bytes : MAX_LINE;
    if (!t->data || poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT) || write(STDERR_FILENO, t->data, n) < 0)
        log->dropped++;
}

void sv_log_request(sv_log *log, const sv_request *r, const sv_answer *a, int64_t total) {
    sv_text t = {0};
    char when[40];
    if (log->form == SV_LOG_NONE) return;
    stamp(when);
    if (log->form == SV_LOG_JSON) as_json(r, a, log->dropped, when, (double)total / 1e6, &t);
    else as_text(r, a, log->dropped, when, (double)total / 1e6, &t);
    uint64_t before = log->dropped;
    put_line(log, &t);
    if (log->dropped == before) log->dropped = 0;
    sv_text_free(&t);
}
