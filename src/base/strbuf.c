/* Growing text buffer used for JSON, reports and messages of unknown length.
 * Failure is sticky, so writers check once at the end.
 * Owner rule: the buffer owns `data` until kf__strbuf_free. */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>

static bool reserve(kf__strbuf *b, size_t extra) {
    size_t need;
    if (b->failed || !kf__add_size(b->len, extra, &need) || !kf__add_size(need, 1, &need) ||
        !kf__mem_grow((void **)&b->data, &b->cap, need, 1))
        b->failed = true;
    return !b->failed;
}

void kf__strbuf_add(kf__strbuf *b, const void *bytes, size_t n) {
    if (!reserve(b, n)) return;
    if (n) memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void kf__strbuf_str(kf__strbuf *b, const char *s) { kf__strbuf_add(b, s, strlen(s)); }

void kf__strbuf_printf(kf__strbuf *b, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = kf__text_vprint(NULL, 0, fmt, args);
    va_end(args);
    if (n >= 0 && reserve(b, (size_t)n)) {
        kf__text_vprint(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void kf__strbuf_free(kf__strbuf *b) {
    free(b->data);
    *b = (kf__strbuf){0};
}
