/* Check and benchmark of the f32 GEMM: every pointwise, SE and classifier shape of large_100 and small_100, remainders,
 * rows in pieces.
 * Every level is compared with double precision, between guard pages; --bench prints ns and share of the limit.
 * Owner rule: frees what each case maps. */
#include "harness.h"
#include "lines.h"

typedef struct shape {
    size_t m, n, k;
} shape;

static const shape LAYERS[] = {
    /* large_100: stem as im2col, expand and project, SE, head, classifier */
    {12544, 16, 27},
    {12544, 16, 16},
    {12544, 64, 16},
    {3136, 24, 64},
    {3136, 72, 24},
    {3136, 24, 72},
    {784, 40, 72},
    {784, 120, 40},
    {784, 40, 120},
    {784, 240, 40},
    {196, 80, 240},
    {196, 200, 80},
    {196, 80, 200},
    {196, 184, 80},
    {196, 80, 184},
    {196, 480, 80},
    {196, 112, 480},
    {196, 672, 112},
    {196, 112, 672},
    {49, 160, 672},
    {49, 960, 160},
    {49, 160, 960},
    {1, 24, 72},
    {1, 72, 24},
    {1, 32, 120},
    {1, 120, 32},
    {1, 120, 480},
    {1, 480, 120},
    {1, 168, 672},
    {1, 672, 168},
    {1, 240, 960},
    {1, 960, 240},
    {1, 1280, 960},
    {1, 1000, 1280},
    /* small_100 where it differs */
    {3136, 16, 16},
    {3136, 72, 16},
    {784, 24, 72},
    {784, 88, 24},
    {784, 24, 88},
    {784, 96, 24},
    {196, 40, 96},
    {196, 240, 40},
    {196, 40, 240},
    {196, 120, 40},
    {196, 48, 120},
    {196, 144, 48},
    {196, 48, 144},
    {196, 288, 48},
    {49, 96, 288},
    {49, 576, 96},
    {49, 96, 576},
    {1, 8, 16},
    {1, 16, 8},
    {1, 24, 96},
    {1, 96, 24},
    {1, 64, 240},
    {1, 240, 64},
    {1, 1024, 576},
    {1, 1000, 1024},
};

typedef struct job {
    shape s;
    size_t lda, ldc;
    guarded a, w, packed, bias, residual, out;
} job;

static job job_new(shape s, size_t gap, kf__random *r) {
    job j = {.s = s, .lda = s.k + gap, .ldc = s.n + gap};
    j.a = guard_new((s.m - 1) * j.lda + s.k), j.w = guard_new(s.n * s.k), j.bias = guard_new(s.n);
    j.residual = guard_new((s.m - 1) * j.ldc + s.n), j.out = guard_new((s.m - 1) * j.ldc + s.n);
    j.packed = guard_new(kf__gemm_f32_packed(s.n, s.k));
    fill(&j.a, r), fill(&j.w, r), fill(&j.bias, r), fill(&j.residual, r);
    kf__gemm_f32_pack(s.n, s.k, j.w.at, j.packed.at);
    return j;
}

static void job_free(job *j) {
    guard_free(&j->a), guard_free(&j->w), guard_free(&j->packed), guard_free(&j->bias), guard_free(&j->residual);
    guard_free(&j->out);
}

static bool wrong(const job *j, const kf__epilogue *e, size_t row, size_t col) {
    const float *a = j->a.at + row * j->lda, *w = j->w.at + col * j->s.k;
    double sum = e->bias ? e->bias[col] : 0, mass = fabs(sum);
    for (size_t x = 0; x < j->s.k; x++) sum += (double)a[x] * w[x], mass += fabs((double)a[x] * w[x]);
    double r = e->residual ? e->residual[row * e->ld_residual + col] : 0;
    return !close_enough(j->out.at[row * j->ldc + col], finish_double(sum, e, r), mass + fabs(r));
}

/* Lines that no page has: asking for them must not fault, and the cursor moves by what was asked for, the list's length
 * at most counted. */
static const kf__ahead NOWHERE = {.at = (const char *)64, .lines = 500};

static bool asked_right(const kf__ahead *a, const job *j, const char *name) {
    size_t moved = (size_t)(a->at - NOWHERE.at), counted = NOWHERE.lines - a->lines;
    bool right = a->lines <= NOWHERE.lines && moved % KF_LINE == 0 && moved / KF_LINE >= counted &&
                 (a->lines == 0 || moved / KF_LINE == counted);
    if (!right)
        printf("%s %zux%zux%zu: asked for %zu bytes and counted %zu lines\n", name, j->s.m, j->s.n, j->s.k, moved,
               counted);
    return right;
}

/* The result of every element, and the gap after every row. */
static bool check(const job *j, const kf__epilogue *e, const char *name) {
    for (size_t row = 0; row < j->s.m; row++) {
        for (size_t col = 0; col < j->s.n; col++)
            if (wrong(j, e, row, col)) {
                printf("%s %zux%zux%zu act %d: row %zu column %zu is wrong\n", name, j->s.m, j->s.n, j->s.k,
                       e->act.kind, row, col);
                return false;
            }
        for (size_t col = j->s.n; row + 1 < j->s.m && col < j->ldc; col++)
            if (!is_canary(j->out.at + row * j->ldc + col)) {
                printf("%s %zux%zux%zu: wrote past row %zu\n", name, j->s.m, j->s.n, j->s.k, row);
                return false;
            }
    }
    if (!guard_intact(&j->out)) printf("%s %zux%zux%zu: wrote before the output\n", name, j->s.m, j->s.n, j->s.k);
    return guard_intact(&j->out);
}

static int failures, cases;

static void check_shape(shape s, size_t gap, unsigned turn, kf__random *r) {
    kf__cpu_level level[KF_CPU_LEVELS];
    job j = job_new(s, gap, r);
    kf__epilogue e = epilogue_of(turn, j.bias.at, j.residual.at, j.ldc);
    for (int i = 0, n = usable_levels(level); i < n; i++, cases++) {
        kf__kernels k;
        kf__kernels_select(level[i], &k);
        memset(j.out.at, CANARY, j.out.count * sizeof(float));
        kf__ahead ahead = NOWHERE;
        e.ahead = turn % 2 ? &ahead : NULL;
        k.gemm_f32(s.m, s.n, s.k, j.a.at, j.lda, j.packed.at, j.out.at, j.ldc, &e);
        MEET(k, gemm_f32);
        if (!check(&j, &e, k.gemm_f32_name) || !asked_right(&ahead, &j, k.gemm_f32_name)) failures++;
    }
    job_free(&j);
}

/* Rows in pieces, as a dense convolution reads them: runs of `len` that overlap from row to row when `step` is smaller.
 * The same numbers, written out as plain rows, are what check() compares with. */
static void check_pieces(shape s, size_t pieces, size_t step, unsigned turn, kf__random *r) {
    size_t len = s.k;
    job j = job_new((shape){s.m, s.n, pieces * len}, 0, r);
    guarded piece[4];
    const float *at[4];
    for (size_t p = 0; p < pieces; p++) {
        piece[p] = guard_new((s.m - 1) * step + len);
        fill(&piece[p], r);
        at[p] = piece[p].at;
        for (size_t i = 0; i < s.m; i++) memcpy(j.a.at + i * j.lda + p * len, at[p] + i * step, len * sizeof(float));
    }
    kf__gemm_rows rows = {.at = at, .pieces = pieces, .len = len, .step = step};
    kf__epilogue e = epilogue_of(turn, j.bias.at, j.residual.at, j.ldc);
    kf__cpu_level level[KF_CPU_LEVELS];
    for (int i = 0, n = usable_levels(level); i < n; i++, cases++) {
        kf__kernels k;
        kf__kernels_select(level[i], &k);
        memset(j.out.at, CANARY, j.out.count * sizeof(float));
        k.conv_f32(s.m, s.n, &rows, j.packed.at, j.out.at, j.ldc, &e);
        MEET(k, conv_f32);
        if (!check(&j, &e, k.conv_f32_name)) failures++;
    }
    for (size_t p = 0; p < pieces; p++) guard_free(&piece[p]);
    job_free(&j);
}

static void bench(void) {
    kf__cpu_level level[KF_CPU_LEVELS];
    kf__random r = {1};
    for (int i = 0, n = usable_levels(level); i < n; i++) {
        kf__kernels k;
        kf__kernels_select(level[i], &k);
        double limit = fma_limit(level[i]);
        printf("%s, FMA limit %.1f multiply-adds/ns\n", k.gemm_f32_name, limit);
        for (size_t x = 0; x < KF_COUNT(LAYERS); x++) {
            shape s = LAYERS[x];
            job j = job_new(s, 0, &r);
            kf__epilogue e = {.bias = j.bias.at, .act = {.kind = KF_ACT_HSWISH}};
            double ns, work = (double)s.m * (double)s.n * (double)s.k;
            BENCH(ns, k.gemm_f32(s.m, s.n, s.k, j.a.at, j.lda, j.packed.at, j.out.at, j.ldc, &e));
            printf("  %5zu x %4zu x %4zu  %10.0f ns  %6.2f /ns", s.m, s.n, s.k, ns, work / ns);
            if (limit > 0) printf("  %3.0f %%\n", 100 * work / ns / limit);
            else printf("\n");
            job_free(&j);
        }
    }
}

static void layers(void) {
    kf__random r = family("layers");
    for (unsigned i = 0; i < KF_COUNT(LAYERS); i++)
        if (!too_large(LAYERS[i].m * LAYERS[i].n * LAYERS[i].k)) check_shape(LAYERS[i], 0, i, &r);
}

/* Remainders of every tile: rows up to one tile and one more, columns around the panels, odd depths, gaps. */
static void remainders(void) {
    kf__random r = family("remainders");
    for (unsigned i = 0; i < drawn(400); i++) {
        shape s = {(size_t)kf__random_range(&r, 1, 52), (size_t)kf__random_range(&r, 1, 70),
                   (size_t)kf__random_range(&r, 1, 40)};
        check_shape(s, i % 3 ? i % 7 : 0, i, &r);
    }
}

static void row_blocks(void) {
    kf__random r = family("row_blocks");
    for (unsigned i = 0; i < 30; i++) check_shape((shape){95 + i % 4, 33, 513 + i}, 3, i, &r); /* row blocks */
}

static void pieces(void) {
    kf__random r = family("pieces");
    for (unsigned i = 0; i < drawn(120); i++) {
        shape s = {(size_t)kf__random_range(&r, 1, 60), (size_t)kf__random_range(&r, 1, 50),
                   (size_t)kf__random_range(&r, 1, 15)};
        check_pieces(s, 1 + i % 4, (size_t)kf__random_range(&r, 1, 12), i, &r);
    }
}

/* Sizes of packed weights that 32 bits do not hold. */
static void sizes(void) {
    const size_t k = (size_t)1 << 30;
    cases++;
    if (kf__gemm_f32_packed(1, k) == (uint64_t)k * KF_GEMM_PANEL) return;
    printf("sizes of packed weights wrap\n");
    failures++;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) {
        bench();
        return 0;
    }
    layers(), remainders(), row_blocks(), pieces(), sizes();
    failures += unmet(CHECK_GEMM);
    printf("gemm: %d cases, %d failures\n", cases, failures);
    return failures != 0;
}
