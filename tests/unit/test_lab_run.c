/* The calls of bench.h: times that fit together, cancelling, peaks, rows of the table, picture files, camera frames,
 * raw tensors.
 * No time is judged: what is checked holds on any machine.
 * Owner rule: each test frees what it makes. */
#include "program_builder.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../temporary.h"
#include "format/format.h"
#include "kitfox/bench.h"
#include "kitfox/lab.h"

enum { CLASSES = 5, W = 16, H = 10, FRAME = W * H * 3 / 2 };

static kf_model *small_model(int picture) {
    kf__program *p = pb_small();
    kf_model *m;
    void *file;
    size_t bytes;
    if (picture) {
        kf_preprocess_init(&p->meta.preprocess);
        p->meta.preprocess.width = p->meta.preprocess.height = 8;
    }
    p->meta.preprocess.valid = picture;
    p->meta.parameters = 700, p->meta.stored_parameters = 640;
    assert_int_equal(kf__format_write(p, &file, &bytes, NULL), KF_OK);
    kf__program_destroy(&p);
    assert_int_equal(kf_model_load_memory(file, bytes, NULL, &m, NULL), KF_OK);
    kf__mem_free(NULL, file);
    return m;
}

static void has(const kf_error *err, const char *word) {
    if (!strstr(err->text, word)) fail_msg("no \"%s\" in: %s", word, err->text);
}

/* ---- timing ------------------------------------------------------------------------------------------------------ */

static void near(double a, double b) {
    if (!(fabs(a - b) <= 1e-9 * fabs(b))) fail_msg("%.17g is not %.17g", a, b);
}

static void statistics(void **state) {
    (void)state;
    double ms[10] = {5, 1, 9, 3, 2, 8, 4, 7, 6, 10}, until[10];
    for (int i = 0; i < 10; i++) until[i] = 10 * (i + 1);
    const kf_bench_result r = {.size = sizeof r, .ms = ms, .until = until, .frames = 10};
    kf_bench_summary s;
    kf_error err = {0};
    assert_int_equal(kf_bench_summarize(&r, 10, &s, &err), KF_OK);
    near(s.total, 55), near(s.mean, 5.5), near(s.lowest, 1), near(s.highest, 10);
    near(s.median, 6), near(s.p90, 10), near(s.wall, 100), near(s.fps, 100), near(s.fps_alone, 1000.0 / 6);
    assert_int_equal(kf_bench_summarize(&r, 3, &s, &err), KF_OK);
    near(s.total, 15), near(s.median, 5), near(s.p90, 9), near(s.wall, 30), near(s.fps, 100);
    assert_true(ms[0] == 5 && ms[9] == 10); /* the frames stay in their order */
    assert_int_equal(kf_bench_summarize(&r, 0, &s, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_bench_summarize(&r, 11, &s, &err), KF_ERR_ARGUMENT);
    has(&err, "11");
}

/* What holds of every measurement. */
static void possible(const kf_bench_result *r) {
    const kf_bench_summary *s = &r->summary;
    double total = 0, last = 0;
    for (int32_t i = 0; i < r->frames; i++) {
        assert_true(r->ms[i] >= s->lowest && r->ms[i] <= s->highest && r->until[i] >= r->ms[i]);
        total += r->ms[i];
        if (r->until[i] > last) last = r->until[i];
    }
    near(s->total, total), near(s->wall, last), near(s->fps, r->frames * 1e3 / last);
    assert_true(s->lowest <= s->median && s->median <= s->p90 && s->p90 <= s->highest);
    assert_true(s->total <= r->sessions * s->wall * 1.000001);
}

/* Called by `progress`; asks to stop at call `most`, and notes calls from another thread than the test's. */
typedef struct stopper {
    size_t calls, most, last, total;
    int elsewhere;
} stopper;

static pthread_t here;

static int stop_after(void *user, size_t done, size_t total) {
    stopper *s = user;
    s->last = done, s->total = total;
    if (!pthread_equal(pthread_self(), here)) s->elsewhere = 1;
    return ++s->calls >= s->most;
}

static void times(void **state) {
    (void)state;
    kf_model *m = small_model(1);
    kf_model_info info = {.size = sizeof info};
    kf_bench_options o;
    kf_bench_result r = {.size = sizeof r};
    kf_model_get_info(m, &info, NULL);
    kf_bench_options_init(&o);
    for (int32_t sessions = 1; sessions <= 3; sessions++) {
        stopper all = {.most = 1000};
        o.progress = stop_after, o.user = &all;
        o.sessions = sessions, o.frames = 7, o.scaling = sessions > 1, o.profile = sessions == 1;
        assert_int_equal(kf_bench(m, &o, &r, NULL), KF_OK);
        assert_true(r.sessions == sessions && r.frames == 7 && r.threads == 1);
        assert_int_equal(r.n_steps, sessions == 1 ? info.n_steps : 0);
        possible(&r);
        assert_true(all.calls > 3 && !all.elsewhere); /* at least those of the warm-up */
        double steps = 0;
        for (int32_t i = 0; i < r.n_steps; i++) steps += r.step_ms[i];
        assert_true(steps <= r.summary.highest);
        if (o.scaling) near(r.scaling, r.summary.fps / (r.alone_fps * sessions));
        else assert_true(r.scaling == 0 && r.alone_fps == 0);
        kf_bench_free(&r);
        assert_true(!r.ms && !r.frames && r.size == sizeof r);
    }
    o = (kf_bench_options){.size = sizeof o, .sessions = 1, .threads = 1, .frames = 3, .scaling = 1};
    assert_int_equal(kf_bench(m, &o, &r, NULL), KF_OK);
    near(r.scaling, 1);
    kf_bench_free(&r);
    double ms[2] = {0};
    assert_int_equal(kf_bench_pair((const kf_model *const[]){m, m}, NULL, NULL, ms, NULL), KF_OK);
    assert_true(ms[0] > 0 && ms[1] > 0);
    kf_bench_free(NULL);
    kf_model_destroy(&m);
}

static void cancelled(void **state) {
    (void)state;
    kf_model *m = small_model(1);
    kf_error err = {0};
    const size_t warm = 40 / 10 + 3;
    for (int32_t sessions = 1; sessions <= 3; sessions += 2)
        for (size_t most = 1; most <= 20; most += 19) {
            stopper s = {.most = sessions == 1 ? most : 2};
            kf_bench_options o;
            kf_bench_result r = {.size = sizeof r};
            kf_bench_options_init(&o);
            o.sessions = sessions, o.frames = 40, o.progress = stop_after, o.user = &s;
            assert_int_equal(kf_bench(m, &o, &r, &err), KF_ERR_CANCELLED);
            has(&err, "cancelled");
            assert_true(!r.ms && !r.until && !r.step_ms && s.total == 40);
            assert_int_equal(s.calls, s.most); /* and never again */
            if (sessions == 1) assert_int_equal(s.last, most < warm ? 0 : most - warm);
        }
    stopper s = {.most = 2};
    double ms[2];
    assert_int_equal(kf_bench_pair((const kf_model *const[]){m, m}, stop_after, &s, ms, &err), KF_ERR_CANCELLED);
    assert_int_equal(s.calls, 2);
    kf_model_destroy(&m);
}

static void refuses(const kf_model *m, kf_bench_options o, const char *word) {
    kf_bench_result r = {.size = sizeof r};
    kf_error err = {0};
    assert_int_equal(kf_bench(m, &o, &r, &err), KF_ERR_ARGUMENT);
    has(&err, word);
    assert_null(r.ms);
}

static void refused(void **state) {
    (void)state;
    kf_model *m = small_model(1);
    kf_bench_options o, b;
    kf_bench_result r = {.size = 8};
    kf_error err = {0};
    kf_bench_options_init(&o);
    b = o, b.sessions = 65, refuses(m, b, "sessions 65; 1 to 64");
    b = o, b.threads = 0, refuses(m, b, "threads 0");
    b = o, b.frames = 0, refuses(m, b, "frames 0");
    b = o, b.frames = KF_BENCH_MAX_FRAMES + 1, refuses(m, b, "1000001");
    b = o, b.profile = 1, b.sessions = 2, refuses(m, b, "profile");
    b = o, b.size = 0, refuses(m, b, "kf_bench_options");
    refuses(NULL, o, "model");
    assert_int_equal(kf_bench(m, &o, &r, &err), KF_ERR_ARGUMENT);
    has(&err, "sizeof(kf_bench_result)");
    assert_int_equal(kf_bench(m, &o, NULL, &err), KF_ERR_ARGUMENT);
    kf_model_destroy(&m);
}

static void slower(void **state) {
    (void)state;
    const kf_bench_pace f = {"f", 1000, 700, 0, 1, 2.0}, q = {"q", 1000, 703, 1, 1, 3.0};
    kf_bench_pace other = q;
    assert_true(kf_bench_slower(&f, &q) && kf_bench_slower(&q, &f));
    assert_false(kf_bench_slower(&f, &f) || kf_bench_slower(&q, &q));
    other.median = 2.0;
    assert_false(kf_bench_slower(&f, &other));
    other = q, other.threads = 2;
    assert_false(kf_bench_slower(&f, &other));
    other = q, other.macs = 1001;
    assert_false(kf_bench_slower(&f, &other));
    other = q, other.parameters = 720;
    assert_false(kf_bench_slower(&f, &other));
}

static void rows(void **state) {
    (void)state;
    kf_model *m = small_model(1);
    kf_bench_row_options o;
    kf_bench_row row = {.size = sizeof row};
    kf_error err = {0};
    stopper s = {.most = 3};
    kf_bench_row_options_init(&o);
    o.frames = 4, o.sessions = 2;
    assert_int_equal(kf_bench_table(m, &o, &row, &err), KF_OK);
    assert_string_equal(row.input, "8x8");
    assert_true(row.classes == CLASSES && row.parameters == 640 && row.sessions == 2);
    assert_true(row.float_top1 == -1 && row.quantized_top1 == -1 && row.ms_one > 0 && row.ms_many > 0 && row.fps > 0);
    o.sessions = 0;
    assert_int_equal(kf_bench_table(m, &o, &row, &err), KF_OK);
    assert_true(row.sessions >= 1 && row.sessions <= KF_MAX_THREADS);
    o.progress = stop_after, o.user = &s;
    assert_int_equal(kf_bench_table(m, &o, &row, &err), KF_ERR_CANCELLED);
    assert_int_equal(s.calls, 3);
    o.sessions = 65;
    assert_int_equal(kf_bench_table(m, &o, &row, &err), KF_ERR_ARGUMENT);
    row.size = 1;
    assert_int_equal(kf_bench_table(m, NULL, &row, &err), KF_ERR_ARGUMENT);
    kf_model_destroy(&m);
}

/* Resident pages come and go at once with a mapping, whatever the allocator does. */
static void peaks(void **state) {
    (void)state;
    enum { MIB = 1 << 20, MUCH = 64 * MIB };
    kf_error err = {0};
    if (kf_peak_reset(&err) != KF_OK) {
        assert_int_equal(err.status, KF_ERR_UNSUPPORTED);
        has(&err, "clear_refs");
        skip();
    }
    int64_t before = kf_peak_bytes();
    void *p = mmap(NULL, MUCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    memset(p, 1, MUCH);
    munmap(p, MUCH);
    int64_t high = kf_peak_bytes();
    assert_true(before > 0 && high >= before + MUCH - MIB);
    assert_int_equal(kf_peak_reset(&err), KF_OK);
    assert_true(kf_peak_bytes() <= high - MUCH / 2);
}

/* ---- pictures ---------------------------------------------------------------------------------------------------- */

static const char *picture(const char *name) {
    static char path[2][1024];
    static int turn;
    char *to = path[turn++ % 2];
    const char *root = getenv("KITFOX_SOURCE");
    snprintf(to, sizeof path[0], "%s/tests/data/pictures/%s", root ? root : ".", name);
    return to;
}

typedef struct seen {
    int pictures, failed, most;
    kf_score best;
    char path[1024], error[1024];
} seen;

static int see(void *user, const kf_classified *c) {
    seen *s = user;
    s->pictures++;
    snprintf(s->path, sizeof s->path, "%s", c->path);
    assert_true(!c->error == (c->n > 0));
    if (c->error) s->failed++, snprintf(s->error, sizeof s->error, "%s", c->error);
    else assert_true(c->image && c->image->width > 0 && c->n == 2 && c->ms > 0), s->best = c->top[0];
    return s->most && s->pictures >= s->most;
}

static void files(void **state) {
    (void)state;
    kf_model *m = small_model(1);
    char *names[] = {"a", "b", "c", "d", "e"};
    const kf_labels labels = {names, CLASSES}, few = {names, 4};
    const char *paths[] = {"/nowhere/x.png", picture("rgb.png"), picture("exif6.jpg")};
    kf_classify_options o;
    kf_error err = {0};
    seen s = {0};
    size_t failed = 9;
    kf_classify_options_init(&o);
    o.top = 2, o.threads = 1, o.picture = see, o.user = &s, o.labels = &labels;
    assert_int_equal(kf_classify_files(m, paths, 3, &o, &failed, &err), KF_OK);
    assert_true(s.pictures == 3 && s.failed == 1 && failed == 1);
    assert_non_null(strstr(s.error, "/nowhere/x.png"));
    assert_string_equal(s.path, paths[2]);
    assert_string_equal(s.best.label, names[s.best.index]);
    s = (seen){.most = 2};
    assert_int_equal(kf_classify_files(m, paths, 3, &o, &failed, &err), KF_ERR_CANCELLED);
    assert_int_equal(s.pictures, 2);
    has(&err, "2 of 3");
    o.labels = &few;
    assert_int_equal(kf_classify_files(m, paths, 3, &o, &failed, &err), KF_ERR_ARGUMENT);
    has(&err, "4 labels; the model has 5 classes");
    o.labels = NULL, o.top = 1001;
    assert_int_equal(kf_classify_files(m, paths, 3, &o, &failed, &err), KF_ERR_ARGUMENT);
    has(&err, "top 1001; 1 to 1000");
    assert_int_equal(kf_classify_files(m, NULL, 3, NULL, NULL, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_classify_files(m, paths, 0, NULL, NULL, &err), KF_OK);
    kf_model_destroy(&m);
}

/* ---- raw tensors ------------------------------------------------------------------------------------------------- */

enum { IMAGE = 3 * 8 * 8 };

typedef struct running {
    kf_model *m;
    kf_session *s;
    kf_run_options o;
    char folder[256], file[300], named[320];
    int notices;
} running;

static void count_notice(void *user, const char *text) {
    assert_non_null(strstr(text, "pixel"));
    ++*(int *)user;
}

static void set_running(running *t) {
    *t = (running){.m = small_model(1)};
    assert_non_null(temporary_folder(t->folder, sizeof t->folder, "kitfox-run"));
    snprintf(t->file, sizeof t->file, "%s/a.npy", t->folder);
    snprintf(t->named, sizeof t->named, "picture=%s", t->file);
    assert_int_equal(kf_session_create(t->m, NULL, &t->s, NULL), KF_OK);
    kf_run_options_init(&t->o);
    t->o.threads = 2, t->o.notice = count_notice, t->o.user = &t->notices;
}

static void end_running(running *t) {
    unlink(t->file);
    rmdir(t->folder);
    kf_session_destroy(&t->s);
    kf_model_destroy(&t->m);
}

static void put_npy(const running *r, kf_dtype type, int32_t rank, const int64_t *shape, void *data) {
    kf_tensor t = {.dtype = type, .rank = rank, .data = data, .bytes = kf_dtype_size(type)};
    for (int32_t i = 0; i < rank; i++) t.bytes *= (size_t)(t.shape[i] = shape[i]);
    assert_int_equal(kf_npy_write(r->file, &t, NULL), KF_OK);
}

/* Images of one file give what each gives alone. */
static void tensors(void **state) {
    (void)state;
    running t;
    float x[3 * IMAGE], y[CLASSES];
    kf_run_result r = {.size = sizeof r};
    set_running(&t);
    for (int i = 0; i < 3 * IMAGE; i++) x[i] = (float)(i * 37 % 101) / 50 - 1;
    for (int64_t n = 1; n <= 3; n++) {
        const char *path = n == 2 ? t.named : t.file;
        put_npy(&t, KF_F32, 4, (const int64_t[]){n, 3, 8, 8}, x);
        assert_int_equal(kf_run_files(t.m, &path, 1, &t.o, &r, NULL), KF_OK);
        assert_true(r.images == (size_t)n && r.output.shape[0] == n && r.output.bytes == (size_t)n * sizeof y);
        for (int64_t i = 0; i < n; i++) {
            kf_tensor in = {.dtype = KF_F32, .rank = 4, .shape = {1, 3, 8, 8}, .bytes = sizeof x / 3}, out = r.output;
            in.data = x + i * IMAGE, out.shape[0] = 1, out.data = y, out.bytes = sizeof y;
            assert_int_equal(kf_session_run(t.s, &in, 1, &out, 1, NULL), KF_OK);
            assert_memory_equal(y, (float *)r.output.data + i * CLASSES, sizeof y);
        }
        kf_run_free(&r);
    }
    assert_int_equal(t.notices, 0);
    end_running(&t);
}

static void no_run(const running *t, const kf_run_options *o, size_t n, kf_status why, const char *word) {
    const char *files[KF_RUN_MAX_FILES + 1] = {t->file};
    kf_run_result r = {.size = sizeof r, .images = 7};
    kf_error err = {0};
    assert_int_equal(kf_run_files(t->m, files, n, o, &r, &err), why);
    has(&err, word);
    assert_true(!r.output.data && !r.images);
}

/* Bytes are a picture or refused; floats like pixels are run, with a notice. */
static void bytes_or_floats(void **state) {
    (void)state;
    running t;
    uint8_t rgb[IMAGE];
    float x[IMAGE], y[CLASSES];
    kf_run_result r = {.size = sizeof r};
    set_running(&t);
    const char *path = t.file;
    for (int i = 0; i < IMAGE; i++) x[i] = rgb[i] = (uint8_t)(i * 71);
    put_npy(&t, KF_U8, 3, (const int64_t[]){8, 8, 3}, rgb);
    assert_int_equal(kf_run_files(t.m, &path, 1, &t.o, &r, NULL), KF_OK);
    assert_int_equal(kf_session_run_rgb(t.s, rgb, 24, y, CLASSES, NULL), KF_OK);
    assert_memory_equal(y, r.output.data, sizeof y);
    kf_run_free(&r);
    put_npy(&t, KF_U8, 4, (const int64_t[]){1, 3, 8, 8}, rgb);
    no_run(&t, &t.o, 1, KF_ERR_SHAPE, "uint8 given; picture takes float32, or an RGB picture");
    put_npy(&t, KF_F32, 4, (const int64_t[]){1, 3, 8, 8}, x);
    assert_int_equal(kf_run_files(t.m, &path, 1, &t.o, &r, NULL), KF_OK);
    assert_int_equal(t.notices, 1);
    kf_run_free(&r);
    no_run(&t, NULL, KF_RUN_MAX_FILES + 1, KF_ERR_ARGUMENT, "16 files; 1 to 15");
    no_run(&t, NULL, 2, KF_ERR_ARGUMENT, "file 1 of 2 is NULL");
    t.o.threads = -1;
    no_run(&t, &t.o, 1, KF_ERR_ARGUMENT, "-1");
    unlink(t.file);
    no_run(&t, NULL, 1, KF_ERR_IO, "a.npy");
    end_running(&t);
}

/* ---- frames ------------------------------------------------------------------------------------------------------ */

enum { FRAMES = 5 };

typedef struct heard {
    int64_t index[FRAMES];
    kf_score best[FRAMES];
    int n, most;
} heard;

static int hear(void *user, const kf_stream_frame *f) {
    heard *h = user;
    assert_true(f->n == 3 && f->ms > 0);
    h->index[h->n] = f->index, h->best[h->n++] = f->top[0];
    return h->most && h->n >= h->most;
}

static void fill(uint8_t *data, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) data[i] = (uint8_t)(i * 2654435761u >> 13);
}

/* A descriptor at the beginning of `bytes` bytes. */
static int source(const void *data, size_t bytes) {
    char name[256];
    int fd = mkstemp(temporary_name(name, sizeof name, "kitfox-frames"));
    assert_true(fd >= 0 && write(fd, data, bytes) == (ssize_t)bytes && lseek(fd, 0, SEEK_SET) == 0);
    unlink(name);
    return fd;
}

static kf_status stream(const kf_model *m, kf_stream_options o, const void *data, size_t bytes, kf_stream_counts *c,
                        kf_error *err) {
    o.fd = source(data, bytes);
    kf_status st = kf_stream(m, &o, c, err);
    assert_int_equal(close(o.fd), 0); /* it is still open */
    return st;
}

static kf_stream_options small_frames(heard *h) {
    kf_stream_options o;
    kf_stream_options_init(&o);
    *h = (heard){0};
    o.width = W, o.height = H, o.top = 3, o.threads = 1, o.frame = hear, o.user = h;
    return o;
}

static void frames(void **state) {
    (void)state;
    kf_model *m = small_model(1);
    kf_session *s;
    static uint8_t data[FRAMES * FRAME];
    kf_stream_counts c = {.size = sizeof c};
    kf_score top[3];
    heard h;
    size_t n;
    fill(data, sizeof data);
    assert_int_equal(kf_session_create(m, NULL, &s, NULL), KF_OK);
    for (int32_t limited = 0; limited <= 1; limited++)
        for (int32_t every = 1; every <= 3; every++) {
            kf_stream_options o = small_frames(&h);
            o.every = every, o.range = limited ? 1 : -1;
            assert_int_equal(stream(m, o, data, sizeof data, &c, NULL), KF_OK);
            assert_int_equal(h.n, (FRAMES + every - 1) / every);
            assert_true(c.frames == FRAMES && c.classified == h.n && c.most_ms > 0 && c.total_ms >= c.most_ms);
            for (int i = 0; i < h.n; i++) {
                uint8_t *y = data + (size_t)i * (size_t)every * FRAME;
                const kf_nv12 f = {W, H, y, y + W * H, W, W, limited};
                assert_int_equal(h.index[i], (int64_t)i * every);
                assert_int_equal(kf_session_classify_nv12(s, &f, 3, top, &n, NULL), KF_OK);
                assert_true(h.best[i].index == top[0].index && h.best[i].score == top[0].score);
            }
        }
    kf_session_destroy(&s);
    kf_model_destroy(&m);
}

static void ended(void **state) {
    (void)state;
    kf_model *m = small_model(1), *raw = small_model(0);
    static uint8_t data[FRAMES * FRAME];
    char *names[] = {"a", "b", "c", "d", "e"};
    const kf_labels labels = {names, CLASSES};
    kf_stream_counts c = {.size = sizeof c};
    kf_error err = {0};
    heard h;
    kf_stream_options o = small_frames(&h);
    fill(data, sizeof data);
    assert_int_equal(stream(m, o, data, 2 * FRAME + 7, &c, &err), KF_ERR_FORMAT);
    has(&err, "standard input: frame 2 ends after 7 of 240 bytes");
    assert_true(h.n == 2 && c.frames == 2 && c.classified == 2);
    o = small_frames(&h), o.name = "camera";
    assert_int_equal(stream(m, o, data, 0, &c, &err), KF_ERR_FORMAT);
    has(&err, "camera: no frame");
    o = small_frames(&h), h.most = 2, o.labels = &labels;
    assert_int_equal(stream(m, o, data, sizeof data, &c, &err), KF_ERR_CANCELLED);
    assert_true(h.n == 2 && c.classified == 2 && strcmp(h.best[0].label, names[h.best[0].index]) == 0);
    o = small_frames(&h), o.fd = 999;
    assert_int_equal(kf_stream(m, &o, NULL, &err), KF_ERR_IO);
    has(&err, "frame 0");
    o = small_frames(&h);
    assert_int_equal(stream(raw, o, data, sizeof data, &c, &err), KF_ERR_UNSUPPORTED);
    assert_int_equal(c.frames, 0);
    kf_model_destroy(&m);
    kf_model_destroy(&raw);
}

static void odd(const kf_model *m, kf_stream_options o, const char *word) {
    kf_error err = {0};
    o.fd = 999;
    assert_int_equal(kf_stream(m, &o, NULL, &err), KF_ERR_ARGUMENT);
    has(&err, word);
}

static void impossible(void **state) {
    (void)state;
    kf_model *m = small_model(1);
    heard h;
    kf_stream_options o = small_frames(&h), b;
    kf_stream_counts c = {.size = 3};
    kf_error err = {0};
    b = o, b.width = 15, odd(m, b, "even");
    b = o, b.width = 0, odd(m, b, "width 0");
    b = o, b.height = KF_IMAGE_MAX_SIDE + 2, odd(m, b, "16386");
    b = o, b.stride = W - 1, odd(m, b, "stride 15; 16 to");
    b = o, b.range = 2, odd(m, b, "range 2");
    b = o, b.every = 0, odd(m, b, "every 0");
    b = o, b.top = 0, odd(m, b, "top 0");
    b = o, b.name = NULL, odd(m, b, "name");
    odd(NULL, o, "model");
    assert_int_equal(kf_stream(m, &o, &c, &err), KF_ERR_ARGUMENT);
    has(&err, "sizeof(kf_stream_counts)");
    kf_model_destroy(&m);
}

static void verdicts(void **state) {
    (void)state;
    kf_verify_report r = {.size = sizeof r, .steps = 4, .exact = 4, .first = -1};
    assert_int_equal(kf_verify_verdict(&r), KF_IDENTICAL);
    r.exact = 3;
    assert_int_equal(kf_verify_verdict(&r), KF_AGREES);
    r.first = 0;
    assert_int_equal(kf_verify_verdict(&r), KF_DIFFERS);
}

int main(void) {
    here = pthread_self();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics),      cmocka_unit_test(times),    cmocka_unit_test(cancelled),
        cmocka_unit_test(refused),         cmocka_unit_test(slower),   cmocka_unit_test(rows),
        cmocka_unit_test(peaks),           cmocka_unit_test(files),    cmocka_unit_test(tensors),
        cmocka_unit_test(bytes_or_floats), cmocka_unit_test(frames),   cmocka_unit_test(ended),
        cmocka_unit_test(impossible),      cmocka_unit_test(verdicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
