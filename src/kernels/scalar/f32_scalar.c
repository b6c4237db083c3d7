/* Scalar f32 kernels: the plain statement of every contract in kernels.h.
 * Any C compiler, any CPU; faster kernels are compared with these and with double precision.
 * Owner rule: pure functions. */
#include "kernels/kernels.h"

static float finish(float x, const kf__epilogue *e, float residual) {
    x = kf__activate(e->act.kind, x, e->act.lo, e->act.hi) + residual;
    return kf__activate(e->post.kind, x, e->post.lo, e->post.hi);
}

/* Row by row, panel by panel; sums in the order of depth. */
void kf_k_conv_f32_scalar(size_t m, size_t n, const kf__gemm_rows *a, const float *b, float *c, size_t ldc,
                          const kf__epilogue *e) {
    for (size_t i = 0; i < m; i++)
        for (size_t j0 = 0; j0 < n; j0 += KF_GEMM_PANEL) {
            const float *panel = b + j0 * a->pieces * a->len;
            float acc[KF_GEMM_PANEL] = {0};
            for (size_t p = 0; p < a->pieces; p++)
                for (size_t x = 0; x < a->len; x++, panel += KF_GEMM_PANEL)
                    for (size_t j = 0; j < KF_GEMM_PANEL; j++) acc[j] += a->at[p][i * a->step + x] * panel[j];
            for (size_t j = 0; j < KF_GEMM_PANEL && j0 + j < n; j++) {
                float r = e->residual ? e->residual[i * e->ld_residual + j0 + j] : 0;
                c[i * ldc + j0 + j] = finish(acc[j] + (e->bias ? e->bias[j0 + j] : 0), e, r);
            }
        }
}

void kf_k_gemm_f32_scalar(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, float *c,
                          size_t ldc, const kf__epilogue *e) {
    kf__gemm_rows rows = {.at = &a, .pieces = 1, .len = k, .step = lda};
    kf_k_conv_f32_scalar(m, n, &rows, b, c, ldc, e);
}

/* Taps outside the row, and rows that are NULL, contribute nothing. */
void kf_k_dwconv_f32_scalar(const kf__dwconv_row *d, const kf__epilogue *e) {
    for (int32_t x = 0; x < d->w_out; x++)
        for (size_t ch = 0; ch < d->c; ch++) {
            float acc = e->bias ? e->bias[ch] : 0;
            size_t block = ch / KF_DWCONV_PANEL;
            const float *w =
                d->w + block * KF_DWCONV_PANEL * (size_t)(d->kh * d->kw) + (ch - kf__dwconv_first(d->c, block));
            for (int32_t ky = 0; ky < d->kh; ky++)
                for (int32_t kx = 0; kx < d->kw; kx++) {
                    int32_t sx = x * d->sw - d->pl + kx * d->dw;
                    if (!d->rows[ky] || sx < 0 || sx >= d->w_in) continue;
                    acc += d->rows[ky][(size_t)sx * d->c + ch] * w[(ky * d->kw + kx) * KF_DWCONV_PANEL];
                }
            size_t at = (size_t)x * d->c + ch;
            d->out[at] = finish(acc, e, e->residual ? e->residual[at] : 0);
        }
}

void kf_k_scale_f32_scalar(size_t rows, size_t c, const float *x, const float *gate, float *out) {
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < c; j++) out[r * c + j] = x[r * c + j] * gate[j];
}

void kf_k_colsum_f32_scalar(size_t rows, size_t c, const float *x, float *sums) {
    enum { AT_ONCE = 16 };
    for (size_t from = 0; from < c; from += AT_ONCE) {
        float part[AT_ONCE] = {0};
        size_t n = c - from < AT_ONCE ? c - from : AT_ONCE;
        for (size_t r = 0; r < rows; r++)
            for (size_t j = 0; j < n; j++) part[j] += x[r * c + from + j];
        for (size_t j = 0; j < n; j++) sums[from + j] += part[j];
    }
}

void kf_k_eltwise_f32_scalar(size_t n, const float *a, const float *b, float *out, const kf__epilogue *e) {
    for (size_t i = 0; i < n; i++)
        out[i] = kf__activate(e->post.kind, kf__activate(e->act.kind, a[i] + (b ? b[i] : 0), e->act.lo, e->act.hi),
                              e->post.lo, e->post.hi);
}

void kf_k_interleave_f32_scalar(size_t n, const float *const x[3], float *to) {
    for (size_t i = 0; i < n; i++, to += 3) to[0] = x[0][i], to[1] = x[1][i], to[2] = x[2][i];
}
