/* Counters of a fuzz target with changes of its own and, with KF_REPLAY, its main(): files, and changes of each, in
 * worker processes, so that what ends one is kept and the next goes on. The same numbers give the same inputs
 * everywhere.
 *     [-s SEED] [-n CHANGES OF EACH] [-j JOBS] [-o FOLDER] [-i INDEX] FILES
 * -o: findings go there, each with its log; -i: only the input of that index, in this process, also written to the
 * folder. The target defines DRIVE_NAMES, names of its counters, before it includes this. Owner rule: each input is its
 * own heap block, so that a sanitizer sees reads past its end. */
#ifndef DRIVE_H
#define DRIVE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRIVE_COUNTERS = 8, DRIVE_JOBS = 64, DRIVE_MOST = 1 << 20 };

/* Shared with the parent of a worker. */
typedef struct drive_state {
    unsigned long count[DRIVE_COUNTERS];
    unsigned long at[DRIVE_JOBS]; /* input that a worker has in hand */
} drive_state;

static drive_state drive_own, *drive = &drive_own;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

static inline void drive_count(int counter) { __atomic_fetch_add(&drive->count[counter], 1, __ATOMIC_RELAXED); }

#if defined(KF_REPLAY)
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DRIVE_SECONDS = 60, DRIVE_FINDINGS = 50, DRIVE_MEGABYTES = 3000 };

static struct drive_options {
    uint64_t seed;
    unsigned long changes, total;
    long one; /* index, or -1 */
    int jobs;
    const char *folder; /* or NULL */
    char **files;
    unsigned long n_files;
} drive_run = {.changes = 60, .one = -1, .jobs = 1};

/* Input `index`: file index % n, as it is, then changed by the numbers that follow from seed and index. NULL: not read.
 */
static uint8_t *drive_input(unsigned long index, size_t *n) {
    const char *path = drive_run.files[index % drive_run.n_files];
    uint8_t *data = malloc(DRIVE_MOST), *exact = NULL;
    FILE *f = fopen(path, "rb");
    if (f && data) {
        *n = fread(data, 1, DRIVE_MOST, f);
        uint64_t x = (drive_run.seed + 1) * 0x9e3779b97f4a7c15u ^ (index + 1) * 0xbf58476d1ce4e5b9u;
        x ^= x >> 29;
        if (index >= drive_run.n_files) *n = LLVMFuzzerCustomMutator(data, *n, DRIVE_MOST, (unsigned)(x ^ x >> 32));
        exact = malloc(*n ? *n : 1);
    } else {
        fprintf(stderr, "%s is missing\n", path);
    }
    if (exact && *n) memcpy(exact, data, *n);
    if (f) fclose(f);
    free(data);
    return exact;
}

static int drive_one(unsigned long index) {
    size_t n = 0;
    uint8_t *data = drive_input(index, &n);
    if (!data) return 1;
    LLVMFuzzerTestOneInput(data, n);
    free(data);
    return 0;
}

static void drive_path(char *to, size_t n, const char *what, unsigned long index) {
    snprintf(to, n, "%s/%s-%llu-%lu", drive_run.folder, what, (unsigned long long)drive_run.seed, index);
}

static void drive_keep(unsigned long index, const char *what) {
    char path[512];
    size_t n = 0;
    uint8_t *data = drive_run.folder ? drive_input(index, &n) : NULL;
    if (!data) return;
    drive_path(path, sizeof path, what, index);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, n, f) != n || fclose(f) != 0) perror(path);
    free(data);
}

static void drive_log(char *to, size_t n, int job) { snprintf(to, n, "%s/job-%d.log", drive_run.folder, job); }

/* A worker: every input from the one in hand on that is its own. */
static void drive_work(int job) {
    char log[512];
    if (drive_run.folder) {
        drive_log(log, sizeof log, job);
        int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        if (fd >= 0) dup2(fd, STDERR_FILENO), close(fd);
    }
    for (; drive->at[job] < drive_run.total; drive->at[job] += (unsigned long)drive_run.jobs) {
        struct rusage use;
        alarm(DRIVE_SECONDS);
        if (drive_one(drive->at[job]) != 0) exit(1);
        getrusage(RUSAGE_SELF, &use);
        if (use.ru_maxrss / 1024 < DRIVE_MEGABYTES) continue;
        fprintf(stderr, "%ld MB in memory; %d are bearable\n", use.ru_maxrss / 1024, DRIVE_MEGABYTES);
        exit(1);
    }
    alarm(0);
    exit(0);
}

static pid_t drive_start(int job) {
    fflush(stdout);
    pid_t p = fork();
    if (p == 0) drive_work(job);
    return p;
}

/* A worker ended that had not finished. */
static void drive_finding(int job, int status) {
    char log[512], path[512];
    unsigned long index = drive->at[job];
    const char *how = WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exit";
    printf("finding: input %lu: %s; repeat with -s %llu -i %lu and the same files\n", index, how,
           (unsigned long long)drive_run.seed, index);
    if (!drive_run.folder) return;
    if (index < drive_run.total) drive_keep(index, "finding");
    drive_log(log, sizeof log, job);
    drive_path(path, sizeof path, "log", index);
    rename(log, path);
}

/* Number of findings. */
static unsigned long drive_all(void) {
    pid_t worker[DRIVE_JOBS];
    unsigned long findings = 0;
    int status, left = drive_run.jobs;
    for (int k = 0; k < drive_run.jobs; k++) drive->at[k] = (unsigned long)k, worker[k] = drive_start(k);
    for (pid_t p; left > 0 && (p = wait(&status)) > 0;) {
        int job = 0;
        while (job < drive_run.jobs && worker[job] != p) job++;
        if (job == drive_run.jobs) continue;
        bool fine = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (!fine) drive_finding(job, status), findings++;
        drive->at[job] += (unsigned long)drive_run.jobs;
        if (fine || findings >= DRIVE_FINDINGS || drive->at[job] >= drive_run.total) left--, worker[job] = 0;
        else worker[job] = drive_start(job);
    }
    return findings;
}

static int drive_usage(void) {
    fputs("usage: [-s SEED] [-n CHANGES OF EACH] [-j JOBS] [-o FOLDER] [-i INDEX] FILES\n", stderr);
    return 2;
}

static bool drive_arguments(int argc, char **argv) {
    int option;
    while ((option = getopt(argc, argv, "s:n:j:o:i:")) != -1) {
        switch (option) {
        case 's': drive_run.seed = strtoull(optarg, NULL, 10); break;
        case 'n': drive_run.changes = strtoul(optarg, NULL, 10); break;
        case 'j': drive_run.jobs = atoi(optarg); break;
        case 'o': drive_run.folder = optarg; break;
        case 'i': drive_run.one = atol(optarg); break;
        default: return false;
        }
    }
    drive_run.files = argv + optind, drive_run.n_files = (unsigned long)(argc - optind);
    drive_run.total = drive_run.n_files * (drive_run.changes + 1);
    return optind < argc && drive_run.jobs >= 1 && drive_run.jobs <= DRIVE_JOBS;
}

int main(int argc, char **argv) {
    static const char *const NAMES[] = {DRIVE_NAMES};
    const size_t n = sizeof NAMES / sizeof *NAMES;
    if (!drive_arguments(argc, argv)) return drive_usage();
    if (drive_run.one >= 0) {
        drive_keep((unsigned long)drive_run.one, "input");
        return drive_one((unsigned long)drive_run.one);
    }
    void *shared = mmap(NULL, sizeof *drive, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return 1;
    drive = shared;
    unsigned long findings = drive_all();
    printf("%lu inputs", drive_run.total);
    for (size_t i = 0; i < n; i++) printf(", %lu %s", drive->count[i], NAMES[i]);
    printf(", %lu findings\n", findings);
    return findings > 0 || drive->count[n - 1] == 0;
}
#else
/* libFuzzer ends by exit(): then the counters are told. */
static void drive_tell(void) {
    static const char *const NAMES[] = {DRIVE_NAMES};
    const size_t n = sizeof NAMES / sizeof *NAMES;
    for (size_t i = 0; i < n; i++) fprintf(stderr, "%s%lu %s", i ? ", " : "counts: ", drive->count[i], NAMES[i]);
    fputc('\n', stderr);
}

__attribute__((constructor)) static void drive_begin(void) { atexit(drive_tell); }
#endif
#endif
