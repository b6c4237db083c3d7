/* What a network of the sweep can be: parameters, the values that each takes, and which of them go together.
 * A row has one value index for each parameter. network.c makes ONNX bytes of it.
 * Owner rule: values; the covering array belongs to its caller. */
#ifndef SWEEP_GEOMETRY_H
#define SWEEP_GEOMETRY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/base.h"

enum parameter {
    P_INPUT,
    P_BATCH,
    P_MAP,
    P_CIN,
    P_COUT,
    P_GROUP,
    P_KH,
    P_KW,
    P_SH,
    P_SW,
    P_DH,
    P_DW,
    P_TOP,
    P_LEFT,
    P_BOTTOM,
    P_RIGHT,
    P_BIAS,
    P_ACT,
    P_PAD_NODE,
    P_BLOCK,
    P_POOL,
    P_SECOND,
    P_ACT2,
    P_HEAD,
    P_QUANTIZER,
    P_THREADS,
    PARAMETERS
};
enum { INPUT_PIXELS, INPUT_FEATURES };
enum { GROUP_ONE, GROUP_SOME, GROUP_DEPTHWISE, GROUP_MULTIPLIER };
enum { BIAS_YES, BIAS_NO, BIAS_NORM };
enum { ACT_NONE, ACT_RELU, ACT_RELU6, ACT_HSWISH, ACT_HSIGMOID, ACT_CLIP, ACT_SIGMOID, ACT_SILU };
enum { BLOCK_NONE, BLOCK_GATE, BLOCK_RESIDUAL, BLOCK_BOTH, BLOCK_CONCAT, BLOCK_PRODUCT };
enum { POOL_NONE, POOL_MEAN, POOL_MEAN_PADDED, POOL_MEAN_CEIL, POOL_MAX, POOL_MAX_CEIL };
enum { SECOND_NONE, SECOND_POINTWISE, SECOND_SPATIAL, SECOND_DEPTHWISE, SECOND_GROUPED };
enum { HEAD_MAP, HEAD_POOLED, HEAD_FLAT, HEAD_CONV, HEAD_SOFTMAX };
/* The product's quantizer, and the plain one of the tests, which takes batches and every kind of mixture. */
enum { Q_EIGHT, Q_SIXTEEN_OUTPUTS, Q_SIXTEEN_NODES, Q_SIXTEEN_WEIGHTS, Q_PLAIN, Q_PLAIN_MIXED };

typedef struct net_row {
    uint8_t v[PARAMETERS];
} net_row;

/** The first layer in numbers. */
typedef struct first_layer {
    int n, h, w, cin, cout, group, kh, kw, sh, sw, dh, dw, pt, pl, pb, pr; /* pads of the convolution alone */
    int extra; /* pixels that a Pad node adds on every side before it */
    int oh, ow;
    int64_t macs; /* batch included */
} first_layer;

typedef struct covering {
    net_row *rows;
    int n;
    int pairs, impossible; /* pairs of values that some network can have, and those that none can */
    int missing;           /* of `pairs`: in no row */
} covering;

int values_of(int parameter);
/** "kh", and "5". Static storage. */
const char *name_of_parameter(int parameter);
const char *name_of_value(int parameter, int value);
/** The first layer of a row; false where its values do not go together. */
bool first_layer_of(const net_row *r, first_layer *to);
/** Every pair of values in at least one row, the same rows for the same seed. Free with covering_free. */
covering covering_make(uint64_t seed);
void covering_free(covering *c);
/** Row `index` of a sweep: of the covering array, then made up from seed and index. */
net_row row_at(const covering *c, uint64_t seed, int index);
/** Pairs of `c` that are in none of the rows for which `in` is true; the first of them into `text`. */
int pairs_missing(const covering *c, const net_row *rows, const bool *in, int n, char *text, size_t size);
void print_row(FILE *to, const net_row *r);

#endif
