/* The sweep over the calls of image.h: pixels, and the decoders of libkitfoximg.
 * Owner rule: see oom.h. */
#include "oom.h"

#include <stdio.h>
#include <stdlib.h>

static kf_status do_pixels(fixture *f, kf_error *err) {
    kf_image a = {0}, b = {0}, c = {0};
    unsigned char frame[8 * 8 * 3 / 2];
    kf_nv12 nv12 = {.width = 8, .height = 8, .y = frame, .uv = frame + 64, .stride_y = 8, .stride_uv = 8};
    kf_preprocess p;
    (void)f;
    kf_preprocess_init(&p);
    p.width = p.height = 6;
    kf_status st = kf_image_create(30, 20, &a, err);
    for (size_t i = 0; st == KF_OK && i < a.stride * 20; i++) a.pixels[i] = (uint8_t)i;
    if (st == KF_OK) st = kf_image_resize(&a, 8, 8, KF_FILTER_BICUBIC, NULL, &b, err);
    if (st == KF_OK) st = kf_image_to_nv12(&b, 0, frame, sizeof frame, err);
    if (st == KF_OK) st = kf_image_from_nv12(&nv12, &c, err);
    kf_image_free(&c);
    for (int crop = 0; st == KF_OK && crop < KF_CROP_COUNT; crop++) {
        p.crop = (kf_crop)crop;
        st = kf_image_preprocess(&a, &p, &c, err);
        kf_image_free(&c);
    }
    kf_image_free(&a);
    kf_image_free(&b);
    return st;
}

const oom_case oom_images[] = {{"pixels", do_pixels, OOM_ANY}, {0}};

#if KF_OOM_PROGRAM
static kf_status decode(fixture *f, const char *name, kf_error *err) {
    char path[1024];
    kf_image im = {0};
    kf_image_options o;
    kf_image_options_init(&o);
    snprintf(path, sizeof path, "%s/tests/data/pictures/%s", f->root, name);
    kf_status st = kf_image_load(path, &o, &im, err);
    if (st == KF_OK) st = kf_image_limit(0, err);
    if (!kf_image_has_suffix(name) || kf_image_format("GIF89a", 6) == NULL) abort(); /* these allocate nothing */
    kf_image_free(&im);
    return st;
}

static kf_status do_jpeg(fixture *f, kf_error *err) { return decode(f, "exif6.jpg", err); }
static kf_status do_progressive(fixture *f, kf_error *err) { return decode(f, "progressive.jpg", err); }
static kf_status do_cmyk(fixture *f, kf_error *err) { return decode(f, "cmyk.jpg", err); }
static kf_status do_png(fixture *f, kf_error *err) { return decode(f, "palette.png", err); }
static kf_status do_lossy(fixture *f, kf_error *err) { return decode(f, "lossy.webp", err); }
/* No lossless WebP, TIFF or AVIF: libwebp 1.2.4, libtiff 4.5.0 and libavif 0.11 crash where memory is refused. The
 * decoders ask for room beforehand (src/codec/webp.c, library.h). */
static kf_status do_bmp(fixture *f, kf_error *err) { return decode(f, "rle8.bmp", err); }
static kf_status do_gif(fixture *f, kf_error *err) { return decode(f, "moving.gif", err); }
static kf_status do_moving(fixture *f, kf_error *err) { return decode(f, "moving_alpha.webp", err); }
static kf_status do_pnm(fixture *f, kf_error *err) { return decode(f, "colour.ppm", err); }

static kf_status do_encode(fixture *f, kf_error *err) {
    static unsigned char pixels[40 * 30 * 3];
    kf_image im = {40, 30, 120, pixels}, back = {0};
    void *data = NULL;
    size_t n;
    (void)f;
    kf_status st = kf_image_encode_jpeg(&im, 80, &data, &n, err);
    if (st == KF_OK) st = kf_image_load_memory(data, n, NULL, &back, err);
    kf_image_free(&back);
    free(data);
    return st;
}

const oom_case oom_codecs[] = {{"JPEG", do_jpeg, OOM_OTHER},
                               {"progressive JPEG", do_progressive, OOM_OTHER},
                               {"CMYK JPEG", do_cmyk, OOM_OTHER},
                               {"PNG", do_png, OOM_OTHER},
                               {"lossy WebP", do_lossy, OOM_OTHER},
                               {"animated WebP", do_moving, OOM_OTHER},
                               {"BMP", do_bmp, OOM_OTHER},
                               {"GIF", do_gif, OOM_OTHER},
                               {"PPM", do_pnm, OOM_OTHER},
                               {"JPEG out and in", do_encode, OOM_OTHER},
                               {0}};
#else
const oom_case oom_codecs[] = {{0}};
#endif
