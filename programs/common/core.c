/* Names the core from MIDR_EL1 (Arm) or the brand string (x86). /proc/cpuinfo would not do: under an emulator it shows
 * the host's. Owner rule: see core.h. */
#include "common/core.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__aarch64__)
#include <sys/auxv.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#endif

/* Implementer (bits 31 to 24 of MIDR_EL1) and part (bits 15 to 4), from the manuals of the cores. */
static const struct {
    unsigned implementer, part;
    const char *name;
} CORES[] = {
    {0x41, 0xd02, "Cortex-A34"},      {0x41, 0xd03, "Cortex-A53"},      {0x41, 0xd04, "Cortex-A35"},
    {0x41, 0xd05, "Cortex-A55"},      {0x41, 0xd06, "Cortex-A65"},      {0x41, 0xd07, "Cortex-A57"},
    {0x41, 0xd08, "Cortex-A72"},      {0x41, 0xd09, "Cortex-A73"},      {0x41, 0xd0a, "Cortex-A75"},
    {0x41, 0xd0b, "Cortex-A76"},      {0x41, 0xd0c, "Neoverse-N1"},     {0x41, 0xd0d, "Cortex-A77"},
    {0x41, 0xd0e, "Cortex-A76AE"},    {0x41, 0xd40, "Neoverse-V1"},     {0x41, 0xd41, "Cortex-A78"},
    {0x41, 0xd42, "Cortex-A78AE"},    {0x41, 0xd44, "Cortex-X1"},       {0x41, 0xd46, "Cortex-A510"},
    {0x41, 0xd47, "Cortex-A710"},     {0x41, 0xd48, "Cortex-X2"},       {0x41, 0xd49, "Neoverse-N2"},
    {0x41, 0xd4a, "Neoverse-E1"},     {0x41, 0xd4b, "Cortex-A78C"},     {0x41, 0xd4c, "Cortex-X1C"},
    {0x41, 0xd4d, "Cortex-A715"},     {0x41, 0xd4e, "Cortex-X3"},       {0x41, 0xd4f, "Neoverse-V2"},
    {0x41, 0xd80, "Cortex-A520"},     {0x41, 0xd81, "Cortex-A720"},     {0x41, 0xd82, "Cortex-X4"},
    {0x41, 0xd84, "Neoverse-V3"},     {0x41, 0xd85, "Cortex-X925"},     {0x41, 0xd87, "Cortex-A725"},
    {0x41, 0xd8e, "Neoverse-N3"},     {0x46, 0x001, "A64FX"},           {0x48, 0xd01, "TaiShan v110"},
    {0x4e, 0x004, "Carmel"},          {0x51, 0x001, "Oryon"},           {0x51, 0x800, "Kryo 2xx Gold"},
    {0x51, 0x801, "Kryo 2xx Silver"}, {0x51, 0x802, "Kryo 3xx Gold"},   {0x51, 0x803, "Kryo 3xx Silver"},
    {0x51, 0x804, "Kryo 4xx Gold"},   {0x51, 0x805, "Kryo 4xx Silver"}, {0xc0, 0xac3, "Ampere-1"},
    {0xc0, 0xac4, "Ampere-1A"},
};

void cli_core_name(uint64_t midr, char to[80]) {
    unsigned implementer = midr >> 24 & 255, part = midr >> 4 & 0xfff, variant = midr >> 20 & 15, revision = midr & 15;
    for (size_t i = 0; i < sizeof CORES / sizeof *CORES; i++)
        if (CORES[i].implementer == implementer && CORES[i].part == part) {
            snprintf(to, 80, "%s r%up%u", CORES[i].name, variant, revision);
            return;
        }
    snprintf(to, 80, "implementer 0x%02x part 0x%03x r%up%u", implementer, part, variant, revision);
}

/* The first word of a file of /sys below processor `cpu`; empty if there is none. */
static void word(const char *root, int cpu, const char *file, char *to, size_t n) {
    char path[400], format[16];
    snprintf(path, sizeof path, "%.200s/sys/devices/system/cpu/cpu%d/%s", root, cpu, file);
    snprintf(format, sizeof format, "%%%zus", n - 1);
    FILE *f = fopen(path, "re");
    *to = '\0';
    if (!f) return;
    if (fscanf(f, format, to) != 1) *to = '\0';
    fclose(f);
}

uint64_t cli_core_files(const char *root, int cpu, cli_core *out) {
    char text[24];
    word(root, cpu, "cpufreq/scaling_governor", out->governor, sizeof out->governor);
    word(root, cpu, "cpufreq/scaling_cur_freq", text, sizeof text);
    out->mhz = strtol(text, NULL, 10) / 1000;
    word(root, cpu, "regs/identification/midr_el1", text, sizeof text);
    return strtoull(text, NULL, 16);
}

/* MIDR_EL1 as the kernel (or an emulator) answers it, else the brand. */
static void name_here(uint64_t midr, char to[80]) {
#if defined(__aarch64__)
    enum { CAP_CPUID = 1 << 11 };
    if (getauxval(AT_HWCAP) & CAP_CPUID) __asm__("mrs %0, MIDR_EL1" : "=r"(midr));
#elif defined(__x86_64__)
    unsigned r[13] = {0};
    for (unsigned i = 0; i < 3; i++) {
        unsigned *p = r + 4 * i;
        if (!__get_cpuid(0x80000002 + i, p, p + 1, p + 2, p + 3)) break;
    }
    const char *brand = (const char *)r;
    while (*brand == ' ') brand++;
    if (*brand) {
        snprintf(to, 80, "%.60s", brand);
        return;
    }
#endif
    if (midr) cli_core_name(midr, to);
    else strcpy(to, "unknown");
}

void cli_core_here(cli_core *out) {
    int cpu = sched_getcpu();
    *out = (cli_core){0};
    name_here(cli_core_files("", cpu < 0 ? 0 : cpu, out), out->name);
}
