/* What kf_preprocess means in detail: its members as a table, names of its enumerators, its arithmetic.
 * For programs that show, set or reproduce preprocessing; sessions apply it by themselves.
 * Owner rule: tables and strings are static. Every function is thread safe and allocates nothing.
 * Pointer rule: functions that return kf_status refuse NULL with ARGUMENT. The others compute one value among many and
 * do not look: their pointers have to be valid. */
#ifndef KITFOX_PREPROCESS_H
#define KITFOX_PREPROCESS_H

#include "kitfox/status.h"
#include "kitfox/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Names as timm spells them ("bicubic", "center", "rgb"); NULL for a value that is no enumerator. */
KF_API const char *kf_filter_name(kf_filter filter);
KF_API const char *kf_crop_name(kf_crop crop);
KF_API const char *kf_color_name(kf_color color);
/** The way back. ARGUMENT, with the names that there are: another name; *out is unchanged. */
KF_API kf_status kf_filter_from_name(const char *name, kf_filter *out, kf_error *err);
KF_API kf_status kf_crop_from_name(const char *name, kf_crop *out, kf_error *err);
KF_API kf_status kf_color_from_name(const char *name, kf_color *out, kf_error *err);

/* ---- members --------------------------------------------------------------------------------- */

typedef enum kf_field_kind {
    KF_FIELD_INTEGER, /**< int32_t */
    KF_FIELD_REAL,    /**< double */
    KF_FIELD_WORD     /**< an enumerator */
} kf_field_kind;

/** A member of kf_preprocess. `valid` is none: it says whether the others count. `reserved` is none either. */
typedef struct kf_field {
    const char *member; /**< name in kf_preprocess, and key in the model file */
    const char *key;    /**< name in config.json (timm's), `kitfox info --json` and options of `kitfox import` */
    const char *help;   /**< one line for people; NULL: the network decides it, nobody sets it */
    kf_field_kind kind;
    int32_t n;                /**< values: 1, or 3, one per channel */
    int32_t optional;         /**< 1: a model file has it only where not all values are 0 */
    double lo, hi;            /**< legal values, both bounds included */
    double usual;             /**< largest magnitude that kf_preprocess_parse takes: beyond, 0..255 is meant */
    double preset[3];         /**< default */
    const char *const *words; /**< KF_FIELD_WORD: names of the values 0..hi; else NULL */
    size_t offset;            /**< in kf_preprocess; kf_preprocess_get and kf_preprocess_set use it */
} kf_field;

/** Member `index` in the order of the structure; NULL past the last. There are at most 32. */
KF_API const kf_field *kf_preprocess_field(int32_t index);
/** Value `i` (0 to field->n - 1) of a member; an enumerator as its number. */
KF_API double kf_preprocess_get(const kf_preprocess *p, const kf_field *field, int32_t i);
/** Set it. 0: `value` is not legal (not in lo..hi, or not whole where it should be), and nothing changed; else 1. */
KF_API int32_t kf_preprocess_set(kf_preprocess *p, const kf_field *field, int32_t i, double value);
/** Set a member from text: a word, or `n` numbers between commas, or one number for all `n`. ARGUMENT, "KEY TEXT:
 *  what is needed": anything else; nothing changed. */
KF_API kf_status kf_preprocess_parse(kf_preprocess *p, const kf_field *field, const char *text, kf_error *err);
/** Replace in `to`, with values from `from`, every member `index` whose bit 1 << index of `fields` is set. */
KF_API void kf_preprocess_copy(kf_preprocess *to, const kf_preprocess *from, uint32_t fields);
/** All defaults, valid = 1; width and height are 0: the network knows them. */
KF_API void kf_preprocess_init(kf_preprocess *p);

/* ---- arithmetic ------------------------------------------------------------------------------ */

/** What the network sees of pixel value `pixel` (0..255) in channel `c` (0..2, in the network's order):
 *  (pixel / 255 - mean[c]) / std[c]. */
KF_API double kf_preprocess_normalize(const kf_preprocess *p, int32_t c, double pixel);
/** The pixel that `x` came from: 255 * (x * std[c] + mean[c]), kept inside 0..255, rounded to nearest even; NaN
 *  gives 0. */
KF_API uint8_t kf_preprocess_pixel(const kf_preprocess *p, int32_t c, double x);
/** Fill mean and std so that the network sees (pixel - mean[c]) * scale[c], pixel in 0..255, as some toolchains
 *  write it. */
KF_API void kf_preprocess_set_scale(kf_preprocess *p, const double mean[3], const double scale[3]);

/** Channels of a network that wants `color`: 1 for GRAY, else 3. */
KF_API int32_t kf_color_channels(kf_color color);
/** n RGB8 pixels to what the network takes, kf_color_channels(color) bytes each. `to` may be `rgb`. */
KF_API void kf_color_from_rgb(kf_color color, const uint8_t *rgb, size_t n, uint8_t *to);
/** The way back, so that kf_color_from_rgb gives the same bytes again; grey becomes R = G = B. `rgb` may be `from`
 *  where `color` has three channels. */
KF_API void kf_color_to_rgb(kf_color color, const uint8_t *from, size_t n, uint8_t *rgb);

#ifdef __cplusplus
}
#endif
#endif
