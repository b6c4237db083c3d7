/* Numbers as text with a point, whatever locale the program has set: files and messages are the same everywhere.
 * All other code of the libraries calls these; the test `locale` looks for calls that do not.
 * Owner rule: pure functions; the calling thread's locale is as before when they return. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

/* The C locale is static in every C library: nothing is allocated. */
static locale_t plain(void) { return uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0)); }

double kf__text_real(const char *text, char **end) {
    locale_t before = plain();
    double x = strtod(text, end);
    uselocale(before);
    return x;
}

int kf__text_vprint(char *to, size_t room, const char *fmt, va_list args) {
    locale_t before = plain();
    int n = vsnprintf(to, room, fmt, args);
    uselocale(before);
    return n;
}

int kf__text_print(char *to, size_t room, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int n = kf__text_vprint(to, room, fmt, args);
    va_end(args);
    return n;
}
