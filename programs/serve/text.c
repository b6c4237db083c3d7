/* Text that grows.
 * Owner rule: see text.h. */
#include "serve/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

static bool reserve(sv_text *t, size_t more) {
    if (t->failed) return false;
    if (t->bytes + more + 1 <= t->room) return true;
    size_t room = t->room ? t->room : 256;
    while (room < t->bytes + more + 1) room *= 2;
    char *grown = realloc(t->data, room);
    if (!grown) {
        sv_text_lose(t);
        return false;
    }
    t->data = grown, t->room = room;
    return true;
}

void sv_text_bytes(sv_text *t, const void *data, size_t bytes) {
    if (!reserve(t, bytes)) return;
    if (bytes) memcpy(t->data + t->bytes, data, bytes);
    t->bytes += bytes;
    t->data[t->bytes] = 0;
}

void sv_text_put(sv_text *t, const char *text) { sv_text_bytes(t, text, strlen(text)); }

void sv_text_add(sv_text *t, const char *fmt, ...) {
    char line[512];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (n < 0) return;
    if ((size_t)n < sizeof line) {
        sv_text_bytes(t, line, (size_t)n);
        return;
    }
    if (!reserve(t, (size_t)n)) return;
    va_start(args, fmt);
    vsnprintf(t->data + t->bytes, (size_t)n + 1, fmt, args);
    va_end(args);
    t->bytes += (size_t)n;
}

/* Bytes of one character of UTF-8 at `s`, whose text ends with a zero; `bad`: it is none, and one byte is passed over.
 */
static size_t character(const char *s, bool *bad) {
    size_t n = 1;
    *bad = cli_utf8(s, strnlen(s, 4), &n) < 0;
    return n;
}

static void put_character(sv_text *t, const char *s, size_t n, bool bad) {
    unsigned char c = (unsigned char)*s;
    if (bad) sv_text_put(t, "\xef\xbf\xbd");
    else if (c == '"' || c == '\\') sv_text_put(t, c == '"' ? "\\\"" : "\\\\");
    else if (c < ' ' || c == 127) sv_text_add(t, "\\u%04x", c);
    else sv_text_bytes(t, s, n);
}

void sv_text_string(sv_text *t, const char *s) {
    size_t n;
    bool bad;
    if (!s) {
        sv_text_put(t, "null");
        return;
    }
    sv_text_put(t, "\"");
    for (; *s; s += n) {
        n = character(s, &bad);
        put_character(t, s, n, bad);
    }
    sv_text_put(t, "\"");
}

void sv_text_number(sv_text *t, double x) {
    if (isfinite(x)) sv_text_add(t, "%.9g", x);
    else sv_text_put(t, "null");
}

char *sv_text_take(sv_text *t, size_t *bytes) {
    if (!t->failed && !t->data) reserve(t, 0);
    char *data = t->data;
    *bytes = t->bytes;
    if (data) data[t->bytes] = 0;
    *t = (sv_text){0};
    return data;
}

void sv_text_free(sv_text *t) {
    free(t->data);
    *t = (sv_text){0};
}

void sv_text_lose(sv_text *t) {
    sv_text_free(t);
    t->failed = true;
}
