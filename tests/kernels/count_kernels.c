/* Runs one kernel of one level several times, for tests/kernels/test_counts.py, which counts its instructions under an
 * emulator. Arguments: level, kernel, times; without arguments, prints the names of the kernels. The shapes are those
 * of inner layers of MobileNetV3; numbers are made up, and results are checked elsewhere. Owner rule: static buffers.
 */
#include <stdio.h>
#include <stdlib.h>

#include "kernels/kernels.h"
#include "kernels/kernels_bytes.h"
#include "kernels/kernels_int.h"

enum { M = 48, N = 96, K = 72, SIDE = 14, WIDE = 224, TAPS = 8, NUMBERS = 1 << 16, PARAMETERS = 256 };

/* Inputs, weights in their own order, weights as a kernel wants them, and outputs. */
static _Alignas(64) float fx[NUMBERS], fw[NUMBERS], fpacked[NUMBERS], fout[NUMBERS];
static _Alignas(64) uint8_t bx[NUMBERS], bout[4 * NUMBERS];
static _Alignas(64) int8_t bw[NUMBERS];
static _Alignas(64) int16_t sx[NUMBERS];
static _Alignas(64) char bpacked[8 * NUMBERS], scratch[NUMBERS];
static int32_t bias[PARAMETERS], zero[PARAMETERS], taps[4 * WIDE * TAPS], bounds[2 * WIDE];
static float mul[PARAMETERS], lo[PARAMETERS], hi[PARAMETERS], inv[PARAMETERS];
static uint8_t lo8[PARAMETERS], hi8[PARAMETERS], pad[4 * PARAMETERS];

static kf__kernels f;
static kf__kernels_int q;
static kf__kernels_image im;
static kf__sha256_fn *hash;
static const kf__epilogue E = {.bias = fw, .act = {.kind = KF_ACT_HSWISH}};

static kf__requant requant(void) {
    kf__requant r = {.bias = bias, .mul = mul, .out = KF_U8, .zero = zero, .flo = lo, .fhi = hi, .inv = inv};
    kf__requant_bound(&r, 16777216, N, 16, lo8, hi8);
    return r;
}

/* ---- f32 --------------------------------------------------------------------------------------------------------- */

static void gemm_f32(void) { f.gemm_f32(M, N, K, fx, K, fpacked, fout, N, &E); }
static void conv_f32(void) {
    const float *const at[3] = {fx, fx + 4 * N, fx + 8 * N};
    const kf__gemm_rows rows = {at, 3, 24, 8};
    f.conv_f32(M, N, &rows, fpacked, fout, N, &E);
}
static void dwconv_f32(void) {
    const float *const rows[3] = {fx, fx + SIDE * N, fx + 2 * SIDE * N};
    const kf__dwconv_row d = {rows, 3, 3, 1, 1, 1, SIDE, SIDE, N, fpacked, fout};
    f.dwconv_f32(&d, &E);
}
static void scale_f32(void) { f.scale_f32(M, N, fx, fw, fout); }
static void colsum_f32(void) { f.colsum_f32(M, N, fx, fout); }
static void eltwise_f32(void) { f.eltwise_f32((size_t)M * N, fx, fw, fout, &E); }
static void interleave_f32(void) { f.interleave_f32(4096, (const float *const[]){fx, fx + 4096, fx + 8192}, fout); }

/* ---- integers ---------------------------------------------------------------------------------------------------- */

static void gemm_u8(void) {
    const kf__requant r = requant();
    q.gemm_u8(M, N, K, 1, 0, bx, K, bpacked, bout, N, &r);
}
static void gemm_i16(void) {
    const kf__requant r = requant();
    q.gemm_i16(M, N, K, sx, K, bpacked, false, bout, N, &r);
}
static void depthwise(kf__dwconv_q_fn *kernel, kf_dtype type, const void *in, const void *w) {
    const kf__requant r = requant();
    kf__dwconv_q d = {.in = in, .in_type = type, .out = bout, .h_in = SIDE, .w_in = SIDE, .w_out = SIDE, .y1 = SIDE};
    d.kh = d.kw = 3, d.sh = d.sw = d.dh = d.dw = d.pt = d.pl = 1;
    d.c = N, d.pad = pad, d.w = w, d.scratch = scratch;
    kernel(&d, &r);
}
static void dwconv_u8(void) { depthwise(q.dwconv_u8, KF_U8, bx, bpacked); }
static void dwconv_any(void) { depthwise(q.dwconv_any, KF_U8, bx, bw); }
static void dwconv_i16(void) { depthwise(q.dwconv_i16, KF_I16, sx, sx); }
static void affine_q(void) {
    const kf__affine_q a = {bx, KF_U8, KF_U8, zero, mul, lo, hi, zero, bout, M, N, N, N};
    q.affine_q(&a);
}
static void colsum_q(void) { q.colsum_q(KF_U8, M, N, bx, bias); }
static void eltwise_q(void) {
    const kf__requant r = requant();
    const kf__eltwise_q e = {.a = bx,
                             .b = bx + NUMBERS / 2,
                             .a_type = KF_U8,
                             .b_type = KF_U8,
                             .a_zero = zero,
                             .b_zero = zero,
                             .a_scale = mul,
                             .b_scale = mul,
                             .q = &r,
                             .out = bout,
                             .rows = M,
                             .c = N};
    q.eltwise_q(&e);
}
static void pool_q(void) {
    const kf__pool_q p = {bx, KF_U8, KF_U8, 7, 7, 7 * N, N, N, false, 0, 255, 3, 0.02f, lo, hi, zero, bout};
    q.pool_q(&p);
}
static void pixels(void) {
    static const double MEAN[3] = {0.485, 0.456, 0.406}, STD[3] = {0.229, 0.224, 0.225};
    q.pixels(4096, (const float *const[]){fx, fx + 4096, fx + 8192}, true, STD, MEAN, 255, bout);
}
static void interleave(void) { q.interleave(4096, (const uint8_t *const[]){bx, bx + 4096, bx + 8192}, bout); }

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

static void nv12(void) { im.nv12(bx, bx + WIDE, WIDE, 0, bout); }
static void across(void) {
    const kf__filter_taps t = {TAPS, bounds, taps};
    im.across(bx, 3 * WIDE, 8, WIDE, &t, WIDE / 2, bout);
}
static void down(void) { im.down(bx, 3 * WIDE, TAPS, taps, bout); }
static void sha256(void) {
    uint32_t h[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    hash(h, bx, 64);
}

static const struct {
    const char *name;
    void (*run)(void);
} KERNELS[] = {
#define NAMED(kernel)                                                                                                  \
    { #kernel, kernel }
    NAMED(gemm_f32),   NAMED(conv_f32),   NAMED(dwconv_f32), NAMED(scale_f32), NAMED(colsum_f32), NAMED(eltwise_f32),
    NAMED(gemm_u8),    NAMED(gemm_i16),   NAMED(dwconv_u8),  NAMED(affine_q),  NAMED(colsum_q),   NAMED(eltwise_q),
    NAMED(dwconv_any), NAMED(dwconv_i16), NAMED(pool_q),     NAMED(pixels),    NAMED(interleave), NAMED(interleave_f32),
    NAMED(nv12),       NAMED(across),     NAMED(down),       NAMED(sha256),
};

static void fill(void) {
    kf__random r = {7};
    for (size_t i = 0; i < NUMBERS; i++) {
        fx[i] = (float)kf__random_unit(&r), fw[i] = (float)kf__random_unit(&r) - 0.5f;
        bx[i] = (uint8_t)kf__random_u64(&r), bw[i] = (int8_t)kf__random_range(&r, -127, 127);
        sx[i] = (int16_t)kf__random_range(&r, -2000, 2000);
    }
    for (size_t i = 0; i < PARAMETERS; i++) mul[i] = 0.001f, inv[i] = 1, zero[i] = 100, lo[i] = -100, hi[i] = 155;
    for (int32_t x = 0; x < WIDE; x++) {
        bounds[2 * x] = x < WIDE / 2 - TAPS ? 2 * x : 0, bounds[2 * x + 1] = TAPS;
        for (int32_t i = 0; i < TAPS; i++) taps[x * TAPS + i] = 1 << (KF_TAP_BITS - 3);
    }
}

int main(int argc, char **argv) {
    int level = argc == 4 ? kf__cpu_level_from_name(argv[1]) : -1;
    for (size_t i = 0; argc == 1 && i < KF_COUNT(KERNELS); i++) puts(KERNELS[i].name);
    if (argc == 1) return 0;
    if (level < 0 || !kf__cpu_usable((kf__cpu_level)level)) return 2;
    kf__kernels_select((kf__cpu_level)level, &f), kf__kernels_select_int((kf__cpu_level)level, &q);
    kf__kernels_select_image((kf__cpu_level)level, &im);
    kf__kernels_hash best;
    kf__kernels_select_hash(&best);
    hash = level == KF_CPU_SCALAR ? kf_k_sha256_scalar : best.sha256;
    fill();
    kf__gemm_f32_pack(N, K, fw, fpacked); /* conv_f32 has three pieces of a third of it */
    kf__gemm_u8_pack(q.gemm_layout, q.gemm_group, N, K, bw, bpacked);
    if (strcmp(argv[2], "gemm_i16") == 0) kf__gemm_i16_pack(false, N, K, bw, bpacked);
    if (strcmp(argv[2], "dwconv_u8") == 0) kf__dwconv_u8_pack(q.dw_layout, q.dw_block, 3, 1, N, bw, bpacked);
    if (strcmp(argv[2], "dwconv_f32") == 0) kf__dwconv_f32_pack(9, N, fw, N, 1, fpacked);
    for (size_t i = 0; i < KF_COUNT(KERNELS); i++)
        if (strcmp(KERNELS[i].name, argv[2]) == 0) {
            for (int n = atoi(argv[3]); n > 0; n--) KERNELS[i].run();
            return 0;
        }
    return 2;
}
