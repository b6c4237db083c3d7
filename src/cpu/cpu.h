/* Usable instruction sets: those that the chip has, the operating system allows, and the user's limit includes.
 * levels.def names features and levels, cpu.c chooses among them, and one file per architecture detects the features.
 * Owner rule: static state, set before models are loaded. */
#ifndef KF_CPU_H
#define KF_CPU_H

#include "base/base.h"

/** Processor families with instruction sets in levels.def. */
typedef enum kf__cpu_arch { KF_ARCH_ANY, KF_ARCH_X86, KF_ARCH_ARM } kf__cpu_arch;
#if defined(__x86_64__)
#define KF_ARCH_HERE KF_ARCH_X86
#elif defined(__aarch64__)
#define KF_ARCH_HERE KF_ARCH_ARM
#else
#define KF_ARCH_HERE KF_ARCH_ANY
#endif

/** Features: KF_HAS_id is a bit. */
enum {
#define KF_FEATURE(id) KF_FEATURE_##id,
#include "cpu/levels.def"
};
enum {
#define KF_FEATURE(id) KF_HAS_##id = 1 << KF_FEATURE_##id,
#include "cpu/levels.def"
};

/** Sets of features with a name; KF_CPU_LEVELS is their number, and stands for "no limit". Levels of all architectures
 *  are here, so that every name is known everywhere; those of another architecture are never usable. */
typedef enum kf__cpu_level {
#define KF_LEVEL(id, word, arch, features) KF_CPU_##id,
#include "cpu/levels.def"
    KF_CPU_LEVELS
} kf__cpu_level;

/** Does level `a` have every feature of level `b`? A level contains itself; KF_CPU_LEVELS contains all. */
bool kf__cpu_level_contains(kf__cpu_level a, kf__cpu_level b);
/** Is this level of another architecture than the one that this was built for? */
bool kf__cpu_foreign(kf__cpu_level level);
/** "?" for KF_CPU_LEVELS. */
const char *kf__cpu_level_name(kf__cpu_level level);
/** -1 for an unknown word. */
int kf__cpu_level_from_name(const char *name);

/** Best usable level among those that the limit and the environment variable KITFOX_CPU contain. An unknown word there
 *  is ignored, and so is a level of another architecture. */
kf__cpu_level kf__cpu_level_now(void);
/** The best level of the machine, whatever the limit. */
kf__cpu_level kf__cpu_level_best(void);
/** Do the limit and KITFOX_CPU contain this level? Does not probe the machine. */
bool kf__cpu_allowed(kf__cpu_level level);
/** Can the process run code of this level? For KF_CPU_AMX this asks Linux for the state of tiles. The permission is
 * for the whole process: from then on, sigaltstack refuses stacks too small for that state. No lower level asks. */
bool kf__cpu_usable(kf__cpu_level level);
/** Are all of these features usable? The machine is probed once for each (CPUID takes 50 microseconds under a
 * hypervisor). The limit and disabled levels are ignored. Thread-safe. */
bool kf__cpu_has(uint32_t features);
/** `level` failed its check: it and the levels that contain it are not usable from now on. KF_CPU_LEVELS undoes
 * that; KF_CPU_SCALAR itself stays usable. Thread-safe. */
void kf__cpu_bar(kf__cpu_level level);
/** Use only levels that `level` contains; KF_CPU_LEVELS removes the limit. Not thread-safe. */
void kf__cpu_set_limit(kf__cpu_level level);

/** Processors that the control groups of this process grant, rounded up; 0 without a quota. The smallest quota of
 * its group and of all groups above counts, in version 1 and 2 (Linux, Documentation/admin-guide/cgroup-v2.rst:
 * cpu.max; cgroup-v1: cpu.cfs_quota_us). `root`: "", or a folder with proc/self/cgroup and sys/fs/cgroup, for tests. */
int kf__cpu_quota(const char *root);
/** Processors that affinity mask and cgroup quota allow, at least 1 and at most `most`. KITFOX_THREADS overrides, up to
 *  64. */
int kf__cpu_threads(int most);
/** Default number of threads for one image: more than 4 seldom make it faster. */
static inline int kf__cpu_default_threads(void) { return kf__cpu_threads(4); }

/* ---- one file per architecture: cpu_x86.c, cpu_arm.c; cpu_none.c where there is none ----------------------------- */

/** Of the wanted features, those that chip, compiler and operating system support. Called only by kf__cpu_has. */
uint32_t kf__cpu_detect(uint32_t asked);

#endif
