/* Check of the f32 kernels that sweep memory: scale by a gate, column sums, add and activation, planes to pixels.
 * Every level is compared with double precision, between guard pages; --bench prints ns and bytes a ns.
 * Owner rule: frees what each case maps. */
#include "harness.h"
#include "lines.h"

static const size_t LAYERS[][2] = {{784, 72}, {784, 120}, {196, 480}, {196, 672}, {49, 672}, {49, 960}, {3136, 16},
                                   {196, 96}, {196, 240}, {196, 120}, {196, 144}, {49, 288}, {49, 576}};

static int failures, cases;

static void expect(bool ok, const char *name, size_t rows_n, size_t c) {
    cases++;
    if (ok) return;
    failures++;
    printf("%s %zu x %zu: wrong\n", name, rows_n, c);
}

static bool scale_right(size_t rows_n, size_t c, const guarded *x, const guarded *gate, const guarded *out) {
    for (size_t i = 0; i < rows_n * c; i++) {
        float want = x->at[i] * gate->at[i % c]; /* s390x compares a product with more digits */
        if (out->at[i] != want) return false;
    }
    return guard_intact(out);
}

/* `sums` started at `start`. */
static bool sums_right(size_t rows_n, size_t c, const guarded *x, const guarded *start, const guarded *sums) {
    for (size_t j = 0; j < c; j++) {
        double want = start->at[j], mass = fabs(want);
        for (size_t i = 0; i < rows_n; i++) want += x->at[i * c + j], mass += fabs((double)x->at[i * c + j]);
        if (!close_enough(sums->at[j], want, mass)) return false;
    }
    return guard_intact(sums);
}

static bool eltwise_right(size_t n, const guarded *a, const guarded *b, const guarded *out, const kf__epilogue *e) {
    for (size_t i = 0; i < n; i++) {
        double sum = (double)a->at[i] + (b ? b->at[i] : 0);
        if (!close_enough(out->at[i], finish_double(sum, e, 0), fabs(sum))) return false;
    }
    return guard_intact(out);
}

static bool interleaved_right(size_t n, const guarded *x, const guarded *out) {
    for (size_t i = 0; i < 3 * n; i++)
        if (out->at[i] != x->at[i % 3 * n + i / 3]) return false;
    return guard_intact(out);
}

static void check_interleave(size_t n, kf__random *r) {
    kf__cpu_level level[KF_CPU_LEVELS];
    guarded x = guard_new(3 * n), out = guard_new(3 * n);
    fill(&x, r);
    for (int i = 0, count = usable_levels(level); i < count; i++) {
        kf__kernels k;
        kf__kernels_select(level[i], &k);
        MEET(k, interleave_f32);
        memset(out.at, CANARY, out.count * sizeof(float));
        k.interleave_f32(n, (const float *const[]){x.at, x.at + n, x.at + 2 * n}, out.at);
        expect(interleaved_right(n, &x, &out), k.interleave_f32_name, n, 3);
    }
    guard_free(&x), guard_free(&out);
}

static void check_shape(size_t rows_n, size_t c, unsigned turn, kf__random *r) {
    kf__cpu_level level[KF_CPU_LEVELS];
    guarded x = guard_new(rows_n * c), y = guard_new(rows_n * c), out = guard_new(rows_n * c);
    guarded gate = guard_new(c), sums = guard_new(c);
    fill(&x, r), fill(&y, r), fill(&gate, r);
    kf__epilogue e = epilogue_of(turn, NULL, NULL, 0);
    for (int i = 0, n = usable_levels(level); i < n; i++) {
        kf__kernels k;
        kf__kernels_select(level[i], &k);
        MEET(k, scale_f32), MEET(k, colsum_f32), MEET(k, eltwise_f32);
        memset(out.at, CANARY, out.count * sizeof(float));
        k.scale_f32(rows_n, c, x.at, gate.at, out.at);
        expect(scale_right(rows_n, c, &x, &gate, &out), k.scale_f32_name, rows_n, c);
        memcpy(sums.at, gate.at, c * sizeof(float));
        k.colsum_f32(rows_n, c, x.at, sums.at);
        expect(sums_right(rows_n, c, &x, &gate, &sums), k.colsum_f32_name, rows_n, c);
        for (int two = 0; two < 2; two++) {
            memset(out.at, CANARY, out.count * sizeof(float));
            k.eltwise_f32(rows_n * c, x.at, two ? y.at : NULL, out.at, &e);
            expect(eltwise_right(rows_n * c, &x, two ? &y : NULL, &out, &e), k.eltwise_f32_name, rows_n, c);
        }
    }
    guard_free(&x), guard_free(&y), guard_free(&out), guard_free(&gate), guard_free(&sums);
}

static void bench(void) {
    kf__cpu_level level[KF_CPU_LEVELS];
    kf__random r = {1};
    for (int i = 0, n = usable_levels(level); i < n; i++) {
        kf__kernels k;
        kf__kernels_select(level[i], &k);
        printf("%s, %s, %s: ns and bytes/ns each\n", k.scale_f32_name, k.colsum_f32_name, k.eltwise_f32_name);
        for (size_t s = 0; s < KF_COUNT(LAYERS); s++) {
            size_t m = LAYERS[s][0], c = LAYERS[s][1];
            guarded x = guard_new(m * c), out = guard_new(m * c), gate = guard_new(c);
            kf__epilogue e = {.act = {.kind = KF_ACT_HSWISH}};
            double a, b, d, bytes = (double)(m * c) * sizeof(float);
            fill(&x, &r), fill(&gate, &r);
            BENCH(a, k.scale_f32(m, c, x.at, gate.at, out.at));
            BENCH(b, k.colsum_f32(m, c, x.at, gate.at));
            BENCH(d, k.eltwise_f32(m * c, x.at, x.at, out.at, &e));
            printf("  %4zu x %3zu  %8.0f %5.1f  %8.0f %5.1f  %8.0f %5.1f\n", m, c, a, 2 * bytes / a, b, bytes / b, d,
                   3 * bytes / d);
            guard_free(&x), guard_free(&out), guard_free(&gate);
        }
    }
}

/* f32 kernels that a level above scalar leaves to scalar code; names them. */
static int left_scalar(void) {
    kf__cpu_level level[KF_CPU_LEVELS];
    int count = 0;
    for (int i = 0, n = usable_levels(level); i < n; i++) {
        kf__kernels k;
        if (level[i] == KF_CPU_SCALAR) continue;
        kf__kernels_select(level[i], &k);
#define KF_KERNEL_F32(check, member, function, isa, level_, facts)                                                     \
    if (KF_CPU_##level_ == KF_CPU_SCALAR && strcmp(k.member##_name, #function "_scalar") == 0)                         \
        count++, printf("%s: level %s has no other\n", k.member##_name, kf__cpu_level_name(level[i]));
#include "kernels/kernels.def"
    }
    return count;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) {
        bench();
        return 0;
    }
    kf__random r = family("layers"), sizes = family("sizes"), pairs = family("interleave");
    for (unsigned i = 0; i < KF_COUNT(LAYERS); i++) check_shape(LAYERS[i][0], LAYERS[i][1], i, &r);
    for (unsigned i = 0; i < 300; i++)
        check_shape((size_t)kf__random_range(&sizes, 1, 9), (size_t)kf__random_range(&sizes, 1, 50), i, &sizes);
    for (size_t n = 1; n < 40; n++) check_interleave(n, &pairs);
    failures += unmet(CHECK_ELTWISE) + left_scalar();
    printf("eltwise: %d cases, %d failures\n", cases, failures);
    return failures != 0;
}
