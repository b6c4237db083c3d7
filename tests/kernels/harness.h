/* What every kernel check shares: guarded memory, canaries, the double-precision activation, levels and timing.
 * May include any header of src/.
 * Owner rule: guarded blocks live until the program ends or guard_free. */
#ifndef KF_KERNELS_HARNESS_H
#define KF_KERNELS_HARNESS_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "kernels/kernels.h"

/** `count` floats whose last byte touches an unreadable page, and whose block starts after one: any access outside the
 *  end faults, and any write before the start is seen by guard_intact. */
typedef struct guarded {
    float *at;
    size_t count, bytes;
    unsigned char *map;
} guarded;

#define CANARY 0xa5

static inline guarded guard_new(size_t count) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), need = count * sizeof(float), body = (need + page) / page * page;
    guarded g = {.count = count, .bytes = body + 2 * page};
    g.map = mmap(NULL, g.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (g.map == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    memset(g.map + page, CANARY, body);
    if (mprotect(g.map, page, PROT_NONE) || mprotect(g.map + page + body, page, PROT_NONE)) {
        perror("mprotect");
        exit(2);
    }
    g.at = (float *)(void *)(g.map + page + body - need);
    return g;
}

static inline void guard_free(guarded *g) { munmap(g->map, g->bytes); }

/** True if the bytes between the first guard page and the block are untouched. */
static inline bool guard_intact(const guarded *g) {
    for (const unsigned char *p = g->map + sysconf(_SC_PAGESIZE); p < (const unsigned char *)g->at; p++)
        if (*p != CANARY) return false;
    return true;
}

static inline bool is_canary(const float *p) {
    unsigned char b[sizeof *p];
    memcpy(b, p, sizeof b);
    return b[0] == CANARY && b[1] == CANARY && b[2] == CANARY && b[3] == CANARY;
}

/** Of `n` random cases, those to draw: an eighth where KITFOX_QUICK is set, for emulators. */
static inline unsigned drawn(unsigned n) { return getenv("KITFOX_QUICK") ? n / 8 : n; }
/** Is a layer of so many multiply-adds left out there? */
static inline bool too_large(size_t macs) { return getenv("KITFOX_QUICK") && macs > 200000; }

/** The generator of one family of cases, seeded by its name (FNV-1a): more cases in one family, or a new family, leave
 *  the cases of the others as they are. */
static inline kf__random family(const char *name) {
    kf__random r = {0xcbf29ce484222325u};
    for (; *name; name++) r.state = (r.state ^ (unsigned char)*name) * 0x100000001b3u;
    return r;
}

static inline void fill(guarded *g, kf__random *r) {
    for (size_t i = 0; i < g->count; i++) g->at[i] = (float)(kf__random_unit(r) * 4 - 2);
}

static inline double clampd(double x, double lo, double hi) { return x < lo ? lo : x > hi ? hi : x; }

/** Activations as ONNX states them, in double, written independently of requant.h. */
static inline double act_double(kf__act act, double x, double lo, double hi) {
    switch (act) {
    case KF_ACT_CLIP: return clampd(x, lo, hi);
    case KF_ACT_HSWISH: return x * clampd(x + 3, 0, 6) / 6;
    case KF_ACT_HSIGMOID: return clampd(x / 6 + 0.5, 0, 1);
    case KF_ACT_HARDSIGMOID: return clampd(lo * x + hi, 0, 1);
    case KF_ACT_SIGMOID: return 1 / (1 + exp(-x));
    case KF_ACT_SILU: return x / (1 + exp(-x));
    case KF_ACT_NONE:
    case KF_ACT_COUNT: break;
    }
    return x;
}

static inline double finish_double(double x, const kf__epilogue *e, double residual) {
    return act_double(e->post.kind, act_double(e->act.kind, x, e->act.lo, e->act.hi) + residual, e->post.lo,
                      e->post.hi);
}

/** An epilogue that differs from case to case: every activation, with and without bias, residual and last clip. */
static inline kf__epilogue epilogue_of(unsigned turn, const float *bias, const float *residual, size_t ld) {
    kf__epilogue e = {.act = {(kf__act)(turn % KF_ACT_COUNT), 0, 6}};
    if (e.act.kind == KF_ACT_HARDSIGMOID) e.act.lo = 0.2f, e.act.hi = 0.5f;
    if (e.act.kind == KF_ACT_CLIP && turn / KF_ACT_COUNT % 2)
        e.act.lo = -0.5f, e.act.hi = INFINITY; /* ReLU has no upper bound */
    if (turn % 3 != 1) e.bias = bias;
    if (turn % 4 < 2) e.residual = residual, e.ld_residual = ld;
    if (turn % 5 == 0) e.post.kind = KF_ACT_CLIP, e.post.lo = -1, e.post.hi = 3;
    return e;
}

/** Error allowed for a sum of terms whose absolute values add up to `mass`: far below one lost term of any layer. */
static inline bool close_enough(double got, double want, double mass) { return fabs(got - want) <= 4e-6 * (mass + 1); }

/** Levels that this machine may run; of those whose f32 kernels are the same the first. Scalar is always there. */
static inline int usable_levels(kf__cpu_level *out) {
    kf__kernels last = {0}, here = {0};
    int n = 0;
    for (int i = 0; i < KF_CPU_LEVELS; i++) {
        kf__cpu_level level = (kf__cpu_level)i;
        if (!kf__cpu_allowed(level) || !kf__cpu_usable(level)) continue;
        kf__kernels_select(level, &here);
        if (n == 0 || memcmp(&last, &here, sizeof here) != 0) out[n++] = level;
        last = here;
    }
    return n;
}

static inline double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/** Smallest of nine timings of `statement`, each of about a millisecond, in `ns` per run. */
#define BENCH(ns, statement)                                                                                           \
    do {                                                                                                               \
        double bench_best = 1e30;                                                                                      \
        long bench_times = 1;                                                                                          \
        for (int bench_i = 0; bench_i < 9; bench_i++) {                                                                \
            double bench_t = now_ns();                                                                                 \
            for (long bench_j = 0; bench_j < bench_times; bench_j++) {                                                 \
                statement;                                                                                             \
            }                                                                                                          \
            bench_t = (now_ns() - bench_t) / (double)bench_times;                                                      \
            if (bench_t < bench_best) bench_best = bench_t;                                                            \
            bench_times = 1 + (long)(1e6 / bench_best);                                                                \
        }                                                                                                              \
        (ns) = bench_best;                                                                                             \
    } while (0)

/** Exact multiply-adds of bytes (SSE4.1, AVX2: of pairs of i16) per nanosecond on this CPU, 512 bits or fewer; of AMX
 * by tiles. 0: unknown. */
double dot_limit(kf__cpu_level level, bool wide);
/** Multiply-adds a nanosecond that independent FMAs reach at this level, measured now; 0 where there is no such unit.
 */
double fma_limit(kf__cpu_level level);

#endif
