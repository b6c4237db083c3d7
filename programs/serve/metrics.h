/* What a server counts, in the text form of Prometheus. Counters live as long as the server: a swap does not reset
 * them. Owner rule: the registry belongs to the service. Thread rule: every function may be called from any thread. */
#ifndef KITFOX_SERVE_METRICS_H
#define KITFOX_SERVE_METRICS_H

#include "serve/message.h"
#include "serve/text.h"

typedef struct sv_metrics sv_metrics;
kf_status sv_metrics_create(sv_metrics **out, kf_error *err);
void sv_metrics_destroy(sv_metrics **metrics);
/** A model's counters, which start once; at most SV_MAX_MODELS models. */
void sv_metrics_add(sv_metrics *metrics, const char *model);
/** A request that was answered. */
void sv_metrics_count(sv_metrics *metrics, const sv_answer *a, int64_t total_ns);
/** Text exposition format 0.0.4. `waiting` requests are in the queue, `connections` are open. */
void sv_metrics_write(sv_metrics *metrics, int waiting, int connections, sv_text *to);
/** The statistics extension for one model, as an element of "model_stats". */
void sv_metrics_stats(sv_metrics *metrics, const char *model, const char *version, sv_text *to);

#endif
