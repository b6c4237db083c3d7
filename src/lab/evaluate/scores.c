/* Best classes as JSON.
 * Owner rule: the text is the caller's. */
#include <jansson.h>
#include <math.h>

#include "kitfox/lab.h"

enum { DIGITS = 10 }; /* a float has at most 9 */

/* JSON cannot hold labels that are not UTF-8, nor scores that are NaN or infinite. */
static json_t *entry(const kf_score *s) {
    double score = (double)s->score;
    json_t *label = s->label ? json_string(s->label) : NULL;
    json_t *value = isfinite(score) ? json_real(score) : NULL;
    return json_pack("{s:i,s:o,s:o}", "index", s->index, "label", label ? label : json_null(), "score",
                     value ? value : json_null());
}

kf_status kf_scores_json(const kf_score *top, size_t n, char **text, kf_error *err) {
    if ((!top && n) || !text) KF_FAIL(err, KF_ERR_ARGUMENT, "kf_scores_json: scores and text are needed");
    json_t *list = json_array();
    int lost = !list;
    for (size_t i = 0; !lost && i < n; i++) lost = json_array_append_new(list, entry(&top[i]));
    *text = lost ? NULL : json_dumps(list, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS));
    json_decref(list);
    if (!*text) KF_FAIL(err, KF_ERR_MEMORY, "out of memory for %zu scores as JSON", n);
    return KF_OK;
}
