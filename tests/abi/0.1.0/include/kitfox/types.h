/* Plain data types that cross the public interface: element types, tensors, allocator, preprocessing.
 * Declarations only, includes only libc headers and status.h.
 * Owner rule: none of these structs owns the memory it points to unless its comment says so. */
#ifndef KITFOX_TYPES_H
#define KITFOX_TYPES_H

#include <stddef.h>
#include <stdint.h>

#include "kitfox/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Most dimensions that a tensor can have. */
#define KF_MAX_RANK 8
/** Most threads that options can ask for. */
#define KF_MAX_THREADS 64

/** Element types. The numbers are stable and appear in model files only by name. */
typedef enum kf_dtype {
    KF_DTYPE_NONE = 0,
    KF_F32,  /**< IEEE-754 binary32 */
    KF_F16,  /**< IEEE-754 binary16; storage only */
    KF_BF16, /**< upper half of binary32; storage only */
    KF_F64,  /**< IEEE-754 binary64; storage only */
    KF_U8,
    KF_I8,
    KF_I16,
    KF_I32,
    KF_I64,
    KF_BOOL, /**< one byte, 0 or 1 */
    KF_DTYPE_COUNT
} kf_dtype;

/** Bytes of one element; 0 for KF_DTYPE_NONE. Thread safe. */
KF_API size_t kf_dtype_size(kf_dtype dtype);
/** Lower-case name ("f32", "u8", ...). Thread safe. */
KF_API const char *kf_dtype_name(kf_dtype dtype);

/** A dense row-major tensor that somebody else owns. */
typedef struct kf_tensor {
    const char *name; /**< NULL, or the name of the model input/output it belongs to */
    kf_dtype dtype;
    int32_t rank;               /**< 0..KF_MAX_RANK */
    int64_t shape[KF_MAX_RANK]; /**< each >= 0; the first `rank` entries count */
    void *data;                 /**< row-major elements, aligned to the element size */
    size_t bytes;               /**< size of `data` in bytes */
} kf_tensor;

/** Memory hooks. `alloc` returns memory aligned to `align` (a power of two, at most 4096) or NULL; `free` accepts NULL.
 *  Both may be called from any thread that calls into KitFox. NULL where an allocator is expected means malloc/free. */
typedef struct kf_allocator {
    void *user;
    void *(*alloc)(void *user, size_t size, size_t align);
    void (*free)(void *user, void *ptr);
} kf_allocator;

/* ---- callbacks ------------------------------------------------------------------------------------------------- */

/** Part `part` of `parts` of a job. */
typedef void (*kf_pool_fn)(void *user, int32_t part, int32_t parts);
/** Sees the output of step `step` right after it ran, and before the first step each input k of the model as step -1 -
 * k: `n` real numbers in storage order (N,H,W,C), valid for the call. What is stored as integers comes as (q - zero
 * point) * scale. */
typedef void (*kf_step_fn)(void *user, int32_t step, const float *values, size_t n);

/* ---- structures that may grow ------------------------------------------------------------------------------------ */
/* Structures of options and of information begin with `size_t size`: sizeof of the structure as the caller was
 * compiled. A later version only appends members, so that callers and libraries of different versions fit together. */

/** Copy the caller's options over the defaults. `to` holds the defaults and the size that this library knows, `from` is
 *  the caller's structure or NULL, which leaves the defaults. A shorter `from` leaves the defaults of what it lacks; of
 * a longer one the bytes beyond `to` have to be 0. `type` is the structure's name for messages. ARGUMENT: a size below
 *  sizeof(size_t) or over 4096, or a member that this library does not know is set. Thread safe. */
KF_API kf_status kf_options_read(void *to, const void *from, const char *type, kf_error *err);
/** Copy information to the caller: at most to->size bytes of `from`, which has this library's size. What `to` has
 * beyond becomes 0, and its size stays. ARGUMENT: `to` is NULL, or its size is below sizeof(size_t) or over 4096.
 * Thread safe.
 */
KF_API kf_status kf_info_write(void *to, const void *from, const char *type, kf_error *err);

/** Resampling filters; the first two antialias when shrinking, as Pillow does. */
typedef enum kf_filter {
    KF_FILTER_BILINEAR = 0,
    KF_FILTER_BICUBIC = 1,
    KF_FILTER_NEAREST = 2,
    KF_FILTER_COUNT
} kf_filter;

/** How a picture of any size becomes the model's input size (timm's crop_mode, and `fit-pad` for text lines). */
typedef enum kf_crop {
    KF_CROP_CENTER = 0,  /**< resize the short side to floor(size / crop_pct), then cut the centre */
    KF_CROP_SQUASH = 1,  /**< resize both sides to floor(size / crop_pct), then cut the centre */
    KF_CROP_BORDER = 2,  /**< resize the long side, pad with the mean, then cut the centre */
    KF_CROP_FIT_PAD = 3, /**< resize to the input height keeping the ratio, at most to its width; pad right with 0 */
    KF_CROP_COUNT
} kf_crop;

/** Colour channels that the network wants. RGB and BGR go with three input channels, GRAY with one. A network of one
 *  channel whose `color` is not GRAY has no picture input: it takes raw tensors only. */
typedef enum kf_color {
    KF_COLOR_RGB = 0,
    KF_COLOR_BGR = 1,
    KF_COLOR_GRAY = 2, /**< luma of ITU-R 601-2, as Pillow's convert("L"): (19595 R + 38470 G + 7471 B + 32768) >> 16 */
    KF_COLOR_COUNT
} kf_color;

/** Which Pillow the resize equals, to the bit. It resizes in two passes. Pillow 13 begins with the pass along columns
 *  where the height shrinks by more than twice as many pixels as the width; before, the pass along rows was always the
 *  first. Published accuracies were measured before (docs/NUMERICS.md). */
typedef enum kf_pillow { KF_PILLOW_BEFORE_13 = 0, KF_PILLOW_13 = 1, KF_PILLOW_COUNT } kf_pillow;

/* ---- what numbers mean; stored in model files, 0: not known ------------------------------------------------------ */

/** What an input of a model takes. */
typedef enum kf_takes {
    KF_TAKES_UNKNOWN = 0,
    KF_TAKES_PIXELS = 1,     /**< values of 0..255 in the channel order of kf_preprocess.color */
    KF_TAKES_NORMALIZED = 2, /**< (pixel / 255 - mean) / std, as kf_preprocess says */
    KF_TAKES_FEATURES = 3,   /**< numbers that are no picture */
    KF_TAKES_COUNT
} kf_takes;

/** What the scores of an output mean. */
typedef enum kf_scores_kind {
    KF_SCORES_UNKNOWN = 0,       /**< read as logits */
    KF_SCORES_LOGITS = 1,        /**< softmax makes them probabilities */
    KF_SCORES_PROBABILITIES = 2, /**< of one class among all; their sum is 1 */
    KF_SCORES_INDEPENDENT = 3,   /**< a probability for each class by itself (sigmoid); their sum means nothing */
    KF_SCORES_LOG = 4,           /**< logarithms of probabilities */
    KF_SCORES_FEATURES = 5,      /**< an embedding or a feature map: no scores of classes */
    KF_SCORES_INDICES = 6,       /**< places of the largest scores, as int64 (ArgMax, TopK); not ranked themselves */
    KF_SCORES_TOP = 7,           /**< numbers of such a choice as f32, or the largest scores in order (TopK) */
    KF_SCORES_KIND_COUNT
} kf_scores_kind;

/** Where the preprocessing of a model comes from. */
typedef enum kf_origin {
    KF_ORIGIN_UNKNOWN = 0,
    KF_ORIGIN_GIVEN = 1,      /**< by whoever imported the model */
    KF_ORIGIN_RECOGNIZED = 2, /**< from a file beside the model, a name, or the network's own form */
    KF_ORIGIN_ASSUMED = 3,    /**< nobody said anything: ImageNet's */
    KF_ORIGIN_COUNT
} kf_origin;

/** Everything between a decoded picture and the input tensor. Lives in the model file.
 *  The network sees (pixel / 255 - mean[c]) / std[c], pixel in 0..255, channel c in the order given by `color`; of GRAY
 *  mean[0] and std[0] count. Ranges, names and defaults of all members: kf_preprocess_field in preprocess.h. */
typedef struct kf_preprocess {
    int32_t valid;    /**< 0: the model has no picture preprocessing (raw tensors only) */
    int32_t width;    /**< input width in pixels, 1..16384 */
    int32_t height;   /**< input height in pixels, 1..16384 */
    double crop_pct;  /**< (0, 1]; default 0.875, as timm's */
    kf_crop crop;     /**< default KF_CROP_CENTER */
    kf_filter filter; /**< default KF_FILTER_BICUBIC */
    kf_color color;   /**< default KF_COLOR_RGB */
    kf_pillow pillow; /**< default KF_PILLOW_BEFORE_13 */
    double mean[3];   /**< in [0, 1] pixel units, finite; default ImageNet 0.485 0.456 0.406 */
    double std[3];    /**< in [0, 1] pixel units, finite, > 0; default ImageNet 0.229 0.224 0.225 */
    /** 0, else ARGUMENT: room for members of later versions, whose 0 means what this version does. */
    int32_t reserved[8];
} kf_preprocess;

/** One entry of a top-k list. */
typedef struct kf_score {
    int32_t index;     /**< class index, 0-based */
    float score;       /**< probability in [0, 1] */
    const char *label; /**< label of the class or NULL; owned by the model */
} kf_score;

#ifdef __cplusplus
}
#endif
#endif
