/* Downloads of published weights (libkitfoxlab): by name, resumed, checked, and under their names only when complete.
 * libcurl is loaded at run time by the first download; the library does not link it.
 * Owner rule: kf_pull_result_free releases what kf_pull filled in; strings of kf_weights are static. */
#ifndef KITFOX_PULL_H
#define KITFOX_PULL_H

#include "kitfox/compile.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Published weights that kf_graph_import reads. */
typedef struct kf_weights {
    size_t size;            /**< sizeof of this structure, set by the caller before the call */
    const char *name;       /**< what kf_pull takes */
    const char *repository; /**< "OWNER/NAME.TAG" on the hub */
    const char *file;       /**< "model.safetensors" */
    const char *licence;    /**< SPDX identifier */
    int32_t cached;         /**< 1: the cache folder has a file of that name */
} kf_weights;
/** Entry `index`, 0-based. ARGUMENT past the last. Thread safe. */
KF_API kf_status kf_weights_get(int32_t index, kf_weights *out, kf_error *err);
/** The entry that is called `name`: its name, its repository, or the repository without the owner. ARGUMENT: none is.
 *  Thread safe. */
KF_API kf_status kf_weights_find(const char *name, kf_weights *out, kf_error *err);

/** How to download. Fill with kf_pull_options_init, then change fields. */
typedef struct kf_pull_options {
    size_t size; /**< sizeof(kf_pull_options), set by the init function */
    /** http://, https:// or file:// URL that holds REPOSITORY/FILE or REPOSITORY/resolve/main/FILE. NULL (default): the
     *  hub. */
    const char *mirror;
    /** A folder (made where it is missing, if the name ends in "/"), or the name of the weights; config.json goes
     * beside them. NULL (default): $XDG_CACHE_HOME/kitfox/weights/NAME, else $HOME/.cache/kitfox/weights/NAME. */
    const char *output;
    const char *sha256; /**< 64 lower-case hexadecimal digits that the weights must have. NULL (default): the hash that
                             the server publishes, if any */
    int32_t force;      /**< 1: replace other files that are there. Default 0 */
    int32_t tries;      /**< attempts for one file, 1..100; default 5 */
    int32_t wait_ms;    /**< first pause between attempts, 1..60000; doubled each time, at most 30 s; default 1000 */
    int32_t timeout_s;  /**< seconds without a connection or below `slowest` that end an attempt, 1..3600; default 30 */
    int64_t slowest;    /**< bytes per second that a server has to send, 1..2^30; default 1024 */
    /** Called from the calling thread, at least once a second: bytes of the file at hand that are there, and its
     * length. Both are 0 before an answer came and between attempts; `total` is 0 as long as the length is not known.
     * Non-zero stops: CANCELLED. NULL (default): not called. */
    int (*progress)(void *user, uint64_t done, uint64_t total);
    kf_message_fn notice; /**< told why an attempt failed when there is another one. NULL (default): nobody is */
    void *user;           /**< for both callbacks */
} kf_pull_options;
KF_API void kf_pull_options_init(kf_pull_options *options);
/** Are the options within their ranges, and `mirror` and `sha256` well formed? kf_pull asks itself; this is for the
 *  time before. `options` may be NULL. ARGUMENT. Thread safe. */
KF_API kf_status kf_pull_options_check(const kf_pull_options *options, kf_error *err);

/** What is there now. */
typedef struct kf_pull_result {
    size_t size;         /**< sizeof of this structure, set by the caller before the call */
    char *file, *config; /**< paths of weights and configuration */
    char *source;        /**< URL of the weights; NULL: they were there already */
    uint64_t bytes;      /**< of the weights */
    char sha256[65];     /**< of the weights: 64 lower-case hexadecimal digits and a final 0 */
    int32_t resumed;     /**< 1: some bytes were kept from an earlier attempt or call */
} kf_pull_result;

/** Download the weights called `name` (see kf_weights_find) and their config.json, or find that both are there already.
 *  Neither file gets its name before both are complete and checked: the hash, the length, the structure of the
 *  checkpoint, and that the configuration is of these weights. While it works, "FILE.part" and "FILE.part.tag" lie
 *  beside each file. After a broken transfer they stay only where a later call can go on with them; after CANCELLED
 *  nothing of them stays. `options` may be NULL. `*out` is empty on failure, else the caller releases it with
 *  kf_pull_result_free. Errors: ARGUMENT (no such name, options), UNSUPPORTED (no libcurl that can be limited to http,
 *  https and file), IO (network, disk, other files are there, another call fetches the same file), CORRUPT (not what
 *  was promised), LIMIT (weights over 1 GiB, a configuration over 1 MiB, names that are too long), MEMORY, CANCELLED.
 *  Thread safe. */
KF_API kf_status kf_pull(const char *name, const kf_pull_options *options, kf_pull_result *out, kf_error *err);
/** Release and empty. NULL is accepted. */
KF_API void kf_pull_result_free(kf_pull_result *result);

#ifdef __cplusplus
}
#endif
#endif
