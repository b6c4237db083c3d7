/* GET /profile/M: the time of each step, measured on a worker.
 * Owner rule: nothing is kept. */
#include <stdlib.h>

#include "kitfox/bench.h"
#include "serve/service.h"
#include "serve/text.h"

enum { FRAMES = 20 };

static void put_steps(const sv_model *m, const kf_bench_result *r, sv_text *t) {
    for (int32_t i = 0; i < r->n_steps; i++) {
        kf_step_info step = {.size = sizeof step};
        if (kf_model_step(m->model, i, &step, NULL) != KF_OK) continue;
        sv_text_put(t, i ? ",{\"name\":" : "{\"name\":");
        sv_text_string(t, step.name);
        sv_text_add(t, ",\"op\":\"%s\",\"kernel\":\"%s\",\"ms\":%.6f}", step.op, step.kernel, r->step_ms[i]);
    }
}

void sv_profile(const sv_model *m, sv_answer *a) {
    kf_bench_options o;
    kf_bench_result r = {.size = sizeof r};
    kf_error err = {0};
    sv_text t = {0};
    kf_bench_options_init(&o);
    o.frames = FRAMES, o.profile = 1, o.threads = 1;
    kf_status st = kf_bench(m->model, &o, &r, &err);
    if (st != KF_OK) {
        sv_answer_failed(a, st, &err);
        return;
    }
    sv_text_add(&t, "{\"model\":\"%s\",\"cpu\":\"%s\",\"ms\":%.6f,\"steps\":[", m->name, kf_cpu_name(),
                r.summary.median);
    put_steps(m, &r, &t);
    sv_text_put(&t, "]}");
    kf_bench_free(&r);
    a->status = 200, a->type = "application/json";
    a->body = sv_text_take(&t, &a->bytes);
    if (!a->body) sv_answer_error(a, 503, SV_INTERNAL, "no memory for the answer");
}
