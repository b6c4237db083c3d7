/* Fuzz target: a well-formed model file, changed and hashed again; what the loader accepts runs on every level, from
 * memory and from a file, on plain, strange and extreme numbers. Integer results must depend on none of these. With
 * -DKF_REPLAY a plain program of files and changes of each (drive.h). Owner rule: everything is released after each
 * input. */
#define DRIVE_NAMES "well-formed", "accepted", "run", "sessions"
enum { WELL_FORMED, ACCEPTED, RUN, SESSIONS };

#include "cpu/cpu.h"
#include "drive.h"
#include "kitfox/kitfox.h"
#include "memory_file.h"
#include "program_mutate.h"
#include "program_work.h"
#include "runtime/golden.h"
#include "runtime/session.h"

enum { MOST_INPUTS = 8, MOST_STEPS = 64 };
#define MOST_WORK 1e6
#define MOST_BYTES 2e6

/* ---- runs ------------------------------------------------------------ */

/* What the integers of each step were, for each kind of input. */
typedef struct digests {
    uint64_t step[FILL_KINDS][MOST_STEPS];
} digests;

/* Where a run's results go to. */
typedef struct seeing {
    const kf__program *p;
    uint64_t *step;
} seeing;

/* The proof that no sum leaves 32 bits counts on the bounds of every tensor. */
static void check_bounds(const kf__program *p, int32_t step, const void *data) {
    const kf__ptensor *t = &p->tensors[p->steps[step].out];
    for (size_t i = 0; i < kf__ptensor_count(t); i++) {
        int32_t q = t->dtype == KF_U8 ? ((const uint8_t *)data)[i] : ((const int16_t *)data)[i];
        if (q >= t->qmin && q <= t->qmax) continue;
        fprintf(stderr, "step %d (%s) gives %d; its bounds are %d to %d\n", step, kf__step_op_name(p->steps[step].op),
                q, t->qmin, t->qmax);
        abort();
    }
}

static void see(void *user, int32_t step, const float *data) {
    seeing *s = user;
    const kf__ptensor *t = &s->p->tensors[s->p->steps[step].out];
    uint64_t h = 14695981039346656037u;
    if (t->dtype == KF_F32) return;
    check_bounds(s->p, step, data);
    for (size_t i = 0; i < kf__ptensor_count(t) * kf_dtype_size(t->dtype); i++)
        h = (h ^ ((const uint8_t *)(const void *)data)[i]) * 1099511628211u;
    s->step[step] = h;
}

/* Runs every kind of input while watching each step, then once unwatched: only then do pairs of steps run joined.
 * False: no such session. */
static bool run_session(const kf_model *m, int threads, digests *d) {
    kf_session_options o;
    kf_session *s;
    kf_tensor in[MOST_INPUTS] = {{0}}, out[MOST_INPUTS] = {{0}};
    size_t n_in = (size_t)m->p->n_inputs, n_out = (size_t)m->p->n_outputs;
    kf_session_options_init(&o);
    o.threads = threads;
    if (kf_session_create(m, &o, &s, NULL) != KF_OK) return false;
    bool fine = true;
    for (size_t i = 0; i < n_in; i++)
        fine = fine && kf_model_input(m, (int32_t)i, &in[i], NULL) == KF_OK && (in[i].data = malloc(in[i].bytes));
    for (size_t i = 0; i < n_out; i++)
        fine = fine && kf_model_output(m, (int32_t)i, &out[i], NULL) == KF_OK && (out[i].data = malloc(out[i].bytes));
    for (int kind = 0; fine && kind < FILL_KINDS; kind++) {
        seeing seen = {m->p, d->step[kind]};
        for (size_t i = 0; i < n_in; i++) fill(&in[i], (fill_kind)kind);
        s->probe = see, s->probe_user = &seen;
        kf_session_run(s, in, n_in, out, n_out, NULL);
        s->probe = NULL;
        if (kind == FILL_STRANGE) kf_session_run(s, in, n_in, out, n_out, NULL);
    }
    for (size_t i = 0; i < MOST_INPUTS; i++) free(in[i].data), free(out[i].data);
    kf_session_destroy(&s);
    drive_count(SESSIONS);
    return fine;
}

/* Steps whose bytes the contract fixes give the same on every level; the others follow floats, whose sums have any
 * order. */
static void compare(const kf__program *p, const digests *want, const digests *got, const char *level, int threads) {
    for (int kind = 0; kind < FILL_KINDS; kind++)
        for (int32_t i = 0; i < p->n_steps; i++) {
            bool fixed = p->meta.golden.steps[i].kind == KF_GOLDEN_HASH;
            if (!fixed || want->step[kind][i] == got->step[kind][i]) continue;
            fprintf(stderr,
                    "step %d (%s %s) gives other integers on %s than on scalar, %d threads, inputs of kind %d\n", i,
                    kf__step_op_name(p->steps[i].op), p->steps[i].name, level, threads, kind);
            abort();
        }
}

/* The file with the golden vector of the scalar kernels; NULL if the vector cannot be made. */
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

/* From memory, or from a file: there the loader borrows what it maps. */
static kf_model *load(const void *data, size_t size, bool from_file, const char *level) {
    kf_model *m;
    kf_error err = {0};
    memory_file f = {.fd = -1};
    if (from_file) f = open_memory_file(data, size);
    kf_status st = from_file ? kf_model_load(f.path, NULL, &m, &err) : kf_model_load_memory(data, size, NULL, &m, &err);
    if (from_file) close_memory_file(&f);
    if (st == KF_OK) return m;
    fprintf(stderr, "%s: accepted once, and now: %s\n", level, err.text);
    abort();
}

/* `want`: what the scalar kernels gave, which are first and fill it. One or two threads, memory or file, by turns. */
static void check_level(const void *data, size_t size, kf__cpu_level at, digests *want) {
    const char *level = kf__cpu_level_name(at);
    kf_verify_report v = {.size = sizeof v};
    int threads = at == KF_CPU_SCALAR ? 1 : 1 + (int)((size / 64 + (size_t)at) % 2);
    kf_model *m = load(data, size, (size / 128 + (size_t)at) % 2 == 0, level);
    digests got = {0};
    bool ran = run_session(m, threads, &got);
    if (at == KF_CPU_SCALAR) *want = got;
    if (ran) compare(m->p, want, &got, level, threads);
    /* Floats may differ by more than the tolerance where sums cancel. */
    if (kf_model_verify(m, threads, &v, NULL) == KF_OK && v.first >= 0 && v.tolerance == 0) {
        fprintf(stderr, "step %d (%s %s) gives other integers on %s than on scalar, %d threads\n", v.first, v.op,
                v.name, level, threads);
        abort();
    }
    kf_model_destroy(&m);
}

/* Small enough to run many times. */
static bool bounded(const kf__program *p) {
    double bytes;
    return work_of(p, &bytes) <= MOST_WORK && bytes <= MOST_BYTES && p->n_steps <= MOST_STEPS &&
           p->n_inputs <= MOST_INPUTS && p->n_outputs <= MOST_INPUTS;
}

static bool well_formed(const uint8_t *data, size_t size) {
    static pf_file f;
    bool fine = pf_open(&f, data, size);
    if (fine) pf_close(&f);
    return fine;
}

/* What the file itself says its steps give. */
static void check_own_golden(const void *data, size_t size) {
    kf_model *m = load(data, size, false, "best");
    kf_model_info info = {.size = sizeof info};
    kf_verify_report v = {.size = sizeof v};
    kf_error err = {0};
    kf_model_get_info(m, &info, NULL);
    bool done = kf_model_verify(m, 1, &v, &err) == KF_OK;
    if (done ? v.first >= info.n_steps || v.steps > info.n_steps : !err.text[0]) abort();
    kf_model_destroy(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    kf__program *p;
    kf_error err = {0};
    digests want = {0};
    if (well_formed(data, size)) drive_count(WELL_FORMED);
    if (kf__format_read(data, size, NULL, 0, &p, &err) != KF_OK) {
        if (!err.text[0]) abort(); /* a refusal without a reason is a bug */
        return 0;
    }
    bool small = bounded(p);
    kf__program_destroy(&p);
    drive_count(ACCEPTED);
    if (small) check_own_golden(data, size);
    size_t n = 0;
    void *golden = small ? with_golden(data, size, &n) : NULL;
    for (int i = 0; golden && i < KF_CPU_LEVELS; i++) {
        const char *name = kf__cpu_level_name((kf__cpu_level)i);
        if (kf_cpu_limit(name, NULL) == KF_OK && strcmp(kf_cpu_name(), name) == 0)
            check_level(golden, n, (kf__cpu_level)i, &want);
    }
    kf_cpu_limit(NULL, NULL);
    if (golden) drive_count(RUN);
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
