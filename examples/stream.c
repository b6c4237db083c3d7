/* Classify camera frames: raw NV12 on standard input, one line a frame. Frames have even sides and no padding.
 * Build: cc stream.c $(pkg-config --cflags --libs kitfoxlab)
 * Run:   ffmpeg -i video.mp4 -f rawvideo -pix_fmt nv12 - | ./stream model.kfx 1280 720 */
#include <stdio.h>
#include <stdlib.h>

#include "kitfox/bench.h"

static int print(void *user, const kf_stream_frame *f) {
    (void)user;
    const kf_score *best = &f->top[0];
    printf("%lld %.4f %d %s\n", (long long)f->index, (double)best->score, best->index, best->label ? best->label : "");
    return fflush(stdout) != 0; /* another value than 0 ends the stream */
}

int main(int argc, char **argv) {
    kf_error err = {KF_OK, ""};
    kf_model *model = NULL;
    kf_stream_options options;
    kf_stream_options_init(&options); /* the range of the values, full or limited, is what the model was made for */
    if (argc != 4) return fprintf(stderr, "usage: %s MODEL.kfx WIDTH HEIGHT < FRAMES\n", argv[0]), 2;
    options.width = atoi(argv[2]), options.height = atoi(argv[3]);
    options.top = 1, options.frame = print;
    kf_status st = kf_model_load(argv[1], NULL, &model, &err);
    if (st == KF_OK) st = kf_stream(model, &options, NULL, &err);
    if (st != KF_OK) fprintf(stderr, "%s\n", err.text);
    kf_model_destroy(&model);
    return st == KF_OK ? 0 : 1;
}
