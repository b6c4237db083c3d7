/* One table per network, then the variants that scale it.
 * Floor 4. Source: arXiv 1905.02244 tables 1 and 2, with the ratios, names and constants of timm/models/mobilenetv3.py.
 * Owner rule: static data. */
#include "zoo/zoo.h"

/* stage, kernel, stride, squeeze-excite, h-swish, expansion, out */
static const kf__zoo_block LARGE[] = {
    {0, 3, 1, 0, 0, 1, 16},  {1, 3, 2, 0, 0, 4, 24},    {1, 3, 1, 0, 0, 3, 24},   {2, 5, 2, 1, 0, 3, 40},   {2, 5, 1, 1, 0, 3, 40},
    {2, 5, 1, 1, 0, 3, 40},  {3, 3, 2, 0, 1, 6, 80},    {3, 3, 1, 0, 1, 2.5, 80}, {3, 3, 1, 0, 1, 2.3, 80}, {3, 3, 1, 0, 1, 2.3, 80},
    {4, 3, 1, 1, 1, 6, 112}, {4, 3, 1, 1, 1, 6, 112},   {5, 5, 2, 1, 1, 6, 160},  {5, 5, 1, 1, 1, 6, 160},  {5, 5, 1, 1, 1, 6, 160},
    {6, 1, 1, 0, 1, 0, 960},
};
static const kf__zoo_block SMALL[] = {
    {0, 3, 2, 1, 0, 1, 16}, {1, 3, 2, 0, 0, 4.5, 24}, {1, 3, 1, 0, 0, 3.67, 24}, {2, 5, 2, 1, 1, 4, 40}, {2, 5, 1, 1, 1, 6, 40}, {2, 5, 1, 1, 1, 6, 40},
    {3, 5, 1, 1, 1, 3, 48}, {3, 5, 1, 1, 1, 3, 48},   {4, 5, 2, 1, 1, 6, 96},    {4, 5, 1, 1, 1, 6, 96}, {4, 5, 1, 1, 1, 6, 96}, {5, 1, 1, 0, 1, 0, 576},
};

/* The minimalistic forms use the same rows with kernel 3, no squeeze-and-excite and ReLU throughout. */
#define L LARGE, (int)KF_COUNT(LARGE)
#define S SMALL, (int)KF_COUNT(SMALL)
static const kf__zoo_variant VARIANTS[] = {
    {"mobilenetv3_large_075", L, 0.75, 1280, 1e-5f, false, false, false},
    {"mobilenetv3_large_100", L, 1.0, 1280, 1e-5f, false, false, false},
    {"mobilenetv3_small_050", S, 0.5, 1024, 1e-5f, false, false, false},
    {"mobilenetv3_small_075", S, 0.75, 1024, 1e-5f, false, false, false},
    {"mobilenetv3_small_100", S, 1.0, 1024, 1e-5f, false, false, false},
    {"mobilenetv3_rw", L, 1.0, 1280, 1e-3f, false, false, true},
    {"tf_mobilenetv3_large_075", L, 0.75, 1280, 1e-3f, true, false, false},
    {"tf_mobilenetv3_large_100", L, 1.0, 1280, 1e-3f, true, false, false},
    {"tf_mobilenetv3_large_minimal_100", L, 1.0, 1280, 1e-3f, true, true, false},
    {"tf_mobilenetv3_small_075", S, 0.75, 1024, 1e-3f, true, false, false},
    {"tf_mobilenetv3_small_100", S, 1.0, 1024, 1e-3f, true, false, false},
    {"tf_mobilenetv3_small_minimal_100", S, 1.0, 1024, 1e-3f, true, true, false},
};

const kf__zoo_variant *kf__zoo_at(size_t index) { return index < KF_COUNT(VARIANTS) ? &VARIANTS[index] : NULL; }
