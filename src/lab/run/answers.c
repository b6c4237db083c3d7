/* Clock, sessions and names of classes for timing, files and frames.
 * Owner rule: see answers.h. */
#include <string.h>
#include "run/answers.h"

#include <time.h>

#include "data/labels.h"

double kf__now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

kf_status kf__answers_session(const kf_model *m, int32_t threads,
                              void (*fewer_threads)(void *user, int32_t started, int32_t wanted), void *user,
                              kf_session **out, kf_error *err) {
    kf_session_options o;
    int32_t wanted;
    kf_session_options_init(&o);
    o.threads = threads;
    KF_TRY(kf_session_create(m, &o, out, err));
    int32_t started = kf_session_threads(*out, &wanted);
    if (started < wanted && fewer_threads) fewer_threads(user, started, wanted);
    return KF_OK;
}

kf_status kf_labels_check(const kf_labels *labels, const kf_model *model, kf_error *err) {
    kf_tensor out;
    if (!labels || !labels->n) return KF_OK;
    KF_TRY(kf_model_output(model, kf_model_ranked(model), &out, err));
    size_t classes = kf__labels_classes(&out);
    if ((size_t)labels->n == classes) return KF_OK;
    KF_FAIL(err, KF_ERR_ARGUMENT, "%d labels; the model has %zu classes; use the list that belongs to it", labels->n,
            classes);
}

kf_status kf__answers_picture(const kf_model *m, kf_error *err) {
    kf_model_info info = {.size = sizeof info};
    kf_tensor in;
    KF_TRY(kf_model_get_info(m, &info, err));
    KF_TRY(kf_model_input(m, 0, &in, err));
    if (!info.preprocess.valid || in.rank != 4 || in.shape[0] == 1) return KF_OK;
    KF_FAIL(err, KF_ERR_UNSUPPORTED,
            "input %s takes %lld pictures at a time; for one at a time import the network with --batch 1",
            in.name ? in.name : "0", (long long)in.shape[0]);
}

void kf__answers_name(const kf_labels *labels, kf_score *top, size_t n) {
    if (!labels || !labels->n) return;
    for (size_t i = 0; i < n; i++) top[i].label = top[i].index < labels->n ? labels->items[top[i].index] : NULL;
}

kf_status kf__answers_range(const char *option, int64_t value, int64_t lo, int64_t hi, kf_error *err) {
    if (value >= lo && value <= hi) return KF_OK;
    KF_FAIL(err, KF_ERR_ARGUMENT, "%s %lld; %lld to %lld is needed", option, (long long)value, (long long)lo,
            (long long)hi);
}

kf_status kf__answers_room(const char *type, size_t given, size_t needed, kf_error *err) {
    if (given >= needed && given <= 4096) return KF_OK;
    KF_FAIL(err, KF_ERR_ARGUMENT, "%s: size %zu; set it to sizeof(%s), %zu here", type, given, type, needed);
}

kf_verdict kf_verify_verdict(const kf_verify_report *report) {
    if (report->first >= 0) return KF_DIFFERS;
    return report->exact == report->steps ? KF_IDENTICAL : KF_AGREES;
}

static const char *const VERDICTS[] = {[KF_IDENTICAL] = "identical", [KF_AGREES] = "agrees", [KF_DIFFERS] = "differs"};

const char *kf_verdict_name(kf_verdict verdict) { return (unsigned)verdict <= KF_DIFFERS ? VERDICTS[verdict] : NULL; }

kf_status kf_verdict_from_name(const char *name, kf_verdict *out, kf_error *err) {
    for (int32_t i = 0; name && out && i <= KF_DIFFERS; i++)
        if (strcmp(name, VERDICTS[i]) == 0) {
            *out = (kf_verdict)i;
            return KF_OK;
        }
    KF_FAIL(err, KF_ERR_ARGUMENT, "verdict '%.60s': it is none of identical, agrees, differs", name ? name : "");
}
