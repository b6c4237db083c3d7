/* Raw NV12 frames of a camera: is their luma in the range that the configuration names?
 * Owner rule: nothing is kept. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rdk/rdk.h"

static void count_luma(kf_rdk_luma *l, const unsigned char *data, size_t pixels) {
    for (size_t i = 0; i < pixels; i++) {
        if (data[i] < l->lo) l->lo = data[i];
        if (data[i] > l->hi) l->hi = data[i];
        l->outside += data[i] < 16 || data[i] > 235;
    }
    l->pixels += pixels;
    l->frames++;
}

static kf_status read_frames(FILE *f, const char *path, size_t w, size_t h, kf_rdk_luma *l, kf_error *err) {
    size_t bytes = w * h * 3 / 2, n = 0, got = 0;
    unsigned char *data = malloc(bytes);
    if (!data) KF_FAIL(err, KF_ERR_MEMORY, "%.600s: out of memory for a frame of %zu bytes", path, bytes);
    for (; (got = fread(data, 1, bytes, f)) == bytes; n++) count_luma(l, data, w * h);
    free(data);
    if (ferror(f)) KF_FAIL(err, KF_ERR_IO, "%.600s: cannot be read; %s", path, strerror(errno));
    if (got || !n)
        KF_FAIL(err, KF_ERR_FORMAT,
                "%.600s: %zu bytes; NV12 frames of %zux%zu have %zu each; check the file, or say --nv12 WxH", path,
                n * bytes + got, w, h, bytes);
    return KF_OK;
}

static kf_status read_file(const char *path, size_t w, size_t h, kf_rdk_luma *l, kf_error *err) {
    int fd;
    uint64_t bytes;
    if (strcmp(path, "-") == 0) return read_frames(stdin, path, w, h, l, err);
    KF_TRY(kf_file_open(path, &fd, &bytes, err));
    FILE *f = fdopen(fd, "rb");
    if (!f) {
        close(fd);
        KF_FAIL(err, KF_ERR_MEMORY, "%.600s: out of memory to read it", path);
    }
    kf_status st = read_frames(f, path, w, h, l, err);
    fclose(f);
    return st;
}

/* Why the frames do not have the range that the file states; NULL: they may have. A tenth of a percent of the pixels
 * may lie outside: noise of the camera. */
static const char *judge(const kf_rdk_luma *l, bool limited) {
    if (!limited && l->lo >= 16 && l->hi <= 235)
        return "like limited range, but the file says regular (full); set input_space_and_range: bt601_video, or check "
               "the camera";
    if (limited && l->outside * 1000 > l->pixels)
        return "like full range, but the file says bt601_video (limited); set input_space_and_range: regular, or check "
               "the camera";
    return NULL;
}

kf_status kf_rdk_check_frames(const kf_rdk_config *config, const char *const *paths, size_t n, int32_t width,
                              int32_t height, kf_rdk_luma *out, kf_error *err) {
    if (!config || !paths || !out || width < 2 || height < 2 || width % 2 || height % 2 || width > 65536 ||
        height > 65536)
        KF_FAIL(err, KF_ERR_ARGUMENT,
                "kf_rdk_check_frames: config, paths, out and even sides of 2 to 65536 are needed");
    if (config->runtime != KF_INPUT_NV12)
        KF_FAIL(err, KF_ERR_ARGUMENT, "%s: input_type_rt is not nv12; frames cannot be judged; remove --frames",
                kf_rdk_place(config, "input_type_rt"));
    kf_rdk_luma l = {.size = sizeof l};
    KF_TRY(kf_info_write(out, &l, "kf_rdk_luma", err));
    l.lo = 255;
    for (size_t i = 0; i < n; i++) KF_TRY(read_file(paths[i], (size_t)width, (size_t)height, &l, err));
    l.complaint = judge(&l, config->limited != 0);
    return kf_info_write(out, &l, "kf_rdk_luma", err);
}
