/* Fuzz target: a well-formed model file, changed and hashed again; what the loader accepts runs on every level.
 * Integer results must not depend on the level. With -DKF_REPLAY a plain program runs files, and N changes of each:
 * [-n N] [-k FILE] FILES. With -k, FILE is the input that ran last.
 * Owner rule: everything is released after each input. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cpu/cpu.h"
#include "kitfox/kitfox.h"
#include "program_mutate.h"
#include "runtime/golden.h"
#include "runtime/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

enum { MOST_INPUTS = 8, MOST_STEPS = 64 };
#define MOST_WORK 6e6
#define MOST_BYTES 8e6

static unsigned long loaded, ran;

/* ---- bounds ------------------------------------------------------------ */

/* Multiply-adds, windows of pools and elements moved, of all steps: what one run costs, and `bytes` what it writes. */
static double work_of(const kf__program *p, double *bytes) {
    double work = 0;
    *bytes = 0;
    for (int32_t t = 0; t < p->n_tensors; t++) {
        const kf__ptensor *x = &p->tensors[t];
        *bytes += (double)x->n * x->h * x->w * x->c * (double)kf_dtype_size(x->dtype);
    }
    for (int32_t i = 0; i < p->n_steps; i++) {
        const kf__step *s = &p->steps[i];
        const kf__ptensor *y = &p->tensors[s->out];
        bool pool = s->op == KF_STEP_AVG_POOL || s->op == KF_STEP_MAX_POOL;
        double each = pool ? (double)s->window.kh * s->window.kw : 1;
        work += (double)kf__step_macs(p, s) + each * y->n * y->h * y->w * y->c;
    }
    return work;
}

/* ---- runs ------------------------------------------------------------ */

/* Numbers between -2 and 2; strange: some are no numbers, too large or nearly nothing, and bytes are the largest. */
static void fill(const kf_tensor *t, bool strange) {
    static const float STRANGE[] = {NAN, INFINITY, -3e38f, 1e-42f, -INFINITY};
    uint32_t x = 12345;
    for (size_t i = 0; i < t->bytes / kf_dtype_size(t->dtype); i++) {
        x = x * 1664525u + 1013904223u;
        if (t->dtype == KF_U8) ((uint8_t *)t->data)[i] = strange ? 255 : (uint8_t)(x >> 24);
        else
            ((float *)t->data)[i] = strange && i % 7 == 3 ? STRANGE[i / 7 % KF_COUNT(STRANGE)]
                                                          : (float)((int32_t)(x >> 8) - (1 << 23)) / (1 << 22);
    }
}

/* The proof that no sum leaves 32 bits counts on the bounds of every tensor. */
static void see_bounds(void *user, int32_t step, const float *data) {
    const kf__program *p = user;
    const kf__ptensor *t = &p->tensors[p->steps[step].out];
    size_t n = (size_t)t->n * (size_t)t->h * (size_t)t->w * (size_t)t->c;
    for (size_t i = 0; t->dtype != KF_F32 && i < n; i++) {
        int32_t q = t->dtype == KF_U8 ? ((const uint8_t *)data)[i] : ((const int16_t *)(const void *)data)[i];
        if (q >= t->qmin && q <= t->qmax) continue;
        fprintf(stderr, "step %d (%s) gives %d; its bounds are %d to %d\n", step, kf__step_op_name(p->steps[step].op),
                q, t->qmin, t->qmax);
        abort();
    }
}

static void run_session(const kf_model *m, int threads) {
    kf_session_options o;
    kf_session *s;
    kf_tensor in[MOST_INPUTS] = {{0}}, out[MOST_INPUTS] = {{0}};
    size_t n_in = (size_t)m->p->n_inputs, n_out = (size_t)m->p->n_outputs;
    kf_session_options_init(&o);
    o.threads = threads;
    if (kf_session_create(m, &o, &s, NULL) != KF_OK) return;
    bool fine = true;
    for (size_t i = 0; i < n_in; i++)
        fine = fine && kf_model_input(m, (int32_t)i, &in[i], NULL) == KF_OK && (in[i].data = malloc(in[i].bytes));
    for (size_t i = 0; i < n_out; i++)
        fine = fine && kf_model_output(m, (int32_t)i, &out[i], NULL) == KF_OK && (out[i].data = malloc(out[i].bytes));
    for (int strange = 0; fine && strange < 2; strange++) {
        for (size_t i = 0; i < n_in; i++) fill(&in[i], strange);
        s->probe = strange ? see_bounds : NULL, s->probe_user = m->p; /* steps that are looked at run one by one */
        kf_session_run(s, in, n_in, out, n_out, NULL);
    }
    for (size_t i = 0; i < MOST_INPUTS; i++) free(in[i].data), free(out[i].data);
    kf_session_destroy(&s);
    ran++;
}

/* The file again with what every step gives on the scalar kernels; NULL where that cannot be had. */
static void *with_golden(const uint8_t *data, size_t size, size_t *bytes) {
    kf__program *p;
    struct kf_model *m;
    void *again = NULL;
    if (kf__format_read(data, size, NULL, 0, &p, NULL) != KF_OK) return NULL;
    if (kf__model_create_at(p, KF_CPU_SCALAR, NULL, &m, NULL) != KF_OK) return NULL;
    if (kf__golden_make(m, NULL) != KF_OK || kf__format_write(m->p, &again, bytes, NULL) != KF_OK) again = NULL;
    kf_model_destroy(&m);
    return again;
}

static void check_level(const void *data, size_t size, const char *level) {
    kf_model *m;
    kf_error err = {0};
    kf_verify_report v;
    if (kf_model_load_memory(data, size, NULL, &m, &err) != KF_OK) {
        fprintf(stderr, "%s: accepted once, and now: %s\n", level, err.text);
        abort();
    }
    for (int threads = 1; threads <= 2; threads++) {
        run_session(m, threads);
        /* Floats may differ by more than the tolerance where sums cancel. */
        if (kf_model_verify(m, threads, &v, NULL) != KF_OK || v.first < 0 || v.tolerance != 0) continue;
        fprintf(stderr, "step %d (%s %s) gives other integers on %s than on scalar, %d threads\n", v.first, v.step.op,
                v.step.name, level, threads);
        abort();
    }
    kf_model_destroy(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    kf__program *p;
    kf_error err = {0};
    double bytes;
    if (kf__format_read(data, size, NULL, 0, &p, &err) != KF_OK) {
        if (!err.text[0]) abort(); /* a refusal without a reason is a bug */
        return 0;
    }
    bool bounded = work_of(p, &bytes) <= MOST_WORK && bytes <= MOST_BYTES && p->n_steps <= MOST_STEPS &&
                   p->n_inputs <= MOST_INPUTS && p->n_outputs <= MOST_INPUTS;
    kf__program_destroy(&p);
    loaded++;
    size_t n = 0;
    void *golden = bounded ? with_golden(data, size, &n) : NULL;
    for (int i = 0; golden && i < KF_CPU_LEVELS; i++) {
        const char *name = kf__cpu_level_name((kf__cpu_level)i);
        if (kf_cpu_limit(name, NULL) == KF_OK && strcmp(kf_cpu_name(), name) == 0) check_level(golden, n, name);
    }
    kf_cpu_limit(NULL, NULL);
    free(golden);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    static pf_file f;
    if (!pf_open(&f, data, size)) return size;
    pm_mutate(&f, seed);
    size_t n = pf_build(&f, data, most);
    pf_close(&f);
    return n ? n : size;
}

#if defined(KF_REPLAY)
static const char *kept; /* file for the input that runs: what is in it after the end of the program ended it */

/* Each input is its own heap block, so that a sanitizer sees reads past its end. */
static void replay(const uint8_t *data, size_t n) {
    FILE *f = kept ? fopen(kept, "wb") : NULL;
    if (f && (fwrite(data, 1, n, f) != n || fclose(f) != 0)) perror(kept);
    uint8_t *exact = malloc(n ? n : 1);
    if (!exact) return;
    if (n) memcpy(exact, data, n);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

int main(int argc, char **argv) {
    enum { MOST = 1 << 20 };
    static uint8_t data[MOST], changed[MOST];
    int from = 1, changes = 60, files = 0;
    for (; from + 1 < argc && argv[from][0] == '-'; from += 2) {
        if (argv[from][1] == 'n') changes = atoi(argv[from + 1]);
        else kept = argv[from + 1];
    }
    for (int i = from; i < argc; i++, files++) {
        FILE *f = fopen(argv[i], "rb");
        if (!f) {
            fprintf(stderr, "%s is missing\n", argv[i]);
            return 1;
        }
        size_t n = fread(data, 1, MOST, f);
        fclose(f);
        replay(data, n);
        for (int k = 0; k < changes; k++) {
            memcpy(changed, data, n);
            replay(changed, LLVMFuzzerCustomMutator(changed, n, MOST, (unsigned)(k + 1)));
        }
    }
    printf("%d files with %d changes each: %lu programs accepted, %lu sessions run\n", files, changes, loaded, ran);
    return loaded == 0;
}
#endif
