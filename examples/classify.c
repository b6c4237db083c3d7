/* Classify one picture with a compiled model: the whole runtime interface in one page.
 * Build: cc classify.c $(pkg-config --cflags --libs kitfoximg kitfox)
 * Run:   ./classify model.kfx picture.jpg */
#include <stdio.h>

#include "kitfox/kitfox.h"

int main(int argc, char **argv) {
    kf_error err = {KF_OK, ""};
    kf_model *model = NULL;
    kf_session *session = NULL;
    kf_image image = {0, 0, 0, NULL};
    kf_score top[3];
    size_t n = 0;

    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL.kfx PICTURE\n", argv[0]);
        return 2;
    }
    kf_status st = kf_model_load(argv[1], NULL, &model, &err);
    if (st == KF_OK) st = kf_session_create(model, NULL, &session, &err);
    if (st == KF_OK) st = kf_image_load(argv[2], NULL, &image, &err);
    if (st == KF_OK) st = kf_session_classify(session, &image, 3, top, &n, &err);
    if (st != KF_OK) fprintf(stderr, "%s\n", err.text);

    for (size_t i = 0; i < n; i++)
        printf("%.4f %d %s\n", (double)top[i].score, top[i].index, top[i].label ? top[i].label : "");

    kf_image_free(&image);
    kf_session_destroy(&session);
    kf_model_destroy(&model);
    return st == KF_OK ? 0 : 1;
}
