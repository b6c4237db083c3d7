/* CPU detection: CPUID for the chip, XGETBV for the operating system, environment for the user.
 * Floor 2.
 * Owner rule: one static limit. */
#include "cpu/cpu.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static kf__cpu_level limit = KF_CPU_LEVELS;

static const char *const NAMES[KF_CPU_LEVELS] = {"scalar", "sse4", "avx2", "avx512", "avx512vnni"};

#if defined(__x86_64__)
/* Register state that the operating system saves: bit 1 SSE, 2 AVX, 5-7 AVX-512. */
static uint64_t xgetbv0(void) {
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

kf__cpu_level kf__cpu_level_best(void) {
    uint32_t a, b, c, d, b7 = 0, c7 = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return KF_CPU_SCALAR;
    if (!(c & bit_SSE4_1)) return KF_CPU_SCALAR;
    uint32_t c1 = c;
    bool os_saves = c1 & bit_OSXSAVE;
    uint64_t xcr = os_saves ? xgetbv0() : 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) b7 = b, c7 = c;
    const uint32_t avx2_1 = bit_AVX | bit_FMA | bit_F16C;
    if ((c1 & avx2_1) != avx2_1 || !(b7 & bit_AVX2) || (xcr & 0x6) != 0x6) return KF_CPU_SSE4;
    const uint32_t avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    if ((b7 & avx512) != avx512 || (xcr & 0xe6) != 0xe6) return KF_CPU_AVX2;
    return c7 & bit_AVX512VNNI ? KF_CPU_AVX512VNNI : KF_CPU_AVX512;
}
#else
kf__cpu_level kf__cpu_level_best(void) { return KF_CPU_SCALAR; }
#endif

const char *kf__cpu_level_name(kf__cpu_level level) { return (unsigned)level < KF_CPU_LEVELS ? NAMES[level] : "?"; }

int kf__cpu_level_from_name(const char *name) {
    for (int i = 0; i < KF_CPU_LEVELS; i++)
        if (strcmp(NAMES[i], name) == 0) return i;
    return -1;
}

void kf__cpu_set_limit(kf__cpu_level level) { limit = level; }

kf__cpu_level kf__cpu_level_now(void) {
    kf__cpu_level best = kf__cpu_level_best();
    const char *env = getenv("KITFOX_CPU");
    int asked = env ? kf__cpu_level_from_name(env) : -1;
    if (asked >= 0 && (kf__cpu_level)asked < best) best = (kf__cpu_level)asked;
    return limit < best ? limit : best;
}

/* Processors granted by a cgroup v2 quota, or 0 when there is none. */
static int quota(void) {
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    long max = 0, period = 0;
    if (!f) return 0;
    int n = fscanf(f, "%ld %ld", &max, &period);
    fclose(f);
    return n == 2 && period > 0 ? (int)((max + period - 1) / period) : 0;
}

int kf__cpu_default_threads(void) {
    const char *env = getenv("KITFOX_THREADS");
    int asked = env ? atoi(env) : 0;
    if (asked > 0) return asked < 64 ? asked : 64;
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1, q = quota();
    if (q > 0 && q < n) n = q;
    return n < 1 ? 1 : n > 4 ? 4 : n;
}
