/* Chooses an instruction set: from the table of levels, what the machine has, the environment, and the user's limit.
 * Owner rule: static state: the user's limit, the disabled level and the features found so far. */
#include "cpu/cpu.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

static const struct {
    const char *name;
    kf__cpu_arch arch;
    uint32_t features;
} LEVELS[KF_CPU_LEVELS] = {
#define KF_LEVEL(id, word, arch, features) {word, KF_ARCH_##arch, features},
#include "cpu/levels.def"
};

/* Exported, so that libkitfox and libkitfoxc in one process have the first one's. */
__attribute__((visibility("default"))) struct kf_cpu_choice {
    atomic_int limit, bar;
} kf_cpu_choice = {KF_CPU_LEVELS, KF_CPU_LEVELS};

bool kf__cpu_level_contains(kf__cpu_level a, kf__cpu_level b) {
    if (a == KF_CPU_LEVELS || b == KF_CPU_LEVELS) return a == KF_CPU_LEVELS;
    return (LEVELS[b].features & ~LEVELS[a].features) == 0;
}

bool kf__cpu_foreign(kf__cpu_level level) {
    return LEVELS[level].arch != KF_ARCH_ANY && LEVELS[level].arch != KF_ARCH_HERE;
}

const char *kf__cpu_level_name(kf__cpu_level level) {
    return (unsigned)level < KF_CPU_LEVELS ? LEVELS[level].name : "?";
}

int kf__cpu_level_from_name(const char *name) {
    for (int i = 0; i < KF_CPU_LEVELS; i++)
        if (strcmp(LEVELS[i].name, name) == 0) return i;
    return -1;
}

bool kf__cpu_has(uint32_t features) {
    static atomic_uint asked, found; /* every thread finds the same answers */
    uint32_t missing = features & ~atomic_load(&asked);
    if (missing) {
        atomic_fetch_or(&found, kf__cpu_detect(missing));
        atomic_fetch_or(&asked, missing);
    }
    return (features & ~atomic_load(&found)) == 0;
}

bool kf__cpu_usable(kf__cpu_level level) {
    if (level == KF_CPU_SCALAR) return true;
    if (level >= KF_CPU_LEVELS || LEVELS[level].arch != KF_ARCH_HERE) return false;
    if (kf__cpu_level_contains(level, (kf__cpu_level)atomic_load(&kf_cpu_choice.bar))) return false;
    return kf__cpu_has(LEVELS[level].features);
}

void kf__cpu_bar(kf__cpu_level level) { atomic_store(&kf_cpu_choice.bar, (int)level); }

void kf__cpu_set_limit(kf__cpu_level level) { atomic_store(&kf_cpu_choice.limit, (int)level); }

bool kf__cpu_allowed(kf__cpu_level level) {
    const char *env = getenv("KITFOX_CPU");
    int asked = env ? kf__cpu_level_from_name(env) : -1;
    if (asked >= 0 && !kf__cpu_foreign((kf__cpu_level)asked) && !kf__cpu_level_contains((kf__cpu_level)asked, level))
        return false;
    return kf__cpu_level_contains((kf__cpu_level)atomic_load(&kf_cpu_choice.limit), level);
}

kf__cpu_level kf__cpu_level_now(void) {
    int level = KF_CPU_LEVELS - 1;
    while (level > 0 && !(kf__cpu_allowed((kf__cpu_level)level) && kf__cpu_usable((kf__cpu_level)level))) level--;
    return (kf__cpu_level)level;
}

kf__cpu_level kf__cpu_level_best(void) {
    int level = KF_CPU_LEVELS - 1;
    while (level > 0 && !kf__cpu_usable((kf__cpu_level)level)) level--;
    return (kf__cpu_level)level;
}

int kf__cpu_threads(int most) {
    const char *env = getenv("KITFOX_THREADS");
    long asked = env ? strtol(env, NULL, 10) : 0; /* as an int, 2^32 + 1 would be 1 */
    if (asked > 0) return asked < KF_MAX_THREADS ? (int)asked : KF_MAX_THREADS;
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1, q = kf__cpu_quota("");
    if (q > 0 && q < n) n = q;
    if (n > most) n = most;
    return n < 1 ? 1 : n;
}
