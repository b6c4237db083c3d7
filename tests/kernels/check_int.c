/* Check and benchmark of the integer kernels: GEMM of u8 and i16, depthwise, requantization, sums, pooling, Add and
 * Mul, byte for byte against scalar. Every layer shape of large_100 and small_100, remainders, worst values, the traps
 * of docs/NUMERICS.md, guard pages;
 * --bench prints times.
 * Owner rule: frees what each case maps. */
#include "harness.h"
#include "lines.h"
#include "parameters.h"

typedef struct shape {
    size_t m, n, k;
} shape;

static const shape GEMMS[] = {
    {12544, 16, 27}, {12544, 16, 16}, {12544, 64, 16}, {3136, 24, 64},  {3136, 72, 24},  {3136, 24, 72},
    {784, 40, 72},   {784, 120, 40},  {784, 40, 120},  {784, 240, 40},  {196, 80, 240},  {196, 200, 80},
    {196, 80, 200},  {196, 184, 80},  {196, 80, 184},  {196, 480, 80},  {196, 112, 480}, {196, 672, 112},
    {196, 112, 672}, {49, 160, 672},  {49, 960, 160},  {49, 160, 960},  {1, 24, 72},     {1, 72, 24},
    {1, 240, 960},   {1, 960, 240},   {1, 1280, 960},  {1, 1000, 1280}, {3136, 72, 16},  {784, 24, 72},
    {784, 88, 24},   {784, 24, 88},   {784, 96, 24},   {196, 40, 96},   {196, 240, 40},  {196, 40, 240},
    {196, 48, 120},  {196, 144, 48},  {196, 288, 48},  {49, 96, 288},   {49, 576, 96},   {49, 96, 576},
    {1, 1024, 576},  {1, 1000, 1024},
};

typedef struct window {
    int32_t h, w, k, s;
    size_t c;
} window;

static const window DEPTHWISE[] = {
    {112, 112, 3, 1, 16}, {112, 112, 3, 2, 64}, {56, 56, 3, 1, 72},   {56, 56, 5, 2, 72},  {28, 28, 5, 1, 120},
    {28, 28, 3, 2, 240},  {14, 14, 3, 1, 200},  {14, 14, 3, 1, 184},  {14, 14, 3, 1, 480}, {14, 14, 3, 1, 672},
    {14, 14, 5, 2, 672},  {7, 7, 5, 1, 960},    {112, 112, 3, 2, 16}, {56, 56, 3, 2, 72},  {28, 28, 3, 1, 88},
    {28, 28, 5, 2, 96},   {14, 14, 5, 1, 240},  {14, 14, 5, 1, 120},  {14, 14, 5, 1, 144}, {14, 14, 5, 2, 288},
    {7, 7, 5, 1, 576},
};

static int failures, cases;

/* The kernels of AVX-VNNI in the encoding that AVX-512 machines run, see int_avxvnni.c; that of AMX on a model of
 * tiles, see int_amx.c. */
enum { EVEX_VARIANT = KF_CPU_LEVELS, TILE_MODEL, VARIANTS };
#if defined(__x86_64__)
extern kf__gemm_u8_fn kf_k_gemm_u8_avxvnni_evex;
extern kf__dwconv_q_fn kf_k_dwconv_u8_avxvnni_evex;
#endif
#if defined(KF_AMX)
extern kf__gemm_u8_fn kf_k_gemm_u8_amx_model;
extern unsigned kf_k_tiles_amx_model(bool *left);
#endif

static void select_variant(int variant, kf__kernels_int *k) {
    kf__kernels_select_int(variant == EVEX_VARIANT ? KF_CPU_AVXVNNI
                           : variant == TILE_MODEL ? KF_CPU_AVX512VNNI
                                                   : (kf__cpu_level)variant,
                           k);
#if defined(KF_AMX)
    if (variant == TILE_MODEL) k->gemm_u8 = kf_k_gemm_u8_amx_model, k->gemm_u8_name = "gemm_u8_amx_model";
#endif
#if defined(__x86_64__)
    if (variant != EVEX_VARIANT) return;
    k->gemm_u8 = kf_k_gemm_u8_avxvnni_evex, k->dwconv_u8 = kf_k_dwconv_u8_avxvnni_evex;
#endif
}

static int int_variants(int *out) {
    bool has_avx512 = kf__cpu_level_contains(kf__cpu_level_now(), KF_CPU_AVX512VNNI);
    int n = 0;
    for (int i = 0; i < KF_CPU_LEVELS; i++)
        if (kf__cpu_allowed((kf__cpu_level)i) && kf__cpu_usable((kf__cpu_level)i)) out[n++] = i;
    if (has_avx512) out[n++] = EVEX_VARIANT;
#if defined(KF_AMX)
    if (has_avx512) out[n++] = TILE_MODEL;
#endif
    return n;
}

/* Tiles that a call has left configured are state that the system saves from then on. */
static bool tiles_released(void) {
    bool left = false;
#if defined(KF_AMX)
    kf_k_tiles_amx_model(&left);
#endif
    return !left;
}

static void report(const char *name, shape s, unsigned turn) {
    if (failures++ < 10) printf("%s %zux%zux%zu turn %u differs from scalar\n", name, s.m, s.n, s.k, turn);
}

static void check_gemm(shape s, unsigned turn, bool i16, kf__random *r) {
    kf_dtype out = turn % 6 == 4 ? KF_I16 : turn % 6 == 5 ? KF_F32 : KF_U8;
    bool wide = i16 && turn % 2;
    size_t e = kf_dtype_size(out), size = i16 ? 2 : 1;
    bytes a = bytes_new(s.m * s.k * size), res = bytes_new(s.m * s.n), want = bytes_new(s.m * s.n * e),
          got = bytes_new(s.m * s.n * e);
    int8_t *w = malloc(s.n * s.k * 2);
    random_bytes(&a, i16 ? 0 : turn, r);
    random_bytes(&res, 0, r);
    random_weights(w, s.n * s.k * (wide ? 2 : 1), i16 ? 0 : turn, r);
    parameters p = parameters_new(s.n);
    int32_t *bias = calloc(kf__qpad(s.n), sizeof *bias);
    parameters_fill(&p, s.n, 40.0 / (i16 ? 3e8 : 2e5), out, r);
    kf__requant q = requant_of(&p, turn, true, res.at, s.n, out);
    if (turn % 7) kf__requant_bound(&q, 2147483648.0, s.n, 16, p.lo8, p.hi8);
    int level[VARIANTS];
    for (int i = 0, n = int_variants(level); i < n; i++, cases++) {
        kf__kernels_int k;
        select_variant(level[i], &k);
        size_t packed_bytes =
            i16 ? kf__gemm_i16_packed(wide, s.n, s.k) : kf__gemm_u8_packed(k.gemm_layout, k.gemm_group, s.n, s.k);
        bytes packed = bytes_new(packed_bytes);
        uint8_t *to = i ? got.at : want.at;
        memset(got.at, CANARY, got.n);
        if (i16) {
            kf__gemm_i16_pack(wide, s.n, s.k, w, packed.at);
            MEET(k, gemm_i16);
            k.gemm_i16(s.m, s.n, s.k, (const int16_t *)(const void *)a.at, s.k, packed.at, wide, to, s.n, &q);
        } else {
            kf__gemm_u8_pack(k.gemm_layout, k.gemm_group, s.n, s.k, w, packed.at);
            bias_with_offset(bias, p.bias, w, s.n, s.k, k.gemm_input_offset);
            q.bias = bias;
            size_t runs = s.k % 8 == 0 && turn % 2 ? s.k / k.gemm_group : 1; /* the same rows, cut into groups */
            MEET(k, gemm_u8);
            k.gemm_u8(s.m, s.n, s.k / runs, runs, s.k / runs, a.at, s.k, packed.at, to, s.n, &q);
        }
        if (i && (memcmp(want.at, got.at, got.n) != 0 || !guard_intact(&got.g) || !tiles_released()))
            report(i16 ? k.gemm_i16_name : k.gemm_u8_name, s, turn);
        guard_free(&packed.g);
    }
    parameters_free(&p);
    free(w), free(bias);
    guard_free(&a.g), guard_free(&res.g), guard_free(&want.g), guard_free(&got.g);
}

/* Elements along k that some kernel of this machine multiplies at once. */
static size_t widest_group(void) {
    int level[VARIANTS];
    size_t most = 0;
    for (int i = 0, n = int_variants(level); i < n; i++) {
        kf__kernels_int k;
        select_variant(level[i], &k);
        if (k.gemm_group > most) most = k.gemm_group;
    }
    return most;
}

/* Rows in runs, as a dense convolution reads its image: windows overlap, nothing lies behind the last of them. */
static void check_windows(unsigned turn, kf__random *r) {
    size_t m = (size_t)kf__random_range(r, 1, 70), n = (size_t)kf__random_range(r, 1, 70),
           runs = (size_t)kf__random_range(r, 1, 5), k = widest_group() * (size_t)kf__random_range(r, 1, 50);
    size_t lda = (size_t)kf__random_range(r, 1, 100), ld_run = k + (size_t)kf__random_range(r, 0, 300),
           depth = runs * k;
    kf_dtype out = turn % 6 == 5 ? KF_F32 : KF_U8;
    bytes a = bytes_new((m - 1) * lda + (runs - 1) * ld_run + k), res = bytes_new(m * n),
          want = bytes_new(m * n * kf_dtype_size(out)), got = bytes_new(want.n);
    int8_t *w = malloc(n * depth);
    random_bytes(&a, turn, r), random_bytes(&res, 0, r), random_weights(w, n * depth, turn, r);
    parameters p = parameters_new(n);
    int32_t *bias = calloc(kf__qpad(n), sizeof *bias);
    parameters_fill(&p, n, 40.0 / 2e5, out, r);
    kf__requant q = requant_of(&p, turn, true, res.at, n, out);
    if (turn % 7) kf__requant_bound(&q, 2147483648.0, n, 16, p.lo8, p.hi8);
    int level[VARIANTS];
    for (int i = 0, count = int_variants(level); i < count; i++, cases++) {
        kf__kernels_int kernels;
        select_variant(level[i], &kernels);
        bytes packed = bytes_new(kf__gemm_u8_packed(kernels.gemm_layout, kernels.gemm_group, n, depth));
        kf__gemm_u8_pack(kernels.gemm_layout, kernels.gemm_group, n, depth, w, packed.at);
        bias_with_offset(bias, p.bias, w, n, depth, kernels.gemm_input_offset);
        q.bias = bias;
        memset(got.at, CANARY, got.n);
        MEET(kernels, gemm_u8);
        kernels.gemm_u8(m, n, k, runs, ld_run, a.at, lda, packed.at, i ? got.at : want.at, n, &q);
        if (i && (memcmp(want.at, got.at, got.n) != 0 || !guard_intact(&got.g) || !tiles_released()))
            report(kernels.gemm_u8_name, (shape){m, n, depth}, turn);
        guard_free(&packed.g);
    }
    parameters_free(&p);
    free(w), free(bias);
    guard_free(&a.g), guard_free(&res.g), guard_free(&want.g), guard_free(&got.g);
}

static void check_dwconv(window v, unsigned turn, kf__random *r) {
    kf_dtype out = turn % 5 == 4 ? KF_I16 : KF_U8;
    int32_t pad = turn % 4 == 3 ? 0 : (v.k - v.s + 1) / 2, ho = (v.h + 2 * pad - v.k) / v.s + 1,
            wo = (v.w + 2 * pad - v.k) / v.s + 1;
    if (v.h + 2 * pad < v.k || v.w + 2 * pad < v.k) return;
    size_t e = kf_dtype_size(out), outs = (size_t)ho * (size_t)wo * v.c, taps = (size_t)(v.k * v.k);
    bytes in = bytes_new((size_t)v.h * (size_t)v.w * v.c), want = bytes_new(outs * e), got = bytes_new(outs * e),
          pads = bytes_new(kf__qpad(v.c));
    int8_t *w = malloc(taps * v.c);
    random_bytes(&in, turn, r), random_bytes(&pads, 0, r), random_weights(w, taps * v.c, turn, r);
    parameters p = parameters_new(v.c), ordered = parameters_new(v.c);
    int32_t *plain = calloc(kf__qpad(v.c), sizeof *plain);
    int8_t *by_channel = malloc(taps * v.c);
    for (size_t i = 0; i < taps * v.c; i++) by_channel[i % v.c * taps + i / v.c] = w[i];
    parameters_fill(&p, v.c, 0.002, out, r);
    memcpy(plain, p.bias, v.c * sizeof *plain);
    void *scratch = kf__mem_alloc(NULL, kf__dwconv_u8_scratch());
    kf__dwconv_q d = {.in = in.at,
                      .in_type = KF_U8,
                      .h_in = v.h,
                      .w_in = v.w,
                      .w_out = wo,
                      .y1 = ho,
                      .kh = v.k,
                      .kw = v.k,
                      .sh = v.s,
                      .sw = v.s,
                      .dh = 1,
                      .dw = 1,
                      .pt = pad,
                      .pl = pad,
                      .c = v.c,
                      .pad = pads.at,
                      .scratch = scratch};
    int level[VARIANTS];
    for (int i = 0, n = int_variants(level); i < n; i++, cases++) {
        kf__kernels_int k;
        select_variant(level[i], &k);
        bytes packed = bytes_new(kf__dwconv_u8_packed(k.dw_layout, k.dw_block, v.k, v.s, v.c));
        kf__dwconv_u8_pack(k.dw_layout, k.dw_block, v.k, v.s, v.c, w, packed.at);
        bias_with_offset(p.bias, plain, by_channel, v.c, taps, k.dw_input_offset);
        parameters_order(&p, v.c, k.dw_block, &ordered);
        kf__requant q = requant_of(&ordered, turn, false, NULL, 0, out);
        if (turn % 7) kf__requant_bound(&q, 255.0 * 128 * 25 + 100000, v.c, k.dw_block, ordered.lo8, ordered.hi8);
        d.out = i ? got.at : want.at, d.w = packed.at;
        memset(got.at, CANARY, got.n);
        for (d.y0 = 0; d.y0 < ho; d.y0 = d.y1) { /* in two shares, as two threads do */
            d.y1 = d.y0 ? ho : (ho + 1) / 2;
            MEET(k, dwconv_u8);
            k.dwconv_u8(&d, &q);
        }
        if (i && (memcmp(want.at, got.at, got.n) != 0 || !guard_intact(&got.g)))
            report(k.dwconv_u8_name, (shape){(size_t)v.h, v.c, (size_t)v.k}, turn);
        guard_free(&packed.g);
    }
    parameters_free(&p), parameters_free(&ordered);
    kf__mem_free(NULL, scratch);
    free(w), free(plain), free(by_channel);
    guard_free(&in.g), guard_free(&want.g), guard_free(&got.g), guard_free(&pads.g);
}

/* The 16-bit kernel: any window, stride and dilation, u8 or i16 in, every epilogue. */
static void check_dwconv16(window v, unsigned turn, kf__random *r) {
    kf_dtype in_type = turn % 3 == 2 ? KF_U8 : KF_I16, out = turn % 5 == 4 ? KF_I16 : turn % 5 == 3 ? KF_F32 : KF_U8;
    int32_t kw = turn % 7 == 6 ? v.k + 1 : v.k, dh = turn % 6 == 5 ? 2 : 1, sw = turn % 4 == 1 ? 3 - v.s : v.s,
            pad = turn % 4 == 3 ? 0 : (v.k - v.s + 1) / 2;
    int32_t ho = (v.h + 2 * pad - (v.k - 1) * dh - 1) / v.s + 1, wo = (v.w + 2 * pad - kw) / sw + 1;
    if (v.h + 2 * pad <= (v.k - 1) * dh || v.w + 2 * pad < kw) return;
    size_t e = kf_dtype_size(out), ein = kf_dtype_size(in_type), outs = (size_t)ho * (size_t)wo * v.c,
           taps = (size_t)(v.k * kw);
    bytes in = bytes_new((size_t)v.h * (size_t)v.w * v.c * ein), want = bytes_new(outs * e), got = bytes_new(outs * e),
          pads = bytes_new(v.c * ein), res = bytes_new(outs);
    bytes w = bytes_new(taps * v.c * 2);
    random_bytes(&in, turn, r), random_bytes(&pads, 0, r), random_bytes(&res, 0, r), random_bytes(&w, turn / 8, r);
    parameters p = parameters_new(v.c);
    parameters_fill(&p, v.c, in_type == KF_U8 ? 1e-5 : 1e-7, out, r);
    kf__requant q = requant_of(&p, turn, true, res.at, v.c, out);
    kf__dwconv_q d = {.in = in.at,
                      .in_type = in_type,
                      .h_in = v.h,
                      .w_in = v.w,
                      .w_out = wo,
                      .kh = v.k,
                      .kw = kw,
                      .sh = v.s,
                      .sw = sw,
                      .dh = dh,
                      .dw = 1,
                      .pt = pad,
                      .pl = pad,
                      .c = v.c,
                      .pad = pads.at,
                      .w = w.at};
    int level[VARIANTS];
    for (int i = 0, n = int_variants(level); i < n; i++, cases++) {
        kf__kernels_int k;
        select_variant(level[i], &k);
        d.out = i ? got.at : want.at;
        memset(got.at, CANARY, got.n);
        for (d.y0 = 0; d.y0 < ho; d.y0 = d.y1) {
            d.y1 = d.y0 ? ho : (ho + 1) / 2;
            MEET(k, dwconv_i16);
            k.dwconv_i16(&d, &q);
        }
        if (i && (memcmp(want.at, got.at, got.n) != 0 || !guard_intact(&got.g)))
            report(k.dwconv_i16_name, (shape){(size_t)v.h, v.c, (size_t)v.k}, turn);
    }
    parameters_free(&p);
    guard_free(&in.g), guard_free(&want.g), guard_free(&got.g), guard_free(&pads.g), guard_free(&res.g),
        guard_free(&w.g);
}

/* Windows that only dwconv_any takes: any size, strides that differ, dilation, residuals, every output. */
static void check_dwconv_any(window v, unsigned turn, kf__random *r) {
    static const kf_dtype OUT[4] = {KF_U8, KF_U8, KF_I16, KF_F32};
    kf_dtype out = OUT[turn % 4];
    int32_t kw = turn % 3 ? v.k : v.k + 1, dh = turn % 6 == 5 ? 2 : 1, dw = turn % 7 == 6 ? 3 : 1,
            sw = turn % 4 == 1 ? 3 - v.s : v.s, pad = turn % 5 ? v.k / 2 : 0;
    int32_t ho = (v.h + 2 * pad - (v.k - 1) * dh - 1) / v.s + 1, wo = (v.w + 2 * pad - (kw - 1) * dw - 1) / sw + 1;
    if (v.h + 2 * pad <= (v.k - 1) * dh || v.w + 2 * pad <= (kw - 1) * dw) return;
    size_t e = kf_dtype_size(out), outs = (size_t)ho * (size_t)wo * v.c, taps = (size_t)(v.k * kw);
    bytes in = bytes_new((size_t)v.h * (size_t)v.w * v.c), want = bytes_new(outs * e), got = bytes_new(outs * e),
          pads = bytes_new(v.c), res = bytes_new(outs), w = bytes_new(taps * v.c);
    random_bytes(&in, turn, r), random_bytes(&pads, 0, r), random_bytes(&res, 0, r),
        random_weights((int8_t *)w.at, w.n, turn, r);
    parameters p = parameters_new(v.c);
    parameters_fill(&p, v.c, 0.002, out, r);
    kf__requant q = requant_of(&p, turn, true, res.at, v.c, out);
    if (turn % 7) kf__requant_bound(&q, 255.0 * 128 * 64 + 100000, v.c, 16, p.lo8, p.hi8);
    kf__dwconv_q d = {.in = in.at,
                      .in_type = KF_U8,
                      .h_in = v.h,
                      .w_in = v.w,
                      .w_out = wo,
                      .y1 = ho,
                      .kh = v.k,
                      .kw = kw,
                      .sh = v.s,
                      .sw = sw,
                      .dh = dh,
                      .dw = dw,
                      .pt = pad,
                      .pl = pad,
                      .c = v.c,
                      .pad = pads.at,
                      .w = w.at};
    int level[VARIANTS];
    for (int i = 0, n = int_variants(level); i < n; i++, cases++) {
        kf__kernels_int k;
        select_variant(level[i], &k);
        d.out = i ? got.at : want.at;
        memset(got.at, CANARY, got.n);
        MEET(k, dwconv_any);
        k.dwconv_any(&d, &q);
        if (i && (memcmp(want.at, got.at, got.n) != 0 || !guard_intact(&got.g)))
            report(k.dwconv_any_name, (shape){(size_t)v.h, v.c, (size_t)v.k}, turn);
    }
    parameters_free(&p);
    guard_free(&in.g), guard_free(&want.g), guard_free(&got.g), guard_free(&pads.g), guard_free(&res.g),
        guard_free(&w.g);
}

static void check_affine_sum(size_t rows, size_t c, unsigned turn, kf__random *r) {
    kf_dtype in = turn % 2 ? KF_U8 : KF_I16, out = turn % 3 ? KF_U8 : KF_I16;
    bytes x = bytes_new(rows * c * kf_dtype_size(in)), want = bytes_new(rows * c * kf_dtype_size(out)),
          got = bytes_new(rows * c * kf_dtype_size(out));
    bytes sum_want = bytes_new(c * 4), sum_got = bytes_new(c * 4);
    random_bytes(&x, turn, r);
    parameters p = parameters_new(c);
    parameters_fill(&p, c, in == KF_U8 ? 1.5 : 0.01, out, r);
    if (turn % 7 == 1) memset(x.at, 255, x.n); /* the largest sums */
    if (turn % 5 == 2)
        p.mul[c / 2] =
            (float[]){NAN, 1e9f, -INFINITY, 4194303.75f, -4194303.75f, 4194304.0f}[turn % 6]; /* products that fit an
                                                                                                 i32 or just do not */
    int32_t *zero = calloc(kf__qpad(c), 4);
    for (size_t i = 0; i < c && in == KF_U8; i++) zero[i] = (int32_t)kf__random_range(r, 0, 255);
    kf__affine_q a = {.in = x.at,
                      .in_type = in,
                      .out_type = out,
                      .in_zero = zero,
                      .mul = p.mul,
                      .flo = p.flo,
                      .fhi = p.fhi,
                      .zero = p.zero,
                      .rows = rows,
                      .c = c,
                      .ld_in = c,
                      .ld_out = c};
    int level[VARIANTS];
    for (int i = 0, n = int_variants(level); i < n; i++, cases++) {
        kf__kernels_int k;
        select_variant(level[i], &k);
        bytes *sum = i ? &sum_got : &sum_want;
        a.out = i ? got.at : want.at;
        memset(sum->at, 0, sum->n);
        MEET(k, affine_q);
        k.affine_q(&a);
        MEET(k, colsum_q);
        k.colsum_q(in, rows, c, x.at, (int32_t *)(void *)sum->at);
        if (i && (memcmp(want.at, got.at, got.n) != 0 || !guard_intact(&got.g)))
            report(k.affine_q_name, (shape){rows, c, 0}, turn);
        if (i && memcmp(sum_want.at, sum_got.at, sum_got.n) != 0) report(k.colsum_q_name, (shape){rows, c, 0}, turn);
    }
    free(zero);
    parameters_free(&p);
    guard_free(&x.g), guard_free(&want.g), guard_free(&got.g), guard_free(&sum_want.g), guard_free(&sum_got.g);
}

/* Real inputs, one scale for all channels or one for each; NaN and infinities too. */
static void check_affine_real(size_t rows, size_t c, unsigned turn, kf__random *r) {
    kf_dtype out = turn % 3 ? KF_U8 : KF_I16;
    bytes x = bytes_new(rows * c * 4), want = bytes_new(rows * c * kf_dtype_size(out)),
          got = bytes_new(rows * c * kf_dtype_size(out));
    for (size_t i = 0; i < rows * c; i++) {
        float v = (float)(kf__random_unit(r) * 12 - 6);
        if (kf__random_range(r, 0, 40) == 0) v = kf__random_range(r, 0, 1) ? NAN : i % 2 ? INFINITY : -INFINITY;
        memcpy(x.at + i * 4, &v, 4);
    }
    parameters p = parameters_new(c);
    parameters_fill(&p, c, 60, out, r);
    for (size_t i = 1; turn % 2 && i < c; i++)
        p.mul[i] = p.mul[0], p.zero[i] = p.zero[0], p.flo[i] = p.flo[0], p.fhi[i] = p.fhi[0];
    int32_t *zero = calloc(kf__qpad(c), 4);
    kf__affine_q a = {.in = x.at,
                      .in_type = KF_F32,
                      .out_type = out,
                      .in_zero = zero,
                      .mul = p.mul,
                      .flo = p.flo,
                      .fhi = p.fhi,
                      .zero = p.zero,
                      .rows = rows,
                      .c = c,
                      .ld_in = c,
                      .ld_out = c};
    int level[VARIANTS];
    for (int i = 0, n = int_variants(level); i < n; i++, cases++) {
        kf__kernels_int k;
        select_variant(level[i], &k);
        a.out = i ? got.at : want.at;
        MEET(k, affine_q);
        k.affine_q(&a);
        if (i && (memcmp(want.at, got.at, got.n) != 0 || !guard_intact(&got.g)))
            report(k.affine_q_name, (shape){rows, c, 1}, turn);
    }
    free(zero);
    parameters_free(&p);
    guard_free(&x.g), guard_free(&want.g), guard_free(&got.g);
}

/* A tensor of any of the three types, its zero points and scales: one for all channels, or one for each. */
static void random_tensor(bytes *x, kf_dtype type, int32_t *zero, float *scale, size_t c, bool one, kf__random *r) {
    for (size_t i = 0; i < x->n / 4 && type == KF_F32; i++) {
        float v = kf__random_range(r, 0, 60) ? (float)(kf__random_unit(r) * 12 - 6) : i % 2 ? NAN : INFINITY;
        memcpy(x->at + i * 4, &v, 4);
    }
    if (type != KF_F32) random_bytes(x, 0, r);
    for (size_t i = 0; i < c; i++) {
        zero[i] = type == KF_U8 ? (int32_t)kf__random_range(r, 0, 255) : 0;
        scale[i] = (float)((type == KF_U8 ? 0.05 : 3e-4) * (0.5 + kf__random_unit(r)));
        if (one) zero[i] = zero[0], scale[i] = scale[0];
    }
}

/* Add, Mul and activation of whole tensors; every activation, all types. */
static void check_eltwise(size_t rows, size_t c, unsigned turn, kf__random *r) {
    static const kf_dtype TYPES[3] = {KF_U8, KF_I16, KF_F32};
    kf_dtype ta = TYPES[turn % 3], tb = TYPES[turn / 3 % 3], out = TYPES[turn / 2 % 3];
    bytes a = bytes_new(rows * c * kf_dtype_size(ta)), b = bytes_new(rows * c * kf_dtype_size(tb));
    bytes want = bytes_new(rows * c * kf_dtype_size(out)), got = bytes_new(rows * c * kf_dtype_size(out));
    parameters p = parameters_new(c), pa = parameters_new(c), pb = parameters_new(c);
    bool one = turn % 5 != 4;
    random_tensor(&a, ta, pa.zero, pa.mul, c, one, r), random_tensor(&b, tb, pb.zero, pb.mul, c, one, r);
    parameters_fill(&p, c, 1, out, r);
    for (size_t i = 1; one && i < c; i++)
        p.k[i] = p.k[0], p.inv[i] = p.inv[0], p.flo[i] = p.flo[0], p.fhi[i] = p.fhi[0], p.zero[i] = p.zero[0];
    kf__requant q = requant_of(&p, turn, false, NULL, 0, out);
    kf__eltwise_q e = {.a = a.at,
                       .b = turn % 4 ? b.at : NULL,
                       .a_type = ta,
                       .b_type = tb,
                       .a_zero = pa.zero,
                       .a_scale = pa.mul,
                       .product = turn % 8 > 4,
                       .q = &q,
                       .rows = rows,
                       .c = c};
    if (e.b) e.b_zero = pb.zero, e.b_scale = pb.mul;
    int level[VARIANTS];
    for (int i = 0, n = int_variants(level); i < n; i++, cases++) {
        kf__kernels_int k;
        select_variant(level[i], &k);
        e.out = i ? got.at : want.at;
        memset(got.at, CANARY, got.n);
        MEET(k, eltwise_q);
        k.eltwise_q(&e);
        if (i && (memcmp(want.at, got.at, got.n) != 0 || !guard_intact(&got.g)))
            report(k.eltwise_q_name, (shape){rows, c, 0}, turn);
    }
    parameters_free(&p), parameters_free(&pa), parameters_free(&pb);
    guard_free(&a.g), guard_free(&b.g), guard_free(&want.g), guard_free(&got.g);
}

/* One pixel of a pooling window of any size, also of none inside. */
static void check_pool(size_t c, unsigned turn, kf__random *r) {
    kf_dtype in = turn % 3 ? KF_U8 : KF_I16, out = turn % 2 ? in : turn % 7 == 6 ? KF_F32 : KF_U8;
    size_t rows = (size_t)kf__random_range(r, turn % 20 ? 1 : 0, 7), columns = (size_t)kf__random_range(r, 1, 7),
           step = (size_t)kf__random_range(r, 1, 2) * c;
    size_t line = columns * step + (size_t)kf__random_range(r, 0, 9),
           count = rows ? (rows - 1) * line + (columns - 1) * step + c : 0;
    bytes x = bytes_new(count * kf_dtype_size(in) + !count), want = bytes_new(c * kf_dtype_size(out)),
          got = bytes_new(c * kf_dtype_size(out));
    random_bytes(&x, turn, r);
    parameters p = parameters_new(c);
    parameters_fill(&p, c, 1, out, r);
    kf__pool_q w = {.in = x.at,
                    .in_type = in,
                    .out_type = out,
                    .rows = rows,
                    .columns = rows ? columns : 0,
                    .row_step = line,
                    .column_step = step,
                    .c = c,
                    .largest = turn % 2,
                    .lo = in == KF_U8 ? 9 : -30000,
                    .hi = in == KF_U8 ? 240 : 30000,
                    .in_zero = in == KF_U8 ? 101 : 0,
                    .mul = (float)(kf__random_unit(r) * (in == KF_U8 ? 0.1 : 1e-3)),
                    .flo = p.flo,
                    .fhi = p.fhi,
                    .zero = p.zero};
    int level[VARIANTS];
    for (int i = 0, n = int_variants(level); i < n; i++, cases++) {
        kf__kernels_int k;
        select_variant(level[i], &k);
        w.out = i ? got.at : want.at;
        memset(got.at, CANARY, got.n);
        MEET(k, pool_q);
        k.pool_q(&w);
        if (i && (memcmp(want.at, got.at, got.n) != 0 || !guard_intact(&got.g)))
            report(k.pool_q_name, (shape){rows, c, columns}, turn);
    }
    parameters_free(&p);
    guard_free(&x.g), guard_free(&want.g), guard_free(&got.g);
}

/* Floats and planes to pixels against the formula with lrint; ties, infinities and NaN too. */
static void check_pixels(size_t n, unsigned turn, kf__random *r) {
    static const float ODD[] = {0.5f,  1.5f,   2.5f, -0.5f,    254.5f,    255.5f,
                                1e30f, -1e30f, NAN,  INFINITY, -INFINITY, -0.0f};
    bool planes = turn % 2, plain = turn % 4 < 2;
    double std[3] = {0.229f, 0.224f, 0.225f}, mean[3] = {0.485f, 0.456f, 0.406f}, top = plain ? 1 : 255;
    for (int k = 0; plain && k < 3; k++) std[k] = 1, mean[k] = 0;
    bytes x = bytes_new(n * 12), want = bytes_new(n * 3), got = bytes_new(n * 3), flat = bytes_new(n * 3);
    for (size_t i = 0; i < 3 * n; i++) {
        float v = kf__random_range(r, 0, 9) ? (float)(kf__random_unit(r) * (plain ? 270 : 5)) - 2
                                            : ODD[kf__random_range(r, 0, KF_COUNT(ODD) - 1)];
        size_t k = planes ? i / n : i % 3;
        double back = ((double)v * std[k] + mean[k]) * top;
        memcpy(x.at + 4 * i, &v, 4);
        want.at[planes ? 3 * (i % n) + k : i] = (uint8_t)(back > 0 ? back < 255 ? lrint(back) : 255 : 0);
        flat.at[i] = (uint8_t)kf__random_range(r, 0, 255);
    }
    int level[VARIANTS];
    for (int i = 0, variants = int_variants(level); i < variants; i++, cases++) {
        kf__kernels_int k;
        select_variant(level[i], &k);
        const float *at = (const float *)(const void *)x.at;
        MEET(k, pixels);
        k.pixels(n, (const float *const[]){at, at + n, at + 2 * n}, planes, std, mean, top, got.at);
        if (memcmp(want.at, got.at, got.n) != 0 || !guard_intact(&got.g)) report("pixels", (shape){n, 3, planes}, turn);
        MEET(k, interleave);
        k.interleave(n, (const uint8_t *const[]){flat.at, flat.at + n, flat.at + 2 * n}, got.at);
        for (size_t b = 0; b < 3 * n; b++)
            if (got.at[b] != flat.at[b % 3 * n + b / 3]) report("interleave", (shape){n, 3, b}, turn);
    }
    guard_free(&x.g), guard_free(&want.g), guard_free(&got.g), guard_free(&flat.g);
}

/* Every weight is where the layout says, whatever the group along k; what fills panels and groups up is zero. */
static void check_packing(size_t group, size_t n, size_t k, kf__random *r) {
    size_t groups = (k + group - 1) / group;
    bytes packed = bytes_new(kf__gemm_u8_packed(KF_QLAYOUT_QUADS, group, n, k));
    int8_t *w = malloc(n * k);
    random_weights(w, n * k, 0, r);
    kf__gemm_u8_pack(KF_QLAYOUT_QUADS, group, n, k, w, packed.at);
    bool right = packed.n == kf__round_up(n, KF_QPANEL) * groups * group && guard_intact(&packed.g);
    for (size_t i = 0; right && i < packed.n; i++) {
        size_t x = i / (KF_QPANEL * group) % groups * group + i % group,
               j = i / (KF_QPANEL * group) / groups * KF_QPANEL + i / group % KF_QPANEL;
        right = (int8_t)packed.at[i] == (j < n && x < k ? w[j * k + x] : 0);
    }
    cases++;
    if (!right) report("packing", (shape){group, n, k}, 0);
    free(w);
    guard_free(&packed.g);
}

/* The traps of the numerics page with their published numbers, on every level. */
static void check_traps(void) {
    static const uint8_t A[3] = {210, 198, 234};
    static const int8_t B[3] = {-81, -80, 127};
    static const float X[7] = {-4, -3, -1.5f, 0, 1, 3, 6}, Y[7] = {0, 0, -0.375f, 0, 0.66667f, 3, 6};
    int level[VARIANTS];
    parameters p = parameters_new(7);
    for (int i = 0, n = int_variants(level); i < n; i++, cases++) {
        kf__kernels_int k;
        select_variant(level[i], &k);
        uint8_t packed[256] = {0};
        float out[7];
        kf__requant q = {.bias = p.bias, .mul = p.mul, .k = p.k, .out = KF_F32};
        memset(p.bias, 0, 28);
        for (int c = 0; c < 7; c++) p.mul[c] = 1, p.k[c] = 1.0f / 6.0f;
        kf__gemm_u8_pack(k.gemm_layout, k.gemm_group, 1, 3, B, packed);
        bias_with_offset(p.bias, p.bias, B, 1, 3, k.gemm_input_offset);
        k.gemm_u8(1, 1, 3, 1, 0, A, 3, packed, out, 1, &q);
        if (out[0] != -3132) report("pair saturation", (shape){1, 1, 3}, 0);
        memset(packed, 0, sizeof packed); /* sums come from the bias alone */
        for (int c = 0; c < 7; c++) p.bias[c] = (int32_t)(X[c] * 1000), p.mul[c] = 0.001f;
        q.act.kind = KF_ACT_HSWISH;
        k.gemm_u8(1, 7, 3, 1, 0, A, 3, packed, out, 7, &q);
        for (int c = 0; c < 7; c++)
            if (fabsf(out[c] - Y[c]) > 1e-5f) report("h-swish is not h-sigmoid", (shape){1, 7, (size_t)c}, 0);
        q.act.kind = KF_ACT_HARDSIGMOID, q.act.lo = 0.2f, q.act.hi = 0.5f;
        k.gemm_u8(1, 7, 3, 1, 0, A, 3, packed, out, 7, &q);
        if (fabsf(out[4] - 0.7f) > 1e-6f) report("HardSigmoid alpha 0.2", (shape){1, 7, 3}, 0);
        q.act.kind = KF_ACT_HSIGMOID;
        k.gemm_u8(1, 7, 3, 1, 0, A, 3, packed, out, 7, &q);
        if (fabsf(out[4] - 0.66667f) > 1e-5f) report("h-sigmoid of 1", (shape){1, 7, 3}, 0);
        q.act.kind = KF_ACT_NONE; /* a dead channel: s_w = bias / (s_in * 2^24) */
        p.bias[0] = 1 << 24, p.mul[0] = (float)(5.0 / 16777216);
        k.gemm_u8(1, 7, 3, 1, 0, A, 3, packed, out, 7, &q);
        if (out[0] != 5) report("dead channel", (shape){1, 7, 3}, 0);
    }
    parameters_free(&p);
}

static void bench_depthwise(const kf__kernels_int *k, window v, double limit, kf__random *r) {
    int32_t pad = v.k / 2, ho = (v.h + 2 * pad - v.k) / v.s + 1;
    uint8_t *in = malloc((size_t)v.h * (size_t)v.w * v.c), *out = malloc((size_t)ho * (size_t)ho * v.c);
    int8_t *w = malloc((size_t)(v.k * v.k) * v.c);
    void *packed = kf__mem_alloc(NULL, kf__dwconv_u8_packed(k->dw_layout, k->dw_block, v.k, v.s, v.c)),
         *scratch = kf__mem_alloc(NULL, kf__dwconv_u8_scratch());
    uint8_t *pads = calloc(kf__qpad(v.c), 1);
    parameters p = parameters_new(v.c);
    parameters_fill(&p, v.c, 1e-4, KF_U8, r);
    random_weights(w, (size_t)(v.k * v.k) * v.c, 0, r);
    memset(in, 3, (size_t)v.h * (size_t)v.w * v.c);
    kf__dwconv_u8_pack(k->dw_layout, k->dw_block, v.k, v.s, v.c, w, packed);
    kf__requant q = requant_of(&p, v.c >= 200, false, NULL, 0, KF_U8);
    kf__requant_bound(&q, 255.0 * 128 * 25 + 100000, v.c, 16, p.lo8, p.hi8);
    kf__dwconv_q d = {.in = in,
                      .in_type = KF_U8,
                      .h_in = v.h,
                      .w_in = v.w,
                      .w_out = ho,
                      .y1 = ho,
                      .kh = v.k,
                      .kw = v.k,
                      .sh = v.s,
                      .sw = v.s,
                      .dh = 1,
                      .dw = 1,
                      .pt = pad,
                      .pl = pad,
                      .c = v.c,
                      .pad = pads,
                      .scratch = scratch,
                      .out = out,
                      .w = packed};
    double ns, work = (double)(ho * ho) * (double)v.c * (double)(v.k * v.k);
    BENCH(ns, k->dwconv_u8(&d, &q));
    printf("%s %3dx%3d %dx%d/%d x %4zu  %9.0f ns  %6.1f MAC/ns %5.1f %%\n", k->dwconv_u8_name, ho, ho, v.k, v.k, v.s,
           v.c, ns, work / ns, 100 * work / ns / limit);
    parameters_free(&p);
    free(in), free(out), free(w), free(pads), kf__mem_free(NULL, packed), kf__mem_free(NULL, scratch);
}

static void bench(void) {
    int level[VARIANTS];
    kf__random r = {1};
    for (int i = 0, n = int_variants(level); i < n; i++) {
        kf__kernels_int k;
        select_variant(level[i], &k);
        if (level[i] == KF_CPU_AVX512 || level[i] == TILE_MODEL)
            continue; /* its kernels of bytes are those of AVX2; a model */
        double limit = dot_limit((kf__cpu_level)level[i], level[i] == KF_CPU_AVX512VNNI);
        if (i) printf("limit of %s: %.1f MAC/ns\n", k.gemm_u8_name, limit);
        for (size_t x = 0; i && level[i] != KF_CPU_AMX && x < KF_COUNT(DEPTHWISE); x++)
            bench_depthwise(&k, DEPTHWISE[x], limit, &r);
        for (size_t x = 0; i && x < KF_COUNT(GEMMS); x++) {
            shape s = GEMMS[x];
            uint8_t *a = malloc(s.m * s.k), *c = malloc(s.m * s.n),
                    *b = kf__mem_alloc(NULL, kf__gemm_u8_packed(k.gemm_layout, k.gemm_group, s.n, s.k));
            int8_t *w = malloc(s.n * s.k);
            parameters p = parameters_new(s.n);
            parameters_fill(&p, s.n, 1e-4, KF_U8, &r);
            random_weights(w, s.n * s.k, 0, &r);
            memset(a, 3, s.m * s.k);
            kf__gemm_u8_pack(k.gemm_layout, k.gemm_group, s.n, s.k, w, b);
            kf__requant q = requant_of(&p, 1, false, NULL, 0, KF_U8);
            kf__requant_bound(&q, 2147483648.0, s.n, 16, p.lo8, p.hi8);
            double ns, work = (double)s.m * (double)s.n * (double)s.k;
            BENCH(ns, k.gemm_u8(s.m, s.n, s.k, 1, 0, a, s.k, b, c, s.n, &q));
            printf("%s %5zu x %4zu x %4zu  %9.0f ns  %6.1f MAC/ns %5.1f %%\n", k.gemm_u8_name, s.m, s.n, s.k, ns,
                   work / ns, 100 * work / ns / limit);
            parameters_free(&p);
            free(a), free(c), free(w), kf__mem_free(NULL, b);
        }
    }
}

/* ---- families: each draws from a generator of its own ----------------------------------------------------------- */

static void gemms(void) {
    kf__random r = family("gemm");
    for (unsigned i = 0; i < KF_COUNT(GEMMS); i++) {
        if (too_large(GEMMS[i].m * GEMMS[i].n * GEMMS[i].k)) continue;
        check_gemm(GEMMS[i], i, false, &r);
    }
    for (unsigned i = 0; i < KF_COUNT(GEMMS); i++) {
        if (too_large(GEMMS[i].m * GEMMS[i].n * GEMMS[i].k)) continue;
        if (GEMMS[i].m < 800) check_gemm(GEMMS[i], i, true, &r);
    }
    for (unsigned i = 0; i < drawn(600); i++)
        check_gemm((shape){(size_t)kf__random_range(&r, 1, 40), (size_t)kf__random_range(&r, 1, 90),
                           (size_t)kf__random_range(&r, 1, 50)},
                   i, i % 3 == 2, &r);
    for (unsigned i = 0; i < drawn(200);
         i++) /* several steps of tiles, the last of which may overlap; some depths are not whole quads */
        check_gemm((shape){(size_t)kf__random_range(&r, 1, 120), (size_t)kf__random_range(&r, 1, 70),
                           i % 8 ? 4 * (size_t)kf__random_range(&r, 1, 80) : (size_t)kf__random_range(&r, 60, 200)},
                   i, false, &r);
}

static void windows(void) {
    kf__random r = family("gemm_windows");
    for (unsigned i = 0; i < drawn(200); i++) check_windows(i, &r);
}

static void depthwise(void) {
    kf__random r = family("dwconv_u8");
    for (unsigned i = 0; i < KF_COUNT(DEPTHWISE); i++)
        if (!too_large((size_t)(DEPTHWISE[i].h * DEPTHWISE[i].w * 9) * DEPTHWISE[i].c))
            check_dwconv(DEPTHWISE[i], i, &r);
    for (unsigned i = 0; i < drawn(400); i++)
        check_dwconv((window){(int32_t)kf__random_range(&r, 1, 70), (int32_t)kf__random_range(&r, 1, 70), i % 2 ? 3 : 5,
                              i % 4 < 2 ? 1 : 2, (size_t)kf__random_range(&r, 1, i % 9 ? 70 : 140)},
                     i, &r);
}

static void depthwise16(void) {
    kf__random r = family("dwconv_i16");
    for (unsigned i = 0; i < KF_COUNT(DEPTHWISE); i++)
        if (DEPTHWISE[i].h < 100 && !too_large((size_t)(DEPTHWISE[i].h * DEPTHWISE[i].w * 9) * DEPTHWISE[i].c))
            check_dwconv16(DEPTHWISE[i], 3 * i, &r);
    for (unsigned i = 0; i < drawn(400); i++)
        check_dwconv16((window){(int32_t)kf__random_range(&r, 1, 30), (int32_t)kf__random_range(&r, 1, 30),
                                (int32_t)kf__random_range(&r, 1, i % 8 ? 5 : 8), i % 4 < 2 ? 1 : 2,
                                (size_t)kf__random_range(&r, 1, 70)},
                       i, &r);
}

static void depthwise_any(void) {
    kf__random r = family("dwconv_any");
    for (unsigned i = 0; i < drawn(300); i++)
        check_dwconv_any((window){(int32_t)kf__random_range(&r, 1, 20), (int32_t)kf__random_range(&r, 1, 20),
                                  (int32_t)kf__random_range(&r, 1, i % 8 ? 5 : 8), i % 5 < 3 ? 1 : 2,
                                  (size_t)kf__random_range(&r, 1, 70)},
                         i, &r);
}

static void affine_sums(void) {
    kf__random r = family("affine_sum");
    for (unsigned i = 0; i < drawn(200); i++)
        check_affine_sum((size_t)kf__random_range(&r, 1, 60), (size_t)kf__random_range(&r, 1, 200), i, &r);
    for (unsigned i = 0; i < 40; i++)
        check_affine_sum((size_t)kf__random_range(&r, 200, 900), (size_t)kf__random_range(&r, 1, 150), i, &r);
}

static void affine_reals(void) {
    kf__random r = family("affine_real");
    for (unsigned i = 0; i < drawn(100); i++)
        check_affine_real((size_t)kf__random_range(&r, 1, 60), (size_t)kf__random_range(&r, 1, i % 4 ? 8 : 60), i, &r);
}

static void eltwise(void) {
    kf__random r = family("eltwise");
    for (unsigned i = 0; i < drawn(360); i++)
        check_eltwise((size_t)kf__random_range(&r, 1, 40), (size_t)kf__random_range(&r, 1, i % 3 ? 70 : 8), i, &r);
}

static void pools(void) {
    kf__random r = family("pool");
    for (unsigned i = 0; i < drawn(300); i++) check_pool((size_t)kf__random_range(&r, 1, 70), i, &r);
}

static void pixels(void) {
    kf__random r = family("pixels");
    for (unsigned i = 0; i < drawn(200); i++) check_pixels((size_t)kf__random_range(&r, 1, 100), i, &r);
}

static void packing(void) {
    kf__random r = family("packing");
    for (unsigned i = 0; i < drawn(100); i++)
        check_packing(i % 2 ? 4 : 8, (size_t)kf__random_range(&r, 1, 60), (size_t)kf__random_range(&r, 1, 60), &r);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) {
        bench();
        return 0;
    }
    gemms(), windows(), depthwise(), depthwise16(), depthwise_any(), affine_sums(), affine_reals(), eltwise(), pools(),
        pixels(), packing();
    check_traps();
#if defined(KF_AMX)
    bool left;
    bool has_avx512 = kf__cpu_level_contains(kf__cpu_level_now(), KF_CPU_AVX512VNNI);
    if (has_avx512 && kf_k_tiles_amx_model(&left) == 0) failures++, puts("the model of tiles was not used");
#endif
    failures += unmet(CHECK_INT);
    printf("int: %d cases, %d failures\n", cases, failures);
    return failures != 0;
}
