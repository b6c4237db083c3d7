/* UTF-8 by hand, since the locale is not ours to set; names made harmless; names that resemble others.
 * Owner rule: see text.h. */
#include "common/text.h"

#include <stdio.h>
#include <string.h>

int32_t cli_utf8(const char *s, size_t n, size_t *bytes) {
    static const int32_t LEAST[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *at = (const unsigned char *)s;
    size_t need = 1;
    *bytes = 1;
    if (*at < 0x80) return *at;
    if (*at >= 0xc2 && *at < 0xe0) need = 2;
    else if (*at >= 0xe0 && *at < 0xf0) need = 3;
    else if (*at >= 0xf0 && *at < 0xf5) need = 4;
    if (need == 1 || need > n) return -1;
    int32_t c = *at & (0x7f >> need);
    for (size_t i = 1; i < need; i++) {
        if ((at[i] & 0xc0) != 0x80) return -1;
        c = c << 6 | (at[i] & 0x3f);
    }
    if (c < LEAST[need] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return -1;
    *bytes = need;
    return c;
}

bool cli_is_control(int32_t c) { return (c >= 0 && c < 0x20) || (c >= 0x7f && c < 0xa0); }

size_t cli_show(const char *s, size_t n, const char *keep, char *out) {
    static const char NAMES[] = "\n\t\r", LETTERS[] = "ntr";
    char *to = out;
    for (size_t i = 0, bytes; i < n; i += bytes) {
        int32_t c = cli_utf8(s + i, n - i, &bytes);
        bool kept = c > 0 && c < 0x80 && strchr(keep, c);
        const char *name = c > 0 && c < 0x80 ? strchr(NAMES, c) : NULL;
        if (c >= 0 && (kept || !cli_is_control(c))) {
            memcpy(to, s + i, bytes);
            to += bytes;
        } else if (name) {
            *to++ = '\\', *to++ = LETTERS[name - NAMES];
        } else if (c < 0) {
            to += sprintf(to, "\\x%02x", (unsigned char)s[i]);
        } else {
            to += sprintf(to, "\\x%02x", (unsigned)c);
        }
    }
    *to = '\0';
    return (size_t)(to - out);
}

const char *cli_shown(const char *s) {
    enum { ROOM = 4096 };
    static char buffers[4][CLI_SHOWN * ROOM + 1];
    static unsigned next;
    char *out = buffers[next++ % 4];
    cli_show(s, strnlen(s, ROOM), "", out);
    return out;
}

/* Optimal string alignment: three rows of the table are enough. */
size_t cli_distance(const char *a, const char *b) {
    enum { MOST = 63 };
    size_t rows[3][MOST + 1], n = strnlen(a, MOST), m = strnlen(b, MOST);
    for (size_t k = 0; k <= m; k++) rows[0][k] = k;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = rows[i % 3];
        const size_t *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t k = 1; k <= m; k++) {
            size_t best = last[k - 1] + (a[i - 1] != b[k - 1]);
            if (last[k] + 1 < best) best = last[k] + 1;
            if (now[k - 1] + 1 < best) best = now[k - 1] + 1;
            bool swapped = i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1];
            if (swapped && before[k - 2] + 1 < best) best = before[k - 2] + 1;
            now[k] = best;
        }
    }
    return rows[n % 3][m];
}

bool cli_resembles(const char *a, const char *b, size_t *distance) {
    size_t longer = strlen(a) > strlen(b) ? strlen(a) : strlen(b);
    *distance = cli_distance(a, b);
    return *distance <= (longer + 2) / 3 && *distance < longer;
}
