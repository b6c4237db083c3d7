/* Linked into a second form of the program: it begins as a program of a user with a locale of her own does.
 * KITFOX_COMMA: fail where that locale writes numbers with a point all the same. Owner rule: none. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

static __attribute__((constructor)) void begin(void) {
    setlocale(LC_ALL, "");
    if (getenv("KITFOX_COMMA") && localeconv()->decimal_point[0] != ',') {
        fputs("the locale has no comma\n", stderr);
        _Exit(99);
    }
}
