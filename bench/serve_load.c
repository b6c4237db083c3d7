/* Load for bench/serve.sh: the same HTTP requests over and over on connections that stay open, and how long each took.
 * Closed loop: a connection sends the next request when it has the answer. Open loop: requests are due at the times of
 * a Poisson process, whatever the server does, and a request's time counts from when it was due.
 * usage: serve_load PORT CONNECTIONS REQUESTS RATE SEED OUT REQUEST_FILE...
 * RATE: requests a second, 0: closed loop. OUT gets a line "due seconds worked" for each request; `worked` is what the
 * server says in Server-Timing, without its wait for a worker (0: it does not say). A line of JSON sums up. */
#include <arpa/inet.h>
#include <math.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_HEAD = 8192, MAX_CONNECTIONS = 1024 };

typedef struct message {
    char *data;
    size_t bytes;
} message;

static struct {
    int port;
    long requests;
    double rate, begin;
    double *due, *took, *worked; /* seconds; due: since the begin */
    message *files;
    int n_files;
    atomic_long next, failed;
} load;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void sleep_until(double when) {
    double whole = floor(when);
    const struct timespec t = {.tv_sec = (time_t)whole, .tv_nsec = (long)((when - whole) * 1e9)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static int dial(void) {
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)load.port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

static void put_all(int fd, const message *m) {
    for (size_t sent = 0; sent < m->bytes;) {
        ssize_t n = send(fd, m->data + sent, m->bytes - sent, MSG_NOSIGNAL);
        if (n <= 0) die("send");
        sent += (size_t)n;
    }
}

static long content_length(const char *head) {
    for (const char *line = head; line; line = strstr(line, "\r\n")) {
        if (*line == '\r') line += 2;
        if (strncasecmp(line, "content-length:", 15) == 0) return atol(line + 15);
    }
    return 0;
}

/* Seconds of all parts of the answer's Server-Timing but `queue`. */
static double worked_seconds(const char *head) {
    const char *line = strcasestr(head, "\r\nserver-timing:"), *end = line ? strstr(line + 2, "\r\n") : NULL;
    double ms = 0;
    for (const char *at = line; at && (at = strstr(at, ";dur=")) && (!end || at < end); at += 5)
        if (strncmp(at - 5, "queue", 5) != 0) ms += atof(at + 5);
    return ms / 1e3;
}

/* One answer to its end; true: its status is 200. */
static bool take_answer(int fd, double *worked) {
    char head[MAX_HEAD + 1], *end;
    size_t have = 0;
    do {
        ssize_t n = recv(fd, head + have, MAX_HEAD - have, 0);
        if (n <= 0) die("recv");
        have += (size_t)n;
        head[have] = 0;
        end = strstr(head, "\r\n\r\n");
    } while (!end && have < MAX_HEAD);
    if (!end) die("head");
    *end = 0;
    *worked = worked_seconds(head);
    long left = content_length(head) - (long)(have - (size_t)(end + 4 - head));
    while (left > 0) {
        char body[4096];
        ssize_t n = recv(fd, body, left < (long)sizeof body ? (size_t)left : sizeof body, 0);
        if (n <= 0) die("recv");
        left -= n;
    }
    return strncmp(head + 8, " 200", 4) == 0;
}

static void *talk(void *user) {
    int fd = dial();
    (void)user;
    prctl(PR_SET_TIMERSLACK, 1L, 0L, 0L, 0L); /* ns; the default of 50 us would be counted as the server's */
    for (long i; (i = atomic_fetch_add(&load.next, 1)) < load.requests;) {
        double start = now();
        if (load.rate > 0) {
            start = load.begin + load.due[i];
            sleep_until(start);
        } else load.due[i] = start - load.begin;
        put_all(fd, &load.files[i % load.n_files]);
        if (!take_answer(fd, &load.worked[i])) atomic_fetch_add(&load.failed, 1);
        load.took[i] = now() - start;
    }
    close(fd);
    return NULL;
}

static message read_file(const char *path) {
    FILE *f = fopen(path, "rb");
    message m = {NULL, 0};
    if (!f || fseek(f, 0, SEEK_END) != 0) die(path);
    m.bytes = (size_t)ftell(f);
    m.data = malloc(m.bytes + 1);
    rewind(f);
    if (!m.data || fread(m.data, 1, m.bytes, f) != m.bytes) die(path);
    fclose(f);
    return m;
}

/* Times between arrivals are exponential: of a seed always the same. */
static void plan(uint64_t seed) {
    double at = 0;
    for (long i = 0; i < load.requests && load.rate > 0; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        at -= log(((double)(seed >> 11) + 1) / 9007199254740993.0) / load.rate;
        load.due[i] = at;
    }
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *out, double wall) {
    struct rusage u;
    long n = load.requests;
    FILE *f = fopen(out, "w");
    if (!f) die(out);
    for (long i = 0; i < n; i++) fprintf(f, "%.9f %.9f %.9f\n", load.due[i], load.took[i], load.worked[i]);
    if (fclose(f) != 0) die(out);
    qsort(load.took, (size_t)n, sizeof *load.took, ascending);
    getrusage(RUSAGE_SELF, &u);
    double cpu = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec);
    cpu += (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
    printf("{\"requests\":%ld,\"failed\":%ld,\"seconds\":%.6f,\"cpu\":%.6f,\"p50\":%.9f,\"p90\":%.9f,\"p99\":%.9f}\n",
           n, (long)load.failed, wall, cpu, load.took[n / 2], load.took[n * 9 / 10], load.took[n * 99 / 100]);
}

int main(int argc, char **argv) {
    static pthread_t threads[MAX_CONNECTIONS];
    if (argc < 8) {
        fprintf(stderr, "usage: serve_load PORT CONNECTIONS REQUESTS RATE SEED OUT REQUEST_FILE...\n");
        return 2;
    }
    int connections = atoi(argv[2]);
    load.port = atoi(argv[1]), load.requests = atol(argv[3]), load.rate = atof(argv[4]), load.n_files = argc - 7;
    if (connections < 1 || connections > MAX_CONNECTIONS || load.requests < 1) return 2;
    load.due = calloc((size_t)load.requests, sizeof *load.due);
    load.took = calloc((size_t)load.requests, sizeof *load.took);
    load.worked = calloc((size_t)load.requests, sizeof *load.worked);
    load.files = calloc((size_t)load.n_files, sizeof *load.files);
    if (!load.due || !load.took || !load.worked || !load.files) die("memory");
    for (int i = 0; i < load.n_files; i++) load.files[i] = read_file(argv[7 + i]);
    plan((uint64_t)atoll(argv[5]));
    load.begin = now() + (load.rate > 0 ? 0.05 : 0); /* threads are there before the first is due */
    for (int i = 0; i < connections; i++)
        if (pthread_create(&threads[i], NULL, talk, NULL) != 0) die("thread");
    for (int i = 0; i < connections; i++) pthread_join(threads[i], NULL);
    report(argv[6], now() - load.begin);
    return load.failed ? 1 : 0;
}
