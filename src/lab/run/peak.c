/* Peak of the resident memory, as Linux counts it.
 * The peak of a process never falls by itself: without a reset the second model would be given the first one's.
 * Owner rule: nothing is kept. */
#include <stdio.h>
#include <sys/resource.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "kitfox/bench.h"

enum { SLACK_KIB = 1024 }; /* counters of threads are added up now and then only */

/* A line of /proc/self/status in KiB; -1 where there is none. */
static long long status_of(const char *format) {
    char line[128];
    long long kib, found = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && found < 0 && fgets(line, sizeof line, f))
        if (sscanf(line, format, &kib) == 1) found = kib;
    if (f) fclose(f);
    return found;
}

int64_t kf_peak_bytes(void) {
    struct rusage u;
    long long kib = status_of("VmHWM: %lld");
    if (kib < 0) kib = getrusage(RUSAGE_SELF, &u) == 0 ? (long long)u.ru_maxrss : 0;
    return kib * 1024;
}

kf_status kf_peak_reset(kf_error *err) {
    static const char PEAK[] = "5"; /* of proc(5): reset the peak to what is resident now */
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    FILE *f = fopen("/proc/self/clear_refs", "w");
    int written = f && fputs(PEAK, f) >= 0;
    if (f && fclose(f) != 0) written = 0;
    long long peak = status_of("VmHWM: %lld"), now = status_of("VmRSS: %lld");
    if (written && peak >= 0 && now >= 0 && peak <= now + SLACK_KIB) return KF_OK;
    KF_FAIL(err, KF_ERR_UNSUPPORTED, "/proc/self/clear_refs: the peak of the memory cannot be reset on this system");
}
