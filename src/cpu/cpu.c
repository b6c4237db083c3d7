/* CPU detection: CPUID for the chip, XGETBV for the operating system, environment for the user.
 * Floor 2.
 * Owner rule: one static limit and one static bar. */
#include "cpu/cpu.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static kf__cpu_level limit = KF_CPU_LEVELS;
static atomic_int bar = KF_CPU_LEVELS;

static const char *const NAMES[KF_CPU_LEVELS] = {"scalar", "sse4", "avx2", "avxvnni", "avx512", "avx512vnni", "amx"};

#if defined(__x86_64__)
/* Register state that the operating system saves: bit 1 SSE, 2 AVX, 5-7 AVX-512, 17-18 tiles. */
static uint64_t xgetbv0(void) {
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

/* Tiles of palette 1 (8 of 16 rows of 64 bytes), 8-bit products, and Linux's leave to use them: it saves the state of tiles only for
 * processes that asked. d7: CPUID 7.0 EDX. */
static bool tiles_usable(uint32_t d7, uint64_t xcr) {
#if defined(KF_AMX)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* of arch_prctl; bit of xcr */
    uint32_t a, b, c, d;
    if (!(d7 & 1u << 24) || !(d7 & 1u << 25) || (xcr & 0x60000) != 0x60000) return false;
    if (!__get_cpuid_count(0x1d, 1, &a, &b, &c, &d) || a != (1024 << 16 | 8192) || b != (8 << 16 | 64) || (c & 0xffff) != 16) return false;
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return false; /* built without the kernels */
#endif
}

bool kf__cpu_usable(kf__cpu_level level) {
    uint32_t a, b, c, d, b7 = 0, c7 = 0, d7 = 0, a71 = 0;
    if (level == KF_CPU_SCALAR) return true;
    if ((int)level >= atomic_load(&bar)) return false;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSE4_1)) return false;
    uint32_t c1 = c, subleaves = 0;
    if (level == KF_CPU_SSE4) return true;
    uint64_t xcr = c1 & bit_OSXSAVE ? xgetbv0() : 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) subleaves = a, b7 = b, c7 = c, d7 = d;
    if (subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) a71 = a;
    const uint32_t avx2_1 = bit_AVX | bit_FMA | bit_F16C, avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    if ((c1 & avx2_1) != avx2_1 || !(b7 & bit_AVX2) || (xcr & 0x6) != 0x6) return false;
    if (level == KF_CPU_AVX2) return true;
    if (level == KF_CPU_AVXVNNI) return a71 & 1u << 4;
    if ((b7 & avx512) != avx512 || (xcr & 0xe6) != 0xe6) return false;
    if (level == KF_CPU_AVX512) return true;
    return c7 & bit_AVX512VNNI && (level == KF_CPU_AVX512VNNI || tiles_usable(d7, xcr));
}
#else
bool kf__cpu_usable(kf__cpu_level level) { return level == KF_CPU_SCALAR; }
#endif
/* The best usable level that is not above `top`. */
static kf__cpu_level usable_below(kf__cpu_level top) {
    int level = top < KF_CPU_LEVELS ? (int)top : KF_CPU_LEVELS - 1;
    while (level > 0 && !kf__cpu_usable((kf__cpu_level)level)) level--;
    return (kf__cpu_level)level;
}

kf__cpu_level kf__cpu_level_best(void) { return usable_below(KF_CPU_LEVELS); }

const char *kf__cpu_level_name(kf__cpu_level level) { return (unsigned)level < KF_CPU_LEVELS ? NAMES[level] : "?"; }

int kf__cpu_level_from_name(const char *name) {
    for (int i = 0; i < KF_CPU_LEVELS; i++)
        if (strcmp(NAMES[i], name) == 0) return i;
    return -1;
}

void kf__cpu_bar(kf__cpu_level level) { atomic_store(&bar, (int)level); }

void kf__cpu_set_limit(kf__cpu_level level) { limit = level; }

/* The limit, lowered by the environment. */
static kf__cpu_level allowed(void) {
    const char *env = getenv("KITFOX_CPU");
    int asked = env ? kf__cpu_level_from_name(env) : -1;
    return asked >= 0 && (kf__cpu_level)asked < limit ? (kf__cpu_level)asked : limit;
}

kf__cpu_level kf__cpu_level_now(void) { return usable_below(allowed()); }

bool kf__cpu_allowed(kf__cpu_level level) { return level <= allowed(); }

int kf__cpu_default_threads(void) {
    const char *env = getenv("KITFOX_THREADS");
    int asked = env ? atoi(env) : 0;
    if (asked > 0) return asked < 64 ? asked : 64;
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1, q = kf__cpu_quota("");
    if (q > 0 && q < n) n = q;
    return n < 1 ? 1 : n > 4 ? 4 : n;
}
