/* Classify camera frames: raw NV12 on standard input, one line a frame. Frames have even sides and no padding.
 * Build: cc stream.c $(pkg-config --cflags --libs kitfox)
 * Run:   ffmpeg -i video.mp4 -f rawvideo -pix_fmt nv12 - | ./stream model.kfx 1280 720 */
#include <stdio.h>
#include <stdlib.h>

#include "kitfox/kitfox.h"

/* The range of the values (full or limited) is what the model was made for. */
static kf_status classify_all(const kf_model *model, int width, int height, uint8_t *data, kf_error *err) {
    size_t luma = (size_t)width * (size_t)height, n = 0;
    kf_session *session = NULL;
    kf_model_info info = {.size = sizeof info};
    kf_score top[1];
    kf_model_get_info(model, &info);
    kf_nv12 frame = {width, height, data, data + luma, (size_t)width, (size_t)width, info.input_range};
    kf_status st = kf_session_create(model, NULL, &session, err);
    for (long i = 0; st == KF_OK && fread(data, 1, luma * 3 / 2, stdin) == luma * 3 / 2; i++) {
        st = kf_session_classify_nv12(session, &frame, 1, top, &n, err);
        if (st != KF_OK) break;
        printf("%ld %.4f %d %s\n", i, (double)top[0].score, top[0].index, top[0].label ? top[0].label : "");
        fflush(stdout);
    }
    kf_session_destroy(&session);
    return st;
}

int main(int argc, char **argv) {
    int width = argc == 4 ? atoi(argv[2]) : 0, height = argc == 4 ? atoi(argv[3]) : 0;
    kf_error err = {KF_OK, ""};
    kf_model *model = NULL;
    if (width < 2 || height < 2 || width > KF_IMAGE_MAX_SIDE || height > KF_IMAGE_MAX_SIDE) {
        fprintf(stderr, "usage: %s MODEL.kfx WIDTH HEIGHT < FRAMES\n", argv[0]);
        return 2;
    }
    uint8_t *data = (uint8_t *)malloc((size_t)width * (size_t)height * 3 / 2 + 1);
    kf_status st = data ? KF_OK : kf_error_set(&err, KF_ERR_MEMORY, "out of memory for a frame");
    if (st == KF_OK) st = kf_model_load(argv[1], NULL, &model, &err);
    if (st == KF_OK) st = classify_all(model, width, height, data, &err);
    if (st != KF_OK) fprintf(stderr, "%s\n", err.text);
    kf_model_destroy(&model);
    free(data);
    return st == KF_OK ? 0 : 1;
}
