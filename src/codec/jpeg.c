/* JPEG through libjpeg: any colour model to RGB8, truncated data refused.
 * Decoding settings are libjpeg's defaults (accurate DCT, smooth chroma), which is what Pillow uses.
 * Owner rule: the picture belongs to the caller; libjpeg's state dies with the call. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "codec/codec.h"

typedef struct failure {
    struct jpeg_error_mgr mgr;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    int max_scans;
    kf_status status;
    char text[JMSG_LENGTH_MAX];
} failure;

static void on_error(j_common_ptr c) {
    failure *f = (failure *)c->err;
    f->status = c->err->msg_code == JERR_OUT_OF_MEMORY ? KF_ERR_MEMORY : KF_ERR_FORMAT;
    c->err->format_message(c, f->text);
    longjmp(f->jump, 1);
}

/* Called at each step through the file, because a scan of a few bytes visits every block of the picture. */
static void on_progress(j_common_ptr c) {
    failure *f = (failure *)c->err;
    int scan = ((j_decompress_ptr)c)->input_scan_number;
    if (scan <= f->max_scans) return;
    f->status = KF_ERR_LIMIT;
    snprintf(f->text, sizeof f->text, "it has %d scans or more, at most %d are accepted", scan, f->max_scans);
    longjmp(f->jump, 1);
}

/* Pixels that are missing because the file ends are an error, as in Pillow; other warnings (stray bytes, a damaged
 * block) still give a picture there and here. */
static void on_message(j_common_ptr c, int level) {
    if (level < 0 && c->err->msg_code == JWRN_JPEG_EOF) on_error(c);
}

static void quiet(j_common_ptr c) { (void)c; }

static void cmyk_to_rgb(const uint8_t *from, uint8_t *to, size_t n, int inverted) {
    for (size_t i = 0; i < n; i++, from += 4, to += 3) {
        unsigned k = inverted ? from[3] : 255u - from[3];
        for (int c = 0; c < 3; c++) {
            unsigned v = inverted ? from[c] : 255u - from[c], p = v * k + 128;
            to[c] = (uint8_t)(((p >> 8) + p) >> 8); /* v * k / 255, rounded */
        }
    }
}

/* Orientation from the first EXIF block before the pixels. libjpeg is not used for it: it keeps markers in a list
 * that it walks for every new one. */
static int orientation_of(const uint8_t *p, size_t bytes) {
    for (size_t at = 2; at + 4 <= bytes;) {
        unsigned code = p[at + 1];
        if (p[at] != 0xff || code == 0xff || code <= 1 || (code >= 0xd0 && code <= 0xd7)) {
            at += p[at] == 0xff && code != 0xff ? 2 : 1; /* stray bytes, padding, markers without a length */
            continue;
        }
        size_t len = (size_t)p[at + 2] << 8 | p[at + 3];
        if (code == 0xda || code == 0xd9 || len < 2 || len > bytes - at - 2) break;
        if (code == 0xe1 && len >= 8 && memcmp(p + at + 4, "Exif\0\0", 6) == 0)
            return kf__codec_exif_orientation(p + at + 4, len - 2);
        at += 2 + len;
    }
    return 1;
}

/* Everything that may longjmp happens here; `line` and `out` live in the caller. */
static kf_status decode(j_decompress_ptr c, const uint8_t *data, size_t bytes, const kf_image_options *o,
                        uint8_t **line, int *orientation, kf_image *out, kf_error *err) {
    jpeg_mem_src(c, data, (unsigned long)bytes);
    jpeg_read_header(c, TRUE);
    kf_status st = kf__codec_limits(c->image_width, c->image_height, o, err);
    if (st != KF_OK) return st;
    int four = c->jpeg_color_space == JCS_CMYK || c->jpeg_color_space == JCS_YCCK;
    c->out_color_space = four ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(c);
    st = kf_image_create((int32_t)c->output_width, (int32_t)c->output_height, out, err);
    if (st != KF_OK) return st;
    if (four && !(*line = malloc((size_t)c->output_width * 4)))
        return kf__codec_fail(err, KF_ERR_MEMORY, "out of memory");
    while (c->output_scanline < c->output_height) {
        uint8_t *to = out->pixels + (size_t)c->output_scanline * out->stride, *row = four ? *line : to;
        jpeg_read_scanlines(c, &row, 1);
        if (four) cmyk_to_rgb(*line, to, c->output_width, c->saw_Adobe_marker);
    }
    *orientation = o->no_exif ? 1 : orientation_of(data, bytes);
    jpeg_finish_decompress(c);
    return KF_OK;
}

kf_status kf__codec_jpeg(const uint8_t *data, size_t bytes, const kf_image_options *o, kf_image *out, kf_error *err) {
    struct jpeg_decompress_struct c;
    failure f;
    uint8_t *volatile line = NULL;
    volatile int orientation = 1; /* both change between setjmp and longjmp */
    memset(&c, 0, sizeof c);
    f.max_scans = o->max_scans;
    f.progress.progress_monitor = on_progress;
    c.err = jpeg_std_error(&f.mgr);
    f.mgr.error_exit = on_error;
    f.mgr.emit_message = on_message;
    f.mgr.output_message = quiet;
    kf_status st;
    if (setjmp(f.jump)) {
        static const char *const HINT[] = {[KF_ERR_FORMAT] = "the file may be truncated",
                                           [KF_ERR_MEMORY] = "close other programs",
                                           [KF_ERR_LIMIT] = "save it again, or raise kf_image_options.max_scans"};
        st = kf__codec_fail(err, f.status, "JPEG cannot be decoded; %s; %s", f.text, HINT[f.status]);
    } else {
        jpeg_create_decompress(&c); /* may fail too */
        c.progress = &f.progress;
        st = decode(&c, data, bytes, o, (uint8_t **)&line, (int *)&orientation, out, err);
    }
    jpeg_destroy_decompress(&c);
    free(line);
    if (st == KF_OK) st = kf__codec_orient(out, orientation, err);
    if (st != KF_OK) kf_image_free(out);
    return st;
}
