/* Text without the locale: the calling thread has the C locale for the time of one call.
 * All other code of the workbench calls these; the test `locale` looks for calls that do not.
 * Owner rule: see plain.h. */
#include "data/plain.h"

#include <locale.h>
#include <stdlib.h>

/* The C locale is static in every C library: nothing is allocated. */
static locale_t plain(void) { return uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0)); }

double kf__lab_real(const char *text, char **end) {
    locale_t before = plain();
    double x = strtod(text, end);
    uselocale(before);
    return x;
}

int kf__lab_vprint(char *to, size_t room, const char *fmt, va_list args) {
    locale_t before = plain();
    int n = vsnprintf(to, room, fmt, args);
    uselocale(before);
    return n;
}

int kf__lab_print(char *to, size_t room, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int n = kf__lab_vprint(to, room, fmt, args);
    va_end(args);
    return n;
}

int kf__lab_write(FILE *to, const char *fmt, ...) {
    va_list args;
    locale_t before = plain();
    va_start(args, fmt);
    int n = vfprintf(to, fmt, args);
    va_end(args);
    uselocale(before);
    return n;
}

bool kf__lab_same(const char *a, const char *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (kf__lab_small(a[i]) != kf__lab_small(b[i])) return false;
        if (!a[i]) return true;
    }
    return true;
}
