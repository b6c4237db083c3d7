/* The tables: rows of every variant, and the list of names.
 * Sources: Howard et al., "Searching for MobileNetV3" (arXiv 1905.02244), tables 1 and 2; the differences of timm's and
 * torchvision's variants from those are marked at their row. Published top-1: the results tables of those libraries.
 * Owner rule: static data. */
#include "zoo/zoo.h"

#define DS KF_ZOO_SEPARABLE
#define IR KF_ZOO_BOTTLENECK
#define CN KF_ZOO_CONV
#define SE true
#define __ false
#define RE true
#define HS false

/* Tables have one row per line. */
/* clang-format off */
/*   stage, repeats, kind, kernel, stride, expansion, out, squeeze, nonlinearity */
static const kf__zoo_row LARGE[] = {
    {0, 1, DS, 3, 1, 1, 16, __, RE},    /* 112 x 112 */
    {1, 1, IR, 3, 2, 4, 24, __, RE},    /* to 56 x 56 */
    {1, 1, IR, 3, 1, 3, 24, __, RE},
    {2, 3, IR, 5, 2, 3, 40, SE, RE},    /* to 28 x 28 */
    {3, 1, IR, 3, 2, 6, 80, __, HS},    /* to 14 x 14 */
    {3, 1, IR, 3, 1, 2.5, 80, __, HS},
    {3, 2, IR, 3, 1, 2.3, 80, __, HS},
    {4, 2, IR, 3, 1, 6, 112, SE, HS},
    {5, 3, IR, 5, 2, 6, 160, SE, HS},   /* to 7 x 7 */
    {6, 1, CN, 1, 1, 1, 960, __, HS},
};
static const kf__zoo_row SMALL[] = {
    {0, 1, DS, 3, 2, 1, 16, SE, RE},    /* to 56 x 56 */
    {1, 1, IR, 3, 2, 4.5, 24, __, RE}, /* to 28 x 28 */
    {1, 1, IR, 3, 1, 3.67, 24, __, RE},
    {2, 1, IR, 5, 2, 4, 40, SE, HS},    /* to 14 x 14 */
    {2, 2, IR, 5, 1, 6, 40, SE, HS},
    {3, 2, IR, 5, 1, 3, 48, SE, HS},
    {4, 3, IR, 5, 2, 6, 96, SE, HS},    /* to 7 x 7 */
    {5, 1, CN, 1, 1, 1, 576, __, HS},
};
/* Google's "minimalistic" variants: no squeeze-and-excite, no h-swish, no 5 x 5. */
static const kf__zoo_row LARGE_MINIMAL[] = {
    {0, 1, DS, 3, 1, 1, 16, __, RE},
    {1, 1, IR, 3, 2, 4, 24, __, RE},
    {1, 1, IR, 3, 1, 3, 24, __, RE},
    {2, 3, IR, 3, 2, 3, 40, __, RE},
    {3, 1, IR, 3, 2, 6, 80, __, RE},
    {3, 1, IR, 3, 1, 2.5, 80, __, RE},
    {3, 2, IR, 3, 1, 2.3, 80, __, RE},
    {4, 2, IR, 3, 1, 6, 112, __, RE},
    {5, 3, IR, 3, 2, 6, 160, __, RE},
    {6, 1, CN, 1, 1, 1, 960, __, RE},
};
static const kf__zoo_row SMALL_MINIMAL[] = {
    {0, 1, DS, 3, 2, 1, 16, __, RE},
    {1, 1, IR, 3, 2, 4.5, 24, __, RE},
    {1, 1, IR, 3, 1, 3.67, 24, __, RE},
    {2, 1, IR, 3, 2, 4, 40, __, RE},
    {2, 2, IR, 3, 1, 6, 40, __, RE},
    {3, 2, IR, 3, 1, 3, 48, __, RE},
    {4, 3, IR, 3, 2, 6, 96, __, RE},
    {5, 1, CN, 1, 1, 1, 576, __, RE},
};
/* clang-format on */

#define ROWS(table) .rows = (table), .n_rows = (int32_t)KF_COUNT(table)
#define TIMM .style = KF_ZOO_TIMM, .source = "timm"
#define TORCHVISION .style = KF_ZOO_TORCHVISION, .source = "torchvision"
#define TF .same_padding = true, .epsilon = 1e-3f

static const kf__zoo_arch ARCHS[] = {
    {"mobilenetv3_large_075", TIMM, ROWS(LARGE), .width = 0.75, .depth = 1, .features = 1280, .epsilon = 1e-5f,
     .size = 224},
    {"mobilenetv3_large_100", TIMM, ROWS(LARGE), .width = 1, .depth = 1, .features = 1280, .epsilon = 1e-5f,
     .size = 224, .top1 = 75.77f},
    {"mobilenetv3_large_150d", TIMM, ROWS(LARGE), .width = 1.5, .depth = 1.2, .features = 1280, .epsilon = 1e-5f,
     .size = 256},
    {"mobilenetv3_small_050", TIMM, ROWS(SMALL), .width = 0.5, .depth = 1, .features = 1024, .fixed_stem = true,
     .epsilon = 1e-5f, .size = 224, .top1 = 57.92f},
    {"mobilenetv3_small_075", TIMM, ROWS(SMALL), .width = 0.75, .depth = 1, .features = 1024, .epsilon = 1e-5f,
     .size = 224, .top1 = 65.25f},
    {"mobilenetv3_small_100", TIMM, ROWS(SMALL), .width = 1, .depth = 1, .features = 1024, .epsilon = 1e-5f,
     .size = 224, .top1 = 67.66f},
    {"mobilenetv3_rw", TIMM, ROWS(LARGE), .width = 1, .depth = 1, .features = 1280, .no_skip0 = true, .se_exact = true,
     .no_head_bias = true, .epsilon = 1e-3f, .size = 224, .top1 = 75.63f},
    {"tf_mobilenetv3_large_075", TIMM, ROWS(LARGE), .width = 0.75, .depth = 1, .features = 1280, TF, .size = 224,
     .top1 = 73.44f},
    {"tf_mobilenetv3_large_100", TIMM, ROWS(LARGE), .width = 1, .depth = 1, .features = 1280, TF, .size = 224,
     .top1 = 75.52f},
    {"tf_mobilenetv3_large_minimal_100", TIMM, ROWS(LARGE_MINIMAL), .width = 1, .depth = 1, .features = 1280,
     .minimal = true, TF, .size = 224, .top1 = 72.25f},
    {"tf_mobilenetv3_small_075", TIMM, ROWS(SMALL), .width = 0.75, .depth = 1, .features = 1024, TF, .size = 224,
     .top1 = 65.72f},
    {"tf_mobilenetv3_small_100", TIMM, ROWS(SMALL), .width = 1, .depth = 1, .features = 1024, TF, .size = 224,
     .top1 = 67.92f},
    {"tf_mobilenetv3_small_minimal_100", TIMM, ROWS(SMALL_MINIMAL), .width = 1, .depth = 1, .features = 1024,
     .minimal = true, TF, .size = 224, .top1 = 62.90f},
    {"mobilenet_v3_large", TORCHVISION, ROWS(LARGE), .width = 1, .depth = 1, .features = 1280, .epsilon = 1e-3f,
     .size = 224, .top1 = 74.04f},
    {"mobilenet_v3_small", TORCHVISION, ROWS(SMALL), .width = 1, .depth = 1, .features = 1024, .epsilon = 1e-3f,
     .size = 224, .top1 = 67.67f},
};

int32_t kf__zoo_count(void) { return (int32_t)KF_COUNT(ARCHS); }
const kf__zoo_arch *kf__zoo_at(int32_t index) { return index >= 0 && index < kf__zoo_count() ? &ARCHS[index] : NULL; }

const kf__zoo_arch *kf__zoo_find(const char *name) {
    for (size_t i = 0; i < KF_COUNT(ARCHS); i++)
        if (name && strcmp(ARCHS[i].name, name) == 0) return &ARCHS[i];
    return NULL;
}

int32_t kf__zoo_round_channels(double v) {
    int32_t n = (int32_t)kf__whole(v + 4, 0, 1 << 20, 0) / 8 * 8;
    if (n < 8) n = 8;
    return (double)n < 0.9 * v ? n + 8 : n;
}
