/* Workers that sleep on a condition until a job comes.
 * Owner rule: see queue.h. */
#include "serve/queue.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* In the queue's own array: a thread that freed its argument would do so whenever it comes to run. */
typedef struct worker {
    sv_queue *q;
    int index;
    pthread_t thread;
} worker;

struct sv_queue {
    pthread_mutex_t lock;
    pthread_cond_t more;
    sv_job **jobs; /* ring of `room` */
    int room, first, n, running, workers;
    bool ending;
    worker *all;
};

static void *work(void *user) {
    const worker *self = user;
    sv_queue *q = self->q;
    pthread_mutex_lock(&q->lock);
    for (;;) {
        while (!q->n && !q->ending) pthread_cond_wait(&q->more, &q->lock);
        if (!q->n) break;
        sv_job *job = q->jobs[q->first];
        q->first = (q->first + 1) % q->room, q->n--, q->running++;
        pthread_mutex_unlock(&q->lock);
        job->run(job, self->index);
        pthread_mutex_lock(&q->lock);
        q->running--;
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

static bool begin(sv_queue *q, int index) {
    worker *w = &q->all[index];
    w->q = q, w->index = index;
    return pthread_create(&w->thread, NULL, work, w) == 0;
}

kf_status sv_queue_create(int workers, int room, sv_queue **out, kf_error *err) {
    sv_queue *q = *out = calloc(1, sizeof *q);
    if (!q) KF_FAIL(err, KF_ERR_MEMORY, "serve: no memory for the queue");
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->more, NULL);
    q->room = room;
    q->jobs = calloc((size_t)room, sizeof *q->jobs);
    q->all = calloc((size_t)workers, sizeof *q->all);
    while (q->jobs && q->all && q->workers < workers && begin(q, q->workers)) q->workers++;
    if (q->workers == workers) return KF_OK;
    int started = q->workers;
    sv_queue_destroy(out);
    KF_FAIL(err, KF_ERR_MEMORY, "serve: %d of %d workers could be started; choose fewer with --threads", started,
            workers);
}

void sv_queue_end(sv_queue *q) {
    pthread_mutex_lock(&q->lock);
    q->ending = true;
    pthread_cond_broadcast(&q->more);
    pthread_mutex_unlock(&q->lock);
    for (int i = 0; i < q->workers; i++) pthread_join(q->all[i].thread, NULL);
    q->workers = 0;
}

void sv_queue_destroy(sv_queue **queue) {
    sv_queue *q = *queue;
    if (!q) return;
    sv_queue_end(q);
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->more);
    free(q->all);
    free(q->jobs);
    free(q);
    *queue = NULL;
}

bool sv_queue_put(sv_queue *q, sv_job *job) {
    pthread_mutex_lock(&q->lock);
    bool fits = q->n < q->room && !q->ending;
    if (fits) {
        job->put = sv_now();
        q->jobs[(q->first + q->n++) % q->room] = job;
        pthread_cond_signal(&q->more);
    }
    pthread_mutex_unlock(&q->lock);
    return fits;
}

int sv_queue_waiting(sv_queue *q) {
    pthread_mutex_lock(&q->lock);
    int n = q->n;
    pthread_mutex_unlock(&q->lock);
    return n;
}

int sv_queue_running(sv_queue *q) {
    pthread_mutex_lock(&q->lock);
    int n = q->running;
    pthread_mutex_unlock(&q->lock);
    return n;
}
