/* Usable instruction sets: what the chip has, the operating system allows, and the user did not lower.
 * Floor 2: includes base.
 * Owner rule: static state, set before models are loaded. */
#ifndef KF_CPU_H
#define KF_CPU_H

#include "base/base.h"

/** One word per usable bundle, each containing the ones before it on its architecture; but AVX-512 does not contain AVX-VNNI. */
typedef enum kf__cpu_level {
    KF_CPU_SCALAR = 0,
    KF_CPU_SSE4,       /* x86: SSE4.1 */
    KF_CPU_AVX2,       /* AVX2, FMA, F16C */
    KF_CPU_AVXVNNI,    /* + AVX-VNNI */
    KF_CPU_AVX512,     /* F, BW, DQ, VL */
    KF_CPU_AVX512VNNI, /* + VNNI */
    KF_CPU_AMX,        /* + AMX-TILE and AMX-INT8 */
    KF_CPU_LEVELS
} kf__cpu_level;

/** Best usable level, lowered by kf__cpu_set_limit and by the environment variable KITFOX_CPU. An unknown word there is
 *  ignored. */
kf__cpu_level kf__cpu_level_now(void);
/** Is this level not above the limit and KITFOX_CPU? Cheap: does not ask the machine, which takes 50 microseconds under a hypervisor. */
bool kf__cpu_allowed(kf__cpu_level level);
/** What the machine could do, whatever the limit. */
kf__cpu_level kf__cpu_level_best(void);
/** Could the process run code of this level? Of KF_CPU_AMX this asks Linux for the tiles' state: permission for the whole process from then on,
 *  after which sigaltstack refuses stacks too small for that state. Asked of no lower level. */
bool kf__cpu_usable(kf__cpu_level level);
/** `level` and those above failed a check of their own: not usable from now on. KF_CPU_LEVELS takes that back. Thread safe. */
void kf__cpu_bar(kf__cpu_level level);
const char *kf__cpu_level_name(kf__cpu_level level);
/** -1 for an unknown word. */
int kf__cpu_level_from_name(const char *name);
/** Lower the level; KF_CPU_LEVELS removes the limit. Not thread safe. */
void kf__cpu_set_limit(kf__cpu_level level);
/** Processors that the control groups of this process grant, rounded up; 0 without a quota. The smallest of its group and of all above
 *  counts, in version 1 and 2 (Linux, Documentation/admin-guide/cgroup-v2.rst: cpu.max; cgroup-v1: cpu.cfs_quota_us). `root`: "", or a
 *  folder with proc/self/cgroup and sys/fs/cgroup, for tests. */
int kf__cpu_quota(const char *root);
/** Default number of threads for one image: affinity mask and cgroup quota, at most 4; KITFOX_THREADS overrides. */
int kf__cpu_default_threads(void);

#endif
