/* Quantize a float model on typical pictures, write it, and count where both forms give the same class.
 * Build: cc quantize.c $(pkg-config --cflags --libs kitfoximg kitfoxc)
 * Run:   ./quantize model.onnx int8.kfx picture... (50 to 200 of them; a .safetensors checkpoint is read too) */
#include <stdio.h>
#include <stdlib.h>

#include "kitfox/compile.h"

/* A sample is a picture of the network's size, in RGB: the library turns it to the network's colours. */
static kf_status make_sample(const char *path, const kf_preprocess *p, kf_tensor *out, kf_error *err) {
    kf_image whole = {0, 0, 0, NULL}, fit = {0, 0, 0, NULL};
    kf_status st = kf_image_load(path, NULL, &whole, err);
    if (st == KF_OK) st = kf_image_preprocess(&whole, p, &fit, err);
    kf_image_free(&whole);
    *out = (kf_tensor){NULL, KF_U8, 3, {p->height, p->width, 3}, fit.pixels, 3 * (size_t)p->width * (size_t)p->height};
    return st;
}

static kf_status best(kf_session *session, const char *path, int *class_index, kf_error *err) {
    kf_image image;
    kf_score top[1] = {{0}};
    size_t n;
    KF_TRY(kf_image_load(path, NULL, &image, err));
    kf_status st = kf_session_classify(session, &image, 1, top, &n, err);
    kf_image_free(&image);
    *class_index = top[0].index;
    return st;
}

int main(int argc, char **argv) {
    kf_error err = {KF_OK, ""};
    kf_graph *graph = NULL;
    kf_graph_info info = {.size = sizeof info};
    kf_model *model[2] = {NULL, NULL}; /* float, 8-bit */
    kf_session *session[2] = {NULL, NULL};
    int n = argc - 3, same = 0, a = 0, b = 0;
    kf_tensor *samples = n > 0 ? (kf_tensor *)calloc((size_t)n, sizeof *samples) : NULL;
    if (!samples) return fprintf(stderr, "usage: %s MODEL OUT.kfx PICTURE...\n", argv[0]), 2;
    kf_status st = kf_graph_import(argv[1], NULL, &graph, &err);
    if (st == KF_OK) st = kf_graph_get_info(graph, &info, &err);
    for (int i = 0; st == KF_OK && i < n; i++) st = make_sample(argv[3 + i], &info.preprocess, &samples[i], &err);
    if (st == KF_OK) st = kf_graph_compile(graph, NULL, &model[0], &err);
    if (st == KF_OK) st = kf_graph_quantize(graph, samples, (size_t)n, NULL, &err);
    if (st == KF_OK) st = kf_graph_save(graph, argv[2], &err);
    if (st == KF_OK) st = kf_model_load(argv[2], NULL, &model[1], &err);
    for (int k = 0; st == KF_OK && k < 2; k++) st = kf_session_create(model[k], NULL, &session[k], &err);
    for (int i = 0; st == KF_OK && i < n; i++, same += a == b) {
        st = best(session[0], argv[3 + i], &a, &err);
        if (st == KF_OK) st = best(session[1], argv[3 + i], &b, &err);
    }
    if (st == KF_OK) printf("%d of %d pictures keep their class\n", same, n);
    else fprintf(stderr, "%s\n", err.text);
    for (int k = 0; k < 2; k++) kf_session_destroy(&session[k]), kf_model_destroy(&model[k]);
    for (int i = 0; i < n; i++) free(samples[i].data);
    kf_graph_destroy(&graph);
    return free(samples), st == KF_OK ? 0 : 1;
}
