/* A sorted set of names, for lists of users that are matched with the nodes of a network. A search takes logarithmic
 * time, so a long list with a large network stays cheap.
 * Owner rule: the arena owns the table, the caller the names. */
#ifndef KF_NAMES_H
#define KF_NAMES_H

#include "base/base.h"

typedef struct kf__names {
    const char **sorted; /* each name once */
    int32_t n;
} kf__names;

/** Errors: MEMORY. */
kf_status kf__names_make(const char *const *names, int32_t n, kf__arena *arena, kf__names *out, kf_error *err);
/** Its index in `sorted`, or -1. */
int32_t kf__names_find(const kf__names *set, const char *name);

#endif
