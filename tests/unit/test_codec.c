/* Decoders against Pillow: fixtures made by tools/make_fixtures.py, then damage of every kind. Reference: the .rgb
 * files hold what Pillow decodes.
 * Owner rule: each test frees its pictures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jpeglib.h>

#include "kitfox/codec.h"

static const char *source_root(void) {
    const char *s = getenv("KITFOX_SOURCE");
    return s ? s : ".";
}

static unsigned char *slurp(const char *name, size_t *n) {
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/data/pictures/%s", source_root(), name);
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s is missing", path);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    unsigned char *d = malloc(*n + 1);
    assert_int_equal(fread(d, 1, *n, f), *n);
    fclose(f);
    return d;
}

/* Decode `name` and compare with its .rgb file, allowing `tolerance` levels. */
static void expect_pixels(const char *name, int tolerance) {
    char rgb[256];
    size_t n, m;
    kf_image im;
    kf_error err = {0};
    snprintf(rgb, sizeof rgb, "%s.rgb", name);
    unsigned char *file = slurp(name, &n), *want = slurp(rgb, &m);
    if (kf_image_load_memory(file, n, NULL, &im, &err) != KF_OK) fail_msg("%s: %s", name, err.text);
    uint32_t w, h;
    memcpy(&w, want, 4);
    memcpy(&h, want + 4, 4);
    assert_int_equal(im.width, w);
    assert_int_equal(im.height, h);
    int worst = 0;
    for (size_t i = 0; i < (size_t)w * h * 3; i++) {
        int d = abs(im.pixels[i] - want[8 + i]);
        worst = d > worst ? d : worst;
    }
    if (worst > tolerance) fail_msg("%s differs from Pillow by %d levels", name, worst);
    kf_image_free(&im);
    free(file);
    free(want);
}

static void test_formats(void **state) {
    (void)state;
    const char *names[] = {"sub0.jpg",   "sub1.jpg",    "sub2.jpg", "progressive.jpg", "grey.jpg",
                           "rgb.png",    "palette.png", "grey.png", "rgba.png",        "lossless.webp",
                           "colour.ppm", "grey.pgm",    "one.png",  "maxval.ppm"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        expect_pixels(names[i], names[i][0] == 's' || strstr(names[i], ".jpg") ? 1 : 0);
    expect_pixels("lossy.webp", 2);
    expect_pixels("cmyk.jpg", 1);
    expect_pixels("grey16.png", 0); /* the upper byte; see src/codec/png.c for why not Pillow's clipping */
}

/* The kinds of BMP, the first frames of GIF and of animated WebP. */
static void test_more_formats(void **state) {
    (void)state;
    const char *names[] = {"rgb.bmp",    "palette.bmp",  "bits1.bmp", "bits4.bmp",   "short.bmp",  "core.bmp",
                           "bits16.bmp", "masks565.bmp", "down.bmp",  "bits32.bmp",  "rgba.bmp",   "abgr.bmp",
                           "rle8.bmp",   "rle4.bmp",     "plain.gif", "one.gif",     "long.gif",   "moving.gif",
                           "canvas.gif", "few.gif",      "grey.gif",  "moving.webp", "offset.webp"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) expect_pixels(names[i], 0);
    expect_pixels("moving_alpha.webp", 2);
}

/* Is there the library that decodes this picture? */
static bool is_loaded(const char *name) {
    size_t n;
    kf_image im;
    kf_error err = {0};
    unsigned char *file = slurp(name, &n);
    kf_status st = kf_image_load_memory(file, n, NULL, &im, &err);
    kf_image_free(&im);
    free(file);
    return st != KF_ERR_UNSUPPORTED || !strstr(err.text, "apt-get install");
}

static void test_tiff(void **state) {
    (void)state;
    const char *names[] = {"planar.tif",        "tile16.tif", "palette4.tif", "white2.tif",     "cmyk16.tif",
                           "premultiplied.tif", "extra.tif",  "big.tif",      "grey_alpha.tif", "bits1.tif",
                           "exif6.tif",         "lzw.tif",    "packed.tif",   "fax.tif",        "pages.tif"};
    if (!is_loaded("lzw.tif")) skip();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) expect_pixels(names[i], 0);
    expect_pixels("jpeg.tif", 1);
}

static void test_avif(void **state) {
    (void)state;
    const char *names[] = {"full444.avif", "wide422.avif", "small420.avif", "grey.avif",  "alpha.avif",
                           "moving.avif",  "exif2.avif",   "exif3.avif",    "exif4.avif", "exif5.avif",
                           "exif6.avif",   "exif7.avif",   "exif8.avif"};
    if (!is_loaded("grey.avif")) skip();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) expect_pixels(names[i], 1);
}

/* A file of the general brand that holds AVIF is decoded as AVIF. */
static void test_general_brand(void **state) {
    (void)state;
    size_t n;
    kf_image as_avif, as_heif;
    unsigned char *file = slurp("small420.avif", &n);
    if (!is_loaded("small420.avif")) {
        free(file);
        skip();
    }
    assert_int_equal(kf_image_load_memory(file, n, NULL, &as_avif, NULL), KF_OK);
    memcpy(file + 8, "mif1", 4);
    assert_string_equal(kf_image_format(file, 12), "HEIF");
    assert_int_equal(kf_image_load_memory(file, n, NULL, &as_heif, NULL), KF_OK);
    assert_memory_equal(as_avif.pixels, as_heif.pixels, as_avif.stride * (size_t)as_avif.height);
    kf_image_free(&as_avif);
    kf_image_free(&as_heif);
    free(file);
}

static void test_heic(void **state) {
    (void)state;
    if (!is_loaded("lossless.heic")) skip();
    expect_pixels("lossless.heic", 1);
}

/* A header that promises pixels which the file does not have is refused by its numbers, before anything is allocated.
 */
static void test_empty_promises(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t at, n; /* the little-endian member that becomes `value` */
        unsigned value;
        kf_status want;
    } CASES[] = {
        {"rgb.bmp", 18, 4, 9000, KF_ERR_FORMAT},
        {"rgb.bmp", 18, 4, 0x7fffffff, KF_ERR_LIMIT},
        {"rgb.bmp", 22, 4, 0x80000000, KF_ERR_LIMIT},
        {"rgb.bmp", 22, 4, 0, KF_ERR_FORMAT},
        {"rgb.bmp", 14, 4, 41, KF_ERR_UNSUPPORTED},
        {"rgb.bmp", 28, 2, 2, KF_ERR_UNSUPPORTED},
        {"rgb.bmp", 30, 4, 4, KF_ERR_UNSUPPORTED},
        {"rgb.bmp", 10, 4, 0xffffffff, KF_ERR_FORMAT},
        {"rle8.bmp", 28, 2, 4, KF_ERR_UNSUPPORTED},
        {"plain.gif", 6, 2, 65535, KF_ERR_LIMIT},
        {"canvas.gif", 6, 2, 0, KF_OK},
        {"moving.webp", 24, 3, 0xffffff, KF_ERR_LIMIT},
        {"offset.webp", 24, 4, 30, KF_ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        size_t n;
        kf_image im;
        kf_error err = {0};
        unsigned char *file = slurp(CASES[i].name, &n);
        memcpy(file + CASES[i].at, &CASES[i].value, CASES[i].n);
        kf_status st = kf_image_load_memory(file, n, NULL, &im, &err);
        if (st != CASES[i].want) fail_msg("%s, case %zu: %s", CASES[i].name, i, err.text);
        kf_image_free(&im);
        free(file);
    }
}

/* Damage that still gives a picture: Pillow decodes these two, and so do we. */
static void test_tolerated_damage(void **state) {
    (void)state;
    expect_pixels("stray.jpg", 1);
    expect_pixels("flipped.jpg", 1);
}

static void test_orientations(void **state) {
    (void)state;
    char name[32];
    for (int o = 0; o <= 8; o++) {
        snprintf(name, sizeof name, "exif%d.jpg", o);
        expect_pixels(name, 1);
    }
    expect_pixels("exifbad.jpg", 1);
    expect_pixels("exif6.webp", 0);
}

static void test_no_exif_keeps_the_sensor_view(void **state) {
    (void)state;
    size_t n;
    kf_image im;
    kf_image_options o;
    kf_image_options_init(&o);
    o.no_exif = 1;
    unsigned char *file = slurp("exif6.jpg", &n);
    assert_int_equal(kf_image_load_memory(file, n, &o, &im, NULL), KF_OK);
    assert_int_equal(im.width, 37);
    assert_int_equal(im.height, 23);
    kf_image_free(&im);
    free(file);
}

/* Every prefix is refused or decodes whole (a few trailing bytes may be optional); never a crash. */
static void test_truncation(void **state) {
    (void)state;
    const char *names[] = {"sub2.jpg",   "progressive.jpg", "rgba.png", "palette.png",   "lossless.webp",
                           "lossy.webp", "colour.ppm",      "cmyk.jpg", "rle8.bmp",      "rle4.bmp",
                           "short.bmp",  "plain.gif",       "lzw.tif",  "small420.avif", "lossless.heic"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        size_t n, accepted = 0;
        unsigned char *file = slurp(names[k], &n);
        for (size_t cut = 0; cut < n; cut++) {
            kf_image im;
            kf_error err = {0};
            unsigned char *exact = malloc(cut + 1); /* its own block, so that a sanitizer sees over-reads */
            memcpy(exact, file, cut);
            if (kf_image_load_memory(exact, cut, NULL, &im, &err) == KF_OK) accepted++;
            else assert_true(err.text[0] != '\0' && im.pixels == NULL);
            kf_image_free(&im);
            free(exact);
        }
        if (accepted > 16) fail_msg("%s: %zu truncated forms were accepted", names[k], accepted);
        free(file);
    }
}

static void test_limits(void **state) {
    (void)state;
    kf_image im;
    kf_error err = {0};
    const char huge[] = "P6 30000 30000 255\n";
    assert_int_equal(kf_image_load_memory(huge, sizeof huge - 1, NULL, &im, &err), KF_ERR_LIMIT);
    assert_non_null(strstr(err.text, "30000x30000"));
    assert_non_null(strstr(err.text, "16384 a side and 100000000"));
    assert_non_null(strstr(err.text, "--max-pixels"));
    assert_int_equal(kf_image_limit(900000000, &err), KF_OK); /* now the samples are missing */
    assert_int_equal(kf_image_load_memory(huge, sizeof huge - 1, NULL, &im, &err), KF_ERR_FORMAT);
    kf_image_options own;
    kf_image_options_init(&own);
    own.max_pixels = 1000;
    assert_int_equal(kf_image_load_memory(huge, sizeof huge - 1, &own, &im, &err), KF_ERR_LIMIT);
    assert_non_null(strstr(err.text, "and 1000 in all"));
    assert_int_equal(kf_image_limit(1000, &err), KF_OK);
    assert_int_equal(kf_image_load_memory("P6 1001 1 255\n", 14, NULL, &im, &err), KF_ERR_LIMIT);
    assert_int_equal(kf_image_limit(0, &err), KF_OK);
    assert_int_equal(kf_image_load_memory("P6 1001 1 255\n", 14, NULL, &im, &err), KF_ERR_FORMAT);
    assert_int_equal(kf_image_limit(-1, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_image_load_memory("", 0, NULL, &im, &err), KF_ERR_FORMAT);
    assert_int_equal(kf_image_load_memory("8BPS\0\1......", 12, NULL, &im, &err), KF_ERR_UNSUPPORTED);
    assert_int_equal(kf_image_load("/nonexistent/x.jpg", NULL, &im, &err), KF_ERR_IO);
    assert_int_equal(kf_image_load("/", NULL, &im, &err), KF_ERR_IO);
}

/* A grey progressive JPEG of 16 x 16 with one scan for each coefficient, `turns` bits of each. */
static void many_scans(int turns, unsigned char **data, unsigned long *bytes) {
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr e;
    jpeg_scan_info scans[1 + 63 * 4] = {{.comps_in_scan = 1}};
    int n = 1;
    for (int bit = turns - 1; bit >= 0; bit--)
        for (int k = 1; k < 64; k++)
            scans[n++] =
                (jpeg_scan_info){.comps_in_scan = 1, .Ss = k, .Se = k, .Ah = bit < turns - 1 ? bit + 1 : 0, .Al = bit};
    c.err = jpeg_std_error(&e);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, data, bytes);
    c.image_width = c.image_height = 16, c.input_components = 1, c.in_color_space = JCS_GRAYSCALE;
    jpeg_set_defaults(&c);
    c.scan_info = scans, c.num_scans = n;
    jpeg_start_compress(&c, TRUE);
    unsigned char row[16] = {0, 9, 200, 7, 90}, *rows[1] = {row};
    while (c.next_scanline < 16) jpeg_write_scanlines(&c, rows, 1);
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
}

/* Each scan costs time for every pixel, so their number is limited; what lies beyond is not read. */
static void test_scans(void **state) {
    (void)state;
    kf_image im;
    kf_error err = {0};
    kf_image_options o;
    unsigned char *data = NULL;
    unsigned long n = 0;
    kf_image_options_init(&o);
    many_scans(1, &data, &n); /* 64 of them */
    assert_int_equal(kf_image_load_memory(data, n, NULL, &im, &err), KF_OK);
    kf_image_free(&im);
    o.max_scans = 63;
    assert_int_equal(kf_image_load_memory(data, n, &o, &im, &err), KF_ERR_LIMIT);
    free(data);
    data = NULL, n = 0;
    many_scans(3, &data, &n); /* 190 */
    assert_int_equal(kf_image_load_memory(data, n, NULL, &im, &err), KF_ERR_LIMIT);
    assert_non_null(strstr(err.text, "101 scans"));
    assert_non_null(strstr(err.text, "at most 100"));
    assert_null(im.pixels);
    o.max_scans = 190;
    assert_int_equal(kf_image_load_memory(data, n, &o, &im, &err), KF_OK);
    kf_image_free(&im);
    free(data);
}

/* 1001 text chunks; each would be kept. */
static void test_chunks(void **state) {
    (void)state;
    static const unsigned char text[16] = {0, 0, 0, 4, 't', 'E', 'X', 't', 'a', 0, 'b', 'c', 0xb7, 0x6e, 0x7f, 0xe9};
    size_t n, header = 8 + 25, many = 1001;
    kf_image im;
    kf_error err = {0};
    unsigned char *file = slurp("rgb.png", &n), *full = malloc(n + sizeof text * many);
    memcpy(full, file, header);
    for (size_t i = 0; i < many; i++) memcpy(full + header + sizeof text * i, text, sizeof text);
    memcpy(full + header + sizeof text * many, file + header, n - header);
    assert_int_equal(kf_image_load_memory(full, n + sizeof text * many, NULL, &im, &err), KF_ERR_LIMIT);
    assert_non_null(strstr(err.text, "1000"));
    assert_null(im.pixels);
    free(full);
    free(file);
}

/* A quarter of a million empty EXIF markers before the right one: linear, or this takes minutes. */
static void test_many_markers(void **state) {
    (void)state;
    size_t n, many = 250000;
    kf_image im;
    kf_error err = {0};
    unsigned char *file = slurp("exif6.jpg", &n), *full = malloc(n + 4 * many);
    memcpy(full, file, 2);
    for (size_t i = 0; i < many; i++) memcpy(full + 2 + 4 * i, "\xff\xe1\0\2", 4);
    memcpy(full + 2 + 4 * many, file + 2, n - 2);
    alarm(120); /* ends the test by a signal */
    if (kf_image_load_memory(full, n + 4 * many, NULL, &im, &err) != KF_OK) fail_msg("%s", err.text);
    alarm(0);
    assert_int_equal(im.width, 23); /* turned upright */
    kf_image_free(&im);
    free(full);
    free(file);
}

/* Out and in again: smooth colours survive, odd sizes and strides too. */
static void test_encode(void **state) {
    (void)state;
    kf_image in, out;
    kf_error err = {0};
    void *data;
    size_t n;
    assert_int_equal(kf_image_create(37, 21, &in, NULL), KF_OK);
    for (int y = 0; y < 21; y++)
        for (int x = 0; x < 37; x++)
            for (int c = 0; c < 3; c++)
                in.pixels[(size_t)y * in.stride + 3 * (size_t)x + (size_t)c] = (uint8_t)(40 + 3 * x + c * 4 * y / 2);
    kf_image part = {.width = 30, .height = 20, .stride = in.stride, .pixels = in.pixels + 3};
    assert_int_equal(kf_image_encode_jpeg(&part, 95, &data, &n, &err), KF_OK);
    assert_int_equal(kf_image_load_memory(data, n, NULL, &out, &err), KF_OK);
    assert_true(out.width == 30 && out.height == 20);
    for (int y = 0; y < 20; y++)
        for (int x = 0; x < 90; x++)
            assert_true(abs(out.pixels[(size_t)y * out.stride + (size_t)x] -
                            part.pixels[(size_t)y * part.stride + (size_t)x]) < 12);
    kf_image_free(&out);
    free(data);
    assert_int_equal(kf_image_encode_jpeg(&in, 0, &data, &n, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_image_encode_jpeg(&in, 101, &data, &n, &err), KF_ERR_ARGUMENT);
    kf_image wide = {.width = 70000, .height = 1, .stride = 210000, .pixels = in.pixels};
    assert_int_equal(kf_image_encode_jpeg(&wide, 75, &data, &n, &err), KF_ERR_LIMIT);
    wide.stride = 3;
    assert_int_equal(kf_image_encode_jpeg(&wide, 75, &data, &n, &err), KF_ERR_ARGUMENT);
    kf_image_free(&in);
}

static void test_pnm_forms(void **state) {
    (void)state;
    kf_image im;
    const char plain[] = "P3 # comment\n2 1\n15\n15 0 7  0 15 0\n";
    assert_int_equal(kf_image_load_memory(plain, sizeof plain - 1, NULL, &im, NULL), KF_OK);
    assert_int_equal(im.pixels[0], 255);
    assert_int_equal(im.pixels[2], 119);
    kf_image_free(&im);
    const char wide[] = "P5 1 1 65535\n\x80\x00";
    assert_int_equal(kf_image_load_memory(wide, sizeof wide - 1, NULL, &im, NULL), KF_OK);
    assert_int_equal(im.pixels[0], 128);
    kf_image_free(&im);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),        cmocka_unit_test(test_more_formats),
        cmocka_unit_test(test_tiff),           cmocka_unit_test(test_avif),
        cmocka_unit_test(test_heic),           cmocka_unit_test(test_general_brand),
        cmocka_unit_test(test_empty_promises), cmocka_unit_test(test_tolerated_damage),
        cmocka_unit_test(test_orientations),   cmocka_unit_test(test_no_exif_keeps_the_sensor_view),
        cmocka_unit_test(test_truncation),     cmocka_unit_test(test_limits),
        cmocka_unit_test(test_pnm_forms),      cmocka_unit_test(test_encode),
        cmocka_unit_test(test_scans),          cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_many_markers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
