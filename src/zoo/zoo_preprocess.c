/* Evaluation preprocessing of the MobileNetV3 family by timm name.
 * Source: timm's pretrained_cfg of each checkpoint (timm/models/mobilenetv3.py).
 * Owner rule: static data. */
#include "base/base.h"
#include "kitfox/compile.h"
#include "preprocess/preprocess.h"

#define IMAGENET                                                                                                       \
    {0.485, 0.456, 0.406}, { 0.229, 0.224, 0.225 }
#define HALF                                                                                                           \
    {0.5, 0.5, 0.5}, { 0.5, 0.5, 0.5 }

static const struct {
    const char *name;
    kf_filter filter;
    double crop_pct, mean[3], std[3];
} TABLE[] = {
    {"mobilenetv3_large_075", KF_FILTER_BILINEAR, 0.875, IMAGENET}, /* the family's default entry */
    {"mobilenetv3_large_100", KF_FILTER_BICUBIC, 0.875, IMAGENET},  /* ra_in1k */
    {"mobilenetv3_large_150d", KF_FILTER_BILINEAR, 0.95, HALF},     /* ra4_e3600_r256_in1k */
    {"mobilenetv3_small_050", KF_FILTER_BICUBIC, 0.875, IMAGENET},  /* lamb_in1k */
    {"mobilenetv3_small_075", KF_FILTER_BICUBIC, 0.875, IMAGENET},
    {"mobilenetv3_small_100", KF_FILTER_BICUBIC, 0.875, IMAGENET},
    {"mobilenetv3_rw", KF_FILTER_BICUBIC, 0.875, IMAGENET}, /* rmsp_in1k */
    {"tf_mobilenetv3_large_075", KF_FILTER_BILINEAR, 0.875, HALF},
    {"tf_mobilenetv3_large_100", KF_FILTER_BILINEAR, 0.875, HALF},
    {"tf_mobilenetv3_large_minimal_100", KF_FILTER_BILINEAR, 0.875, HALF},
    {"tf_mobilenetv3_small_075", KF_FILTER_BILINEAR, 0.875, HALF},
    {"tf_mobilenetv3_small_100", KF_FILTER_BILINEAR, 0.875, HALF},
    {"tf_mobilenetv3_small_minimal_100", KF_FILTER_BILINEAR, 0.875, HALF},
    {"mobilenet_v3_large", KF_FILTER_BILINEAR, 0.875, IMAGENET}, /* torchvision */
    {"mobilenet_v3_small", KF_FILTER_BILINEAR, 0.875, IMAGENET},
    {"everyday10", KF_FILTER_BILINEAR, 1.0, IMAGENET},
};

kf_status kf_preprocess_by_name(const char *name, kf_preprocess *out, kf_error *err) {
    if (!name || !out) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_preprocess_by_name: name and out are needed");
    for (size_t i = 0; i < KF_COUNT(TABLE); i++) {
        if (strcmp(TABLE[i].name, name) != 0) continue;
        kf_preprocess_init(out);
        out->width = out->height = 224;
        out->crop_pct = TABLE[i].crop_pct;
        out->filter = TABLE[i].filter;
        memcpy(out->mean, TABLE[i].mean, sizeof out->mean);
        memcpy(out->std, TABLE[i].std, sizeof out->std);
        return KF_OK;
    }
    KF_FAIL(err, KF_ERR_ARGUMENT,
            "preprocessing \"%s\" is not known; timm's MobileNetV3 names are, such as timm:mobilenetv3_large_100",
            name);
}
