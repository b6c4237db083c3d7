/* kf_graph_change_picture: members of the preprocessing that a person gives, over those that the model states.
 * Owner rule: keeps nothing. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kitfox/lab.h"

static bool gives(uint32_t fields, const char *key) {
    const kf_field *f;
    for (int32_t k = 0; (f = kf_preprocess_field(k)) != NULL; k++)
        if (strcmp(f->key, key) == 0) return fields >> k & 1;
    return false;
}

/* What is changed: the model's own, or the defaults for grey pictures. */
static kf_status picture_of(const kf_graph_info *info, const kf_preprocess *given, uint32_t fields, kf_preprocess *p,
                            kf_error *err) {
    *p = info->preprocess;
    if (p->valid) return KF_OK;
    if (!gives(fields, "color") || given->color != KF_COLOR_GRAY)
        KF_FAIL(err, KF_ERR_ARGUMENT,
                "its input is not a picture of three channels; options of pictures do not apply; if it is grey, give "
                "--color gray too");
    if (!gives(fields, "mean") || !gives(fields, "std"))
        KF_FAIL(err, KF_ERR_ARGUMENT, "--color gray needs --mean and --std; nothing else knows them");
    kf_preprocess_init(p);
    return KF_OK;
}

/* crop_pct for a short side of `resize` pixels. What reads it divides and rounds down, so the quotient must not come
 * out below. */
static void set_short_side(kf_preprocess *p, int64_t width, int32_t resize) {
    p->crop_pct = (double)width / resize;
    while (floor((double)width / p->crop_pct) < resize) p->crop_pct = nextafter(p->crop_pct, 0);
    p->crop = KF_CROP_CENTER;
}

static kf_status check_resize(int32_t resize, int64_t width, int64_t height, kf_error *err) {
    int64_t side = width < height ? width : height;
    if (resize < side)
        KF_FAIL(err, KF_ERR_ARGUMENT, "--resize %d: less than the input's side of %lld pixels", resize,
                (long long)side);
    if (width == height) return KF_OK;
    KF_FAIL(
        err, KF_ERR_ARGUMENT,
        "--resize %d: the input is %lld x %lld pixels, and a short side is enough for a square alone; say --crop-pct "
        "%.4g for pictures that cover %lld x %lld, of which the middle is taken, or --crop-mode squash, border or "
        "fit-pad",
        resize, (long long)width, (long long)height, (double)side / resize, (long long)(width * resize / side),
        (long long)(height * resize / side));
}

kf_status kf_graph_change_picture(kf_graph *graph, const kf_preprocess *given, uint32_t fields, int32_t resize,
                                  kf_error *err) {
    kf_graph_info info = {.size = sizeof info};
    kf_tensor in;
    kf_preprocess p;
    if (!graph || !given || resize < 0)
        KF_FAIL(err, KF_ERR_ARGUMENT, "kf_graph_change_picture: graph, given, and resize of 0 or more are needed");
    KF_TRY(kf_graph_get_info(graph, &info, err));
    KF_TRY(kf_graph_input(graph, 0, &in, err));
    KF_TRY(picture_of(&info, given, fields, &p, err));
    const bool nhwc = in.rank == 4 && in.shape[1] > 4 && in.shape[3] <= 4;
    const int high = nhwc ? 1 : 2;
    int64_t height = in.rank == 4 ? in.shape[high] : p.height;
    int64_t width = in.rank == 4 ? in.shape[high + 1] : p.width;
    if (resize) KF_TRY(check_resize(resize, width, height, err));
    if (resize) set_short_side(&p, width, resize);
    kf_preprocess_copy(&p, given, fields);
    return kf_graph_set_preprocess(graph, &p, err);
}
