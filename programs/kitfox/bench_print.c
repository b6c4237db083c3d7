/* What `bench` prints for people, for programs, and for readers of `hrt_model_exec perf` and the reference page.
 * Owner rule: see bench_print.h. */
#include "kitfox/bench_print.h"

#include <stdio.h>
#include <string.h>

#include "common/core.h"

enum { EVERY = 200, MIB = 1 << 20 };

/* ---- a line a measurement ---------------------------------------------------------------------------------------- */

/* One object a step, in order. */
static json_t *profile_json(const kf_bench_result *r, const kf_model *m) {
    json_t *steps = json_array();
    kf_step_info t = {.size = sizeof t};
    for (int i = 0; i < r->n_steps && kf_model_step(m, i, &t, NULL) == KF_OK; i++)
        json_array_append_new(steps, cli_pack("{s:s,s:s,s:s,s:o,s:I,s:f}", "node", t.name, "op", t.op, "kernel",
                                              t.kernel, "shape", cli_shape(t.shape, 4), "macs", (json_int_t)t.macs,
                                              "ms", r->step_ms[i]));
    return steps;
}

static void print_json(const char *name, const kf_bench_result *r, const kf_model *m, int64_t peak) {
    const kf_bench_summary *s = &r->summary;
    bool several = r->alone_fps > 0;
    json_t *rss = peak ? json_real((double)peak / MIB) : json_null();
    json_t *j = cli_pack("{s:s,s:s,s:i,s:s,s:f,s:f,s:f,s:o,s:s}", "kind", "bench", "model", name, "threads", r->threads,
                         "mode", several ? "throughput" : "latency", "median_ms", s->median, "p90_ms", s->p90, "fps",
                         several ? s->fps : s->fps_alone, "rss_mib", rss, "isa", kf_cpu_name());
    cli_core core;
    cli_core_here(&core);
    json_t *machine = cli_pack("{s:s,s:s}", "core", core.name, "governor", core.governor);
    if (!*core.governor) json_object_set_new(machine, "governor", json_null());
    json_object_update(j, machine);
    json_decref(machine);
    json_object_set_new(j, "mhz", core.mhz ? json_integer(core.mhz) : json_null());
    if (several) {
        json_object_set_new(j, "sessions", json_integer(r->sessions));
        json_object_set_new(j, "scaling", json_real(r->scaling));
    }
    if (r->n_steps) json_object_set_new(j, "steps", profile_json(r, m));
    cli_print_json(j);
}

static void print_profile(const kf_bench_result *r, const kf_model *m) {
    kf_step_info t = {.size = sizeof t};
    for (int i = 0; i < r->n_steps && kf_model_step(m, i, &t, NULL) == KF_OK; i++)
        printf("%4d  %-11s %-18s %4lldx%-4lldx%-5lld %8.4f ms  %7.2f GMAC/s  %s\n", i, t.op, t.kernel,
               (long long)t.shape[1], (long long)t.shape[2], (long long)t.shape[3], r->step_ms[i], r->step_gmacs[i],
               t.name);
}

static void print_core(void) {
    cli_core core;
    cli_core_here(&core);
    printf("%s  %s", kf_cpu_name(), core.name);
    if (core.mhz) printf(" at %ld MHz", core.mhz);
    if (*core.governor) printf(", %s", core.governor);
    putchar('\n');
}

void bench_print(const char *name, const kf_bench_result *r, const kf_model *m, int64_t peak, bool json) {
    const kf_bench_summary *s = &r->summary;
    bool several = r->alone_fps > 0;
    if (json) {
        print_json(name, r, m, peak);
        return;
    }
    printf("%-34s ", name);
    if (several) printf("sessions %2d  ", r->sessions);
    printf("threads %2d  min %7.3f  median %7.3f  p90 %7.3f ms  %8.1f FPS  ", r->threads, s->lowest, s->median, s->p90,
           several ? s->fps : s->fps_alone);
    if (several) printf("scaling %.2f  ", r->scaling);
    if (peak) printf("peak RSS %6.1f MiB  ", (double)peak / MIB);
    else printf("peak RSS not measured  ");
    print_core();
    print_profile(r, m);
}

void bench_note_slower(bench_paces *paces, const char *name, const kf_bench_result *r, const kf_model *m) {
    kf_model_info info = {.size = sizeof info};
    if (paces->n == sizeof paces->seen / sizeof *paces->seen || kf_model_get_info(m, &info, NULL) != KF_OK) return;
    kf_bench_pace *now = &paces->seen[paces->n++];
    *now = (kf_bench_pace){name, info.macs, info.parameters, info.quantized, r->threads, r->summary.median};
    for (const kf_bench_pace *p = paces->seen; p < now; p++) {
        if (!kf_bench_slower(p, now)) continue;
        const kf_bench_pace *q = p->quantized ? p : now;
        const kf_bench_pace *f = p->quantized ? now : p;
        fprintf(stderr,
                "%s: note: %s is slower than its float form %s on this CPU (%s, threads %d): %.3f and %.3f ms\n",
                cli_program, q->name, f->name, kf_cpu_name(), now->threads, q->median, f->median);
    }
}

void bench_note_core(void) {
    cli_core core;
    cli_core_here(&core);
    if (*core.governor && strcmp(core.governor, "performance") != 0)
        fprintf(stderr,
                "%s: note: the frequency governor is '%s', so times depend on what ran before; for steady ones write "
                "performance into /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor\n",
                cli_program, core.governor);
}

/* ---- hrt_model_exec perf ----------------------------------------------------------------------------------------- */

/* Up to frame `n`: Frame count, average, extremes, rate. */
static kf_status print_progress(const kf_bench_result *r, int n, kf_error *err) {
    kf_bench_summary s;
    KF_TRY(kf_bench_summarize(r, n, &s, err));
    printf(
        "Frame count: %d,  Thread Average: %f ms,  thread max latency: %f ms,  thread min latency: %f ms,  FPS: %f\n",
        n, s.mean, s.highest, s.lowest, s.fps);
    return KF_OK;
}

kf_status bench_print_rdk(const kf_bench_result *r, kf_error *err) {
    const kf_bench_summary *s = &r->summary;
    for (int n = EVERY; n < r->frames; n += EVERY) KF_TRY(print_progress(r, n, err));
    KF_TRY(print_progress(r, r->frames, err));
    printf("\nRunning condition:\n  Thread number is: %d\n  Frame count   is: %d\n  Program run time: %f ms\n",
           r->sessions, r->frames, s->wall);
    printf("Perf result:\n  Frame totally latency is: %f ms\n  Average    latency    is: %f ms\n  Frame      rate      "
           " is: %f FPS\n\n",
           s->total, s->mean, s->fps);
    return KF_OK;
}
