/* Check and benchmark of the f32 depthwise row kernel: every depthwise layer of large_100 and small_100, odd
 * geometries. Every level is compared with double precision, between guard pages; --bench prints ns and share of the
 * limit. Owner rule: frees what each case maps. */
#include "harness.h"
#include "lines.h"

typedef struct shape {
    int32_t k, stride, dil, pad, w_in;
    size_t c;
} shape;

static const shape LAYERS[] = {
    {3, 1, 1, 1, 112, 16}, {3, 2, 1, 1, 112, 64}, {3, 1, 1, 1, 56, 72},  {5, 2, 1, 2, 56, 72},  {5, 1, 1, 2, 28, 120},
    {3, 2, 1, 1, 28, 240}, {3, 1, 1, 1, 14, 200}, {3, 1, 1, 1, 14, 184}, {3, 1, 1, 1, 14, 480}, {3, 1, 1, 1, 14, 672},
    {5, 2, 1, 2, 14, 672}, {5, 1, 1, 2, 7, 960},  {3, 2, 1, 1, 112, 16}, {3, 2, 1, 1, 56, 72},  {3, 1, 1, 1, 28, 88},
    {5, 2, 1, 2, 28, 96},  {5, 1, 1, 2, 14, 240}, {5, 1, 1, 2, 14, 120}, {5, 1, 1, 2, 14, 144}, {5, 2, 1, 2, 14, 288},
    {5, 1, 1, 2, 7, 576},
};

enum { MAX_K = 9 };

typedef struct job {
    guarded in[MAX_K], w, packed, bias, residual, out;
    const float *rows[MAX_K];
    kf__dwconv_row d;
} job;

/* Rows whose bit is set in `absent` lie outside the image. */
static job job_new(shape s, unsigned absent, kf__random *r) {
    int32_t w_out = (s.w_in + 2 * s.pad - s.dil * (s.k - 1) - 1) / s.stride + 1;
    size_t n = (size_t)w_out * s.c;
    job j = {.w = guard_new((size_t)(s.k * s.k) * s.c),
             .bias = guard_new(s.c),
             .residual = guard_new(n),
             .out = guard_new(n)};
    for (int32_t i = 0; i < s.k; i++) {
        j.in[i] = guard_new((size_t)s.w_in * s.c);
        fill(&j.in[i], r);
        j.rows[i] = absent >> i & 1 ? NULL : j.in[i].at;
    }
    j.packed = guard_new(kf__dwconv_f32_packed((size_t)(s.k * s.k), s.c));
    fill(&j.w, r), fill(&j.bias, r), fill(&j.residual, r);
    kf__dwconv_f32_pack((size_t)(s.k * s.k), s.c, j.w.at, s.c, 1, j.packed.at);
    j.d = (kf__dwconv_row){.kh = s.k,
                           .kw = s.k,
                           .sw = s.stride,
                           .dw = s.dil,
                           .pl = s.pad,
                           .w_in = s.w_in,
                           .w_out = w_out,
                           .c = s.c,
                           .w = j.packed.at,
                           .out = j.out.at};
    return j;
}

static void job_free(job *j) {
    for (int32_t i = 0; i < j->d.kh; i++) guard_free(&j->in[i]);
    guard_free(&j->w), guard_free(&j->packed), guard_free(&j->bias), guard_free(&j->residual), guard_free(&j->out);
}

static bool wrong(const job *j, const kf__epilogue *e, int32_t x, size_t ch) {
    const kf__dwconv_row *d = &j->d;
    double sum = e->bias ? e->bias[ch] : 0, mass = fabs(sum);
    for (int32_t ky = 0; ky < d->kh; ky++)
        for (int32_t kx = 0; j->rows[ky] && kx < d->kw; kx++) {
            int32_t at = x * d->sw + kx * d->dw - d->pl;
            if (at < 0 || at >= d->w_in) continue;
            double v = (double)j->rows[ky][(size_t)at * d->c + ch] * j->w.at[(size_t)(ky * d->kw + kx) * d->c + ch];
            sum += v, mass += fabs(v);
        }
    size_t o = (size_t)x * d->c + ch;
    double r = e->residual ? e->residual[o] : 0;
    return !close_enough(d->out[o], finish_double(sum, e, r), mass + fabs(r));
}

static int failures, cases;

static bool check(const job *j, const kf__epilogue *e, const char *name) {
    for (int32_t x = 0; x < j->d.w_out; x++)
        for (size_t ch = 0; ch < j->d.c; ch++)
            if (wrong(j, e, x, ch)) {
                printf("%s %dx%d s%d dil %d pad %d, %d x %zu: column %d channel %zu is wrong\n", name, j->d.kh, j->d.kw,
                       j->d.sw, j->d.dw, j->d.pl, j->d.w_in, j->d.c, x, ch);
                return false;
            }
    if (!guard_intact(&j->out)) printf("%s: wrote before the output\n", name);
    return guard_intact(&j->out);
}

static void check_shape(shape s, unsigned absent, unsigned turn, kf__random *r) {
    if (s.w_in + 2 * s.pad < s.dil * (s.k - 1) + 1) return;
    kf__cpu_level level[KF_CPU_LEVELS];
    job j = job_new(s, absent, r);
    j.d.rows = j.rows;
    kf__epilogue e = epilogue_of(turn, j.bias.at, j.residual.at, s.c);
    for (int i = 0, n = usable_levels(level); i < n; i++, cases++) {
        kf__kernels k;
        kf__kernels_select(level[i], &k);
        memset(j.out.at, CANARY, j.out.count * sizeof(float));
        k.dwconv_f32(&j.d, &e);
        MEET(k, dwconv_f32);
        if (!check(&j, &e, k.dwconv_f32_name)) failures++;
    }
    job_free(&j);
}

static void bench(void) {
    kf__cpu_level level[KF_CPU_LEVELS];
    kf__random r = {1};
    for (int i = 0, n = usable_levels(level); i < n; i++) {
        kf__kernels k;
        kf__kernels_select(level[i], &k);
        double limit = fma_limit(level[i]);
        printf("%s (one output row), FMA limit %.1f multiply-adds/ns\n", k.dwconv_f32_name, limit);
        for (size_t x = 0; x < KF_COUNT(LAYERS); x++) {
            shape s = LAYERS[x];
            job j = job_new(s, 0, &r);
            j.d.rows = j.rows;
            kf__epilogue e = {.bias = j.bias.at, .act = {.kind = KF_ACT_HSWISH}};
            double ns, work = (double)j.d.w_out * (double)s.c * s.k * s.k;
            BENCH(ns, k.dwconv_f32(&j.d, &e));
            printf("  %dx%d s%d  %3d x %3zu  %8.0f ns  %6.2f /ns", s.k, s.k, s.stride, s.w_in, s.c, ns, work / ns);
            if (limit > 0) printf("  %3.0f %%\n", 100 * work / ns / limit);
            else printf("\n");
            job_free(&j);
        }
    }
}

static void layers(void) {
    kf__random r = family("layers");
    for (unsigned i = 0; i < KF_COUNT(LAYERS); i++)
        for (unsigned absent = 0; absent < 4; absent++)
            check_shape(LAYERS[i], absent == 3 ? 1u << (LAYERS[i].k - 1) : absent, i, &r);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) {
        bench();
        return 0;
    }
    layers();
    kf__random r = family("windows");
    for (unsigned i = 0; i < 600; i++) {
        int32_t k = (int32_t)kf__random_range(&r, 1, i % 20 ? 7 : MAX_K); /* above 49 taps the generic code runs */
        shape s = {k,
                   (int32_t)kf__random_range(&r, 1, 3),
                   (int32_t)kf__random_range(&r, 1, 2),
                   (int32_t)kf__random_range(&r, 0, i % 3 ? k / 2 : k - 1),
                   (int32_t)kf__random_range(&r, 1, i % 5 ? 20 : 60),
                   (size_t)kf__random_range(&r, 1, 40)};
        check_shape(s, (unsigned)kf__random_range(&r, 0, 3), i, &r);
    }
    failures += unmet(CHECK_DWCONV);
    printf("dwconv: %d cases, %d failures\n", cases, failures);
    return failures != 0;
}
