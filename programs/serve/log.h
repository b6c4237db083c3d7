/* The access log: a line a request on standard error, text or JSON. It never waits for who reads it.
 * Owner rule: the log belongs to the program. Thread rule: one thread at a time. */
#ifndef KITFOX_SERVE_LOG_H
#define KITFOX_SERVE_LOG_H

#include "serve/message.h"

typedef enum sv_log_form { SV_LOG_NONE = 0, SV_LOG_TEXT, SV_LOG_JSON } sv_log_form;
typedef struct sv_log {
    sv_log_form form;
    uint64_t dropped; /* lines since the last one that was written */
} sv_log;

void sv_log_request(sv_log *log, const sv_request *r, const sv_answer *a, int64_t total_ns);

#endif
