/* Sessions: results against a plain loop in double, threads against one thread, memory while running, argument checks.
 * The heap is counted by standing in front of the C library's functions, except under sanitizers.
 * Owner rule: each test frees what it makes. */
#include "program_builder.h"

#include <fenv.h>
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format/format.h"
#include "kitfox/kitfox.h"
#include "preprocess/pixel.h"
#include "runtime/session.h"

static atomic_long heap_calls;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(SANITIZED)
#define COUNTS_HEAP 1
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t align, size_t size);
void *malloc(size_t size) {
    heap_calls++;
    return __libc_malloc(size);
}
void *calloc(size_t n, size_t size) {
    heap_calls++;
    return __libc_calloc(n, size);
}
void *realloc(void *p, size_t size) {
    heap_calls++;
    return __libc_realloc(p, size);
}
void *aligned_alloc(size_t align, size_t size) {
    heap_calls++;
    return __libc_memalign(align, size);
}
#endif

static void *count_alloc(void *user, size_t size, size_t align) {
    ++*(long *)user;
    return aligned_alloc(align, (size + align - 1) / align * align);
}

static void count_free(void *user, void *p) {
    *(long *)user -= p != NULL;
    free(p);
}

/* Through a file; the program ends here. */
static kf_model *model_of(kf__program *p, const kf_allocator *a) {
    void *file;
    size_t bytes;
    kf_error err = {0};
    kf_model *m;
    kf_model_options o;
    kf_model_options_init(&o);
    o.allocator = a;
    assert_int_equal(kf__format_write(p, &file, &bytes, &err), KF_OK);
    kf__program_destroy(&p);
    if (kf_model_load_memory(file, bytes, &o, &m, &err) != KF_OK) fail_msg("%s", err.text);
    kf__mem_free(NULL, file);
    return m;
}

static kf_model *small_model(const kf_allocator *a) { return model_of(pb_small(), a); }

static kf_session *make_session(const kf_model *m, int threads, const kf_allocator *a, int profile) {
    kf_session_options o;
    kf_session *s;
    kf_error err = {0};
    kf_session_options_init(&o);
    o.threads = threads;
    o.allocator = a;
    o.profile = profile;
    if (kf_session_create(m, &o, &s, &err) != KF_OK) fail_msg("%s", err.text);
    return s;
}

static void fill(float *x, size_t n, uint64_t seed) {
    kf__random r = {seed};
    for (size_t i = 0; i < n; i++) x[i] = (float)(kf__random_unit(&r) * 4 - 2);
}

static kf_status run(kf_session *s, float x[192], float y[5], kf_error *err) {
    kf_tensor in = {.dtype = KF_F32, .rank = 4, .shape = {1, 3, 8, 8}, .data = x, .bytes = 768};
    kf_tensor out = {.dtype = KF_F32, .rank = 2, .shape = {1, 5}, .data = y, .bytes = 20};
    return kf_session_run(s, &in, 1, &out, 1, err);
}

/* The same network as nested loops in double. */
static double weight(const kf__program *p, int step, int role, size_t i) {
    return (double)((const float *)p->consts[p->steps[step].consts[role]].data)[i];
}
static double sixth(double x) { return fmin(fmax(x + 3, 0), 6) / 6; }

static void plain(const kf__program *p, const float *x, double *y) {
    double a[4][4][20], c[4][4][20], gate[20], mean[20] = {0}, hidden[8], pool[20] = {0};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            for (int o = 0; o < 20; o++) {
                double sum = weight(p, 0, KF_CONST_BIAS, (size_t)o);
                for (int ky = 0; ky < 3; ky++)
                    for (int kx = 0; kx < 3; kx++)
                        for (int k = 0; k < 3; k++) {
                            int sy = 2 * i + ky - 1, sx = 2 * j + kx - 1;
                            if (sy >= 0 && sx >= 0 && sy < 8 && sx < 8)
                                sum += (double)x[k * 64 + sy * 8 + sx] *
                                       weight(p, 0, KF_CONST_W, (size_t)((o * 9 + ky * 3 + kx) * 3 + k));
                        }
                a[i][j][o] = sum * sixth(sum);
            }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            for (int o = 0; o < 20; o++) {
                double sum = weight(p, 1, KF_CONST_BIAS, (size_t)o);
                for (int ky = 0; ky < 3; ky++)
                    for (int kx = 0; kx < 3; kx++) {
                        int sy = i + ky - 1, sx = j + kx - 1;
                        if (sy >= 0 && sx >= 0 && sy < 4 && sx < 4)
                            sum += a[sy][sx][o] * weight(p, 1, KF_CONST_W, (size_t)((ky * 3 + kx) * 20 + o));
                    }
                c[i][j][o] = fmax(sum, 0);
                mean[o] += c[i][j][o] / 16;
            }
    for (int r = 0; r < 8; r++) {
        hidden[r] = weight(p, 2, KF_CONST_BIAS, (size_t)r);
        for (int k = 0; k < 20; k++) hidden[r] += mean[k] * weight(p, 2, KF_CONST_W, (size_t)(r * 20 + k));
        hidden[r] = fmax(hidden[r], 0);
    }
    for (int o = 0; o < 20; o++) {
        gate[o] = weight(p, 2, KF_CONST_BIAS2, (size_t)o);
        for (int r = 0; r < 8; r++) gate[o] += hidden[r] * weight(p, 2, KF_CONST_W2, (size_t)(o * 8 + r));
        gate[o] = sixth(gate[o]);
    }
    for (int o = 0; o < 20; o++)
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) {
                double sum = weight(p, 4, KF_CONST_BIAS, (size_t)o) + a[i][j][o];
                for (int k = 0; k < 20; k++)
                    sum += c[i][j][k] * gate[k] * weight(p, 4, KF_CONST_W, (size_t)(o * 20 + k));
                pool[o] += sum / 16;
            }
    for (int o = 0; o < 5; o++) {
        y[o] = weight(p, 6, KF_CONST_BIAS, (size_t)o);
        for (int k = 0; k < 20; k++) y[o] += pool[k] * weight(p, 6, KF_CONST_W, (size_t)(o * 20 + k));
    }
}

static void against_plain(void **state) {
    (void)state;
    kf__program *p = pb_small();
    kf_model *m = small_model(NULL);
    for (int threads = 1; threads <= 3; threads++) {
        kf_session *s = make_session(m, threads, NULL, 0);
        for (uint64_t seed = 0; seed < 5; seed++) {
            float x[192], y[5];
            double want[5], d = 0, n = 0;
            kf_error err = {0};
            fill(x, 192, seed);
            if (run(s, x, y, &err) != KF_OK) fail_msg("%s", err.text);
            plain(p, x, want);
            for (int i = 0; i < 5; i++)
                d += ((double)y[i] - want[i]) * ((double)y[i] - want[i]), n += want[i] * want[i];
            assert_true(sqrt(d / n) < 2e-6);
        }
        kf_session_destroy(&s);
    }
    kf_model_destroy(&m);
    kf__program_destroy(&p);
}

static void no_allocation(void **state) {
    (void)state;
    long live = 0;
    kf_allocator a = {&live, count_alloc, count_free};
    kf_model *m = small_model(&a);
    kf_session *s = make_session(m, 2, &a, 1);
    float x[192], y[5];
    fill(x, 192, 1);
    assert_int_equal(run(s, x, y, NULL), KF_OK);
    long before = live, calls = heap_calls;
    for (int i = 0; i < 20; i++) assert_int_equal(run(s, x, y, NULL), KF_OK);
    uint8_t rgb[192] = {0};
    assert_int_equal(kf_session_run_rgb(s, rgb, 24, y, 5, NULL), KF_OK);
    calls = heap_calls - calls;
    assert_int_equal(live, before);
#if defined(COUNTS_HEAP)
    assert_true(before > 0 && heap_calls > 0); /* the counters do count */
    assert_int_equal(calls, 0);
#endif
    kf_step_info info = {.size = sizeof info};
    assert_int_equal(kf_session_step(s, 0, &info, NULL), KF_OK);
    assert_true(info.ms > 0);
    kf_session_destroy(&s);
    kf_model_destroy(&m);
    assert_int_equal(live, 0);
}

typedef struct side {
    const kf_model *m;
    float want[40][5];
    atomic_int wrong;
} side;

static void *one_side(void *arg) {
    side *w = arg;
    kf_session *s = make_session(w->m, 1, NULL, 0);
    for (uint64_t i = 0; i < 40; i++) {
        float x[192], y[5];
        fill(x, 192, i);
        if (run(s, x, y, NULL) != KF_OK || memcmp(y, w->want[i], sizeof y) != 0) w->wrong++;
    }
    kf_session_destroy(&s);
    return NULL;
}

static void side_by_side(void **state) {
    (void)state;
    side *w = calloc(1, sizeof *w);
    kf_model *m = small_model(NULL);
    w->m = m;
    kf_session *s = make_session(m, 1, NULL, 0);
    for (uint64_t i = 0; i < 40; i++) {
        float x[192];
        fill(x, 192, i);
        assert_int_equal(run(s, x, w->want[i], NULL), KF_OK);
    }
    kf_session_destroy(&s);
    pthread_t t[8];
    for (int i = 0; i < 8; i++) assert_int_equal(pthread_create(&t[i], NULL, one_side, w), 0);
    for (int i = 0; i < 8; i++) pthread_join(t[i], NULL);
    assert_int_equal(w->wrong, 0);
    kf_model_destroy(&m);
    free(w);
}

static void rounding_mode(void **state) {
    (void)state;
    kf_model *m = small_model(NULL);
    kf_session *s = make_session(m, 2, NULL, 0);
    float x[192], y[5], z[5];
    fill(x, 192, 3);
    assert_int_equal(run(s, x, y, NULL), KF_OK);
    fesetround(FE_DOWNWARD);
    kf_status st = run(s, x, z, NULL);
    int mode = fegetround();
    fesetround(FE_TONEAREST);
    assert_int_equal(st, KF_OK);
    assert_int_equal(mode, FE_DOWNWARD); /* the caller's mode is given back */
    assert_memory_equal(y, z, sizeof y);
    kf_session_destroy(&s);
    kf_model_destroy(&m);
}

static void arguments(void **state) {
    (void)state;
    kf_model *m = small_model(NULL);
    kf_session *s = make_session(m, 1, NULL, 0);
    float x[192] = {0}, y[5];
    kf_error err = {0};
    kf_tensor in = {.dtype = KF_F32, .rank = 4, .shape = {1, 3, 8, 8}, .data = x, .bytes = 768}, bad = in, t;
    kf_tensor out = {.dtype = KF_F32, .rank = 2, .shape = {1, 5}, .data = y, .bytes = 20};
    bad.shape[2] = 9;
    assert_int_equal(kf_session_run(s, &bad, 1, &out, 1, &err), KF_ERR_SHAPE);
    assert_non_null(strstr(err.text, "1x3x9x8"));
    bad = in, bad.bytes = 764;
    assert_int_equal(kf_session_run(s, &bad, 1, &out, 1, &err), KF_ERR_SHAPE);
    bad = in, bad.dtype = KF_F64;
    assert_int_equal(kf_session_run(s, &bad, 1, &out, 1, &err), KF_ERR_SHAPE);
    bad = out, bad.bytes = 16;
    assert_int_equal(kf_session_run(s, &in, 1, &bad, 1, &err), KF_ERR_SHAPE);
    assert_int_equal(kf_session_run(s, &in, 2, &out, 1, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_session_run(s, NULL, 1, &out, 1, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_session_run_rgb(s, (const uint8_t *)x, 24, y, 4, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_model_input(m, 1, &t, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_model_output(m, -1, &t, &err), KF_ERR_ARGUMENT);
    assert_null(kf_model_label(m, 5));
    kf_session_destroy(NULL);
    kf_session_destroy(&s);
    kf_session_destroy(&s);
    kf_model_destroy(&m);
    kf_model_destroy(&m);
}

/* Every allocation fails once: an error comes back and nothing leaks. */
typedef struct scarce {
    long live, left;
} scarce;

static void *scarce_alloc(void *user, size_t size, size_t align) {
    scarce *s = user;
    if (s->left-- <= 0) return NULL;
    s->live++;
    return aligned_alloc(align, (size + align - 1) / align * align);
}

static void scarce_free(void *user, void *p) {
    ((scarce *)user)->live -= p != NULL;
    free(p);
}

static void out_of_memory(void **state) {
    (void)state;
    kf__program *p = pb_small();
    void *file;
    size_t bytes;
    assert_int_equal(kf__format_write(p, &file, &bytes, NULL), KF_OK);
    kf__program_destroy(&p);
    int failures = 0;
    for (long n = 0; n < 200; n++) {
        scarce sc = {0, n};
        kf_allocator a = {&sc, scarce_alloc, scarce_free};
        kf_model_options o;
        kf_session_options so;
        kf_model *m;
        kf_session *s = NULL;
        kf_model_options_init(&o);
        kf_session_options_init(&so);
        o.allocator = so.allocator = &a;
        so.threads = 2;
        kf_status st = kf_model_load_memory(file, bytes, &o, &m, NULL);
        if (st == KF_OK) st = kf_session_create(m, &so, &s, NULL);
        if (st != KF_OK) assert_int_equal(st, KF_ERR_MEMORY);
        failures += st != KF_OK;
        kf_session_destroy(&s);
        kf_model_destroy(&m);
        assert_int_equal(sc.live, 0);
    }
    assert_true(failures > 3 && failures < 200);
    kf__mem_free(NULL, file);
}

/* Everything that a watched run shows, one block a step; the input is the last. */
typedef struct seen {
    float x[8][512];
    size_t n[8];
    int calls;
} seen;

static void see(void *user, int32_t step, const float *x, size_t n) {
    seen *s = user;
    int at = step < 0 ? 7 : step;
    assert_true(step == s->calls - 1 && n <= 512); /* the input comes as -1, then the steps in order */
    s->calls++;
    s->n[at] = n;
    memcpy(s->x[at], x, n * sizeof *x);
}

/* Every step run alone on what the watched run showed gives what it showed; a replaced output goes on to the scores. */
static void watching(void **state) {
    (void)state;
    kf_model *m = small_model(NULL);
    kf_session *s = make_session(m, 1, NULL, 0);
    seen *v = calloc(2, sizeof *v);
    float x[192], y[5], z[5], out[512];
    kf_step_info info = {.size = sizeof info};
    fill(x, 192, 3);
    assert_int_equal(kf_session_watch(s, see, v, NULL), KF_OK);
    assert_int_equal(run(s, x, y, NULL), KF_OK);
    assert_int_equal(v->calls, 8);
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < 64; i++) assert_true(v->x[7][i * 3 + c] == x[c * 64 + i]);
    assert_memory_equal(v->x[6], y, sizeof y);
    assert_int_equal(kf_session_watch(s, NULL, NULL, NULL), KF_OK);
    for (int32_t i = 0; i < 7; i++) {
        const float *in[16];
        assert_int_equal(kf_model_step(m, i, &info, NULL), KF_OK);
        for (int32_t k = 0; k < info.n_in; k++) in[k] = v->x[info.in[k] < 0 ? 7 : info.in[k]];
        assert_int_equal(kf_session_run_step(s, i, in, out, NULL), KF_OK);
        assert_memory_equal(out, v->x[i], v->n[i] * sizeof *out);
    }
    assert_int_equal(kf_model_step(m, 4, &info, NULL), KF_OK);
    assert_true(info.n_in == 2 && info.in[0] == 3 && info.in[1] == 0);
    memcpy(out, v->x[3], v->n[3] * sizeof *out);
    for (size_t i = 0; i < v->n[3]; i++) out[i] *= 0.5f;
    assert_int_equal(kf_session_replace(s, 3, out, NULL), KF_OK);
    assert_int_equal(kf_session_watch(s, see, &v[1], NULL), KF_OK);
    assert_int_equal(run(s, x, z, NULL), KF_OK);
    assert_memory_equal(v[1].x[2], v->x[2], v->n[2] * sizeof *out);
    assert_memory_equal(v[1].x[3], out, v->n[3] * sizeof *out);
    assert_true(memcmp(z, y, sizeof y) != 0);
    assert_int_equal(kf_session_watch(s, NULL, NULL, NULL), KF_OK);
    assert_int_equal(kf_session_replace(s, -1, NULL, NULL), KF_OK);
    assert_int_equal(run(s, x, z, NULL), KF_OK);
    assert_memory_equal(z, y, sizeof y);
    free(v);
    kf_session_destroy(&s);
    kf_model_destroy(&m);
}

static void watching_arguments(void **state) {
    (void)state;
    kf_model *m = small_model(NULL);
    kf_session *s = make_session(m, 1, NULL, 0);
    kf_error err = {0};
    float out[512];
    const float *none[16] = {NULL};
    assert_int_equal(kf_session_watch(NULL, see, NULL, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_session_replace(s, 7, out, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_session_replace(s, -2, out, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_session_replace(s, 0, NULL, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_session_run_step(s, 7, none, out, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_session_run_step(s, 0, none, out, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_session_run_step(s, 0, none, NULL, &err), KF_ERR_ARGUMENT);
    kf_session_destroy(&s);
    kf_model_destroy(&m);
}

static void top_k(void **state) {
    (void)state;
    float x[] = {1, 3, 3, -1}, q[] = {0.25f, 0.5f, 0.25f};
    kf_score top[4];
    assert_int_equal(kf_top_k(x, 4, 0, 9, top), 4);
    assert_int_equal(top[0].index, 1); /* a tie goes to the lower index */
    assert_int_equal(top[1].index, 2);
    assert_int_equal(top[3].index, 3);
    assert_true(fabs((double)top[0].score - exp(3) / (exp(1) + 2 * exp(3) + exp(-1))) < 1e-6);
    assert_int_equal(kf_top_k(q, 3, 1, 2, top), 2);
    assert_true(top[0].index == 1 && top[0].score == 0.5f && top[1].index == 0);
    float odd[] = {NAN, 0.5f, NAN};
    assert_int_equal(kf_top_k(odd, 3, 1, 3, top), 1);
    assert_int_equal(top[0].index, 1);
}

/* Against lrint: halves and their neighbours, every pixel through normalization and back, values outside, NaN; both
 * steps. */
static void floats_become_pixels(void **state) {
    static const float ODD[] = {0.5f,   1.5f, 2.5f,  254.5f, 0.49f,    0.51f,     -1, -0.4f,
                                255.4f, 256,  1e30f, -1e30f, INFINITY, -INFINITY, NAN};
    enum { N = 700 };
    kf_preprocess p = {.valid = 1, .mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}}, none = {0};
    for (size_t step = 1; step <= 3; step += 2)
        for (size_t k = 0; k < 3; k++) {
            float raw[N * 3], normal[N * 3];
            uint8_t got[N * 3];
            memset(raw, 0, sizeof raw), memset(normal, 0, sizeof normal);
            for (size_t i = 0; i < N; i++) {
                raw[i * step] = i < KF_COUNT(ODD) ? ODD[i] : (float)(i % 256) + (i % 5 == 0 ? 0.3f : 0);
                normal[i * step] = ((float)(i % 256) / 255 - p.mean[k]) / p.std[k];
            }
            kf__to_pixels(&none, raw, N, k, step, got, 3);
            for (size_t i = 0; i < N; i++) {
                float x = raw[i * step];
                assert_int_equal(got[i * 3], x > 0 ? x < 255 ? lrint((double)x) : 255 : 0);
            }
            kf__to_pixels(&p, normal, N, k, step, got, 3);
            for (size_t i = 0; i < N; i++) assert_int_equal(got[i * 3], i % 256);
        }
}

/* Planes become pixels for every count of pixels beside the vector's, and nothing behind the last is touched. */
static void planes_become_pixels(void **state) {
    (void)state;
    kf__program *p = pb_small();
    kf_error err = {0};
    struct kf_model *m;
    struct kf_session *s;
    assert_int_equal(kf__model_create(p, NULL, &m, &err), KF_OK);
    assert_int_equal(kf__session_create(m, 1, false, NULL, &s, &err), KF_OK);
    kf__ptensor *t = &p->tensors[p->inputs[0].tensor];
    const float *got = kf__exec_tensor(&s->exec, p->inputs[0].tensor);
    for (size_t hw = 2; hw <= 19; hw++) {
        float planes[3 * 19];
        t->h = 1, t->w = (int32_t)hw;
        for (size_t i = 0; i < 3 * hw; i++) planes[i] = (float)i;
        memset(kf__exec_tensor(&s->exec, p->inputs[0].tensor), 0, 4 * 19 * sizeof(float));
        kf__session_put_f32(s, 0, planes, false);
        for (size_t i = 0; i < hw; i++)
            for (size_t k = 0; k < 3; k++) assert_float_equal(got[3 * i + k], (float)(k * hw + i), 0);
        for (size_t i = 3 * hw; i < 4 * 19; i++) assert_float_equal(got[i], 0, 0);
    }
    t->h = t->w = 8;
    kf__session_destroy(&s);
    kf_model_destroy(&m);
}

enum { HW = 64 };

/* One picture in every form that two sessions take it: [0] declared NCHW, [1] declared NHWC. */
typedef struct forms {
    kf_model *m[2];
    kf_session *s[2];
    uint8_t bytes[2][3 * HW];
    float numbers[2][3 * HW];
} forms;

static void make_forms(bool pixels, forms *f) {
    static const double MEAN[] = {0.485, 0.456, 0.406}, STD[] = {0.229, 0.224, 0.225};
    for (int nhwc = 0; nhwc < 2; nhwc++) {
        kf__program *p = pb_small();
        if (pixels) pb_pixels(p);
        if (nhwc) pb_nhwc(p);
        f->m[nhwc] = model_of(p, NULL);
        f->s[nhwc] = make_session(f->m[nhwc], 1, NULL, 0);
    }
    for (size_t i = 0; i < 3 * HW; i++) {
        size_t c = i % 3, plane = c * HW + i / 3;
        f->bytes[0][plane] = f->bytes[1][i] = (uint8_t)(i * 37 % 251);
        f->numbers[0][plane] = f->numbers[1][i] = (float)((f->bytes[1][i] / 255.0 - MEAN[c]) / STD[c]);
    }
}

static kf_status run_form(forms *f, int nhwc, kf_dtype type, int shape, float y[5], kf_error *err) {
    kf_tensor in = {.dtype = type, .rank = 4, .shape = {1, 3, 8, 8}};
    kf_tensor out = {.dtype = KF_F32, .rank = 2, .shape = {1, 5}, .data = y, .bytes = 5 * sizeof *y};
    in.data = type == KF_U8 ? (void *)f->bytes[nhwc] : f->numbers[nhwc];
    in.bytes = 3 * HW * kf_dtype_size(type);
    if (shape) in.shape[1] = 8, in.shape[3] = 3;
    return kf_session_run(f->s[nhwc], &in, 1, &out, 1, err);
}

/* The same network with its input declared as NCHW and as NHWC gives the same scores for the same picture, in whatever
 * form it comes: RGB, numbers, bytes. */
static void declared_nhwc(void **state) {
    (void)state;
    for (int pixels = 0; pixels < 2; pixels++) {
        forms f;
        float first[5], y[5];
        kf_error err = {0};
        make_forms(pixels, &f);
        assert_int_equal(kf_session_run_rgb(f.s[0], f.bytes[1], 24, first, 5, &err), KF_OK);
        assert_int_equal(kf_session_run_rgb(f.s[1], f.bytes[1], 24, y, 5, &err), KF_OK);
        assert_memory_equal(y, first, sizeof y);
        for (int nhwc = 0; nhwc < 2; nhwc++)
            for (int bytes = 0; bytes <= pixels; bytes++) {
                kf_status st = run_form(&f, nhwc, bytes ? KF_U8 : KF_F32, nhwc, y, &err);
                if (st != KF_OK) fail_msg("nhwc %d, bytes %d: %s", nhwc, bytes, err.text);
                assert_memory_equal(y, first, sizeof y);
            }
        assert_int_equal(run_form(&f, 1, KF_F32, 0, y, &err), KF_ERR_SHAPE);
        for (int i = 0; i < 2; i++) {
            kf_session_destroy(&f.s[i]);
            kf_model_destroy(&f.m[i]);
        }
    }
}

/* An input declared [1, 3, 8, 8] in NHWC order is 3 rows of 8 channels: [1, 8, 8, 3] is another picture, not the same
 * one turned. */
static void nhwc_is_not_turned(void **state) {
    (void)state;
    kf__program *p = pb_small();
    pb_pixels(p);
    pb_nhwc(p);
    p->inputs[0].shape[1] = 3;
    p->inputs[0].shape[3] = 8;
    kf_model *m = model_of(p, NULL);
    kf_session *s = make_session(m, 1, NULL, 0);
    uint8_t x[192] = {0};
    float y[5];
    kf_error err = {0};
    kf_tensor in = {.dtype = KF_U8, .rank = 4, .shape = {1, 8, 8, 3}, .data = x, .bytes = sizeof x};
    kf_tensor out = {.dtype = KF_F32, .rank = 2, .shape = {1, 5}, .data = y, .bytes = sizeof y};
    assert_int_equal(kf_session_run(s, &in, 1, &out, 1, &err), KF_ERR_SHAPE);
    kf_session_destroy(&s);
    kf_model_destroy(&m);
}

/* A child of fork gets the same scores from its parent's session and from one of its own, and releases both. */
static int scores_in_child(kf_model *m, kf_session *s, const uint8_t *x, const float want[5]) {
    float y[5];
    kf_session *own = NULL;
    alarm(120); /* a hang ends the child by a signal */
    if (kf_session_run_rgb(s, x, 24, y, 5, NULL) != KF_OK || memcmp(y, want, sizeof y) != 0) return 1;
    kf_session_destroy(&s);
#if !defined(__SANITIZE_THREAD__) /* which lets such a child start no threads */
    /* Nor does QEMU 7.2 (docs/TESTS.md): it stops at an assertion of its own. */
    own = make_session(m, getenv("KITFOX_EMULATED") ? 1 : 3, NULL, 0);
    if (kf_session_run_rgb(own, x, 24, y, 5, NULL) != KF_OK || memcmp(y, want, sizeof y) != 0) return 2;
    kf_session_destroy(&own);
#endif
    kf_model_destroy(&m);
    return s || own || m ? 3 : 0;
}

static void forked(void **state) {
    (void)state;
    kf__program *p = pb_small();
    pb_pixels(p);
    kf_model *m = model_of(p, NULL);
    kf_session *s = make_session(m, 3, NULL, 0);
    uint8_t x[192];
    float y[5], again[5];
    int32_t wanted = 0;
    for (size_t i = 0; i < sizeof x; i++) x[i] = (uint8_t)(i * 37);
    assert_int_equal(kf_session_threads(s, &wanted), 3);
    assert_int_equal(wanted, 3);
    assert_int_equal(kf_session_run_rgb(s, x, 24, y, 5, NULL), KF_OK);
    for (int turn = 0; turn < 5; turn++) {
        int how = 0;
        pid_t child = fork();
        if (child == 0) _exit(scores_in_child(m, s, x, y));
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_int_equal(how, 0);
        assert_int_equal(kf_session_run_rgb(s, x, 24, again, 5, NULL), KF_OK);
        assert_memory_equal(again, y, sizeof y);
    }
    kf_session_destroy(&s);
    kf_model_destroy(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forked),
        cmocka_unit_test(planes_become_pixels),
        cmocka_unit_test(declared_nhwc),
        cmocka_unit_test(nhwc_is_not_turned),
        cmocka_unit_test(floats_become_pixels),
        cmocka_unit_test(against_plain),
        cmocka_unit_test(no_allocation),
        cmocka_unit_test(side_by_side),
        cmocka_unit_test(rounding_mode),
        cmocka_unit_test(arguments),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(top_k),
        cmocka_unit_test(watching),
        cmocka_unit_test(watching_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
