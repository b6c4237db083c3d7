/* The one rule for what preprocessing is legal, and the texts that say so. The table is preprocess.def, its public form
 * kf_field in include/kitfox/preprocess.h; the arithmetic is in pixel.h.
 * Owner rule: pure functions over static tables. */
#ifndef KF_PREPROCESS_H
#define KF_PREPROCESS_H

#include "base/base.h"
#include "kitfox/preprocess.h"

/** Is `p` legal: every member in its range, and `color` one that the network's `channels` can take? channels 0: not
 *  known, or no picture. Does not look at p->valid. ARGUMENT names the member, its value and what is needed. */
kf_status kf__preprocess_check(const kf_preprocess *p, int64_t channels, kf_error *err);
/** kf_preprocess_set for what a user wrote: false beyond `usual` too. */
bool kf__field_take(kf_preprocess *p, const kf_field *f, int32_t i, double value);
/** The values that a member can have: "a number above 0, at most 1", "bilinear, bicubic or nearest". `user`: within
 * `usual`. Returns `to`. */
#define KF_FIELD_TEXT 96
const char *kf__field_needs(const kf_field *f, bool user, char to[KF_FIELD_TEXT]);
/** The reason why users have narrower bounds than what is legal; else "". */
const char *kf__field_hint(const kf_field *f);
/** Value whose name is `word`, or -1. */
int32_t kf__field_word(const kf_field *f, const char *word);

#endif
