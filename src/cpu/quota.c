/* How many processors the control groups of this process grant (Linux; versions 1 and 2, also nested and inside
 * containers). Owner rule: nothing is kept. */
#include "cpu/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH = 1200, LINE = 1024 };

/* Numbers of a file of one line into v; the word "max" ends them. */
static int numbers(const char *path, long *v, int n) {
    FILE *f = fopen(path, "re");
    int got = 0;
    if (!f) return 0;
    while (got < n && fscanf(f, "%ld", &v[got]) == 1) got++;
    fclose(f);
    return got;
}

/* Rounded up; 0: no quota in this folder. */
static int quota_of(const char *folder) {
    char path[PATH + 32];
    long v[2];
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    int n = numbers(path, v, 2);
    if (n == 0) {
        snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
        n = numbers(path, v, 1);
        snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
        n += numbers(path, v + 1, 1);
    }
    if (n != 2 || v[0] <= 0 || v[1] <= 0) return 0;
    long q = v[0] / v[1] + (v[0] % v[1] != 0);
    return q < 1 << 20 ? (int)q : 1 << 20;
}

/* The smallest quota of the group and of all groups above it. Inside a container the path may be that of the host;
 * then only the root of the mount exists. */
static int smallest(const char *mount, char *group, int so_far) {
    char folder[PATH];
    for (;;) {
        snprintf(folder, sizeof folder, "%s%s", mount, group);
        int q = quota_of(folder);
        if (q > 0 && (so_far == 0 || q < so_far)) so_far = q;
        char *slash = strrchr(group, '/');
        if (!slash) return so_far;
        *slash = '\0';
    }
}

/* A line of /proc/self/cgroup is "id:controllers:/group"; version 2 has no controllers. */
static int quota_of_line(const char *root, char *line, int so_far) {
    char mount[LINE], *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group) return so_far;
    *group++ = '\0', controllers++;
    group[strcspn(group, "\n")] = '\0';
    if (*controllers == '\0') {
        snprintf(mount, sizeof mount, "%.200s/sys/fs/cgroup", root);
        return smallest(mount, group, so_far);
    }
    char list[LINE];
    snprintf(list, sizeof list, ",%s,", controllers);
    if (!strstr(list, ",cpu,")) return so_far;
    snprintf(mount, sizeof mount, "%.200s/sys/fs/cgroup/%.200s", root, controllers);
    return smallest(mount, group, so_far);
}

int kf__cpu_quota(const char *root) {
    char path[PATH], line[LINE];
    int q = 0;
    snprintf(path, sizeof path, "%.200s/proc/self/cgroup", root);
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    while (fgets(line, sizeof line, f)) q = quota_of_line(root, line, q);
    fclose(f);
    return q;
}
