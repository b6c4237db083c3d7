/* Counters of requests, failures, pictures, and histograms of times.
 * Owner rule: see metrics.h. One lock, held for some additions: a request takes a thousand times as long. */
#include "serve/metrics.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "serve/models.h"

/* Upper bounds in seconds: from a small network's frame to a second. */
static const double BOUNDS[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1};
enum { N_BOUNDS = sizeof BOUNDS / sizeof *BOUNDS };

static const char *const CAUSES[SV_CAUSES] = {
    [SV_NONE] = "none",           [SV_BAD_REQUEST] = "bad_request", [SV_REFUSED] = "refused",
    [SV_NOT_FOUND] = "not_found", [SV_TOO_LARGE] = "too_large",     [SV_FULL] = "queue_full",
    [SV_TIMEOUT] = "timeout",     [SV_PICTURE] = "picture",         [SV_GONE] = "gone",
    [SV_INTERNAL] = "internal"};

typedef struct histogram {
    uint64_t in[N_BOUNDS + 1]; /* not cumulative; the last one is beyond all bounds */
    uint64_t count, ns;
} histogram;

typedef struct counters {
    char name[SV_MAX_NAME + 1];
    uint64_t success, failure[SV_CAUSES], pictures, last_ms;
    uint64_t fail_ns;
    histogram request, queue, decode, compute, encode;
} counters;

struct sv_metrics {
    pthread_mutex_t lock;
    counters models[SV_MAX_MODELS + 1]; /* the last one used: requests of no model */
    int n;
    double started;
    int statm; /* open from the start: a full table of files hides no metric */
};

static double wall(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

kf_status sv_metrics_create(sv_metrics **out, kf_error *err) {
    sv_metrics *m = *out = calloc(1, sizeof *m);
    if (!m) KF_FAIL(err, KF_ERR_MEMORY, "serve: no memory for counters");
    pthread_mutex_init(&m->lock, NULL);
    m->started = wall();
    m->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    m->n = 1; /* entry 0: of no model */
    return KF_OK;
}

void sv_metrics_destroy(sv_metrics **metrics) {
    if (!*metrics) return;
    if ((*metrics)->statm >= 0) close((*metrics)->statm);
    pthread_mutex_destroy(&(*metrics)->lock);
    free(*metrics);
    *metrics = NULL;
}

static counters *of(sv_metrics *m, const char *model) {
    for (int i = 1; i < m->n; i++)
        if (strcmp(m->models[i].name, model) == 0) return &m->models[i];
    return &m->models[0];
}

void sv_metrics_add(sv_metrics *m, const char *model) {
    pthread_mutex_lock(&m->lock);
    bool known = of(m, model) != &m->models[0];
    if (!known && m->n <= SV_MAX_MODELS) snprintf(m->models[m->n++].name, SV_MAX_NAME + 1, "%s", model);
    pthread_mutex_unlock(&m->lock);
}

static void put(histogram *h, int64_t ns) {
    int i = 0;
    while (i < N_BOUNDS && (double)ns > BOUNDS[i] * 1e9) i++;
    h->in[i]++;
    h->count++;
    h->ns += (uint64_t)ns;
}

void sv_metrics_count(sv_metrics *m, const sv_answer *a, int64_t total) {
    pthread_mutex_lock(&m->lock);
    counters *c = of(m, a->model);
    if (a->status < 400) {
        c->success++;
        c->pictures += (uint64_t)a->pictures;
        c->last_ms = (uint64_t)(wall() * 1e3);
        put(&c->request, total);
        put(&c->queue, a->queue);
        put(&c->decode, a->decode);
        put(&c->compute, a->compute);
        put(&c->encode, a->encode);
    } else {
        c->failure[a->cause]++;
        c->fail_ns += (uint64_t)total;
    }
    pthread_mutex_unlock(&m->lock);
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

static void head(sv_text *to, const char *name, const char *type, const char *help) {
    sv_text_add(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static uint64_t failures(const counters *c) {
    uint64_t n = 0;
    for (int i = 0; i < SV_CAUSES; i++) n += c->failure[i];
    return n;
}

static void write_histogram(sv_text *to, const char *name, const char *model, const histogram *h) {
    uint64_t sum = 0;
    for (int i = 0; i < N_BOUNDS; i++) {
        sum += h->in[i];
        sv_text_add(to, "%s_bucket{model=\"%s\",le=\"%g\"} %llu\n", name, model, BOUNDS[i], (unsigned long long)sum);
    }
    sv_text_add(to, "%s_bucket{model=\"%s\",le=\"+Inf\"} %llu\n", name, model, (unsigned long long)h->count);
    sv_text_add(to, "%s_sum{model=\"%s\"} %.9f\n", name, model, (double)h->ns / 1e9);
    sv_text_add(to, "%s_count{model=\"%s\"} %llu\n", name, model, (unsigned long long)h->count);
}

typedef struct family {
    const char *name, *help;
    size_t offset; /* of the histogram in counters */
} family;

static const family HISTOGRAMS[] = {
    {"kitfox_request_duration_seconds", "From the first byte of a request to its answer.", offsetof(counters, request)},
    {"kitfox_queue_duration_seconds", "Waiting for a worker.", offsetof(counters, queue)},
    {"kitfox_decode_duration_seconds", "Decoding, resizing and cropping pictures.", offsetof(counters, decode)},
    {"kitfox_compute_duration_seconds", "Running the network.", offsetof(counters, compute)},
    {"kitfox_encode_duration_seconds", "Writing the answer.", offsetof(counters, encode)}};

static void write_counters(sv_metrics *m, sv_text *to) {
    head(to, "kitfox_requests_success_total", "counter", "Requests that were answered.");
    for (int i = 0; i < m->n; i++)
        sv_text_add(to, "kitfox_requests_success_total{model=\"%s\"} %llu\n", m->models[i].name,
                    (unsigned long long)m->models[i].success);
    head(to, "kitfox_requests_failure_total", "counter", "Requests that failed, by cause.");
    for (int i = 0; i < m->n; i++)
        for (int k = 1; k < SV_CAUSES; k++)
            sv_text_add(to, "kitfox_requests_failure_total{model=\"%s\",cause=\"%s\"} %llu\n", m->models[i].name,
                        CAUSES[k], (unsigned long long)m->models[i].failure[k]);
    head(to, "kitfox_pictures_total", "counter", "Images that were computed.");
    for (int i = 1; i < m->n; i++)
        sv_text_add(to, "kitfox_pictures_total{model=\"%s\"} %llu\n", m->models[i].name,
                    (unsigned long long)m->models[i].pictures);
    for (size_t k = 0; k < sizeof HISTOGRAMS / sizeof *HISTOGRAMS; k++) {
        head(to, HISTOGRAMS[k].name, "histogram", HISTOGRAMS[k].help);
        for (int i = 1; i < m->n; i++)
            write_histogram(to, HISTOGRAMS[k].name, m->models[i].name,
                            (const histogram *)((const char *)&m->models[i] + HISTOGRAMS[k].offset));
    }
}

/* Names that dashboards of other servers ask for. */
static void write_aliases(sv_metrics *m, sv_text *to) {
    static const char *const NAMES[] = {"nv_inference_request_success",
                                        "nv_inference_request_failure",
                                        "nv_inference_count",
                                        "nv_inference_exec_count",
                                        "nv_inference_request_duration_us",
                                        "nv_inference_queue_duration_us",
                                        "nv_inference_compute_input_duration_us",
                                        "nv_inference_compute_infer_duration_us",
                                        "nv_inference_compute_output_duration_us"};
    for (size_t k = 0; k < sizeof NAMES / sizeof *NAMES; k++) {
        head(to, NAMES[k], "counter", "The counter of this name that other servers have.");
        for (int i = 1; i < m->n; i++) {
            const counters *c = &m->models[i];
            const uint64_t values[] = {c->success,          failures(c),          c->pictures,
                                       c->success,          c->request.ns / 1000, c->queue.ns / 1000,
                                       c->decode.ns / 1000, c->compute.ns / 1000, c->encode.ns / 1000};
            sv_text_add(to, "%s{model=\"%s\",version=\"1\"} %llu\n", NAMES[k], c->name, (unsigned long long)values[k]);
        }
    }
}

static void write_process(sv_metrics *m, sv_text *to) {
    struct rusage u = {0};
    char text[128] = "";
    long resident = 0;
    if (pread(m->statm, text, sizeof text - 1, 0) < 0 || sscanf(text, "%*d %ld", &resident) != 1) resident = 0;
    getrusage(RUSAGE_SELF, &u);
    head(to, "process_resident_memory_bytes", "gauge", "Resident memory.");
    sv_text_add(to, "process_resident_memory_bytes %lld\n", (long long)resident * sysconf(_SC_PAGESIZE));
    head(to, "process_cpu_seconds_total", "counter", "Processor time.");
    sv_text_add(to, "process_cpu_seconds_total %.6f\n",
                (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
    head(to, "process_start_time_seconds", "gauge", "Start of the server in seconds since the epoch.");
    sv_text_add(to, "process_start_time_seconds %.3f\n", m->started);
}

void sv_metrics_write(sv_metrics *m, int waiting, int connections, sv_text *to) {
    pthread_mutex_lock(&m->lock);
    write_counters(m, to);
    write_aliases(m, to);
    pthread_mutex_unlock(&m->lock);
    head(to, "kitfox_queue_requests", "gauge", "Requests that wait for a worker.");
    sv_text_add(to, "kitfox_queue_requests %d\n", waiting);
    head(to, "kitfox_connections", "gauge", "Open connections.");
    sv_text_add(to, "kitfox_connections %d\n", connections);
    write_process(m, to);
}

static void write_stat(sv_text *to, const char *name, uint64_t count, uint64_t ns, bool last) {
    sv_text_add(to, "\"%s\":{\"count\":%llu,\"ns\":%llu}%s", name, (unsigned long long)count, (unsigned long long)ns,
                last ? "" : ",");
}

void sv_metrics_stats(sv_metrics *m, const char *model, const char *version, sv_text *to) {
    pthread_mutex_lock(&m->lock);
    const counters *c = of(m, model);
    sv_text_add(to,
                "{\"name\":\"%s\",\"version\":\"%s\",\"last_inference\":%llu,\"inference_count\":%llu,"
                "\"execution_count\":%llu,\"inference_stats\":{",
                model, version, (unsigned long long)c->last_ms, (unsigned long long)c->pictures,
                (unsigned long long)c->success);
    write_stat(to, "success", c->success, c->request.ns, false);
    write_stat(to, "fail", failures(c), c->fail_ns, false);
    write_stat(to, "queue", c->queue.count, c->queue.ns, false);
    write_stat(to, "compute_input", c->decode.count, c->decode.ns, false);
    write_stat(to, "compute_infer", c->compute.count, c->compute.ns, false);
    write_stat(to, "compute_output", c->encode.count, c->encode.ns, true);
    sv_text_add(to, "},\"batch_stats\":[]}");
    pthread_mutex_unlock(&m->lock);
}
