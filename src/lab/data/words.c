/* Names of what the numbers of a model mean, for options and reports.
 * Owner rule: static text. */
#include <string.h>

#include "kitfox/lab.h"

static const char *const SCORES[KF_SCORES_KIND_COUNT] = {
    [KF_SCORES_UNKNOWN] = "unknown",         [KF_SCORES_LOGITS] = "logits", [KF_SCORES_PROBABILITIES] = "probabilities",
    [KF_SCORES_INDEPENDENT] = "independent", [KF_SCORES_LOG] = "log",       [KF_SCORES_FEATURES] = "features",
    [KF_SCORES_INDICES] = "indices",         [KF_SCORES_TOP] = "top"};
static const char *const TAKES[KF_TAKES_COUNT] = {[KF_TAKES_UNKNOWN] = "unknown",
                                                  [KF_TAKES_PIXELS] = "pixels",
                                                  [KF_TAKES_NORMALIZED] = "normalized",
                                                  [KF_TAKES_FEATURES] = "features"};
static const char *const ORIGINS[KF_ORIGIN_COUNT] = {[KF_ORIGIN_UNKNOWN] = "unknown",
                                                     [KF_ORIGIN_GIVEN] = "given",
                                                     [KF_ORIGIN_RECOGNIZED] = "recognized",
                                                     [KF_ORIGIN_ASSUMED] = "assumed"};

const char *kf_scores_kind_name(kf_scores_kind kind) {
    return (unsigned)kind < KF_SCORES_KIND_COUNT ? SCORES[kind] : NULL;
}

const char *kf_takes_name(kf_takes takes) { return (unsigned)takes < KF_TAKES_COUNT ? TAKES[takes] : NULL; }

const char *kf_origin_name(kf_origin origin) { return (unsigned)origin < KF_ORIGIN_COUNT ? ORIGINS[origin] : NULL; }

kf_status kf_scores_kind_from_name(const char *name, kf_scores_kind *out, kf_error *err) {
    for (int i = KF_SCORES_LOGITS; name && out && i <= KF_SCORES_FEATURES; i++)
        if (strcmp(SCORES[i], name) == 0) {
            *out = (kf_scores_kind)i;
            return KF_OK;
        }
    KF_FAIL(err, KF_ERR_ARGUMENT, "scores '%.60s': logits, probabilities, independent, log or features is needed",
            name ? name : "");
}

/* Index of `name` in `words`, or -1. */
static int word_at(const char *const *words, int n, const char *name) {
    for (int i = 0; name && i < n; i++)
        if (strcmp(words[i], name) == 0) return i;
    return -1;
}

kf_status kf_takes_from_name(const char *name, kf_takes *out, kf_error *err) {
    int at = word_at(TAKES, KF_TAKES_COUNT, name);
    if (at < 0 || !out)
        KF_FAIL(err, KF_ERR_ARGUMENT, "takes '%.60s': unknown, pixels, normalized or features is needed",
                name ? name : "");
    *out = (kf_takes)at;
    return KF_OK;
}

kf_status kf_origin_from_name(const char *name, kf_origin *out, kf_error *err) {
    int at = word_at(ORIGINS, KF_ORIGIN_COUNT, name);
    if (at < 0 || !out)
        KF_FAIL(err, KF_ERR_ARGUMENT, "origin '%.60s': unknown, given, recognized or assumed is needed",
                name ? name : "");
    *out = (kf_origin)at;
    return KF_OK;
}
