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
    jmp_buf jump;
    char text[JMSG_LENGTH_MAX];
} failure;

static void on_error(j_common_ptr c) {
    failure *f = (failure *)c->err;
    c->err->format_message(c, f->text);
    longjmp(f->jump, 1);
}

/* Pixels that are missing because the file ends are an error, as in Pillow; other warnings (stray bytes, a damaged block) still
 * give a picture there and here. */
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

static int orientation_of(j_decompress_ptr c) {
    for (jpeg_saved_marker_ptr m = c->marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length >= 6 && memcmp(m->data, "Exif\0\0", 6) == 0) return kf__codec_exif_orientation(m->data, m->data_length);
    return 1;
}

/* Everything that may longjmp happens here; `line` and `out` live in the caller. */
static kf_status decode(j_decompress_ptr c, const uint8_t *data, size_t bytes, const kf_image_options *o, uint8_t **line, int *orientation, kf_image *out,
                        kf_error *err) {
    jpeg_mem_src(c, data, (unsigned long)bytes);
    jpeg_save_markers(c, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(c, TRUE);
    kf_status st = kf__codec_limits(c->image_width, c->image_height, o, err);
    if (st != KF_OK) return st;
    int four = c->jpeg_color_space == JCS_CMYK || c->jpeg_color_space == JCS_YCCK;
    c->out_color_space = four ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(c);
    st = kf_image_create((int32_t)c->output_width, (int32_t)c->output_height, out, err);
    if (st != KF_OK) return st;
    if (four && !(*line = malloc((size_t)c->output_width * 4))) return kf__codec_fail(err, KF_ERR_MEMORY, "out of memory");
    while (c->output_scanline < c->output_height) {
        uint8_t *to = out->pixels + (size_t)c->output_scanline * out->stride, *row = four ? *line : to;
        jpeg_read_scanlines(c, &row, 1);
        if (four) cmyk_to_rgb(*line, to, c->output_width, c->saw_Adobe_marker);
    }
    *orientation = o->no_exif ? 1 : orientation_of(c);
    jpeg_finish_decompress(c);
    return KF_OK;
}

kf_status kf__codec_jpeg(const uint8_t *data, size_t bytes, const kf_image_options *o, kf_image *out, kf_error *err) {
    struct jpeg_decompress_struct c;
    failure f;
    uint8_t *volatile line = NULL;
    volatile int orientation = 1; /* both change between setjmp and longjmp */
    memset(&c, 0, sizeof c);
    c.err = jpeg_std_error(&f.mgr);
    f.mgr.error_exit = on_error;
    f.mgr.emit_message = on_message;
    f.mgr.output_message = quiet;
    jpeg_create_decompress(&c);
    kf_status st;
    if (setjmp(f.jump)) st = kf__codec_fail(err, KF_ERR_FORMAT, "JPEG cannot be decoded; %s; the file may be truncated", f.text);
    else st = decode(&c, data, bytes, o, (uint8_t **)&line, (int *)&orientation, out, err);
    jpeg_destroy_decompress(&c);
    free(line);
    if (st == KF_OK) st = kf__codec_orient(out, orientation, err);
    if (st != KF_OK) kf_image_free(out);
    return st;
}
