/* Many pictures at once: each gives what it gives alone, to the bit, on 1, 2 and 3 threads, for any number of them;
 * what is refused, and with which words; memory within its limit.
 * Owner rule: each test frees what it makes. */
#include "program_builder.h"

#include <sys/wait.h>
#include <unistd.h>

#include "format/format.h"
#include "kitfox/batch.h"

enum { MOST = 17, SIDE = 192, CLASSES = 5 };

/* A model, pictures for it and what a session says of each. */
typedef struct given {
    kf_model *m;
    float x[MOST][SIDE], y[MOST][CLASSES];
    uint8_t pixels[MOST][SIDE];
    const uint8_t *rgb[MOST];
} given;

static void picture_model(kf__program *p, kf_color color) {
    kf_preprocess *how = &p->meta.preprocess;
    kf_preprocess_init(how);
    how->width = how->height = 8;
    how->color = color;
}

static void given_make(given *g, kf_color color) {
    kf__program *p = pb_small();
    kf__random r = {11};
    void *file;
    size_t bytes;
    picture_model(p, color);
    assert_int_equal(kf__format_write(p, &file, &bytes, NULL), KF_OK);
    kf__program_destroy(&p);
    assert_int_equal(kf_model_load_memory(file, bytes, NULL, &g->m, NULL), KF_OK);
    kf__mem_free(NULL, file);
    for (int i = 0; i < MOST; i++) {
        g->rgb[i] = g->pixels[i];
        for (int k = 0; k < SIDE; k++) {
            double u = kf__random_unit(&r);
            g->x[i][k] = (float)(u * 4 - 2), g->pixels[i][k] = (uint8_t)(u * 255);
        }
    }
}

static kf_tensor inputs(given *g, int64_t n) {
    return (kf_tensor){
        .dtype = KF_F32, .rank = 4, .shape = {n, 3, 8, 8}, .data = g->x, .bytes = (size_t)n * SIDE * sizeof(float)};
}

static kf_tensor outputs(float *y, int64_t n) {
    return (kf_tensor){
        .dtype = KF_F32, .rank = 2, .shape = {n, CLASSES}, .data = y, .bytes = (size_t)n * CLASSES * sizeof(float)};
}

/* A session alone. */
static kf_session *alone(given *g) {
    kf_session_options o;
    kf_session *s;
    kf_session_options_init(&o);
    o.threads = 1;
    assert_int_equal(kf_session_create(g->m, &o, &s, NULL), KF_OK);
    for (int i = 0; i < MOST; i++) {
        kf_tensor in = inputs(g, 1), out = outputs(g->y[i], 1);
        in.data = g->x[i];
        assert_int_equal(kf_session_run(s, &in, 1, &out, 1, NULL), KF_OK);
    }
    return s;
}

static kf_batch *make(const given *g, int32_t threads, kf_pool *pool) {
    kf_batch_options o;
    kf_batch *b;
    kf_error err = {0};
    int32_t wanted;
    kf_batch_options_init(&o);
    o.threads = threads, o.pool = pool;
    if (kf_batch_create(g->m, &o, &b, &err) != KF_OK) fail_msg("%s", err.text);
    assert_int_equal(kf_batch_threads(b, &wanted), threads);
    assert_int_equal(wanted, threads);
    return b;
}

static void as_alone(void **state) {
    static given g;
    (void)state;
    given_make(&g, KF_COLOR_RGB);
    kf_session *s = alone(&g);
    for (int32_t threads = 1; threads <= 3; threads++) {
        kf_pool *pool = NULL;
        if (threads == 2) assert_int_equal(kf_pool_create(2, NULL, &pool, NULL), KF_OK);
        kf_batch *b = make(&g, threads, pool);
        assert_int_equal(kf_batch_bytes(b), (size_t)threads * kf_session_bytes(s));
        for (int64_t n = 1; n <= MOST; n++) {
            float y[MOST][CLASSES] = {{0}};
            kf_tensor in = inputs(&g, n), out = outputs(y[0], n);
            kf_error err = {0};
            if (kf_batch_run(b, &in, 1, &out, 1, &err) != KF_OK) fail_msg("%s", err.text);
            assert_memory_equal(y, g.y, (size_t)n * sizeof y[0]);
            for (int64_t i = n; i < MOST; i++) assert_true(y[i][0] == 0); /* nothing behind the last */
        }
        kf_batch_destroy(&b);
        assert_null(b);
        kf_pool_destroy(&pool);
    }
    kf_session_destroy(&s);
    kf_model_destroy(&g.m);
}

/* RGB pictures, whatever order the model wants its colours in. */
static void pictures(void **state) {
    static given g;
    (void)state;
    for (int color = KF_COLOR_RGB; color <= KF_COLOR_BGR; color++) {
        given_make(&g, (kf_color)color);
        kf_session *s = alone(&g);
        kf_batch *b = make(&g, 3, NULL);
        float want[MOST][CLASSES], y[MOST][CLASSES] = {{0}}, turned[CLASSES];
        kf_score top[MOST][2], one[2];
        kf_image images[MOST];
        size_t found[MOST], n;
        for (int i = 0; i < MOST; i++) {
            assert_int_equal(kf_session_run_rgb(s, g.rgb[i], 24, want[i], CLASSES, NULL), KF_OK);
            images[i] = (kf_image){8, 8, 24, g.pixels[i]};
        }
        uint8_t bgr[SIDE];
        kf_color_from_rgb(KF_COLOR_BGR, g.pixels[0], 64, bgr);
        assert_int_equal(kf_session_run_rgb(s, bgr, 24, turned, CLASSES, NULL), KF_OK);
        assert_memory_not_equal(turned, want[0], sizeof turned); /* the order of colours is seen */
        assert_int_equal(kf_batch_run_rgb(b, g.rgb, MOST, 24, y[0], MOST * CLASSES, NULL), KF_OK);
        assert_memory_equal(y, want, sizeof y);
        assert_int_equal(kf_batch_classify(b, images, MOST, 2, top[0], found, NULL), KF_OK);
        for (int i = 0; i < MOST; i++) {
            assert_int_equal(kf_session_classify(s, &images[i], 2, one, &n, NULL), KF_OK);
            assert_int_equal(found[i], n);
            for (size_t k = 0; k < n; k++)
                assert_true(top[i][k].index == one[k].index && top[i][k].score == one[k].score);
        }
        kf_batch_destroy(&b);
        kf_session_destroy(&s);
        kf_model_destroy(&g.m);
    }
}

static void refuses(kf_batch *b, kf_tensor in, kf_tensor out, kf_status want, const char *word) {
    kf_error err = {0};
    assert_int_equal(kf_batch_run(b, &in, 1, &out, 1, &err), want);
    if (!strstr(err.text, word)) fail_msg("no \"%s\" in: %s", word, err.text);
}

static void refused(void **state) {
    static given g;
    (void)state;
    given_make(&g, KF_COLOR_RGB);
    float y[MOST][CLASSES] = {{0}};
    kf_batch *b = make(&g, 2, NULL);
    kf_tensor in = inputs(&g, 5), out = outputs(y[0], 5), bad;
    kf_error err = {0};
    refuses(b, inputs(&g, 0), outputs(y[0], 0), KF_ERR_SHAPE, "picture: the first extent is 0");
    refuses(b, in, outputs(y[0], 4), KF_ERR_SHAPE, "4 images; the tensors before have 5");
    bad = in, bad.bytes -= 4;
    refuses(b, bad, out, KF_ERR_SHAPE, "5 images of 768 bytes");
    bad = in, bad.shape[0] = INT64_MAX;
    refuses(b, bad, out, KF_ERR_SHAPE, "images");
    bad = out, bad.data = NULL;
    refuses(b, in, bad, KF_ERR_SHAPE, "scores");
    bad = in, bad.shape[3] = 7;
    refuses(b, bad, out, KF_ERR_SHAPE, "image 0 of 5: picture: shape 1x3x8x7");
    bad = in, bad.dtype = KF_F64, bad.bytes *= 2;
    refuses(b, bad, out, KF_ERR_SHAPE, "f64");
    bad = in, bad.rank = 0;
    refuses(b, bad, outputs(y[0], 1), KF_ERR_SHAPE, "image 0 of 1");
    for (int i = 0; i < MOST; i++) assert_true(y[i][0] == 0); /* nothing was written */
    assert_int_equal(kf_batch_run(b, &in, 2, &out, 1, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_batch_run(b, &in, 1, &out, 2, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_batch_run(b, NULL, 1, &out, 1, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_batch_run_rgb(b, g.rgb, 0, 24, y[0], 5, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_batch_run_rgb(b, g.rgb, 5, 24, y[0], 24, &err), KF_ERR_ARGUMENT);
    g.rgb[3] = NULL;
    assert_int_equal(kf_batch_run_rgb(b, g.rgb, 5, 24, y[0], 25, &err), KF_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "image 3 of 5"));
    assert_int_equal(kf_batch_run(b, &in, 1, &out, 1, &err), KF_OK); /* and it goes on */
    assert_int_equal(kf_batch_create(NULL, NULL, &b, &err), KF_ERR_ARGUMENT);
    kf_batch_destroy(&b);
    kf_batch_destroy(&b);
    kf_batch_destroy(NULL);
    kf_model_destroy(&g.m);
}

/* All sessions together count. */
static void memory_limit(void **state) {
    static given g;
    (void)state;
    given_make(&g, KF_COLOR_RGB);
    kf_session *s = alone(&g);
    size_t one = kf_session_bytes(s);
    kf_batch_options o;
    kf_batch *b;
    kf_error err = {0};
    char number[32];
    kf_batch_options_init(&o);
    o.threads = 3, o.max_session_bytes = 3 * one;
    assert_int_equal(kf_batch_create(g.m, &o, &b, &err), KF_OK);
    kf_batch_destroy(&b);
    o.max_session_bytes = 3 * one - 1;
    assert_int_equal(kf_batch_create(g.m, &o, &b, &err), KF_ERR_LIMIT);
    assert_null(b);
    snprintf(number, sizeof number, "%zu", 3 * one - 1);
    assert_non_null(strstr(err.text, number));
    assert_non_null(strstr(err.text, "max_session_bytes"));
    o.max_session_bytes = one - 1;
    assert_int_equal(kf_batch_create(g.m, &o, &b, &err), KF_ERR_LIMIT);
    o.max_session_bytes = 0, o.max_operations = 1;
    assert_int_equal(kf_batch_create(g.m, &o, &b, &err), KF_ERR_LIMIT);
    o.max_operations = 0, o.threads = 65;
    assert_int_equal(kf_batch_create(g.m, &o, &b, &err), KF_ERR_ARGUMENT);
    assert_true(strstr(err.text, "65") && strstr(err.text, "64"));
    o.threads = 1, o.size = 3;
    assert_int_equal(kf_batch_create(g.m, &o, &b, &err), KF_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "kf_batch_options"));
    o.size = offsetof(kf_batch_options, max_session_bytes), o.max_session_bytes = 1; /* of a caller that is older */
    assert_int_equal(kf_batch_create(g.m, &o, &b, &err), KF_OK);
    kf_batch_destroy(&b);
    kf_session_destroy(&s);
    kf_model_destroy(&g.m);
}

static int in_child(kf_batch *b, given *g) {
    float y[MOST][CLASSES];
    kf_tensor in = inputs(g, MOST), out = outputs(y[0], MOST);
    alarm(120); /* a hang ends the child by a signal */
    if (kf_batch_run(b, &in, 1, &out, 1, NULL) != KF_OK || memcmp(y, g->y, sizeof y) != 0) return 1;
    kf_batch_destroy(&b);
    return 0;
}

static void forked(void **state) {
    static given g;
    (void)state;
    int how = 0;
    given_make(&g, KF_COLOR_RGB);
    kf_session *s = alone(&g);
    kf_batch *b = make(&g, 3, NULL);
    pid_t child = fork();
    if (child == 0) _exit(in_child(b, &g));
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(how, 0);
    kf_batch_destroy(&b);
    kf_session_destroy(&s);
    kf_model_destroy(&g.m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_alone),     cmocka_unit_test(pictures), cmocka_unit_test(refused),
        cmocka_unit_test(memory_limit), cmocka_unit_test(forked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
