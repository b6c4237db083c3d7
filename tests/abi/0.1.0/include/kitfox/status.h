/* Status codes and the error object shared by every KitFox library.
 * Owner rule: an error object is plain caller memory; nothing in it is ever freed. */
#ifndef KITFOX_STATUS_H
#define KITFOX_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/** Marks a declaration as part of the public, exported interface. */
#if defined(__GNUC__)
#define KF_API __attribute__((visibility("default")))
#define KF_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define KF_API
#define KF_PRINTF(fmt, args)
#endif

/** Result of every function that can fail. New codes are only ever appended. */
typedef enum kf_status {
    KF_OK = 0,              /**< the work was done */
    KF_ERR_ARGUMENT = 1,    /**< the caller passed something outside the documented range */
    KF_ERR_IO = 2,          /**< the operating system refused: missing, unreadable, full */
    KF_ERR_FORMAT = 3,      /**< bytes from outside do not follow their format */
    KF_ERR_UNSUPPORTED = 4, /**< well formed, but this build or version cannot do it */
    KF_ERR_LIMIT = 5,       /**< a safety limit was passed (sizes, counts, depth) */
    KF_ERR_MEMORY = 6,      /**< an allocation failed */
    KF_ERR_SHAPE = 7,       /**< tensor shapes or types do not fit each other */
    KF_ERR_CORRUPT = 8,     /**< a checksum or an internal invariant of a file does not hold */
    KF_ERR_INTERNAL = 9,    /**< a bug in KitFox; please report it */
    KF_ERR_CANCELLED = 10   /**< a callback of the caller asked to stop; nothing half-written is left */
} kf_status;

/** Size of kf_error.text in bytes, terminating NUL included. */
#define KF_ERROR_TEXT 1024

/** Why a call failed, in words. Always optional: every function accepts NULL.
 *  `text` reads "PLACE: what; why; what to try" and never ends in a newline. Untouched on success. */
typedef struct kf_error {
    kf_status status;
    char text[KF_ERROR_TEXT];
} kf_error;

/** Fill `err` (may be NULL) and return `status`. The text replaces what was there; what does not fit is cut. */
KF_API kf_status kf_error_set(kf_error *err, kf_status status, const char *fmt, ...) KF_PRINTF(3, 4);
/** Put "prefix: " before the text of an error that is set already (a file, a node). Returns the status in `err`, or
 *  `status` when `err` is NULL. */
KF_API kf_status kf_error_prefix(kf_error *err, kf_status status, const char *fmt, ...) KF_PRINTF(3, 4);

/** Return from the calling function, which returns kf_status, with an error text. */
#define KF_FAIL(err, status, ...) return kf_error_set((err), (status), __VA_ARGS__)
/** Return from the calling function, which returns kf_status, if `call` failed. */
#define KF_TRY(call)                                                                                                   \
    do {                                                                                                               \
        kf_status kf_try_status = (call);                                                                              \
        if (kf_try_status != KF_OK) return kf_try_status;                                                              \
    } while (0)

/** Short constant name of a status ("format", "io", ...), never NULL. Thread safe. */
KF_API const char *kf_status_name(kf_status status);

/** Library version "major.minor.patch", static storage. Thread safe. */
KF_API const char *kf_version(void);

#ifdef __cplusplus
}
#endif
#endif
