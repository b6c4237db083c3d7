/* Numbers and letters as text, whatever locale the program has set: pages, tables and files are the same everywhere.
 * The workbench's form of src/base/locale.c, which it cannot call. Owner rule: pure functions. */
#ifndef KF_LAB_PLAIN_H
#define KF_LAB_PLAIN_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "kitfox/status.h"

/** strtod, snprintf, vsnprintf and fprintf with a point. Thread safe: the calling thread's locale is as before
 * afterwards. */
double kf__lab_real(const char *text, char **end);
int kf__lab_print(char *to, size_t room, const char *fmt, ...) KF_PRINTF(3, 4);
int kf__lab_vprint(char *to, size_t room, const char *fmt, va_list args);
int kf__lab_write(FILE *to, const char *fmt, ...) KF_PRINTF(2, 3);
/** A to Z as a to z; another byte as it is. And: is it one of these letters? */
static inline int kf__lab_small(char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c; }
static inline bool kf__lab_letter(char c) { return kf__lab_small(c) >= 'a' && kf__lab_small(c) <= 'z'; }
/** Are the first n bytes the same by kf__lab_small, or all up to a zero? */
bool kf__lab_same(const char *a, const char *b, size_t n);

#endif
