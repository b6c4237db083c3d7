/* Features of 64-bit Arm: what Linux reports in the auxiliary vector. Where it also lets programs read the
 * identification registers, these have to agree: an emulator may pass on the vector of its host.
 * Owner rule: nothing is kept; kf__cpu_has remembers the answers. */
#include "cpu/cpu.h"

#include <sys/auxv.h>

/* Bits of AT_HWCAP and AT_HWCAP2 (Linux, Documentation/arm64/elf_hwcaps.rst); the headers of old systems lack some. */
enum { CAP_ASIMD = 1 << 1, CAP_SHA2 = 1 << 6, CAP_CPUID = 1 << 11, CAP_ASIMDDP = 1 << 20, CAP2_I8MM = 1 << 13 };
/* Lowest bits of fields of four bits, 0 without the feature: in ID_AA64ISAR0_EL1; in ID_AA64ISAR1_EL1. */
enum { FIELD_SHA2 = 12, FIELD_DP = 44, FIELD_I8MM = 52 };

static bool field(uint64_t id, int lowest) { return (id >> lowest & 15) != 0; }

uint32_t kf__cpu_detect(uint32_t asked) {
    const unsigned long caps = getauxval(AT_HWCAP), caps2 = getauxval(AT_HWCAP2);
    uint64_t id0 = UINT64_MAX, id1 = UINT64_MAX;
    uint32_t found = 0;
    /* Linux answers these reads in the kernel since 4.11, and says so; elsewhere they are illegal. */
    if (caps & CAP_CPUID) {
        __asm__("mrs %0, ID_AA64ISAR0_EL1" : "=r"(id0));
        __asm__("mrs %0, ID_AA64ISAR1_EL1" : "=r"(id1));
    }
    if (caps & CAP_ASIMD) found |= KF_HAS_NEON;
    if (caps & CAP_SHA2 && field(id0, FIELD_SHA2)) found |= KF_HAS_SHA;
    if (caps & CAP_ASIMDDP && field(id0, FIELD_DP)) found |= KF_HAS_DOTPROD;
    if (caps2 & CAP2_I8MM && field(id1, FIELD_I8MM)) found |= KF_HAS_I8MM;
    return found & asked;
}
