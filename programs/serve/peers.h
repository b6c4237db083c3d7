/* Open connections and their deadlines. One thread looks at them and shuts down the sockets of those that are late:
 * libmicrohttpd counts inactivity, which a client that drips a byte a second never reaches.
 * Owner rule: a peer lives from sv_peers_add to sv_peers_remove, within the life of its socket.
 * Thread rule: every function but create and destroy may be called from any thread. */
#ifndef KITFOX_SERVE_PEERS_H
#define KITFOX_SERVE_PEERS_H

#include <netinet/in.h>
#include <stdatomic.h>

#include "serve/message.h"

typedef struct sv_peers sv_peers;
typedef struct sv_peer {
    struct sv_peer *next, *before;
    int fd;
    int64_t due; /* sv_now at which it is cut; 0: never, its request is being computed */
    char address[INET6_ADDRSTRLEN];
} sv_peer;

/** *open gets the number of connections. MEMORY: also where the thread does not start. */
kf_status sv_peers_create(atomic_int *open, sv_peers **out, kf_error *err);
void sv_peers_destroy(sv_peers **peers);
/** NULL: no memory. */
sv_peer *sv_peers_add(sv_peers *peers, int fd, const struct sockaddr *from, int64_t due);
/** NULL does nothing. */
void sv_peers_remove(sv_peers *peers, sv_peer *peer);
/** Not much sooner than a quarter of a second from now. NULL does nothing. */
void sv_peers_set_due(sv_peers *peers, sv_peer *peer, int64_t due);

#endif
