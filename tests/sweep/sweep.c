/* The sweep: whole small networks of every geometry, with each pair of parameter values, through toolchain and runtime.
 * sweep [--count N] [--seed S] [--from I] [--jobs J] [--write FILE]: networks I to I + N - 1 of the sequence of seed S.
 * A network does not depend on the others: --from I --count 1 repeats it. A job that dies is reported and goes on.
 * Owner rule: outcomes lie in memory that all jobs share. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../temporary.h"
#include "check.h"
#include "network.h"

enum { MOST_JOBS = 64, SECONDS = 60, SAVED_ONE_IN = 16, MOST_KINDS = 256, SHOWN = 20 };

typedef struct job {
    pid_t pid;
    int log; /* what it wrote to stderr, a file without a name */
} job;

typedef struct sweep {
    int count, from, jobs;
    uint64_t seed;
    const char *write;
    covering c;
    net_row *rows;     /* [count] */
    outcome *outcomes; /* [count], shared */
    int *at;           /* [jobs], shared: what each works on, -1 at the end */
    char folder[256];
    int shown, broken; /* broken: jobs that failed outside a network */
} sweep;

/* ---- jobs ------------------------------------------------------------ */

static void work_through(sweep *s, int j, int from) {
    for (int i = from; i < s->count; i += s->jobs) {
        int index = s->from + i;
        outcome o;
        s->at[j] = i;
        alarm(SECONDS);
        sweep_check(&s->rows[i], s->seed, index, index % SAVED_ONE_IN == 0 ? s->folder : NULL, &o);
        s->outcomes[i] = o;
    }
    alarm(0);
    s->at[j] = -1;
}

/* With what a job that died has left in it. */
static void remove_folder(const char *folder) {
    char path[600];
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        unlink(path); /* not "." and ".." */
    }
    if (d) closedir(d);
    rmdir(folder);
}

static void start(sweep *s, job *jobs, int j, int from) {
    char name[256];
    jobs[j].log = mkstemp(temporary_name(name, sizeof name, "sweep-log"));
    if (jobs[j].log < 0) abort();
    unlink(name);
    fflush(NULL);
    s->at[j] = from;
    jobs[j].pid = fork();
    if (jobs[j].pid < 0) abort();
    if (jobs[j].pid) return;
    dup2(jobs[j].log, STDERR_FILENO);
    work_through(s, j, from);
    exit(0);
}

/* The sanitizer's summary, or how the process ended. */
static void cause_of(int log, int status, char *text, size_t size) {
    static char all[1 << 16];
    ssize_t n = pread(log, all, sizeof all - 1, 0);
    all[n > 0 ? n : 0] = '\0';
    char *at = strstr(all, "SUMMARY: ");
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) snprintf(text, size, "took more than %d seconds", SECONDS);
    else if (at) snprintf(text, size, "%.*s", (int)strcspn(at + 9, "\n"), at + 9);
    else if (WIFSIGNALED(status)) snprintf(text, size, "ended by signal %d", WTERMSIG(status));
    else snprintf(text, size, "ended with %d: %.*s", WEXITSTATUS(status), (int)strcspn(all, "\n"), all);
}

static void show_failure(sweep *s, int i) {
    int index = s->from + i;
    if (++s->shown > SHOWN) return;
    printf("FAIL %d: %s\n  ", index, s->outcomes[i].text);
    print_row(stdout, &s->rows[i]);
    printf("\n  again: sweep --seed %llu --from %d --count 1\n", (unsigned long long)s->seed, index);
}

/* Job j ended; true where it goes on behind the network that ended it. */
static bool ended(sweep *s, job *jobs, int j, int status) {
    int i = s->at[j];
    bool again = false;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        char text[160];
        cause_of(jobs[j].log, status, text, sizeof text);
        if (i < 0) {
            printf("FAIL job %d after its networks: %s\n", j, text);
            s->broken++;
        } else {
            s->outcomes[i] = (outcome){.result = FAILED};
            snprintf(s->outcomes[i].text, sizeof s->outcomes[i].text, "%s", text);
            if (getenv("SWEEP_LOG") && s->shown < SHOWN) {
                static char all[1 << 16];
                ssize_t n = pread(jobs[j].log, all, sizeof all - 1, 0);
                fwrite(all, 1, n > 0 ? (size_t)n : 0, stdout);
            }
            again = i + s->jobs < s->count;
        }
    }
    close(jobs[j].log);
    if (again) start(s, jobs, j, i + s->jobs);
    return again;
}

static void run(sweep *s) {
    job jobs[MOST_JOBS];
    int running = 0;
    for (int j = 0; j < s->jobs && j < s->count; j++, running++) start(s, jobs, j, j);
    while (running > 0) {
        int status, j = 0;
        pid_t pid = waitpid(-1, &status, 0);
        if (pid < 0 && errno == EINTR) continue;
        if (pid < 0) abort();
        while (j < s->jobs && jobs[j].pid != pid) j++;
        if (j == s->jobs) continue;
        if (!ended(s, jobs, j, status)) jobs[j].pid = 0, running--;
    }
}

/* ---- report ------------------------------------------------------------ */

typedef struct kind {
    char text[200];
    int n, first;
} kind;

/* Numbers do not make a reason. */
static void general(const char *from, char *to, size_t size) {
    size_t n = 0;
    for (; *from && n + 1 < size; from++) {
        bool digit = *from >= '0' && *from <= '9', before = n > 0 && to[n - 1] == '#';
        if (digit && before) continue;
        to[n++] = digit ? '#' : *from;
    }
    to[n] = '\0';
}

static void print_kinds(const sweep *s, result what, const char *title) {
    static kind kinds[MOST_KINDS];
    int n = 0;
    for (int i = 0; i < s->count; i++) {
        char text[200];
        int k = 0;
        if (s->outcomes[i].result != what) continue;
        if (strstr(s->outcomes[i].text, ".c:") || strstr(s->outcomes[i].text, ".h:"))
            snprintf(text, sizeof text, "%s", s->outcomes[i].text);
        else general(s->outcomes[i].text, text, sizeof text);
        while (k < n && strcmp(kinds[k].text, text) != 0) k++;
        if (k == MOST_KINDS) continue;
        if (k == n) {
            kinds[n] = (kind){.first = s->from + i};
            snprintf(kinds[n++].text, sizeof kinds[0].text, "%s", text);
        }
        kinds[k].n++;
    }
    if (n) printf("%s\n", title);
    for (int k = 0; k < n; k++) printf("  %6d  first %6d  %s\n", kinds[k].n, kinds[k].first, kinds[k].text);
}

static int report(sweep *s) {
    int n[FAILED + 1] = {0}, whole = s->from == 0 && s->count >= s->c.n;
    long f32 = 0, integer = 0;
    double worst = 0;
    kf__cpu_level levels[KF_CPU_LEVELS];
    for (int i = 0; i < s->count; i++) {
        const outcome *o = &s->outcomes[i];
        n[o->result]++, f32 += o->runs_f32, integer += o->runs_int;
        if (o->worst > worst) worst = o->worst;
        if (o->result == FAILED) show_failure(s, i);
    }
    print_kinds(s, REFUSED, "refused:");
    print_kinds(s, FAILED, "failed:");
    printf("%d networks: %d ran, %d refused, %d failed, %d not run; %ld runs in f32, %ld in integers, worst float "
           "error %.2f of its bound; levels:",
           s->count, n[RAN], n[REFUSED], n[FAILED], n[NOT_RUN], f32, integer, worst);
    for (int k = 0, m = sweep_levels(levels); k < m; k++) printf(" %s", kf__cpu_level_name(levels[k]));
    bool *in = calloc((size_t)s->count, sizeof *in);
    char text[120];
    if (!in) abort();
    for (int i = 0; i < s->count; i++)
        in[i] = s->outcomes[i].result != FAILED && s->outcomes[i].runs_f32 && s->outcomes[i].runs_int;
    int open = pairs_missing(&s->c, s->rows, in, s->count, text, sizeof text);
    printf("\npairs of values: %d, in networks that ran in both precisions: %d", s->c.pairs, s->c.pairs - open);
    if (open) printf(", the first of the others %s", text);
    printf("\n");
    free(in);
    /* A refusal must not take the place of a combination that can run. */
    return n[FAILED] || n[NOT_RUN] || s->broken || s->c.missing || (whole && open);
}

/* ---- start ------------------------------------------------------------ */

static void *shared(size_t bytes) {
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) abort();
    return p;
}

static bool options(sweep *s, int argc, char **argv) {
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc) return false;
        long long v = atoll(argv[i + 1]);
        if (!strcmp(argv[i], "--write")) s->write = argv[i + 1];
        else if (!strcmp(argv[i], "--count") && v > 0 && v <= 10000000) s->count = (int)v;
        else if (!strcmp(argv[i], "--from") && v >= 0 && v <= 10000000) s->from = (int)v;
        else if (!strcmp(argv[i], "--seed") && v >= 0) s->seed = (uint64_t)v;
        else if (!strcmp(argv[i], "--jobs") && v > 0 && v <= MOST_JOBS) s->jobs = (int)v;
        else return false;
    }
    return true;
}

static int write_network(sweep *s) {
    size_t n;
    void *data = network_bytes(&s->rows[0], s->seed * 1000003u + (uint64_t)s->from * 7919u, &n);
    FILE *f = fopen(s->write, "wb");
    bool fine = f && fwrite(data, 1, n, f) == n;
    if (f) fine = fclose(f) == 0 && fine;
    print_row(stdout, &s->rows[0]);
    printf("\n");
    free(data);
    free(s->rows);
    covering_free(&s->c);
    return !fine;
}

int main(int argc, char **argv) {
    sweep s = {.count = 500, .seed = 1, .jobs = 1};
    struct timespec a, b;
    if (!options(&s, argc, argv)) {
        fprintf(stderr, "sweep [--count N] [--seed S] [--from I] [--jobs J] [--write FILE.onnx]\n");
        return 2;
    }
    clock_gettime(CLOCK_MONOTONIC, &a);
    s.c = covering_make(s.seed);
    printf("seed %llu: %d pairs of values in the first %d networks, %d missing; %d pairs exclude each other\n",
           (unsigned long long)s.seed, s.c.pairs, s.c.n, s.c.missing, s.c.impossible);
    s.rows = malloc((size_t)s.count * sizeof *s.rows);
    if (!s.rows) abort();
    for (int i = 0; i < s.count; i++) s.rows[i] = row_at(&s.c, s.seed, s.from + i);
    if (s.write) return write_network(&s);
    s.outcomes = shared((size_t)s.count * sizeof *s.outcomes);
    s.at = shared((size_t)s.jobs * sizeof *s.at);
    if (!temporary_folder(s.folder, sizeof s.folder, "sweep")) abort();
    sweep_levels((kf__cpu_level[KF_CPU_LEVELS]){0}); /* for all jobs */
    run(&s);
    int failed = report(&s);
    remove_folder(s.folder);
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("%.1f s\n", (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) * 1e-9);
    munmap(s.outcomes, (size_t)s.count * sizeof *s.outcomes);
    munmap(s.at, (size_t)s.jobs * sizeof *s.at);
    free(s.rows);
    covering_free(&s.c);
    return failed;
}
