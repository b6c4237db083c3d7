/* The lines of kernels.def, and which of them a check has run: a kernel that no check has met fails the program that
 * its line names.
 * Owner rule: one static table, of one thread. */
#ifndef KF_KERNELS_LINES_H
#define KF_KERNELS_LINES_H

#include <stdio.h>

#include "kernels/kernels.h"
#include "kernels/kernels_bytes.h"
#include "kernels/kernels_int.h"

/** The programs of this folder. */
enum { CHECK_GEMM, CHECK_DWCONV, CHECK_ELTWISE, CHECK_INT, CHECK_BYTES };

typedef struct kernel_line {
    int check;
    kf__cpu_level level;
    uint32_t features; /* instead of a level */
    const char *member, *name;
    bool met;
} kernel_line;

static inline kernel_line *lines(size_t *n) {
    static kernel_line all[] = {
#define LINE(check, member, function, isa, level, facts)                                                               \
    {CHECK_##check, KF_CPU_##level, 0, #member, #function "_" #isa, false},
#define HASH_LINE(check, member, function, isa, features)                                                              \
    {CHECK_##check, KF_CPU_SCALAR, features, #member, #function "_" #isa, false},
#define KF_KERNEL_F32 LINE
#define KF_KERNEL_INT LINE
#define KF_KERNEL_IMAGE LINE
#define KF_KERNEL_HASH HASH_LINE
#include "kernels/kernels.def"
#undef LINE
#undef HASH_LINE
    };
    *n = KF_COUNT(all);
    return all;
}

/** `member` of a selected table was run and its results compared. */
#define MEET(table, member) meet(#member, (table).member##_name)
static inline void meet(const char *member, const char *name) {
    size_t n;
    kernel_line *l = lines(&n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(l[i].member, member) == 0 && strcmp(l[i].name, name) == 0) l[i].met = true;
}

/** Kernels of `check` that this machine can run and that were not met; names them. */
static inline int unmet(int check) {
    size_t n;
    int count = 0;
    const kernel_line *l = lines(&n);
    for (size_t i = 0; i < n; i++) {
        bool here = kf__cpu_allowed(l[i].level) && kf__cpu_usable(l[i].level) && kf__cpu_has(l[i].features);
        if (l[i].check != check || l[i].met || !here) continue;
        printf("%s: no check ran it as %s\n", l[i].name, l[i].member);
        count++;
    }
    return count;
}

#endif
