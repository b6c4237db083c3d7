/* Calibration samples of every kind of mistake, each in three forms, and good ones that nothing may be said of.
 * Owner rule: the samples are static. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "data/plausible.h"

enum { N = 8, SIDE = 12, PLANE = SIDE * SIDE, COUNT = 3 * PLANE };

static float numbers[N][COUNT];
static uint8_t bytes[N][COUNT];
static kf_tensor tensors[N];
static char names[N][16], *paths[N], said[2048];

static void hear(void *user, const char *text) {
    ++*(int *)user;
    snprintf(said + strlen(said), sizeof said - strlen(said), "%s\n", text);
}

/* Value i of a picture k in 0..255: random, as wide as a photo, another one for each k. */
static int photo(int k, int i) {
    uint32_t s = (uint32_t)(k * COUNT + i + 1) * 2654435761u;
    s ^= s >> 15, s *= 2246822519u, s ^= s >> 13;
    if (i < 2) return 255 * i;
    return (int)(s % 246) + 5;
}

static kf_preprocess how(void) {
    kf_preprocess p;
    kf_preprocess_init(&p);
    p.valid = 1, p.width = p.height = SIDE;
    return p;
}

static double normal(int channel, double pixel) {
    const kf_preprocess p = how();
    return kf_preprocess_normalize(&p, channel, pixel);
}

/* How value i of sample k comes to be wrong; `c` is its channel. */
typedef double (*maker)(int k, int c, int i);
static double good(int k, int c, int i) { return normal(c, photo(k, i)); }
static double raw(int k, int c, int i) { return photo(k, i); }
static double raw_fractions(int k, int c, int i) { return photo(k, i) * 0.97 + 0.3; }
static double raw_overshoot(int k, int c, int i) { return photo(k, i) * 1.15 - 12; }
static double twice_as_pixels(int k, int c, int i) { return normal(c, good(k, c, i)); }
static double twice_as_units(int k, int c, int i) { return normal(c, 255 * good(k, c, i)); }
static double twice_dim(int k, int c, int i) { return normal(c, normal(c, photo(k, i) / 3.0)); }
static double unit(int k, int c, int i) { return photo(k, i) / 255.0; }
static double unit_dim(int k, int c, int i) { return photo(k, i) / 510.0; }
static double unit_light(int k, int c, int i) { return 0.3 + 0.7 * photo(k, i) / 255.0; }
static double same(int k, int c, int i) { return good(0, c, i); }
static double half(int k, int c, int i) { return good(k / 2, c, i); }
static double same_but_one(int k, int c, int i) { return good(k == 3, c, i); }
static double nan_once(int k, int c, int i) { return k == 2 && i == 7 ? (double)NAN : good(k, c, i); }
static double infinite_once(int k, int c, int i) { return k == 5 && i == 0 ? -(double)INFINITY : good(k, c, i); }
static double huge(int k, int c, int i) { return 1e30 * good(k, c, i); }
static double huge_once(int k, int c, int i) { return k == 2 && i == 7 ? 1e16 : good(k, c, i); }
static double outlier(int k, int c, int i) { return good(k, c, i) * (k == 4 ? 1000 : 1); }
static double outlier_value(int k, int c, int i) { return k == 4 && i == 9 ? -5000 : good(k, c, i); }
static double plain(int k, int c, int i) { return k + 1; }
static double nothing(int k, int c, int i) { return 0; }
static double flat_but_one(int k, int c, int i) { return k ? normal(c, 20 * k) : good(k, c, i); }
static double black(int k, int c, int i) { return normal(c, 0); }
static double pixels(int k, int c, int i) { return photo(k, i); }
static double dark(int k, int c, int i) { return photo(k, i) / 5; }
static double divided(int k, int c, int i) { return photo(k, i) >= 128; }
static double gray_level(int k, int c, int i) { return 100 + photo(k, i) / 16; }
static double clipped(int k, int c, int i) { return photo(k, i) > 180 ? photo(k, i) : 0; }
static double white(int k, int c, int i) { return photo(k, i) < 60 ? photo(k, i) : 255; }
static double poster(int k, int c, int i) { return photo(k, i) < 128 ? 0 : 255; }
static double colours(int k, int c, int i) { return 30 * k + c * 8; }
static double pictures_same(int k, int c, int i) { return photo(1, i); }

enum { NO_PICTURES = 1, BYTES = 2 };
typedef struct mistake {
    const char *name;
    maker make;
    int form; /* 0: float32 of a network that takes pictures */
    kf_status status;
    int notices;
    const char *words;
} mistake;

static const mistake MISTAKES[] = {
    {"normalized photos", good, 0, KF_OK, 0, ""},
    {"photos", pixels, BYTES, KF_OK, 0, ""},
    {"numbers of any unit", raw, NO_PICTURES, KF_OK, 0, ""},
    {"numbers of 0..1", unit, NO_PICTURES, KF_OK, 0, ""},
    {"pixels", raw, 0, KF_ERR_ARGUMENT, 0, "look like pixels"},
    {"pixels with fractions", raw_fractions, 0, KF_ERR_ARGUMENT, 0, "look like pixels"},
    {"pixels that overshoot", raw_overshoot, 0, KF_ERR_ARGUMENT, 0, "look like pixels"},
    {"normalized twice", twice_as_pixels, 0, KF_ERR_ARGUMENT, 0, "normalized twice"},
    {"normalized twice, in units", twice_as_units, 0, KF_ERR_ARGUMENT, 0, "normalized twice"},
    {"dim ones normalized twice", twice_dim, 0, KF_ERR_ARGUMENT, 0, "normalized twice"},
    {"divided by 255", unit, 0, KF_OK, 1, "divided by 255"},
    {"divided by 255, dim", unit_dim, 0, KF_OK, 2, "divided by 255"},
    {"divided by 255, light", unit_light, 0, KF_OK, 2, "divided by 255"},
    {"all the same", same, 0, KF_OK, 1, "the same as 0.npy"},
    {"every other the same", half, 0, KF_OK, 1, "only 4 of the 8"},
    {"the same but one", same_but_one, NO_PICTURES, KF_OK, 1, "only 2 of the 8"},
    {"the same pictures", pictures_same, BYTES, KF_OK, 1, "the same as 0.npy"},
    {"NaN", nan_once, 0, KF_ERR_ARGUMENT, 0, "2.npy: value 7 is NaN"},
    {"NaN without pictures", nan_once, NO_PICTURES, KF_ERR_ARGUMENT, 0, "2.npy: value 7 is NaN"},
    {"infinity", infinite_once, 0, KF_ERR_ARGUMENT, 0, "5.npy: value 0 is infinite"},
    {"huge", huge, 0, KF_ERR_ARGUMENT, 0, "0.npy: value 0"},
    {"huge without pictures", huge, NO_PICTURES, KF_ERR_ARGUMENT, 0, "e+30"},
    {"one huge number", huge_once, NO_PICTURES, KF_ERR_ARGUMENT, 0, "1e+16"},
    {"one file of another unit", outlier, NO_PICTURES, KF_OK, 1, "4.npy: values up to"},
    {"one number of another unit", outlier_value, NO_PICTURES, KF_OK, 1, "4.npy: values up to 5000"},
    {"one file of another unit, of pictures", outlier, 0, KF_ERR_ARGUMENT, 0, "with another mean and std"},
    {"one number a file", plain, NO_PICTURES, KF_OK, 1, "8 of the 8"},
    {"zeros", nothing, NO_PICTURES, KF_OK, 2, "the same as 0.npy"},
    {"one colour but one", flat_but_one, 0, KF_OK, 1, "7 of the 8"},
    {"black numbers", black, 0, KF_OK, 2, "are black"},
    {"one colour a picture", colours, BYTES, KF_OK, 1, "8 of the 8"},
    {"dark pictures", dark, BYTES, KF_OK, 1, "lie in 0..51"},
    {"pictures of 0 and 1", divided, BYTES, KF_OK, 1, "divided by 255"},
    {"fog", gray_level, BYTES, KF_OK, 1, "lie in 100..115"},
    {"clipped below", clipped, BYTES, KF_OK, 1, "are 0 or 255"},
    {"clipped above", white, BYTES, KF_OK, 1, "are 0 or 255"},
    {"two levels", poster, BYTES, KF_OK, 1, "100 %"},
};

static kf_samples make(const mistake *m) {
    bool last = m->form & BYTES;
    for (int k = 0; k < N; k++) {
        for (int i = 0; i < COUNT; i++) {
            double v = m->make(k, last ? i % 3 : i / PLANE, i);
            if (last) bytes[k][i] = (uint8_t)v;
            else numbers[k][i] = (float)v;
        }
        tensors[k] =
            last ? (kf_tensor){.dtype = KF_U8, .rank = 3, .shape = {SIDE, SIDE, 3}, .data = bytes[k], .bytes = COUNT}
                 : (kf_tensor){.dtype = KF_F32,
                               .rank = 4,
                               .shape = {1, 3, SIDE, SIDE},
                               .data = numbers[k],
                               .bytes = sizeof numbers[k]};
        snprintf(names[k], sizeof names[k], "%d.npy", k);
        paths[k] = names[k];
    }
    return (kf_samples){.paths = paths, .n = N, .tensors = tensors};
}

static void mistakes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof MISTAKES / sizeof *MISTAKES; i++) {
        const mistake *m = &MISTAKES[i];
        const kf_samples s = make(m);
        const kf_preprocess p = how();
        kf_sample_facts f = {.size = sizeof f};
        kf_error err = {0};
        int heard = 0;
        *said = '\0';
        kf_status st = kf_samples_check(&s, m->form & NO_PICTURES ? NULL : &p, hear, &heard, &f, &err);
        const char *text = st == KF_OK ? said : err.text;
        if (st != m->status || heard != m->notices || !strstr(text, m->words))
            fail_msg("%s: status %d, %d notices: %s", m->name, (int)st, heard, text);
    }
}

static void facts(void **state) {
    (void)state;
    const mistake m = {"", half, 0, KF_OK, 1, ""};
    kf_samples s = make(&m);
    const kf_preprocess p = how();
    kf_sample_facts f = {.size = sizeof f};
    kf_error err;
    assert_int_equal(kf_samples_check(&s, &p, NULL, NULL, &f, &err), KF_OK);
    assert_int_equal(f.samples, N);
    assert_int_equal(f.distinct, N / 2);
    assert_int_equal(f.flat, 0);
    assert_float_equal(f.lo, normal(0, 0), 1e-6);
    assert_true(f.hi > 2.2 && f.clipped > 0 && f.clipped < 1);
    s.n = 1;
    int heard = 0;
    *said = '\0';
    assert_int_equal(kf_samples_check(&s, &p, hear, &heard, &f, &err), KF_OK);
    assert_true(heard == 1 && f.distinct == 1 && strstr(said, "one calibration sample"));
    s.n = 0;
    assert_int_equal(kf_samples_check(&s, &p, NULL, NULL, &f, &err), KF_ERR_ARGUMENT);
    s.n = N, tensors[3].data = NULL;
    assert_int_equal(kf_samples_check(&s, &p, NULL, NULL, &f, &err), KF_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "3.npy"));
}

/* A network of one channel: pictures of it are RGB or grey, its numbers have one plane. */
static void gray(void **state) {
    (void)state;
    const mistake m = {"", raw, 0, KF_OK, 0, ""};
    kf_preprocess p = how();
    kf_error err;
    p.color = KF_COLOR_GRAY, p.mean[0] = 0.5, p.std[0] = 0.25, p.std[1] = p.std[2] = 1;
    kf_samples s = make(&m);
    for (int k = 0; k < N; k++) tensors[k].shape[1] = 1, tensors[k].bytes = PLANE * sizeof(float);
    assert_int_equal(kf_samples_check(&s, &p, NULL, NULL, NULL, &err), KF_ERR_ARGUMENT);
    for (int k = 0; k < N; k++)
        for (int i = 0; i < PLANE; i++) numbers[k][i] = (float)((photo(k, i) / 255.0 - 0.5) / 0.25);
    int heard = 0;
    assert_int_equal(kf_samples_check(&s, &p, hear, &heard, NULL, &err), KF_OK);
    assert_int_equal(heard, 0);
}

/* The normalizations that networks are trained with, and what people write in their place. */
static void norms(void **state) {
    (void)state;
    static const struct {
        double mean[3], scale[3];
        kf__norm_kind kind;
    } CASES[] = {
        {{123.675, 116.28, 103.53}, {0.01712475, 0.017507, 0.01742919}, KF__NORM_FINE},
        {{127.5, 127.5, 127.5}, {1 / 127.5, 1 / 127.5, 1 / 127.5}, KF__NORM_FINE},
        {{0, 0, 0}, {1 / 255.0, 1 / 255.0, 1 / 255.0}, KF__NORM_FINE},
        {{0, 0, 0}, {1, 1, 1}, KF__NORM_FINE},
        {{103.939, 116.779, 123.68}, {1, 1, 1}, KF__NORM_FINE},
        {{103.94, 116.78, 123.68}, {0.017, 0.017, 0.017}, KF__NORM_FINE},
        {{33.3, 33.3, 33.3}, {1 / 78.6, 1 / 78.6, 1 / 78.6}, KF__NORM_FINE},
        {{123.675, 116.28, 103.53}, {58.395, 57.12, 57.375}, KF__NORM_FAR},
        {{0, 0, 0}, {127.5, 127.5, 127.5}, KF__NORM_FAR},
        {{123.675, 116.28, 103.53}, {1 / 0.229, 1 / 0.224, 1 / 0.225}, KF__NORM_FAR},
        {{123.675, 116.28, 103.53}, {0.229, 0.224, 0.225}, KF__NORM_WIDE},
        {{127.5, 127.5, 127.5}, {0.5, 0.5, 0.5}, KF__NORM_WIDE},
        {{0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}, KF__NORM_WIDE},
        {{0.485, 0.456, 0.406}, {0.01712475, 0.017507, 0.01742919}, KF__NORM_MEAN},
        {{0.5, 0.5, 0.5}, {1 / 127.5, 1 / 127.5, 1 / 127.5}, KF__NORM_MEAN},
        {{0.1307, 0.1307, 0.1307}, {1 / 78.6, 1 / 78.6, 1 / 78.6}, KF__NORM_MEAN},
        {{123.675, 116.28, 103.53}, {1 / (255 * 58.395), 1 / (255 * 57.12), 1 / (255 * 57.375)}, KF__NORM_NARROW},
        {{127.5, 127.5, 127.5}, {1 / 65025.0, 1 / 65025.0, 1 / 65025.0}, KF__NORM_NARROW},
        {{0, 0, 0}, {1 / 65025.0, 1 / 65025.0, 1 / 65025.0}, KF__NORM_NARROW},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        kf__norm is = kf__plausible_norm(CASES[i].mean, CASES[i].scale, 3);
        if (is.kind != CASES[i].kind) fail_msg("normalization %zu: kind %d, %g..%g", i, (int)is.kind, is.lo, is.hi);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes),
        cmocka_unit_test(facts),
        cmocka_unit_test(gray),
        cmocka_unit_test(norms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
