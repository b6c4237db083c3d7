/* JPEG out: small pictures for pages.
 * libjpeg's defaults: baseline, chroma halved, its own tables.
 * Owner rule: the bytes belong to the caller; libjpeg's state dies with the call. */
#include <setjmp.h>
#include <stdbool.h>
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

/* What libjpeg writes to; it outlives a jump. */
typedef struct output {
    unsigned char *data;
    unsigned long bytes;
} output;

static void on_error(j_common_ptr c) {
    failure *f = (failure *)c->err;
    c->err->format_message(c, f->text);
    longjmp(f->jump, 1);
}

static void quiet(j_common_ptr c) { (void)c; }

static void encode(j_compress_ptr c, const kf_image *image, int quality, output *out) {
    jpeg_create_compress(c);
    jpeg_mem_dest(c, &out->data, &out->bytes);
    c->image_width = (JDIMENSION)image->width;
    c->image_height = (JDIMENSION)image->height;
    c->input_components = 3;
    c->in_color_space = JCS_RGB;
    jpeg_set_defaults(c);
    jpeg_set_quality(c, quality, TRUE);
    jpeg_start_compress(c, TRUE);
    while (c->next_scanline < c->image_height) {
        JSAMPROW row = image->pixels + (size_t)c->next_scanline * image->stride;
        jpeg_write_scanlines(c, &row, 1);
    }
    jpeg_finish_compress(c);
}

kf_status kf_image_encode_jpeg(const kf_image *image, int32_t quality, void **data, size_t *bytes, kf_error *err) {
    struct jpeg_compress_struct c;
    failure f;
    output out = {0};
    output *volatile kept = &out;
    if (!image || !image->pixels || !data || !bytes || image->width < 1 || image->height < 1 ||
        image->stride < 3 * (size_t)image->width || quality < 1 || quality > 100)
        return kf__codec_fail(err, KF_ERR_ARGUMENT,
                              "kf_image_encode_jpeg: pixels, data, bytes and a quality from 1 to 100 are needed");
    if (image->width > JPEG_MAX_DIMENSION || image->height > JPEG_MAX_DIMENSION)
        return kf__codec_fail(err, KF_ERR_LIMIT, "%dx%d pixels; a JPEG has at most %ld a side", image->width,
                              image->height, (long)JPEG_MAX_DIMENSION);
    memset(&c, 0, sizeof c);
    c.err = jpeg_std_error(&f.mgr);
    f.mgr.error_exit = on_error;
    f.mgr.output_message = quiet;
    bool failed = setjmp(f.jump) != 0;
    if (!failed) encode(&c, image, quality, kept);
    jpeg_destroy_compress(&c);
    if (failed) {
        free(kept->data);
        bool memory = f.mgr.msg_code == JERR_OUT_OF_MEMORY;
        return kf__codec_fail(err, memory ? KF_ERR_MEMORY : KF_ERR_INTERNAL, "JPEG cannot be encoded; %s", f.text);
    }
    *data = kept->data;
    *bytes = kept->bytes;
    return KF_OK;
}
