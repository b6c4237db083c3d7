/* Two models on the same pictures: what each answers, what the labels say, and how far their nodes are apart.
 * Owner rule: pair_run fills what pair_free releases; models, pictures and labels are borrowed. */
#ifndef KITFOX_PAIR_H
#define KITFOX_PAIR_H

#include "common/pictures.h"

/** One picture. Sides: 0 is A, the reference; 1 is B. */
typedef struct pair_answer {
    long truth;      /**< class, or -1 where no label is known */
    int32_t said[2]; /**< class with the largest output, ties to the lower index */
    bool top5[2];    /**< the truth is among the five largest */
    bool other5;     /**< A's class is among B's five largest */
    double sums[4];  /**< of the outputs: A's power, B's power, their product, power of the difference */
} pair_answer;

/** One node, by its name. */
typedef struct pair_node {
    const char *name;     /**< owned by its model */
    int32_t step[2];      /**< index in each model; -1: it is not there, or its output has another size there */
    kf_step_info info[2]; /**< of the sides that have it */
    double cosine, sqnr;  /**< of the outputs, both networks run from the picture; dB, INFINITY where they are equal.
                             NAN: in one only */
    double alone_cosine, alone_sqnr; /**< B's node on A's inputs; NAN where it was not measured */
    bool rescaled; /**< B keeps its channels in other scales than A (weights scaled across layers); compared in A's
                      units */
    double cost;   /**< dB, SQNR of A's output when this node alone is B's; INFINITY: no change; NAN: not measured */
} pair_node;

/** In: models to node_limit. Out: the rest. */
typedef struct pair {
    const kf_model *m[2];
    const pictures
        *p; /**< files, or tensors where they are loaded: u8 [H,W,3] in the models' colour order, or f32 as declared */
    const long *truth; /**< [p->n], -1 where unknown; NULL: no labels */
    int threads;       /**< 0: every core */
    size_t node_limit; /**< pictures for the nodes, spread evenly; 0: no nodes */
    bool costs;        /**< measure each node alone, and its cost */
    size_t classes;
    pair_answer *answers; /**< [p->n] */
    pair_node *nodes;     /**< A's in order, then those only in B */
    size_t n_nodes, node_images;
} pair;

/** The whole in numbers. Accuracies in percent of the labelled pictures; differences are B - A in points. */
typedef struct pair_summary {
    size_t images, labelled;
    size_t same, other5; /**< same top-1; A's top-1 among B's five */
    double cosine, sqnr; /**< of the outputs, all pictures together; sqnr INFINITY where they are equal */
    bool identical;
    double top1[2], top5[2];
    size_t lost, won;             /**< right to wrong, wrong to right */
    double p;                     /**< McNemar's, exact (paired.h) */
    double difference, low, high; /**< top-1, with its 95 % interval (paired.h) */
} pair_summary;

/** Run both models over all pictures. Results do not depend on `threads`. ARGUMENT: outputs of different sizes. Errors
 * name the picture: IO, FORMAT, LIMIT, UNSUPPORTED, MEMORY; pair_free is needed then too. */
kf_status pair_run(pair *w, kf_error *err);
void pair_free(pair *w);
pair_summary pair_summarize(const pair *w);
/** The summary's keys; those that need labels are null without. */
json_t *pair_summary_json(const pair_summary *s);
/** The same for people, some lines. */
void pair_summary_print(const pair_summary *s);

/** Labels for `p`, listed in folder `data`: its labels.csv; else its class folders, if every one of them is named like
 * a label of `m`, or there are as many as classes. *truth is NULL without labels; the caller frees it. Errors: IO,
 * FORMAT, ARGUMENT, MEMORY. */
kf_status pair_labels(const char *data, const pictures *p, const kf_model *m, long **truth, kf_error *err);

/** A number of the JSON objects: null where it is not finite. */
json_t *pair_real(double x);

/** pair_nodes.c: the part of pair_run that looks at nodes. */
kf_status pair_run_nodes(pair *w, kf_error *err);

/** One picture as both models take it. */
typedef struct pair_input {
    kf_image full;    /* a picture file */
    kf_tensor tensor; /* data: numbers, or pixels of the input's size */
    bool owned;       /* the tensor's data */
} pair_input;
kf_status pair_load(const pair *w, size_t i, pair_input *in, kf_error *err);
void pair_unload(pair_input *in);
/** Pixels in a network's order, [h, w, channels of `color`], as a picture that kf_image_free releases. SHAPE: other
 *  channels. */
kf_status pair_picture(const kf_tensor *t, kf_color color, kf_image *out, kf_error *err);
/** One side's outputs for it. */
kf_status pair_forward(const pair *w, int side, kf_session *s, const pair_input *in, float *to, kf_error *err);
/** Both sides' sessions of one thread each; destroyed by the caller also after failures. */
kf_status pair_sessions(const pair *w, kf_session **s, kf_error *err);
/** Run `one` for items 0 to n - 1 on some threads, each with its own sessions; stops at the first failure. */
kf_status pair_parallel(const pair *w, size_t n,
                        kf_status (*one)(void *ctx, size_t i, kf_session *const *s, kf_error *err), void *ctx,
                        const char *what, kf_error *err);

#endif
