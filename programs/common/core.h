/* The processor core that a measurement ran on: its name, the frequency and who chooses it.
 * Owner rule: values; nothing is kept. */
#ifndef CLI_CORE_H
#define CLI_CORE_H

#include <stdint.h>

typedef struct cli_core {
    char name[80];     /* "Cortex-A55 r2p0"; of x86 the brand; "unknown" */
    char governor[24]; /* of the frequency; empty where the system does not say */
    long mhz;          /* now; 0 where the system does not say */
} cli_core;

/** The core that this thread runs on. Thread safe. */
void cli_core_here(cli_core *out);
/** Governor and frequency of processor `cpu` from the files of Linux (Documentation/admin-guide/pm/cpufreq.rst), and
 * its MIDR_EL1 (Documentation/arm64/cpu-feature-registers.rst) or 0. `root`: "", or a folder with sys/devices, for
 * tests. */
uint64_t cli_core_files(const char *root, int cpu, cli_core *out);
/** The name of a core by MIDR_EL1: "implementer 0x41 part 0xfff r0p1" for one that is not in the table. */
void cli_core_name(uint64_t midr, char to[80]);

#endif
