/* Writing files whole: a temporary file beside the target, then a rename.
 * Names of temporaries are kept in a table, so that a handler of a signal can remove them.
 * Owner rule: a temporary is removed on every failure; its place in the table is given back after its rename. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "os/file.h"

enum { PLACES = 8, MOST_LINKS = 40 };

/* ---- temporaries ------------------------------------------------------------------------------------------------ */

enum { FREE, TAKEN, NAMED };
static struct place {
    atomic_int state;
    char name[PATH_MAX];
} places[PLACES];
static atomic_bool abandoned;

void kf__file_abandon(void) {
    atomic_store(&abandoned, true);
    for (int i = 0; i < PLACES; i++)
        if (atomic_load(&places[i].state) == NAMED) unlink(places[i].name);
}

/* If there are more writers at once than places, the last ones are not in the table; this matters only if a signal
 * arrives. */
static struct place *place_of(const char *name) {
    for (int i = 0; i < PLACES; i++) {
        int expected = FREE;
        if (!atomic_compare_exchange_strong(&places[i].state, &expected, TAKEN)) continue;
        snprintf(places[i].name, sizeof places[i].name, "%s", name);
        atomic_store(&places[i].state, NAMED);
        return &places[i];
    }
    return NULL;
}

typedef struct target {
    char path[PATH_MAX]; /* links followed */
    struct stat st;
    bool exists, through, standard; /* through: written to directly; standard: what descriptor 1 writes to */
} target;

typedef struct temporary {
    char path[PATH_MAX];
    struct place *place;
    int fd;
} temporary;

/* A short name, whatever the length of the target's name; random, so that no two processes share it. */
static bool name_beside(const char *path, char out[PATH_MAX]) {
    uint64_t number = 0;
    struct timespec now;
    const char *slash = strrchr(path, '/');
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != (ssize_t)sizeof number) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        number = (uint64_t)getpid() << 40 ^ (uint64_t)now.tv_sec << 30 ^ (uint64_t)now.tv_nsec;
    }
    int folder = slash ? (int)(slash + 1 - path) : 0;
    return snprintf(out, PATH_MAX, "%.*s.kitfox-%016llx", folder, path, (unsigned long long)number) < PATH_MAX;
}

static void discard(temporary *t) {
    int why = errno;
    if (t->fd >= 0) close(t->fd);
    unlink(t->path);
    if (t->place) atomic_store(&t->place->state, FREE);
    errno = why;
}

/* Entered in the table before it is created, so that a signal in between finds it. A replacement is private until it
 * has the old file's mode. */
static bool begin(const target *to, temporary *t) {
    *t = (temporary){.fd = -1};
    if (!name_beside(to->path, t->path)) return errno = ENAMETOOLONG, false;
    t->place = place_of(t->path);
    t->fd = open(t->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, to->exists ? 0600 : 0666);
    if (t->fd >= 0 && !atomic_load(&abandoned)) return true;
    if (t->fd >= 0) errno = EINTR;
    discard(t);
    return false;
}

/* ---- where it goes ---------------------------------------------------------------------------------------------- */

static bool follow(const char *path, char out[PATH_MAX]) {
    char next[PATH_MAX];
    if (snprintf(out, PATH_MAX, "%s", path) >= PATH_MAX) return errno = ENAMETOOLONG, false;
    for (int i = 0; i < MOST_LINKS; i++) {
        ssize_t n = readlink(out, next, sizeof next - 1);
        if (n < 0) return true;
        next[n] = '\0';
        char *slash = strrchr(out, '/');
        size_t folder = slash && next[0] != '/' ? (size_t)(slash + 1 - out) : 0;
        if (folder + (size_t)n >= PATH_MAX) return errno = ENAMETOOLONG, false;
        memcpy(out + folder, next, (size_t)n + 1);
    }
    return errno = ELOOP, false;
}

/* NULL, or why nothing can be written there. */
static const char *find(const char *path, target *to) {
    struct stat one, there;
    *to = (target){.exists = false};
    to->exists = stat(path, &to->st) == 0;
    mode_t mode = to->st.st_mode;
    to->standard =
        to->exists && fstat(STDOUT_FILENO, &one) == 0 && one.st_dev == to->st.st_dev && one.st_ino == to->st.st_ino;
    to->through = to->standard || (to->exists && (S_ISFIFO(mode) || S_ISCHR(mode)));
    if (to->through) return snprintf(to->path, PATH_MAX, "%s", path) < PATH_MAX ? NULL : strerror(ENAMETOOLONG);
    if (to->exists && S_ISDIR(mode)) return strerror(EISDIR);
    if (to->exists && !S_ISREG(mode)) return "it is a block device or a socket";
    if (!follow(path, to->path)) return strerror(errno);
    if (!to->exists) return to->path[0] && to->path[strlen(to->path) - 1] != '/' ? NULL : "a name is needed";
    bool same = stat(to->path, &there) == 0 && there.st_dev == to->st.st_dev && there.st_ino == to->st.st_ino;
    if (!same) { /* open, but without a name: what /proc/self/fd links to */
        to->through = true;
        return snprintf(to->path, PATH_MAX, "%s", path) < PATH_MAX ? NULL : strerror(ENAMETOOLONG);
    }
    return faccessat(AT_FDCWD, to->path, W_OK, AT_EACCESS) == 0 ? NULL : strerror(errno);
}

static kf_status cannot_write(const char *path, const char *why, kf_error *err) {
    KF_FAIL(err, KF_ERR_IO, "%s: cannot write; %s; check the folder, the space and permissions", path, why);
}

kf_status kf__file_check(const char *path, kf_error *err) {
    target to;
    temporary t;
    const char *why = find(path, &to);
    if (!why && !to.through) {
        if (begin(&to, &t)) discard(&t);
        else why = strerror(errno);
    }
    return why ? cannot_write(path, why, err) : KF_OK;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static bool write_all(int fd, const char *p, size_t n) {
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) return false;
        p += w;
        n -= (size_t)w;
    }
    return true;
}

static bool write_through(const target *to, const void *data, size_t bytes) {
    if (to->standard) return fflush(stdout) == 0 && write_all(STDOUT_FILENO, data, bytes);
    int fd = open(to->path, O_WRONLY | O_CLOEXEC | O_NOCTTY | (S_ISREG(to->st.st_mode) ? O_TRUNC : 0));
    bool ok = fd >= 0 && write_all(fd, data, bytes);
    int why = errno;
    if (fd >= 0 && close(fd) != 0 && ok) return false;
    errno = why;
    return ok;
}

/* The owner first, because changing it clears set-user-ID bits. If the owner cannot be kept, the group may be. */
static bool keep_mode(int fd, const struct stat *old) {
    if (fchown(fd, old->st_uid, old->st_gid) != 0 && fchown(fd, (uid_t)-1, old->st_gid) != 0) errno = 0;
    return fchmod(fd, old->st_mode & 07777) == 0;
}

static bool write_beside(const target *to, const void *data, size_t bytes, bool sync) {
    temporary t;
    if (!begin(to, &t)) return false;
    bool ok = write_all(t.fd, data, bytes) && (!to->exists || keep_mode(t.fd, &to->st)) && (!sync || fsync(t.fd) == 0);
    int fd = t.fd;
    t.fd = -1;
    if (!ok) {
        int why = errno;
        close(fd);
        errno = why;
    } else {
        ok = close(fd) == 0 && rename(t.path, to->path) == 0;
    }
    if (!ok) discard(&t);
    else if (t.place) atomic_store(&t.place->state, FREE);
    return ok;
}

kf_status kf__file_write(const char *path, const void *data, size_t bytes, bool sync, kf_error *err) {
    target to;
    const char *why = find(path, &to);
    if (!why) {
        bool ok = to.through ? write_through(&to, data, bytes) : write_beside(&to, data, bytes, sync);
        if (!ok) why = strerror(errno);
    }
    return why ? cannot_write(path, why, err) : KF_OK;
}

kf_status kf__file_replace(const char *path, const void *data, size_t bytes, kf_error *err) {
    return kf__file_write(path, data, bytes, true, err);
}

bool kf__file_exists(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}
