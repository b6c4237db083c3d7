/* Data of the workbench: labels, labelled pictures, samples, raw and NPY files, in a folder of this test.
 * The bytes of NPY are numpy's own; fuzz_labels.c, fuzz_npy.c and fuzz_raw.c have the damaged files.
 * Owner rule: every file is removed at the end. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../temporary.h"
#include "kitfox/lab.h"

static char root[512];
static char path[1024], said[4096];
static int notices;

static const char *in(const char *name) {
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void put(const char *name, const void *data, size_t n) {
    FILE *f = fopen(in(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void put_text(const char *name, const char *text) { put(name, text, strlen(text)); }

static void drop(const char *name) { assert_int_equal(remove(in(name)), 0); }

static void hear(void *user, const char *text) {
    *(int *)user += 1;
    snprintf(said, sizeof said, "%s", text);
}

/* ---- labels ------------------------------------------------------------------------------------------------------ */

static void labels(void **state) {
    (void)state;
    static const char *const FORMS[] = {"tench\ngoldfish\n", "0:tench\r\n1: goldfish\r\n", "[\"tench\", \"goldfish\"]",
                                        "{\"1\": \"goldfish\", \"0\": [\"n01440764\", \"tench\"]}"};
    kf_labels l;
    kf_error err;
    for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS; i++) {
        put_text("l", FORMS[i]);
        assert_int_equal(kf_labels_load(in("l"), &l, &err), KF_OK);
        assert_int_equal(l.n, 2);
        assert_string_equal(l.items[0], "tench");
        assert_string_equal(l.items[1], "goldfish");
        kf_labels_free(&l);
        assert_null(l.items);
    }
    /* UTF-8: two, three and four bytes; then overlong, surrogate, past the last code, cut, Latin-1. */
    put_text("l", "\xc3\xa4\n\xe2\x82\xac\n\xf0\x9f\xa6\x8a\n");
    assert_int_equal(kf_labels_load(in("l"), &l, &err), KF_OK);
    assert_int_equal(l.n, 3);
    kf_labels_free(&l);
    static const char *const BAD[] = {"\xc0\xaf\n",
                                      "\xe0\x80\x80\n",
                                      "\xed\xa0\x80\n",
                                      "\xf4\x90\x80\x80\n",
                                      "\xe2\x82\n",
                                      "\xe4\n",
                                      "[\"a\", 1]",
                                      "[\"a\"",
                                      "{}",
                                      ""};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        put_text("l", BAD[i]);
        assert_int_equal(kf_labels_load(in("l"), &l, NULL), KF_ERR_FORMAT);
        assert_true(l.n == 0 && !l.items);
    }
    drop("l");
    assert_int_equal(kf_labels_load(in("l"), &l, &err), KF_ERR_IO);
}

/* Numbered from 1: the class of each name would be one too high. A number may also be a name's own. */
static void first_index(void **state) {
    (void)state;
    static const char *const BAD[] = {"{\"1\": \"tench\", \"2\": \"goldfish\"}", "1:tench\n2:goldfish\n",
                                      "1 tench\n2 goldfish\n3 shark\n", "{\"1\": [\"n01440764\", \"tench\"]}"};
    static const char *const GOOD[] = {"1 bird\nmany birds\n", "1:2 scale\n", "0 a\n1 b\n", "{\"0\": \"1\"}"};
    kf_labels l;
    kf_error err;
    for (size_t i = 0; i < 4; i++) {
        put_text("l", BAD[i]);
        assert_int_equal(kf_labels_load(in("l"), &l, &err), KF_ERR_FORMAT);
        assert_true(strstr(err.text, "begin at 0") && strstr(err.text, "begin at 1"));
        put_text("l", GOOD[i]);
        assert_int_equal(kf_labels_load(in("l"), &l, &err), KF_OK);
        kf_labels_free(&l);
    }
    put_text("l", "{\"0\": \"a\", \"1\": \"b\", \"3\": \"d\"}");
    assert_int_equal(kf_labels_load(in("l"), &l, &err), KF_ERR_FORMAT);
    assert_non_null(strstr(err.text, "index 2 is missing"));
    drop("l");
}

/* The count alone says nothing: which list fits is judged with the network. */
static void thousand(void **state) {
    (void)state;
    kf_labels l;
    kf_error err;
    char text[1001 * 8] = "background\n";
    size_t n = strlen(text);
    for (int i = 0; i < 1000; i++) n += (size_t)snprintf(text + n, sizeof text - n, "c%d\n", i);
    put("l", text, n);
    assert_int_equal(kf_labels_load(in("l"), &l, &err), KF_OK);
    assert_int_equal(l.n, 1001);
    assert_string_equal(l.items[1000], "c999");
    kf_labels_free(&l);
    drop("l");
}

/* ---- labelled pictures ------------------------------------------------------------------------------------------- */

static kf_dataset *open_data(const char *list, size_t limit, kf_status want) {
    kf_dataset_options o;
    kf_dataset *d;
    kf_error err;
    char list_path[1024];
    kf_dataset_options_init(&o);
    if (list) snprintf(list_path, sizeof list_path, "%s/%s", root, list), o.list = list_path;
    o.limit = limit, o.notice = hear, o.user = &notices;
    notices = 0;
    kf_status st = kf_dataset_open(in("d"), &o, &d, &err);
    assert_int_equal(st, want);
    assert_true((d != NULL) == (want == KF_OK));
    return d;
}

static void expect(const kf_dataset *d, size_t i, const char *name, int64_t truth) {
    kf_dataset_item it;
    kf_error err;
    assert_int_equal(kf_dataset_get(d, i, &it, &err), KF_OK);
    assert_string_equal(it.name, name);
    assert_int_equal(it.truth, truth);
    assert_int_equal(kf_dataset_class_of(d, it.path), truth);
}

static void folders(void **state) {
    (void)state;
    kf_dataset_item it;
    kf_error err;
    static const char *const MADE[] = {"d", "d/bee", "d/ant", "d/cat"};
    for (int i = 0; i < 4; i++) assert_int_equal(mkdir(in(MADE[i]), 0700), 0);
    put_text("d/bee/1.png", ""), put_text("d/bee/2.png", ""), put_text("d/ant/9.png", "");
    put_text("d/bee/3.png", "");
    kf_dataset *d = open_data(NULL, 0, KF_OK);
    assert_true(kf_dataset_count(d) == 4 && kf_dataset_folders(d) == 3);
    expect(d, 0, "ant/9.png", 0), expect(d, 1, "bee/1.png", 1), expect(d, 2, "bee/2.png", 1);
    assert_int_equal(kf_dataset_get(d, 4, &it, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_dataset_class_of(d, "bee/1.png"), -1);
    kf_dataset_destroy(&d);
    assert_null(d);
    d = open_data(NULL, 2, KF_OK); /* spread: 0 and 4 / 2 */
    assert_int_equal(kf_dataset_count(d), 2);
    expect(d, 0, "ant/9.png", 0), expect(d, 1, "bee/2.png", 1);
    kf_dataset_destroy(&d);
    put_text("list", "bee/2.png\nant/9.png,7\n");
    d = open_data("list", 0, KF_OK);
    assert_int_equal(kf_dataset_count(d), 2);
    expect(d, 0, "bee/2.png", 1), expect(d, 1, "ant/9.png", 7);
    kf_dataset_destroy(&d);
    put_text("list", "bee/2.png\nwasp/2.png\n");
    open_data("list", 0, KF_ERR_FORMAT);
    assert_true(notices == 1 && strstr(said, ":2:"));
    drop("list"), drop("d/bee/1.png"), drop("d/bee/2.png"), drop("d/bee/3.png"), drop("d/ant/9.png");
    for (int i = 3; i >= 0; i--) drop(MADE[i]);
}

static void csv(void **state) {
    (void)state;
    assert_int_equal(mkdir(in("d"), 0700), 0);
    put_text("d/labels.csv", "\xef\xbb\xbf"
                             "file,class_index\n\"a \"\"b\"\", c.jpg\",6,more\n/abs.png,4294967297\n");
    kf_dataset *d = open_data(NULL, 0, KF_OK);
    kf_dataset_item it;
    assert_true(kf_dataset_count(d) == 2 && kf_dataset_folders(d) == 0);
    expect(d, 0, "a \"b\", c.jpg", 6), expect(d, 1, "/abs.png", 4294967297);
    assert_int_equal(kf_dataset_get(d, 1, &it, NULL), KF_OK);
    assert_string_equal(it.path, "/abs.png");
    kf_dataset_destroy(&d);
    char text[400] = "file,class_index\n";
    for (int i = 0; i < 20; i++) strcat(text, "a.png,six\n");
    put_text("d/labels.csv", text);
    open_data(NULL, 0, KF_ERR_FORMAT);
    assert_int_equal(notices, 10); /* the rest is counted in the error */
    drop("d/labels.csv"), drop("d");
    open_data(NULL, 0, KF_ERR_IO);
}

/* The structure of an older caller, of a newer one, and an uninitialised one. */
static void sizes(void **state) {
    (void)state;
    struct {
        kf_dataset_options o;
        int64_t more;
    } o = {.more = 0};
    kf_dataset *d;
    kf_error err;
    assert_int_equal(mkdir(in("d"), 0700), 0);
    kf_dataset_options_init(&o.o);
    o.o.size = sizeof o;
    assert_int_equal(kf_dataset_open(in("d"), &o.o, &d, &err), KF_OK);
    kf_dataset_destroy(&d);
    o.more = 1;
    assert_int_equal(kf_dataset_open(in("d"), &o.o, &d, &err), KF_ERR_ARGUMENT);
    o.o.list = "/nowhere", o.o.size = sizeof o.o.size; /* shorter: the list is not read */
    assert_int_equal(kf_dataset_open(in("d"), &o.o, &d, &err), KF_OK);
    kf_dataset_destroy(&d);
    o.o.size = 0;
    assert_int_equal(kf_dataset_open(in("d"), &o.o, &d, &err), KF_ERR_ARGUMENT);
    assert_null(d);
    drop("d");
}

/* ---- numbers in files -------------------------------------------------------------------------------------------- */

/* What numpy.save writes for numpy.array([[1, 2, 3], [4, 5, 6]], "f4"). */
static const char NUMPY[] = "\x93NUMPY\1\0\x76\0{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";

static void npy(void **state) {
    (void)state;
    unsigned char file[128 + 24];
    float x[6] = {1, 2, 3, 4, 5, 6};
    kf_tensor t, back;
    kf_error err;
    memset(file, ' ', 128);
    memcpy(file, NUMPY, sizeof NUMPY - 1);
    file[127] = '\n';
    memcpy(file + 128, x, sizeof x);
    put("x.npy", file, sizeof file);
    assert_int_equal(kf_npy_read(in("x.npy"), &t, &err), KF_OK);
    assert_true(t.rank == 2 && t.shape[0] == 2 && t.shape[1] == 3 && t.bytes == sizeof x && t.dtype == KF_F32);
    assert_memory_equal(t.data, x, sizeof x);
    assert_int_equal(kf_npy_write(in("y.npy"), &t, &err), KF_OK);
    assert_int_equal(kf_npy_read(in("y.npy"), &back, &err), KF_OK);
    assert_true(back.rank == 2 && back.shape[0] == 2 && back.shape[1] == 3 && back.bytes == sizeof x);
    assert_memory_equal(back.data, x, sizeof x);
    free(back.data);
    t.dtype = KF_U8, t.shape[1] = 12;
    assert_int_equal(kf_npy_write(in("y.npy"), &t, &err), KF_OK);
    assert_int_equal(kf_npy_read(in("y.npy"), &back, &err), KF_OK);
    assert_true(back.dtype == KF_U8 && back.rank == 2 && back.shape[1] == 12 && back.bytes == sizeof x);
    assert_memory_equal(back.data, x, sizeof x);
    free(back.data);
    t.dtype = KF_I32; /* 24 extents of 4 bytes, in 24 bytes */
    assert_int_equal(kf_npy_write(in("y.npy"), &t, &err), KF_ERR_ARGUMENT);
    t.shape[1] = 3;
    assert_int_equal(kf_npy_write(in("y.npy"), &t, &err), KF_OK);
    t.dtype = KF_DTYPE_NONE;
    assert_int_equal(kf_npy_write(in("y.npy"), &t, &err), KF_ERR_ARGUMENT);
    free(t.data);
    put("x.npy", file, sizeof file - 1);
    assert_int_equal(kf_npy_read(in("x.npy"), &t, &err), KF_ERR_FORMAT);
    assert_null(t.data);
    drop("x.npy"), drop("y.npy");
}

static int stop_at_once(void *user, size_t done, size_t total) {
    ++*(int *)user;
    return done == 1 && total == 2;
}

static void samples(void **state) {
    (void)state;
    kf_samples s;
    kf_error err;
    kf_preprocess how;
    kf_preprocess_init(&how);
    how.width = how.height = 2, how.crop_pct = 1;
    assert_int_equal(mkdir(in("s"), 0700), 0);
    assert_int_equal(kf_samples_find(in("s"), NULL, 0, &s, &err), KF_ERR_IO);
    assert_int_equal(mkdir(in("s/deep"), 0700), 0);
    static const unsigned char RGB[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    char ppm[32] = "P6\n2 2\n255\n";
    memcpy(ppm + 11, RGB, sizeof RGB);
    static const char *const NAMES[] = {"s/a.ppm", "s/b.ppm", "s/deep/c.ppm", "s/z.ppm"};
    for (int i = 0; i < 4; i++) put(NAMES[i], ppm, 11 + sizeof RGB);
    put_text("s/notes.txt", "no picture");
    assert_int_equal(kf_samples_find(in("s"), NULL, 2, &s, &err), KF_OK);
    assert_int_equal(s.n, 2);
    assert_true(strstr(s.paths[0], "/a.ppm") && strstr(s.paths[1], "/deep/c.ppm"));
    how.color = KF_COLOR_BGR;
    assert_int_equal(kf_samples_load(&s, &how, NULL, NULL, &err), KF_OK);
    assert_true(s.tensors[1].dtype == KF_U8 && s.tensors[1].rank == 3 && s.tensors[1].bytes == sizeof RGB);
    assert_memory_equal(s.tensors[1].data, RGB, sizeof RGB); /* whatever colours the network wants */
    assert_string_equal(s.tensors[1].name, s.paths[1]);
    kf_samples_free(&s);
    assert_int_equal(kf_samples_find(in("s"), NULL, 2, &s, &err), KF_OK);
    int calls = 0;
    assert_int_equal(kf_samples_load(&s, &how, stop_at_once, &calls, &err), KF_ERR_CANCELLED);
    assert_true(calls == 1 && strstr(err.text, s.paths[0]));
    kf_samples_free(&s);
    assert_int_equal(kf_samples_find(in("s"), NULL, 2, &s, &err), KF_OK);
    how.crop_pct = 1e-300; /* the picture would have endless sides */
    assert_int_equal(kf_samples_load(&s, &how, NULL, NULL, &err), KF_ERR_LIMIT);
    assert_non_null(strstr(err.text, s.paths[0]));
    how.crop_pct = 1;
    kf_samples_free(&s);
    assert_int_equal(kf_samples_find(in("s"), NULL, 0, &s, &err), KF_OK);
    how.valid = 0;
    assert_int_equal(kf_samples_load(&s, &how, NULL, NULL, &err), KF_ERR_ARGUMENT);
    kf_samples_free(&s);
    for (int i = 0; i < 4; i++) drop(NAMES[i]);
    drop("s/notes.txt"), drop("s/deep"), drop("s");
}

static void raw(void **state) {
    (void)state;
    const kf_tensor input = {.dtype = KF_F32, .rank = 4, .shape = {1, 3, 2, 2}};
    kf_raw_form form = {.type = KF_U8, .input = &input, .normalize = 1, .mean = {1, 2, 3}, .scale = {1, 0.5, 2}};
    static const uint8_t CHW[] = {10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120};
    kf_samples s;
    kf_error err;
    assert_int_equal(mkdir(in("r"), 0700), 0);
    put("r/a.bin", CHW, sizeof CHW);
    assert_int_equal(kf_samples_load_raw(in("r"), 0, &form, &s, &err), KF_OK);
    const float *x = s.tensors[0].data;
    assert_true(s.n == 1 && x[0] == 9 && x[4] == 24 && x[11] == 234);
    kf_samples_free(&s);
    form.normalize = 0, form.pixels = 1;
    assert_int_equal(kf_samples_load_raw(in("r"), 0, &form, &s, &err), KF_OK);
    const uint8_t *rgb = s.tensors[0].data;
    assert_true(rgb[0] == 10 && rgb[1] == 50 && rgb[2] == 90 && rgb[3] == 20);
    kf_samples_free(&s);
    form.bgr = 1;
    assert_int_equal(kf_samples_load_raw(in("r"), 0, &form, &s, &err), KF_OK);
    rgb = s.tensors[0].data;
    assert_true(rgb[0] == 90 && rgb[1] == 50 && rgb[2] == 10 && rgb[3] == 100);
    kf_samples_free(&s);
    form.type = KF_F32;
    assert_int_equal(kf_samples_load_raw(in("r"), 0, &form, &s, &err), KF_ERR_FORMAT);
    assert_true(strstr(err.text, "a.bin") && strstr(err.text, "uint8") && !s.paths && !s.tensors);
    drop("r/a.bin"), drop("r");
}

static int make_root(void **state) {
    (void)state;
    return temporary_folder(root, sizeof root, "test-lab") ? 0 : -1;
}

static int remove_root(void **state) {
    (void)state;
    return rmdir(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels),  cmocka_unit_test(first_index), cmocka_unit_test(thousand),
        cmocka_unit_test(folders), cmocka_unit_test(csv),         cmocka_unit_test(sizes),
        cmocka_unit_test(npy),     cmocka_unit_test(samples),     cmocka_unit_test(raw)};
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
