/* A list of connections under one lock, and the thread that watches their deadlines.
 * Owner rule: see peers.h. */
#include "serve/peers.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { TICK_MS = 250 };

struct sv_peers {
    pthread_mutex_t lock;
    pthread_cond_t change;
    sv_peer *first;
    atomic_int *open;
    bool ending, watching;
    pthread_t watcher;
};

static void cut_late(const sv_peers *s) {
    int64_t now = sv_now();
    for (sv_peer *p = s->first; p; p = p->next)
        if (p->due && now > p->due) {
            shutdown(p->fd, SHUT_RDWR);
            p->due = 0;
        }
}

/* Sleeps while there is no connection; else looks four times a second. */
static void *watch(void *user) {
    sv_peers *s = user;
    pthread_mutex_lock(&s->lock);
    while (!s->ending) {
        if (!s->first) {
            pthread_cond_wait(&s->change, &s->lock);
            continue;
        }
        struct timespec until;
        cut_late(s);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += TICK_MS * 1000000L;
        if (until.tv_nsec >= 1000000000L) until.tv_sec++, until.tv_nsec -= 1000000000L;
        pthread_cond_timedwait(&s->change, &s->lock, &until);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

kf_status sv_peers_create(atomic_int *open, sv_peers **out, kf_error *err) {
    pthread_condattr_t monotonic;
    sv_peers *s = *out = calloc(1, sizeof *s);
    if (!s) KF_FAIL(err, KF_ERR_MEMORY, "serve: no memory for connections");
    s->open = open;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->change, &monotonic);
    pthread_condattr_destroy(&monotonic);
    s->watching = pthread_create(&s->watcher, NULL, watch, s) == 0;
    if (s->watching) return KF_OK;
    sv_peers_destroy(out);
    KF_FAIL(err, KF_ERR_MEMORY, "serve: a thread does not start");
}

void sv_peers_destroy(sv_peers **peers) {
    sv_peers *s = *peers;
    if (!s) return;
    pthread_mutex_lock(&s->lock);
    s->ending = true;
    pthread_cond_signal(&s->change);
    pthread_mutex_unlock(&s->lock);
    if (s->watching) pthread_join(s->watcher, NULL);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->change);
    free(s);
    *peers = NULL;
}

static void address_of(const struct sockaddr *a, char text[INET6_ADDRSTRLEN]) {
    const void *at = &((const struct sockaddr_in *)a)->sin_addr;
    if (a->sa_family == AF_INET6) at = &((const struct sockaddr_in6 *)a)->sin6_addr;
    if (!inet_ntop(a->sa_family, at, text, INET6_ADDRSTRLEN)) memcpy(text, "?", 2);
}

sv_peer *sv_peers_add(sv_peers *s, int fd, const struct sockaddr *from, int64_t due) {
    sv_peer *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->fd = fd, p->due = due;
    address_of(from, p->address);
    pthread_mutex_lock(&s->lock);
    p->next = s->first;
    if (p->next) p->next->before = p;
    s->first = p;
    atomic_fetch_add(s->open, 1);
    if (!p->next) pthread_cond_signal(&s->change);
    pthread_mutex_unlock(&s->lock);
    return p;
}

void sv_peers_remove(sv_peers *s, sv_peer *p) {
    if (!p) return;
    pthread_mutex_lock(&s->lock);
    if (p->next) p->next->before = p->before;
    if (p->before) p->before->next = p->next;
    else s->first = p->next;
    atomic_fetch_sub(s->open, 1);
    pthread_mutex_unlock(&s->lock);
    free(p);
}

void sv_peers_set_due(sv_peers *s, sv_peer *p, int64_t due) {
    if (!p) return;
    pthread_mutex_lock(&s->lock);
    p->due = due;
    pthread_mutex_unlock(&s->lock);
}
