/* The names of cores by MIDR_EL1, and frequency and governor from a folder laid out like /sys.
 * Owner rule: the folder is removed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../temporary.h"
#include "common/core.h"

static char root[200];
static int failures;

static void expect(const char *what, const char *got, const char *want) {
    if (strcmp(got, want) == 0) return;
    printf("FAIL %s: '%s', not '%s'\n", what, got, want);
    failures++;
}

static void put(const char *path, const char *text) {
    char full[500];
    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); *p++ = '/') *p = '\0', mkdir(full, 0755);
    FILE *f = fopen(full, "w");
    if (!f || fputs(text, f) < 0 || fclose(f)) exit(1);
}

int main(void) {
    char name[80], command[300];
    cli_core c = {0}, none = {0};
    cli_core_name(0x412fd050, name); /* the cores of RDK X5 */
    expect("A55", name, "Cortex-A55 r2p0");
    cli_core_name(0x414fd0b1, name); /* Raspberry Pi 5 */
    expect("A76", name, "Cortex-A76 r4p1");
    cli_core_name(0x410fd083, name); /* Raspberry Pi 4 */
    expect("A72", name, "Cortex-A72 r0p3");
    cli_core_name(0x611f0250, name);
    expect("another", name, "implementer 0x61 part 0x025 r1p0");
    if (!temporary_folder(root, sizeof root, "kitfox-core")) return 1;
    put("sys/devices/system/cpu/cpu4/cpufreq/scaling_governor", "ondemand\n");
    put("sys/devices/system/cpu/cpu4/cpufreq/scaling_cur_freq", "1500000\n");
    put("sys/devices/system/cpu/cpu4/regs/identification/midr_el1", "0x00000000412fd050\n");
    uint64_t midr = cli_core_files(root, 4, &c);
    cli_core_name(midr, name);
    expect("the file", name, "Cortex-A55 r2p0");
    expect("the governor", c.governor, "ondemand");
    if (c.mhz != 1500) printf("FAIL %ld MHz\n", c.mhz), failures++;
    if (cli_core_files(root, 5, &none) != 0 || *none.governor || none.mhz) puts("FAIL nothing there"), failures++;
    cli_core_here(&c);
    if (!*c.name) puts("FAIL here"), failures++;
    printf("here: %s, governor '%s', %ld MHz; %d failures\n", c.name, c.governor, c.mhz, failures);
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command) || failures;
}
