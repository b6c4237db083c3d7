/* The workbench library (libkitfoxlab): data sets, evaluation, comparison, the RDK zoo's YAML, reports.
 * What the verbs of `kitfox` do, for C programs, servers and other languages. Nothing here prints or knows a terminal.
 * Owner rule: each declaration says who frees what. */
#ifndef KITFOX_LAB_H
#define KITFOX_LAB_H

#include "kitfox/compile.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- labels ------------------------------------------------------------------------------------------------------ */

/** Names of classes, class 0 first. */
typedef struct kf_labels {
    char **items; /**< [n], UTF-8 */
    int32_t n;
} kf_labels;

/** Read a label file of at most 8 MiB ("-" is standard input): one name a line, "7:name" or a table's "7,name" a line,
 *  a JSON list, or a JSON object from index to name (or to [id, name], as Keras has it). Indices begin at 0. The caller
 *  releases `out` with kf_labels_free; it is empty on failure. IO, LIMIT (size), FORMAT (no label list, not UTF-8,
 *  numbered from 1 or out of order), MEMORY. Thread safe. */
KF_API kf_status kf_labels_load(const char *path, kf_labels *out, kf_error *err);
/** Release and empty. NULL is accepted. */
KF_API void kf_labels_free(kf_labels *labels);
/** Make a list that was loaded fit the classes of the model, output 0. A list of one label more whose first line is a
 *  background class (background, dummy, none and the like, in any case) loses that line. A list of one label fewer gets
 *  it where class 0 of the model is a background class: its own labels say so, or the list is ImageNet's. `notice` (may
 *  be NULL) is told of both. NULL and an empty list fit every model. ARGUMENT, with both numbers: any other list.
 * MEMORY.
 */
KF_API kf_status kf_labels_fit(kf_labels *labels, const kf_model *model, kf_message_fn notice, void *user,
                               kf_error *err);
/** Give a graph the labels, which stay the caller's, by the same rule. An empty list takes those away that it has. No
 *  label of the graph tells here of a background class. A graph whose classes are not known without it is optimized,
 *  as kf_graph_compile would. NULL graph or labels: ARGUMENT. Errors as kf_labels_fit and kf_graph_optimize. */
KF_API kf_status kf_graph_name_classes(kf_graph *graph, const kf_labels *labels, kf_message_fn notice, void *user,
                                       kf_error *err);
/** ARGUMENT, with both numbers, unless there are as many labels as the model has classes: elements of output 0. NULL
 * and an empty list fit every model. Thread safe. */
KF_API kf_status kf_labels_check(const kf_labels *labels, const kf_model *model, kf_error *err);

/* ---- labelled pictures ------------------------------------------------------------------------------------------- */

/** Pictures with their classes. It does not change after it was opened: any number of threads may read it. */
typedef struct kf_dataset kf_dataset;

/** How to open a data set. Fill with kf_dataset_options_init, then change fields. */
typedef struct kf_dataset_options {
    size_t size;      /**< sizeof(kf_dataset_options), set by the init function */
    const char *list; /**< a file ("-" is standard input) of at most 64 MiB: only the pictures on its lines, "file" or
                         "file,class_index", in that order; NULL (default): all pictures */
    const kf_model *model; /**< class folders are its classes, see kf_dataset_open; NULL (default): 0, 1, ... in
                              alphabetical order */
    size_t limit;          /**< keep so many pictures, spread evenly; 0 (default): all */
    kf_message_fn notice;  /**< told of each line that cannot be read, ten at most, and of folders in alphabetical
                              order; NULL (default): nobody is */
    void *user;
    int32_t optional; /**< 1: folders of which none is named like a class may be dates or cameras: kf_dataset_fits says
                         0 then; 0 (default): they are an error */
} kf_dataset_options;
KF_API void kf_dataset_options_init(kf_dataset_options *options);

/** One picture. Strings belong to the data set. */
typedef struct kf_dataset_item {
    const char *path; /**< where it is */
    const char *name; /**< as the data set names it: the field of labels.csv, or FOLDER/FILE */
    int64_t truth;    /**< its class, as it was written: compare it with the number of classes before use */
} kf_dataset_item;

/** List the pictures of `folder`: those of its labels.csv ("file,class_index"; a header is optional, further columns
 *  are ignored, names with commas stand in double quotes), else those of its class folders. With a model, a folder is
 * the class whose label it has as its name: exactly, in any case, or by the label's first synonym, up to its comma.
 * Synset ids ("n01440764") are matched with labels that begin with one, and with ImageNet's classes. Where no folder
 * matches and there are as many as classes, their order decides, and `notice` hears of it. `options` may be NULL:
 * defaults. No picture is opened. `*out` is NULL on failure, else the caller destroys it. ARGUMENT (options of another
 * version; a folder whose name is no label's, with the nearest label; one whose name two labels have), IO, FORMAT (a
 * line that cannot be read), LIMIT (a list of more than 64 MiB), MEMORY. Thread safe. */
KF_API kf_status kf_dataset_open(const char *folder, const kf_dataset_options *options, kf_dataset **out,
                                 kf_error *err);
/** NULL, and a pointer to NULL, are accepted; *dataset becomes NULL. */
KF_API void kf_dataset_destroy(kf_dataset **dataset);
/** Number of pictures; may be 0. */
KF_API size_t kf_dataset_count(const kf_dataset *dataset);
/** Number of class folders, empty ones too; 0 where a labels.csv gives the classes. */
KF_API size_t kf_dataset_folders(const kf_dataset *dataset);
/** Picture `index`, 0-based. ARGUMENT past the last. */
KF_API kf_status kf_dataset_get(const kf_dataset *dataset, size_t index, kf_dataset_item *out, kf_error *err);
/** Class of the picture with exactly this path, or -1. */
KF_API int64_t kf_dataset_class_of(const kf_dataset *dataset, const char *path);
/** 1 if it has pictures whose classes are those of the model it was opened with: by a labels.csv, or by class folders.
 *  0 otherwise: folders may also be dates or cameras. */
KF_API int32_t kf_dataset_fits(const kf_dataset *dataset);

/* ---- samples: what calibration, comparison and tests feed to a network ------------------------------------------- */

/** Files of a folder, and their tensors once they are loaded. */
typedef struct kf_samples {
    char **paths;       /**< [n], sorted by name, or in the order of the list */
    size_t n;           /**< at least 1 after success */
    kf_tensor *tensors; /**< [n], or NULL before they are loaded: pictures are u8 [height, width, 3] in RGB whatever
                           colours the network wants; numbers are f32 or u8 as the file has them */
} kf_samples;

/** List the pictures (kf_image_has_suffix) and .npy files of `folder` and its sub-folders, eight levels deep at
 *  most, or the lines of `list` (relative to `folder`; NULL: none). With more than `limit` > 0 of them, that many are
 *  kept, spread evenly. The caller releases `out` with kf_samples_free; it is empty on failure. IO (also where there
 *  are none), LIMIT (a list of more than 64 MiB), MEMORY. Thread safe. */
KF_API kf_status kf_samples_find(const char *folder, const char *list, size_t limit, kf_samples *out, kf_error *err);
/** Fill `tensors`: pictures are decoded (EXIF orientation left alone), resized and cropped as `how` says; .npy files
 *  are read as they are. All have to be of one kind. After a failure only kf_samples_free may follow. The error names
 *  the file. `progress` (may be NULL) is called from the calling thread after each file; non-zero stops: CANCELLED.
 *  ARGUMENT (mixed kinds; pictures where how->valid is 0), IO, FORMAT, LIMIT, UNSUPPORTED, MEMORY. */
KF_API kf_status kf_samples_load(kf_samples *samples, const kf_preprocess *how,
                                 int (*progress)(void *user, size_t done, size_t total), void *user, kf_error *err);
/** The same, but files that cannot be read or decoded (IO, FORMAT, LIMIT, UNSUPPORTED, SHAPE) are taken out of
 *  `samples`, and `skipped` (may be NULL: then the first one ends the call) is told of each. Where none is left, the
 *  last one's error. Thread safe. */
KF_API kf_status kf_samples_load_some(kf_samples *samples, const kf_preprocess *how,
                                      int (*progress)(void *user, size_t done, size_t total), kf_message_fn skipped,
                                      void *user, kf_error *err);
/** Release and empty. NULL is accepted. */
KF_API void kf_samples_free(kf_samples *samples);

/** What files of raw numbers hold, and what becomes of them. */
typedef struct kf_raw_form {
    kf_dtype type;          /**< of the numbers: F32, U8, I8, I16 or I32, in the machine's byte order */
    int32_t nhwc;           /**< 1: files are [H,W,C]; 0: [C,H,W] */
    const kf_tensor *input; /**< the network's input; a file has exactly as many numbers. Borrowed for the call */
    int32_t pixels; /**< 1: values are 0..255 and become u8 [H,W,3] in RGB; 0: they become f32 of the input's shape */
    int32_t bgr;    /**< 1: the channels of the files are in the order B, G, R */
    int32_t normalize; /**< 1: f32 becomes (x - mean[c]) * scale[c] */
    double mean[3], scale[3];
    int32_t camera; /**< pixels go through a camera frame, which halves their chroma: 0 no, 1 NV12 of full range, 2 NV12
                       of limited range */
} kf_raw_form;

/** Read every file of `folder` as raw numbers, spread evenly down to `limit` (0: all). Errors name the file. The caller
 *  releases `out` with kf_samples_free; it is empty on failure. IO, FORMAT (not what `form` says, with what it looks
 *  like), ARGUMENT (values that cannot be pixels), MEMORY. Thread safe. */
KF_API kf_status kf_samples_load_raw(const char *folder, size_t limit, const kf_raw_form *form, kf_samples *out,
                                     kf_error *err);

/** What samples are like. */
typedef struct kf_sample_facts {
    size_t size; /**< sizeof of this structure, set by the caller before the call */
    size_t samples;
    size_t distinct; /**< that differ from each other: so many pictures the samples are worth, at most */
    size_t flat;     /**< of one colour, or one number, each */
    double lo, hi;   /**< the smallest and the largest of all numbers, as they are */
    double clipped;  /**< percent of the values that are 0 or 255 as pixels; 0 where the samples are no pictures */
} kf_sample_facts;

/** Could the loaded samples calibrate a network that takes pictures as `how` says? (NULL, or not valid: it takes raw
 *  tensors.) Typical mistakes are told to `notice` (may be NULL), a sentence each: samples that repeat, that have one
 *  colour, that cover little of the range, or that are clipped; float32 that was normalized otherwise; a file far out
 *  of the others' range; mean and std in another unit. `out` may be NULL. ARGUMENT, where the outcome would mean
 *  nothing: numbers that are not finite or beyond 1e15 (the text names the file), float32 pixels that are not
 *  normalized or are so twice, a preprocessing that makes numbers beyond 300. MEMORY. Thread safe. */
KF_API kf_status kf_samples_check(const kf_samples *samples, const kf_preprocess *how, kf_message_fn notice, void *user,
                                  kf_sample_facts *out, kf_error *err);

/** Read an NPY file of version 1 to 3 ("-" is standard input): little-endian float32 or uint8 in C order, at most
 *  KF_MAX_RANK dimensions and 4 GiB. The caller releases out->data with free(); it is NULL on failure. IO, FORMAT,
 *  UNSUPPORTED (another version, type or order), MEMORY. Thread safe. */
KF_API kf_status kf_npy_read(const char *path, kf_tensor *out, kf_error *err);
/** Write a tensor as NPY version 1, by kf_file_write. numpy has no bfloat16: it becomes float32, which holds its
 * values. ARGUMENT (no element type, fewer bytes than the shape needs), IO, MEMORY. Thread safe. */
KF_API kf_status kf_npy_write(const char *path, const kf_tensor *tensor, kf_error *err);
/** Write `n` tensors as one NPZ file, which numpy.load reads: a zip archive with an NPY file for each, not compressed.
 *  Its key is the tensor's name, or arr_K for tensor K without one. ARGUMENT (as kf_npy_write; two tensors of one
 *  name, a name over 1024 bytes), LIMIT (more than 65534 tensors, or 4 GiB in all), IO, MEMORY. Thread safe. */
KF_API kf_status kf_npz_write(const char *path, const kf_tensor *tensors, size_t n, kf_error *err);

/* ---- evaluation -------------------------------------------------------------------------------------------------- */

/** What a model says of one picture. Everything lives for the call of the callback. */
typedef struct kf_prediction {
    kf_dataset_item item;
    const kf_score *top; /**< [n], best first */
    size_t n;            /**< kf_evaluate_options.top or 5, whichever is more, but at most the classes; 0: it failed */
    const char *error;   /**< why it failed, in words that begin with the file; else NULL */
} kf_prediction;

/** How to evaluate. Fill with kf_evaluate_options_init, then change fields. */
typedef struct kf_evaluate_options {
    size_t size;     /**< sizeof(kf_evaluate_options), set by the init function */
    int32_t threads; /**< pictures at once, each with a session of one thread; 0 (default): every core; at most 64 */
    int32_t top;     /**< predictions for each picture, 1..1000, default 5; top-5 is counted in any case */
    size_t limit;    /**< only so many pictures, spread evenly over the data set; 0 (default): all */
    /** Called from the calling thread after each picture of its own; another value than 0 stops: CANCELLED. NULL: not
     *  called. */
    int (*progress)(void *user, size_t done, size_t total);
    /** Called for each picture in the order of the data set, from the calling thread, when all are done. NULL: not
     *  called. */
    void (*prediction)(void *user, const kf_prediction *prediction);
    /** Called once, from the calling thread, where fewer threads can be started than wanted; results are the same.
     *  NULL: not called. */
    void (*fewer_threads)(void *user, int32_t started, int32_t wanted);
    void *user;     /**< for the callbacks */
    int32_t strict; /**< 1: the first picture that cannot be read ends the call; 0 (default): it is counted */
} kf_evaluate_options;
KF_API void kf_evaluate_options_init(kf_evaluate_options *options);

/** A cell of the confusion matrix that is not 0: `count` pictures of class `truth` were taken for `said`. */
typedef struct kf_confusion_cell {
    int32_t truth, said;
    size_t count;
} kf_confusion_cell;

/** The outcome. Set `size` before the call. Pictures that cannot be read are counted in `failed` alone; without any
 * other, `images` and all percentages are 0. */
typedef struct kf_evaluation {
    size_t size;              /**< sizeof of this structure, set by the caller before the call */
    size_t images, failed;    /**< classified, and not */
    double top1, top5;        /**< percent of `images` */
    double low, high;         /**< 95 % interval of top1 in percent: kf_proportion_interval */
    double images_per_s;      /**< with decoding, of all threads together */
    int32_t classes;          /**< of the model */
    kf_confusion_cell *cells; /**< [n_cells], ordered by truth, then by said */
    size_t n_cells;
    char **names; /**< [classes]: the folder that all pictures of a class lie in, NULL where there are none; NULL: not
                       every class has a folder of its own */
} kf_evaluation;

/** Classify the pictures of `dataset` and count. Decoding leaves the EXIF orientation alone, as published accuracies
 *  do. `options` may be NULL: defaults. Results do not depend on `threads`. The caller releases `out` with
 *  kf_evaluation_free; it is empty on failure. ARGUMENT (no `size`, no pictures, a class that the model does not have,
 *  an option outside its range), LIMIT (as kf_session_create), CANCELLED, MEMORY. Thread safe: model and data set are
 * only read. */
KF_API kf_status kf_evaluate(const kf_model *model, const kf_dataset *dataset, const kf_evaluate_options *options,
                             kf_evaluation *out, kf_error *err);
/** Release and empty. NULL is accepted. */
KF_API void kf_evaluation_free(kf_evaluation *evaluation);

/** Wilson's 95 % score interval of the proportion hits / n, in [0, 1]. n > 0, hits <= n. Wilson, JASA 22 (1927) 209;
 *  unlike Wald's it keeps its level near 0 and 1. Thread safe. */
KF_API void kf_proportion_interval(size_t hits, size_t n, double *lo, double *hi);

/** Scores as a JSON list in one line, UTF-8: [{"index":3,"label":"frog","score":0.98}, ...] without spaces. "label" is
 *  null where there is none or it is not UTF-8, "score" where it is not finite. The caller releases *text with free();
 *  it is NULL on failure. MEMORY. Thread safe. */
KF_API kf_status kf_scores_json(const kf_score *top, size_t n, char **text, kf_error *err);

/* ---- names of what numbers mean; these need no toolchain --------------------------------------------------------- */

/** "logits", "probabilities", "independent", "log", "features", "unknown"; NULL for another value. Static text. Thread
 *  safe, as all of these. */
KF_API const char *kf_scores_kind_name(kf_scores_kind kind);
/** The way back, without "unknown". ARGUMENT, with the names that there are: another name; *out is unchanged. */
KF_API kf_status kf_scores_kind_from_name(const char *name, kf_scores_kind *out, kf_error *err);
/** "pixels", "normalized", "features", "unknown"; NULL for another value. */
KF_API const char *kf_takes_name(kf_takes takes);
/** The way back. ARGUMENT, with the names that there are: another name; *out is unchanged. */
KF_API kf_status kf_takes_from_name(const char *name, kf_takes *out, kf_error *err);
/** "given", "recognized", "assumed", "unknown"; NULL for another value. */
KF_API const char *kf_origin_name(kf_origin origin);
/** The way back. ARGUMENT, with the names that there are: another name; *out is unchanged. */
KF_API kf_status kf_origin_from_name(const char *name, kf_origin *out, kf_error *err);

/* ---- comparison -------------------------------------------------------------------------------------------------- */

/** How to compare. Fill with kf_compare_options_init, then change fields. */
typedef struct kf_compare_options {
    size_t size;           /**< sizeof(kf_compare_options), set by the init function */
    const int64_t *labels; /**< class of each sample, -1 where it is unknown; NULL (default): of none */
    int32_t threads;       /**< samples at once, each with two sessions of one thread; 0 (default): every core; at most
                              64 */
    size_t node_images; /**< samples for the nodes, spread evenly, at most all; 0 (default): nodes are not compared */
    int32_t costs; /**< 1 (default): also run each of B's nodes alone on A's values, and measure what that costs A's
                      output; 0: not */
    /** Called from the calling thread after each sample of its own, those for the nodes included; another value than 0
     *  stops: CANCELLED. NULL: not called. */
    int (*progress)(void *user, size_t done, size_t total);
    /** Called at most once, from the calling thread, where fewer threads can be started than wanted; results are the
     *  same. NULL: not called. */
    void (*fewer_threads)(void *user, int32_t started, int32_t wanted);
    void *user; /**< for the callbacks */
    /** Told of each sample that cannot be read, from the calling thread, when all are done; the others count. NULL
     *  (default): the first one ends the call with its error. */
    kf_message_fn skipped;
} kf_compare_options;
KF_API void kf_compare_options_init(kf_compare_options *options);

/** One sample. Side 0 is A, the reference; side 1 is B. */
typedef struct kf_compared_picture {
    int64_t truth;      /**< its class, or -1 */
    int32_t said[2];    /**< the class with the largest output; ties go to the lower index. -1: it was skipped */
    int32_t top5[2];    /**< 1: the truth is among the five largest */
    int32_t other5;     /**< 1: A's class is among B's five largest */
    double sums[4];     /**< over the outputs: A's squares, B's squares, their products, squares of the difference */
    double apart[2];    /**< magnitudes of the differences: their sum, the largest */
    double reserved[2]; /**< 0; room for members of later versions */
} kf_compared_picture;

/** One node. Nodes of A and B belong together by name and size. Strings belong to the models. */
typedef struct kf_compared_node {
    const char *name;
    int32_t step[2];             /**< index in each model; -1: it is not there, or its output has another size there */
    const kf_step_info *info[2]; /**< the step in A and in B; NULL where it is not there */
    double cosine, sqnr; /**< of its outputs, both networks run from the picture; SQNR in dB, INFINITY where they are
                            equal; NAN: it is in one model only */
    double alone_cosine, alone_sqnr; /**< of B's node on A's inputs; NAN where it was not measured */
    int32_t rescaled; /**< 1: B keeps its channels in other scales than A (weights scaled across layers); it is compared
                         in A's units */
    double cost;      /**< SQNR in dB of A's output when this node alone is B's; INFINITY: no change; NAN: not
                         measured */
    double reserved[4]; /**< 0; room for members of later versions */
} kf_compared_node;

/** The whole in numbers. Without labels everything from top1 on is 0. */
typedef struct kf_comparison_summary {
    size_t images, labelled;
    size_t same, other5;          /**< samples with the same best class; with A's best class among B's five */
    double cosine, sqnr;          /**< of the outputs of all samples together; dB, INFINITY where they are equal */
    int32_t identical;            /**< 1: every output is equal */
    double top1[2], top5[2];      /**< percent of the labelled samples */
    size_t lost, won;             /**< labelled samples from right to wrong, from wrong to right */
    double p;                     /**< kf_mcnemar */
    double difference, low, high; /**< B's top-1 less A's in points, and its 95 % interval: kf_paired_interval */
    double agreement, in_top5;    /**< `same` and `other5` in percent of `images`; NAN where `ranked` is 0 */
    int32_t ranked; /**< 1: the outputs rank classes, so that `same` and `other5` mean something. 0: a map of several
                         positions, one number, pooled features without labels, or features by the
                         model's own word: then no sample counts as labelled */
    /** Distances of a sample's n outputs from A's: sum |d| / n and sqrt(sum d^2) / n, means over the samples, and the
     *  largest |d| of all. The RDK zoo's logs have them in these units. */
    double l1, l2, chebyshev;
    double reserved[8]; /**< 0; room for members of later versions */
} kf_comparison_summary;

/** The outcome. Models and samples are the caller's and have to live as long as it is used. */
typedef struct kf_comparison {
    size_t size; /**< sizeof of this structure, set by the caller before the call */
    const kf_model *models[2];
    const kf_samples *samples;
    size_t classes;                /**< outputs of either model */
    kf_compared_picture *pictures; /**< [samples->n] */
    kf_compared_node *nodes;       /**< [n_nodes]: A's in order, then those that only B has */
    size_t n_nodes, node_images;   /**< node_images: samples that were used for them */
    kf_comparison_summary summary;
    size_t skipped; /**< samples that could not be read; the summary is of the others */
} kf_comparison;

/** Run A, the reference, and B over all samples: files, or their tensors where they are loaded (u8 [H,W,3] in
 *  RGB or [H,W,1] of grey, or f32 as the models' input). `options` may be NULL: defaults. Results do not depend on
 *  `threads`. The caller releases `out` with kf_comparison_free; it is empty on failure. Errors name the sample.
 *  A sample that gives a number that is not finite is UNSUPPORTED, and skipped as one that cannot be read.
 *  ARGUMENT (`size` is not set, outputs of different sizes, no samples, a class that the models do not have), IO,
 *  FORMAT, LIMIT, UNSUPPORTED, SHAPE, CANCELLED, MEMORY. Thread safe. */
KF_API kf_status kf_compare(const kf_model *a, const kf_model *b, const kf_samples *samples,
                            const kf_compare_options *options, kf_comparison *out, kf_error *err);
/** Release and empty; `size` stays. NULL is accepted. */
KF_API void kf_comparison_free(kf_comparison *comparison);

/** Classes of samples that were found in `folder`: by its labels.csv or its class folders, if kf_dataset_fits says that
 *  they are those of `model`. *labels is [samples->n], -1 where a sample has none; the caller releases it with free().
 *  It is NULL where the folder has no labels; `notice` (may be NULL) is told why. IO, FORMAT, LIMIT, MEMORY. Thread
 *  safe. */
KF_API kf_status kf_samples_labels(const kf_samples *samples, const char *folder, const kf_model *model,
                                   kf_message_fn notice, void *user, int64_t **labels, kf_error *err);

/* ---- pages ------------------------------------------------------------------------------------------------------- */

/** A page about an evaluation in HTML: the confusion matrix as a heat map, the most confused pairs, the accuracy of
 * each class. It loads nothing and needs no script. `title` and `summary`, the line under it, may hold anything: they
 * are escaped. Labels are those of `model`; where it is NULL or has none, names of folders, else numbers. The caller
 * releases *html with free(); it is NULL on failure. MEMORY. Thread safe. */
KF_API kf_status kf_evaluation_page(const kf_evaluation *evaluation, const kf_model *model, const char *title,
                                    const char *summary, void **html, size_t *bytes, kf_error *err);

/** What the page about a comparison says beside its numbers. Fill with kf_comparison_page_options_init, then change
 *  fields. Strings may hold anything: they are escaped. */
typedef struct kf_comparison_page_options {
    size_t size;          /**< sizeof(kf_comparison_page_options), set by the init function */
    const char *title;    /**< default "Two models compared" */
    const char *names[2]; /**< of A and B, for people; default "A" and "B" */
    const char *basis;    /**< a sentence: which pictures these are, and what they cannot show; default "" */
    int64_t bytes[2];     /**< sizes of the files; 0 (default): unknown, left out */
    const kf_graph
        *graph; /**< B quantized with `detail`: its record of the nodes, and histograms; NULL (default): none */
} kf_comparison_page_options;
KF_API void kf_comparison_page_options_init(kf_comparison_page_options *options);
/** A page about a comparison in HTML: accuracies and changed answers with their uncertainty, nodes where they were
 *  compared, pictures whose answer changed. It loads nothing and needs no script. `options` may be NULL: defaults. The
 *  caller releases *html with free(); it is NULL on failure. ARGUMENT (options of another version), MEMORY. Thread
 *  safe. */
KF_API kf_status kf_comparison_page(const kf_comparison *comparison, const kf_comparison_page_options *options,
                                    void **html, size_t *bytes, kf_error *err);

/* ---- statistics of pairs ----------------------------------------------------------------------------------------- */

/** Exact two-sided p of McNemar's test: the chance that `lost` and `won` flips (right to wrong, wrong to right) are
 *  this uneven or more if both were equally likely, 2 * P(X <= min(lost, won)) with X ~ Binomial(lost + won, 1/2), at
 *  most 1. 1 without flips. In [0, 1]. McNemar, Psychometrika 12 (1947) 153; the exact form as in Fagerland, Lydersen
 *  and Laake, BMC Med. Res. Methodol. 13 (2013) 91. Thread safe. */
KF_API double kf_mcnemar(size_t lost, size_t won);
/** 95 % score interval of (won - lost) / n, the difference of two paired proportions, in [-1, 1]. n > 0 and lost + won
 *  <= n. Tango, Stat. Med. 17 (1998) 891, eq. (7) and (8): the differences that a score test at 5 % does not reject.
 *  Unlike Wald's it keeps its level with few flips and has a width without any. Thread safe. */
KF_API void kf_paired_interval(size_t lost, size_t won, size_t n, double *lo, double *hi);

/* ---- the RDK zoo's YAML ------------------------------------------------------------------------------------------ */

/** What a network was trained on, and what it will be fed. */
typedef enum kf_input_kind {
    KF_INPUT_RGB = 0,
    KF_INPUT_BGR = 1,
    KF_INPUT_YUV444 = 2,
    KF_INPUT_GRAY = 3,
    KF_INPUT_FEATUREMAP = 4,
    KF_INPUT_NV12 = 5
} kf_input_kind;
/** The word of the YAML file: "rgb", "bgr", "yuv444", "gray", "featuremap", "nv12"; NULL for a value that is no
 * enumerator. Thread safe. */
KF_API const char *kf_input_kind_name(kf_input_kind kind);
/** The way back. ARGUMENT, with the names that there are: another name; *out is unchanged. Thread safe. */
KF_API kf_status kf_input_kind_from_name(const char *name, kf_input_kind *out, kf_error *err);

/** What a YAML file says that the RDK zoo's quantizer reads. Paths are absolute or relative to the current folder (in
 *  the file they are relative to the file). Strings and lists belong to the configuration. Read it, never write it. */
typedef struct kf_rdk_config {
    const char *model;       /**< onnx_model */
    const char *prefix;      /**< of the output files; default "model" */
    const char *working_dir; /**< output folder; default "model_output" beside the file */
    const char *input_name;  /**< of the network's input; NULL: not named */
    const char *input_shape; /**< NULL: the model's own */
    kf_input_kind trained;   /**< what the network was trained on */
    kf_input_kind runtime;   /**< what it will be fed */
    int32_t nhwc;            /**< 1: calibration files are [H,W,C]; 0: [C,H,W] */
    int32_t limited;         /**< 1: NV12 frames are BT.601 limited range; 0: full */
    int32_t normalizes;      /**< 1: the network sees (x - mean) * scale, x in 0..255; 0: x itself (mean 0, scale 1) */
    double mean[3];          /**< in the order of `trained`; one number in the file stands for all three */
    double scale[3];         /**< likewise; above 0 */
    const char *calibration; /**< cal_data_dir */
    kf_dtype calibration_type;      /**< of the raw numbers: F32, U8, I8, I16 or I32; default F32 for folders whose name
                                         ends in _f32, else U8 */
    int32_t pictures;               /**< 1: the folder holds picture files (preprocess_on) */
    kf_range_method range;          /**< calibration_type */
    double percentile;              /**< 50..100; KF_RANGE_PERCENTILE only */
    int32_t per_channel;            /**< 0 or 1; -1: the file does not say */
    const char *const *int16_nodes; /**< names */
    const char *const *int16_places; /**< "FILE:LINE:COLUMN" of each */
    int32_t n_int16;                 /**< of the two lists above */
    int32_t all_int16;               /**< 1: every node */
    const char *const *output_nodes; /**< they replace the outputs */
    int32_t n_output_nodes;
    const char *const *remove_types; /**< for kf_graph_trim */
    int32_t n_remove_types;
    const char *const *remove_names; /**< likewise */
    int32_t n_remove_names;
    int32_t random;             /**< 1: calibrate on random numbers (calibration_type skip) */
    int32_t dump;               /**< 1: the calibration tensors are to be written (debug_mode dump_calibration_data) */
    const char *const *notices; /**< what the load said about keys without meaning here, a line each */
    int32_t n_notices;
} kf_rdk_config;

/** Read and check such a file. `notice` (may be NULL) gets a line for each key that has no meaning here, once the whole
 *  file was found good. Errors, nearly all of them beginning FILE:LINE:COLUMN: IO; FORMAT, ARGUMENT, LIMIT: not YAML,
 * an unknown key, a wrong value or combination; UNSUPPORTED: several inputs, Caffe, and the calibration type load;
 *  MEMORY. On success the caller releases *out with kf_rdk_free; on failure it is NULL. Thread safe. */
KF_API kf_status kf_rdk_load(const char *path, kf_message_fn notice, void *user, kf_rdk_config **out, kf_error *err);
/** NULL, and a pointer to NULL, are accepted; *config becomes NULL. */
KF_API void kf_rdk_free(kf_rdk_config **config);
/** "FILE:LINE:COLUMN" of a key's value for messages; "FILE" where the key is absent or unknown. Belongs to the
 *  configuration. Thread safe. */
KF_API const char *kf_rdk_place(const kf_rdk_config *config, const char *key);

/** What a value of the file is, as PyYAML's safe_load reads it (but 1e-5 is a number); LIST and MAPPING only where they
 *  are empty. */
typedef enum kf_entry_type {
    KF_ENTRY_NULL = 0,
    KF_ENTRY_BOOL = 1,
    KF_ENTRY_INT = 2,
    KF_ENTRY_FLOAT = 3,
    KF_ENTRY_TEXT = 4,
    KF_ENTRY_LIST = 5,
    KF_ENTRY_MAPPING = 6
} kf_entry_type;
/** "null", "bool", "int", "float", "text", "list", "mapping"; NULL for a value that is no enumerator. Thread safe. */
KF_API const char *kf_entry_type_name(kf_entry_type type);
/** The way back. ARGUMENT, with the names that there are: another name; *out is unchanged. Thread safe. */
KF_API kf_status kf_entry_type_from_name(const char *name, kf_entry_type *out, kf_error *err);
/** Most keys around a value, itself included. */
#define KF_RDK_DEPTH 18
/** One value of the file, and where it stands. Strings belong to the configuration. */
typedef struct kf_rdk_entry {
    size_t size;                    /**< sizeof of this structure, set by the caller before the call */
    const char *path[KF_RDK_DEPTH]; /**< group, key, then keys and decimal indices further down */
    int32_t depth;                  /**< of `path` */
    kf_entry_type type;
    const char *text;     /**< as written, without quotes */
    double number;        /**< BOOL (0, 1), INT, FLOAT */
    int32_t line, column; /**< of the value, 1-based */
} kf_rdk_entry;
/** Value `index` in the order of the file, 0-based; keys that have no meaning here included. ARGUMENT past the last,
 *  or out->size is not set. Thread safe. */
KF_API kf_status kf_rdk_get(const kf_rdk_config *config, int32_t index, kf_rdk_entry *out, kf_error *err);

/** Where kf_rdk_quantize stands when it calls `stage`. */
typedef enum kf_rdk_stage {
    KF_RDK_READY = 0,     /**< the float graph is optimized, the samples are loaded, the outputs can be written */
    KF_RDK_QUANTIZED = 1, /**< the graph is quantized and judged; nothing is written yet */
    KF_RDK_WRITING = 2 /**< the outputs are written next, which takes a second at most and is not to be interrupted */
} kf_rdk_stage;
/** "ready", "quantized", "writing"; NULL for a value that is no enumerator. Thread safe. */
KF_API const char *kf_rdk_stage_name(kf_rdk_stage stage);
/** The way back. ARGUMENT, with the names that there are: another name; *out is unchanged. Thread safe. */
KF_API kf_status kf_rdk_stage_from_name(const char *name, kf_rdk_stage *out, kf_error *err);

/** Where a quantized network is judged: see kf_judge below. */
typedef struct kf_judge kf_judge;
typedef struct kf_judge_options kf_judge_options;

/** How to quantize. Fill with kf_rdk_options_init, then change fields. Callbacks come from the calling thread. */
typedef struct kf_rdk_options {
    size_t size;                     /**< sizeof(kf_rdk_options), set by the init function */
    const kf_import_options *import; /**< labels, limits and callbacks of the import; its input_shape is not used. NULL
                                          (default): defaults */
    const kf_quantize_options *quantize; /**< threads, switches, the search; range, percentile, per_channel and
                                              int16_nodes come from the file, progress from below. NULL (default) */
    size_t limit;                        /**< most calibration files, spread evenly; 0: all. Default 200 */
    const char *const *inputs;           /**< [n_inputs] more files that no output may replace */
    size_t n_inputs;
    kf_message_fn notice; /**< told what the log gets too: nodes that stay 8-bit, few or odd samples. NULL (default) */
    /** Of kf_graph_quantize. Non-zero stops the work: KF_ERR_CANCELLED. NULL (default): none. */
    int (*progress)(void *user, size_t done, size_t total);
    /** Called at each stage, with the graph and the samples, which stay the library's. A status other than KF_OK ends
     *  the work with it; then `err` has to be filled. NULL (default): none. */
    kf_status (*stage)(void *user, kf_rdk_stage stage, kf_graph *graph, const kf_samples *samples, kf_error *err);
    void *user;                    /**< of the three */
    const kf_judge_options *judge; /**< test pictures, limits of the compiled models, and callbacks of kf_judge_measure.
                                        NULL (default): defaults, with threads and progress of the above */
    kf_message_fn skipped;         /**< of calibration pictures, as in kf_samples_load_some */
} kf_rdk_options;
KF_API void kf_rdk_options_init(kf_rdk_options *options);

/** What came of it. The caller releases it with kf_rdk_result_free. */
typedef struct kf_rdk_result {
    size_t size;        /**< sizeof of this structure, set by the caller before the call */
    kf_graph *graph;    /**< quantized; see kf_graph_quantized_summary and kf_quantized_table */
    char *path;         /**< of the compiled model */
    kf_samples samples; /**< what calibrated it; `stage` saw them at this very place */
    kf_judge *judge;    /**< measured; there from KF_RDK_READY on, also for `stage` */
    char *log;          /**< what PREFIX_quantize.log holds */
    const char *tables; /**< the part of it that scripts for the zoo's own quantizer search: nodes, output, last line */
} kf_rdk_result;

/** Do what the configuration says: import, edges, preprocessing, calibration data, quantization. Into `working_dir`
 *  (made if it is not there) go PREFIX.kfx, PREFIX_original_float_model.onnx, PREFIX_optimized_float_model.onnx,
 *  PREFIX_calibrated_model.onnx and PREFIX_quantized_model.onnx (one QDQ form by both names, read back and compared),
 *  PREFIX_quantize.log and, if asked for, calibration_data: all of them or none; files that are replaced keep their
 * mode. `options` may be NULL. `*out` is empty on failure. Errors name the place in the file. ARGUMENT, IO, FORMAT,
 * UNSUPPORTED, LIMIT, SHAPE, MEMORY, and CANCELLED: nothing was written. Thread safe; two calls may not share a
 * `working_dir`. */
KF_API kf_status kf_rdk_quantize(const kf_rdk_config *config, const kf_rdk_options *options, kf_rdk_result *out,
                                 kf_error *err);
/** Release and empty; `size` stays. NULL is accepted. */
KF_API void kf_rdk_result_free(kf_rdk_result *result);
/** Would it work? Goes as far as kf_rdk_quantize does before it quantizes: model, node names, calibration files. Writes
 *  nothing. *input gets dtype and shape of the network's input (name and data NULL), *samples the number of calibration
 *  samples. `options` may be NULL; stage and progress are not called. Errors as above. Thread safe. */
KF_API kf_status kf_rdk_check(const kf_rdk_config *config, const kf_rdk_options *options, kf_tensor *input,
                              size_t *samples, kf_error *err);

/** Luma of raw NV12 frames, and whether it fits the range that a configuration names. */
typedef struct kf_rdk_luma {
    size_t size; /**< sizeof of this structure, set by the caller before the call */
    size_t frames;
    int32_t lo, hi;           /**< least and largest luma, 0..255 */
    uint64_t outside, pixels; /**< pixels outside 16..235, and all */
    const char *complaint;    /**< NULL: it fits; else what is wrong and what to do, static */
} kf_rdk_luma;
/** Read files of NV12 frames of width x height pixels (both even, 2 to 65536), one behind the other; "-" is standard
 *  input. ARGUMENT (input_type_rt is not nv12), IO, FORMAT (a part of a frame), MEMORY. Thread safe. */
KF_API kf_status kf_rdk_check_frames(const kf_rdk_config *config, const char *const *paths, size_t n, int32_t width,
                                     int32_t height, kf_rdk_luma *out, kf_error *err);

/* ---- what the quantizer reports ---------------------------------------------------------------------------------- */

/** The node table of a quantized graph as text, a line each: name, type, cosine, threshold, data type. The caller
 *  releases *text with free(); it is NULL on failure. ARGUMENT, MEMORY. */
KF_API kf_status kf_quantized_table(const kf_graph *graph, char **text, kf_error *err);
/** Ranking and outcome of the search as text; empty where there was none. `all` 0: beyond twenty only what was
 * promoted. As kf_quantized_table. */
KF_API kf_status kf_search_table(const kf_graph *graph, int32_t all, char **text, kf_error *err);
/** Data type of a row of the node table: "int8", "int16" or "float". Static. Thread safe. */
KF_API const char *kf_quantized_type(kf_dtype dtype);

/** Classes of calibration samples for kf_quantize_options.labels, by the labels.csv or the class folders of `folder`.
 *  `graph` is float; it is optimized, and compiled within `limits` (NULL: defaults). *labels is [samples->n] and the
 * caller's to free(). It is NULL where some sample has none: then `target_drop` counts answers that float gives
 * differently, and `notice` (may be NULL) is told so. It is also told where a held-out sample weighs more than
 * `target_drop` points. IO, FORMAT, LIMIT, MEMORY. */
KF_API kf_status kf_search_labels(kf_graph *graph, const kf_model_options *limits, const kf_samples *samples,
                                  const char *folder, double target_drop, kf_message_fn notice, void *user,
                                  int32_t **labels, kf_error *err);

/* A quantized network is judged beside its float form: the compiled models run, as they will at the user's, over the
 * calibration samples and over test pictures.
 *
 *     kf_judge_create(graph, NULL, &judge, &err);
 *     kf_graph_quantize(graph, samples.tensors, samples.n, NULL, &err);
 *     kf_judge_measure(judge, graph, &samples, &err);
 *     kf_judge_get(judge, &judgement, &err);
 */

/** How to judge. Fill with kf_judge_options_init, then change fields. Callbacks come from the calling thread. */
struct kf_judge_options {
    size_t size;                   /**< sizeof(kf_judge_options), set by the init function */
    const char *data;              /**< folder of test pictures, with labels or without; NULL (default): none */
    int32_t threads;               /**< as in kf_compare_options */
    size_t node_images;            /**< samples for the nodes, of the test pictures where there are some; 0 (default) */
    const kf_model_options *model; /**< limits of both models; it has to live as long as the judge. NULL (default) */
    kf_message_fn notice;          /**< told why test pictures have no labels. NULL (default): nobody is */
    /** After each picture; `total` counts all comparisons. Non-zero stops: KF_ERR_CANCELLED. NULL (default): none. */
    int (*progress)(void *user, size_t done, size_t total);
    void (*fewer_threads)(void *user, int32_t started, int32_t wanted); /**< as in kf_compare_options */
    void *user;                                                         /**< of the callbacks */
    kf_message_fn skipped; /**< of the test pictures, as in kf_compare_options */
};
KF_API void kf_judge_options_init(kf_judge_options *options);

/** Before quantizing: keeps `graph`, which is optimized, as a compiled float model, and lists the test pictures.
 *  `options` may be NULL: defaults. *out is NULL on failure, else the caller destroys it. ARGUMENT, IO, FORMAT, LIMIT,
 *  UNSUPPORTED, MEMORY. */
KF_API kf_status kf_judge_create(kf_graph *graph, const kf_judge_options *options, kf_judge **out, kf_error *err);
/** The test pictures, which belong to the judge; NULL where no folder was given. */
KF_API const kf_samples *kf_judge_tests(const kf_judge *judge);
/** After quantizing: both models over `calibration`, whose tensors are loaded, and over the test pictures; then each
 *  is timed for half a second at most. `calibration` has to live as long as kf_judge_page is called. Errors as
 *  kf_compare; ARGUMENT: `graph` was not quantized. */
KF_API kf_status kf_judge_measure(kf_judge *judge, kf_graph *graph, const kf_samples *calibration, kf_error *err);

/** What was measured. */
typedef struct kf_judgement {
    size_t size;          /**< sizeof of this structure, set by the caller before the call */
    size_t samples, used; /**< calibration samples that were compared, and that the quantizer had memory for */
    size_t distinct;      /**< samples that differ from each other: kf_sample_facts */
    double agreement;     /**< percent of the samples with the same best class; NAN: the outputs rank no classes */
    double low, high;     /**< 95 % interval of it for other samples like these, by as many as are distinct; or NAN */
    double cosine, sqnr;  /**< of the outputs of all samples together; dB, INFINITY where they are equal */
    double float_ms, ms;  /**< one frame of the float and of the quantized model, on one thread of this machine */
    const kf_comparison_summary *tests; /**< on the test pictures; NULL without. Belongs to the judge */
    double l1, l2, chebyshev;           /**< of the outputs: kf_comparison_summary */
} kf_judgement;
/** ARGUMENT: nothing was measured, or out->size is not set. */
KF_API kf_status kf_judge_get(const kf_judge *judge, kf_judgement *out, kf_error *err);
/** kf_comparison_page about the test pictures, else about the calibration samples, with the quantizer's record of the
 *  nodes (`detail`). `model` and `output` are the names of both files. The caller releases *html with free(); it is
 *  NULL on failure. ARGUMENT, MEMORY. */
KF_API kf_status kf_judge_page(const kf_judge *judge, const kf_graph *graph, const char *model, const char *output,
                               void **html, size_t *bytes, kf_error *err);
/** NULL, and a pointer to NULL, are accepted; *judge becomes NULL. */
KF_API void kf_judge_destroy(kf_judge **judge);

/* ---- preprocessing ----------------------------------------------------------------------------------------------- */

/** Replace members of a graph's preprocessing: those of `given` whose bit is set in `fields` (as kf_preprocess_copy
 *  takes them), the rest stays what the file or the architecture states. `resize` > 0: the short side in pixels before
 *  the centre is cut out, instead of crop_pct; the network's input has to be square and at most that size. A network of
 *  one channel needs color (KF_COLOR_GRAY), mean and std. ARGUMENT: these, or what kf_graph_set_preprocess refuses. */
KF_API kf_status kf_graph_change_picture(kf_graph *graph, const kf_preprocess *given, uint32_t fields, int32_t resize,
                                         kf_error *err);

/* ---- checks ------------------------------------------------------------------------------------------------------ */

/** Largest differences, relative to the largest value of the output, that kf_graph_compare lets pass. A quantized
 *  network rounds, and what one rounding decides otherwise spreads (docs/ONNX.md). */
#define KF_MAX_DIFFERENCE 1e-5
#define KF_MAX_DIFFERENCE_QUANTIZED 0.1
/** Run `runs` random inputs (the same at every call, in -2..2) through `before`, and through `after`, what was written
 *  of it and read back. Both run in the reference executor, which is slow. Where `before` takes pixels, `after` gets
 *  the same ones normalized. *worst: the largest difference over the largest output. `progress` (may be NULL) is
 *  called from the calling thread after each run; non-zero stops: CANCELLED. INTERNAL: it is above
 *  KF_MAX_DIFFERENCE, or above KF_MAX_DIFFERENCE_QUANTIZED where `before` is quantized. LIMIT: more than 64 inputs or
 *  outputs. UNSUPPORTED: one that is not f32. MEMORY. */
KF_API kf_status kf_graph_compare(kf_graph *before, kf_graph *after, int32_t runs,
                                  int (*progress)(void *user, size_t done, size_t total), void *user, double *worst,
                                  kf_error *err);

/** What becomes of a node of a file when it is compiled. */
typedef enum kf_node_fate {
    KF_FATE_SUPPORTED = 0,   /**< a step of its own */
    KF_FATE_FUSED = 1,       /**< part of another node's step */
    KF_FATE_FOLDED = 2,      /**< computed beforehand, or without effect */
    KF_FATE_UNSUPPORTED = 3, /**< there is no step for it */
    KF_FATE_UNJUDGED = 4,    /**< another node keeps the file from being imported */
    KF_FATE_COUNT
} kf_node_fate;
/** "supported", "fused", "folded", "unsupported", "not judged"; NULL for a value that is no enumerator. Thread safe. */
KF_API const char *kf_node_fate_name(kf_node_fate fate);
/** The way back. ARGUMENT, with the names that there are: another name; *out is unchanged. Thread safe. */
KF_API kf_status kf_node_fate_from_name(const char *name, kf_node_fate *out, kf_error *err);

/** A node of the file. */
typedef struct kf_checked_node {
    char *name;   /**< "" where the file has none and the import failed */
    char *op;     /**< with its domain before it where that is not ONNX's own: "com.microsoft.nchwc.Conv" */
    char *detail; /**< FUSED: the name of the step; UNSUPPORTED: why; SUPPORTED: its own name; else "" */
    int64_t shape[KF_MAX_RANK]; /**< of output 0 */
    int32_t rank;               /**< 0 where the import failed */
    kf_node_fate fate;
    const void *reserved[4]; /**< NULL; room for members of later versions */
} kf_checked_node;
/** What kf_check found. The caller releases it with kf_check_result_free. */
typedef struct kf_check_result {
    size_t size;            /**< sizeof of this structure, set by the caller before the call */
    kf_checked_node *nodes; /**< [n], in the order of the file */
    size_t n;
    size_t count[KF_FATE_COUNT]; /**< nodes of each verdict */
} kf_check_result;
/** Can `path` be compiled? `options` as for kf_graph_import (`node` is not called); NULL: defaults. OK also where nodes
 *  are unsupported. Where the import fails at an operator that is not known here, `out` has all nodes beside the error:
 *  UNSUPPORTED or UNJUDGED; else it is empty on failure. Errors: as kf_graph_import and kf_graph_optimize. Nothing is
 *  written. Thread safe. */
KF_API kf_status kf_check(const char *path, const kf_import_options *options, kf_check_result *out, kf_error *err);
/** Release and empty. NULL is accepted. */
KF_API void kf_check_result_free(kf_check_result *result);

/** How kf_rewrite works. Fill with kf_rewrite_options_init, then change fields. */
typedef struct kf_rewrite_options {
    size_t size;             /**< sizeof(kf_rewrite_options), set by the init function */
    kf_optimize_level level; /**< KF_OPTIMIZE_SIMPLIFY (default), or KF_OPTIMIZE_FUSE: what compiles, spelled out */
    kf_qdq_form form;        /**< of a quantized model; default KF_QDQ_EXACT */
    int32_t runs;            /**< random inputs of kf_graph_compare; 0: none; default 3 */
    const kf_import_options *import; /**< of the model; callbacks are called once for each thing. NULL (default) */
    /** Called from the calling thread when a step is done: the model read, the new one made, each of the runs. Non-zero
     *  stops: CANCELLED. NULL (default): not called. */
    int (*progress)(void *user, size_t done, size_t total);
    void *user; /**< of progress */
} kf_rewrite_options;
KF_API void kf_rewrite_options_init(kf_rewrite_options *options);

/** What kf_rewrite did. */
typedef struct kf_rewrite_result {
    size_t size;                       /**< sizeof of this structure, set by the caller before the call */
    int32_t nodes_before, nodes_after; /**< in the files; for a checkpoint, of the graph that was built for it */
    int32_t opset;                     /**< of the new file */
    int32_t inexact; /**< 1: a quantized model in KF_QDQ_EXACT differs by more than KF_MAX_DIFFERENCE: some number of it
                          is not exact in float32 */
    double max_difference; /**< of kf_graph_compare; 0 without runs */
} kf_rewrite_result;

/** Read `model` as kf_graph_import does, optimize it, make an ONNX file, read that back, compare both as
 *  kf_graph_compare does, and only then write these very bytes to `out` as kf_file_write does with `sync`. `options`
 * and `result` may be NULL. ARGUMENT also where `out` is a file that is read (by device and inode). CANCELLED and all
 *  other errors: `out` is as it was. Errors of import, optimization, comparison and writing. Thread safe. */
KF_API kf_status kf_rewrite(const char *model, const char *out, const kf_rewrite_options *options,
                            kf_rewrite_result *result, kf_error *err);

/** Give the complete file `part` the name `path` in the same folder: a link is followed and stays, a file that is
 *  replaced leaves its mode (and its owner where that is allowed), anything but a regular file is refused. `part` stays
 *  on failure. ARGUMENT, IO. Thread safe. */
KF_API kf_status kf_file_replace(const char *part, const char *path, kf_error *err);

#ifdef __cplusplus
}
#endif
#endif
