/* The one queue in front of a fixed number of workers. It is bounded; nothing spins.
 * Owner rule: a job belongs to whoever put it in, until its `done` was called.
 * Thread rule: every function but create and destroy may be called from any thread. */
#ifndef KITFOX_SERVE_QUEUE_H
#define KITFOX_SERVE_QUEUE_H

#include "serve/message.h"

typedef struct sv_job sv_job;
struct sv_job {
    void (*run)(sv_job *job, int worker); /* on the worker's thread */
    int64_t put;                          /* sv_now when it was put in */
};

typedef struct sv_queue sv_queue;
/** `workers` threads, and room for `room` jobs that wait. MEMORY: also where a thread does not start. */
kf_status sv_queue_create(int workers, int room, sv_queue **out, kf_error *err);
/** Runs what waits, then ends the threads. From now on nothing can be put in. Once. */
void sv_queue_end(sv_queue *queue);
/** After sv_queue_end, or instead of it. */
void sv_queue_destroy(sv_queue **queue);
/** False: it is full, and the job is still the caller's. */
bool sv_queue_put(sv_queue *queue, sv_job *job);
/** Jobs that wait, and those that run. */
int sv_queue_waiting(sv_queue *queue);
int sv_queue_running(sv_queue *queue);

#endif
