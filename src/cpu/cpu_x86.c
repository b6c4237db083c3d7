/* Features of x86: CPUID for the chip, XGETBV for the state that the operating system saves, arch_prctl for tiles.
 * Owner rule: nothing is kept; kf__cpu_has remembers the answers. */
#include "cpu/cpu.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Registers of CPUID: of leaf 1, of leaf 7 and its subleaf 1, by the letters of the manuals. */
typedef struct registers {
    uint32_t c1, b7, c7, d7, a71;
    uint64_t xcr; /* saved state: bit 1 SSE, 2 AVX, 5-7 AVX-512, 17-18 tiles */
} registers;

enum { SAVED_AVX = 0x6, SAVED_AVX512 = 0xe6, SAVED_TILES = 0x60000 };
enum { BIT_AVXVNNI = 1 << 4, BIT_AMX_TILE = 1 << 24, BIT_AMX_INT8 = 1 << 25 }; /* of a71; of d7 */

static uint64_t xgetbv0(void) {
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

static registers read_registers(void) {
    registers r = {0};
    uint32_t a, b, c, d, subleaves = 0;
    if (!__get_cpuid(1, &a, &b, &r.c1, &d)) return r;
    if (r.c1 & bit_OSXSAVE) r.xcr = xgetbv0();
    if (!__get_cpuid_count(7, 0, &subleaves, &r.b7, &r.c7, &r.d7)) return r;
    if (subleaves >= 1) __get_cpuid_count(7, 1, &r.a71, &b, &c, &d);
    return r;
}

/* Tiles of palette 1 (8 of 16 rows of 64 bytes), 8-bit products, and permission from Linux, which saves the state of
 * tiles only for processes that asked. */
static bool tiles_usable(const registers *r) {
#if defined(KF_AMX)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* of arch_prctl; bit of xcr */
    const uint32_t bits = BIT_AMX_TILE | BIT_AMX_INT8;
    uint32_t a, b, c, d;
    if ((r->d7 & bits) != bits || (r->xcr & SAVED_TILES) != SAVED_TILES) return false;
    if (!__get_cpuid_count(0x1d, 1, &a, &b, &c, &d)) return false;
    if (a != (1024 << 16 | 8192) || b != (8 << 16 | 64) || (c & 0xffff) != 16) return false;
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return false; /* built without the kernels */
#endif
}

uint32_t kf__cpu_detect(uint32_t asked) {
    const uint32_t avx2 = bit_AVX | bit_FMA | bit_F16C;
    const uint32_t avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    const registers r = read_registers();
    uint32_t found = 0;
    if (r.c1 & bit_SSE4_1) found |= KF_HAS_SSE41;
    if (r.b7 & bit_SHA) found |= KF_HAS_SHA;
    if ((r.c1 & avx2) == avx2 && r.b7 & bit_AVX2 && (r.xcr & SAVED_AVX) == SAVED_AVX) found |= KF_HAS_AVX2;
    if (found & KF_HAS_AVX2 && r.a71 & BIT_AVXVNNI) found |= KF_HAS_AVXVNNI;
    if ((r.b7 & avx512) == avx512 && (r.xcr & SAVED_AVX512) == SAVED_AVX512) found |= KF_HAS_AVX512;
    if (found & KF_HAS_AVX512 && r.c7 & bit_AVX512VNNI) found |= KF_HAS_AVX512VNNI;
    /* Last, and only if the caller wants it, because it changes the process. */
    if (asked & KF_HAS_AMX && found & KF_HAS_AVX512VNNI && tiles_usable(&r)) found |= KF_HAS_AMX;
    return found & asked;
}
