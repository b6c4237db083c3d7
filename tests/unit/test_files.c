/* Files that others change meanwhile: cut, extended, written to or replaced while they are read; links, pipes, modes;
 * signals in the middle of a write. System calls are interposed, so that each moment is met and none is left to
 * chance.
 * Owner rule: each test works in a folder of its own and removes it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../temporary.h"
#include "kitfox/compile.h"
#include "kitfox/kitfox.h"
#include "os/file.h"

enum { BYTES = 1 << 16 };

/* ---- what happens in the middle ---------------------------------------------------------------------------------- */

static enum { NOTHING, CUT, GROWN, WRITTEN } meanwhile;
static const char *victim;
static int reads, at_write; /* at_write: raise SIGTERM at the nth call that writing makes; 0: never */
static int failing, why;    /* failing: that call fails with `why` instead; 0: none */

static void disturb(void) {
    int fd = open(victim, O_WRONLY);
    if (meanwhile == CUT && ftruncate(fd, BYTES / 2) != 0) abort();
    if (meanwhile == GROWN && pwrite(fd, "x", 1, BYTES) != 1) abort();
    if (meanwhile == WRITTEN && pwrite(fd, "x", 1, 7) != 1) abort();
    close(fd);
    meanwhile = NOTHING;
}

/* The first half arrives, then the others act. */
ssize_t pread(int fd, void *to, size_t n, off_t at) {
    reads++;
    if (meanwhile != NOTHING && n > 1) n /= 2;
    ssize_t got = syscall(SYS_pread64, fd, to, n, at);
    if (meanwhile != NOTHING) disturb();
    return got;
}

/* False: the call has to fail, with errno set. */
static bool moment(void) {
    if (at_write && --at_write == 0) raise(SIGTERM);
    if (!failing || --failing) return true;
    errno = why;
    return false;
}

/* A disk that is full takes half of what it gets, then nothing. */
ssize_t write(int fd, const void *from, size_t n) {
    if (failing == 1 && n > 1) n /= 2, failing++;
    if (!moment()) return -1;
    return syscall(SYS_write, fd, from, n);
}

int fsync(int fd) { return moment() ? (int)syscall(SYS_fsync, fd) : -1; }

int fchmod(int fd, mode_t mode) { return moment() ? (int)syscall(SYS_fchmod, fd, mode) : -1; }

int rename(const char *from, const char *to) {
    if (!moment()) return -1;
    int done = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    (void)moment();
    return done;
}

/* ---- folder of a test -------------------------------------------------------------------------------------------- */

static char home[256];

static int enter(void **state) {
    (void)state;
    alarm(120); /* whatever waits for a pipe ends the test */
    return temporary_folder(home, sizeof home, "kitfox-files") && chdir(home) == 0 ? 0 : -1;
}

static int leave(void **state) {
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", home);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static void make(const char *path, const char *text, size_t n) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fwrite(text, 1, n, f) == n && fclose(f) == 0);
}

static void holds(const char *path, const char *text) {
    kf__file f;
    kf_error err = {0};
    if (kf__file_read(path, 1 << 20, &f, &err) != KF_OK) fail_msg("%s", err.text);
    assert_string_equal(f.data, text);
    kf__file_free(&f);
}

static mode_t mode_of(const char *path) {
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & (S_IFMT | 07777);
}

/* Entries of the folder: a temporary that stayed would be one more. */
static int entries(void) {
    int n = -1;
    FILE *p = popen("ls -A | wc -l", "r");
    assert_true(p && fscanf(p, "%d", &n) == 1 && pclose(p) == 0);
    return n;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void changed(void **state) {
    (void)state;
    static char text[BYTES];
    const struct timespec old[2] = {{1000, 0}, {1000, 0}};
    kf__file f;
    kf_error err = {0};
    memset(text, 'a', sizeof text);
    for (int how = CUT; how <= WRITTEN; how++) {
        make("file", text, sizeof text);
        assert_int_equal(utimensat(AT_FDCWD, "file", old, 0), 0);
        victim = "file", meanwhile = how, reads = 0;
        assert_int_equal(kf__file_read("file", SIZE_MAX, &f, &err), KF_ERR_IO);
        assert_non_null(strstr(err.text, "file: changed while it was read"));
        assert_true(reads >= 2 && !f.data);
    }
    make("file", text, sizeof text);
    char four[4];
    int fd = open("file", O_RDONLY);
    meanwhile = CUT;
    assert_int_equal(kf__file_read_at(fd, "file", BYTES - 4, four, 4, &err), KF_ERR_IO);
    close(fd);
    make("file", text, sizeof text);
    reads = 0;
    assert_int_equal(kf__file_read("file", sizeof text, &f, &err), KF_OK);
    assert_true(reads == 1 && f.size == sizeof text && memcmp(f.data, text, sizeof text) == 0);
    kf__file_free(&f);
    assert_int_equal(kf__file_read("file", sizeof text - 1, &f, &err), KF_ERR_LIMIT);
    assert_non_null(strstr(err.text, "65536 bytes; at most 65535 are accepted"));
}

static void other_kinds(void **state) {
    (void)state;
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    const char *const KINDS[] = {"pipe", "folder", "socket", "/dev/zero", "absent", "loop"};
    kf__file f;
    kf_error err;
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    assert_int_equal(bind(s, (struct sockaddr *)&name, sizeof name), 0);
    for (size_t i = 0; i < KF_COUNT(KINDS); i++) {
        assert_int_equal(kf__file_read(KINDS[i], SIZE_MAX, &f, &err), KF_ERR_IO);
        assert_memory_equal(err.text, KINDS[i], strlen(KINDS[i]));
        if (i == 0 || i == 3) assert_non_null(strstr(err.text, ": not a regular file"));
    }
    close(s);
}

/* Every byte that is not in a whole page of the part stays. */
static void dropped(void **state) {
    (void)state;
    static char text[5 * 4096];
    kf__file f;
    kf_error err;
    memset(text, 'a', sizeof text);
    make("file", text, sizeof text);
    assert_int_equal(kf__file_read("file", SIZE_MAX, &f, &err), KF_OK);
    char *p = f.data;
    kf__file_drop(p + 100, 3 * 4096);
    for (size_t i = 0; i < sizeof text; i++) {
        uintptr_t page = (uintptr_t)(p + i) / 4096 * 4096;
        bool inside = page >= (uintptr_t)p + 100 && page + 4096 <= (uintptr_t)p + 100 + 3 * 4096;
        assert_int_equal(p[i], inside ? 0 : 'a');
    }
    kf__file_drop(p + sizeof text - 1, 1);
    assert_int_equal(p[sizeof text - 1], 'a');
    kf__file_free(&f);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static void modes_and_links(void **state) {
    (void)state;
    kf_error err = {0};
    mode_t mask = umask(027);
    assert_int_equal(kf__file_replace("new", "1", 1, &err), KF_OK);
    umask(mask);
    assert_int_equal(mode_of("new"), S_IFREG | 0640);
    assert_int_equal(chmod("new", 0604), 0);
    assert_int_equal(mkdir("sub", 0700), 0);
    assert_int_equal(symlink("../new", "sub/link"), 0);
    assert_int_equal(symlink("sub/link", "chain"), 0);
    assert_int_equal(kf__file_replace("chain", "2", 1, &err), KF_OK);
    assert_int_equal(mode_of("new"), S_IFREG | 0604);
    assert_true(S_ISLNK(mode_of("chain")) && S_ISLNK(mode_of("sub/link")));
    holds("new", "2");
    assert_int_equal(symlink("sub/later", "dangling"), 0);
    assert_int_equal(kf__file_check("dangling", &err), KF_OK);
    assert_int_equal(kf__file_replace("dangling", "3", 1, &err), KF_OK);
    assert_true(S_ISLNK(mode_of("dangling")));
    holds("sub/later", "3");
    char longest[256];
    memset(longest, 'n', 255);
    longest[255] = '\0';
    assert_int_equal(kf__file_replace(longest, "4", 1, &err), KF_OK);
    assert_int_equal(entries(), 5);
}

static void refused(void **state) {
    (void)state;
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    const char *const PATHS[] = {"sub", "socket", "loop", "absent/x", "plain/x", "sub/", ""};
    kf_error err;
    make("plain", "", 0);
    assert_int_equal(mkdir("sub", 0700), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    assert_int_equal(bind(s, (struct sockaddr *)&name, sizeof name), 0);
    for (size_t i = 0; i < KF_COUNT(PATHS); i++) {
        for (int check = 0; check < 2; check++) {
            err.text[0] = '\0';
            kf_status st = check ? kf__file_check(PATHS[i], &err) : kf__file_replace(PATHS[i], "x", 1, &err);
            assert_int_equal(st, KF_ERR_IO);
            assert_non_null(strstr(err.text, ": cannot write; "));
        }
    }
    assert_true(S_ISSOCK(mode_of("socket")) && S_ISLNK(mode_of("loop")) && S_ISDIR(mode_of("sub")));
    assert_int_equal(entries(), 4);
    close(s);
}

static void through_a_pipe(void **state) {
    (void)state;
    static char text[BYTES * 4], got[BYTES * 4];
    kf_error err;
    memset(text, 'p', sizeof text);
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_int_equal(symlink("pipe", "link"), 0);
    assert_int_equal(kf__file_check("link", &err), KF_OK); /* does not wait */
    pid_t child = fork();
    if (child == 0) _exit(kf__file_replace("link", text, sizeof text, NULL) != KF_OK);
    int status, fd = open("pipe", O_RDONLY);
    size_t have = 0;
    for (ssize_t n; (n = read(fd, got + have, sizeof got - have)) > 0;) have += (size_t)n;
    close(fd);
    assert_true(waitpid(child, &status, 0) == child && status == 0);
    assert_true(have == sizeof text && memcmp(got, text, have) == 0);
    assert_true(S_ISFIFO(mode_of("pipe")) && S_ISLNK(mode_of("link")) && entries() == 2);
}

/* Standard output goes to a file: what is written under that file's name comes after what stands there. */
static void through_descriptor_1(void **state) {
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("out", "w", stdout)) _exit(9);
        printf("before ");
        if (kf__file_replace("out", "middle ", 7, NULL) != KF_OK ||
            kf__file_replace("/proc/self/fd/1", "too ", 4, NULL) != KF_OK)
            _exit(8);
        printf("after");
        _exit(fflush(stdout) != 0);
    }
    int status;
    assert_true(waitpid(child, &status, 0) == child && status == 0);
    holds("out", "before middle too after");
    assert_int_equal(entries(), 1);
}

/* No room: the old file stays, and nothing beside it. */
static void no_room(void **state) {
    (void)state;
    static char text[BYTES];
    int status;
    make("old", "kept", 4);
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit most = {BYTES / 2, BYTES / 2};
        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &most) != 0) _exit(9);
        kf_status a = kf__file_replace("old", text, sizeof text, NULL),
                  b = kf__file_replace("new", text, sizeof text, NULL);
        _exit(a != KF_ERR_IO || b != KF_ERR_IO);
    }
    assert_true(waitpid(child, &status, 0) == child && status == 0);
    holds("old", "kept");
    assert_int_equal(entries(), 1);
}

/* Every call of a write fails in turn, as on a full or a broken disk: the old file stays, and nothing beside it. */
static void bad_disk(void **state) {
    (void)state;
    static const int WHY[] = {ENOSPC, EIO, EDQUOT};
    static char text[BYTES];
    int failed = 0;
    memset(text, 'n', sizeof text - 1);
    for (size_t w = 0; w < sizeof WHY / sizeof *WHY; w++)
        for (int old = 0; old < 2; old++) {
            kf_status st = KF_ERR_IO;
            for (int call = 1; st != KF_OK && call < 20; call++) {
                kf_error err = {KF_OK, ""};
                if (old) make("out", "kept", 4);
                failing = call, why = WHY[w];
                st = kf__file_write("out", text, sizeof text - 1, true, &err);
                failing = 0;
                if (st == KF_OK) continue;
                failed++;
                assert_int_equal(st, KF_ERR_IO);
                assert_non_null(strstr(err.text, strerror(WHY[w])));
                assert_int_equal(entries(), old);
                if (old) holds("out", "kept");
            }
            assert_int_equal(st, KF_OK);
            holds("out", text);
            remove("out");
        }
    assert_true(failed >= 18); /* write, its second half, fsync, rename, and fchmod of an old file */
}

static void on_signal(int number) {
    kf__file_abandon();
    signal(number, SIG_DFL);
    raise(number);
}

/* A process killed at each moment of a write leaves the old file or the new one, never a mixture. */
static void ended(void **state) {
    (void)state;
    int last = 0, seen_new = 0;
    for (int when = 1; !last && when < 50; when++) {
        int status;
        make("file", "old", 3);
        pid_t child = fork();
        if (child == 0) {
            signal(SIGTERM, on_signal);
            at_write = when;
            _exit(kf__file_replace("file", "new", 3, NULL) != KF_OK);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        last = status == 0;
        assert_true(last || (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM));
        kf__file f;
        assert_int_equal(kf__file_read("file", 9, &f, NULL), KF_OK);
        seen_new += strcmp(f.data, "new") == 0;
        assert_true(strcmp(f.data, "new") == 0 || strcmp(f.data, "old") == 0);
        kf__file_free(&f);
        assert_int_equal(entries(), 1);
    }
    assert_true(last && seen_new == 2); /* after the rename, and without a signal */
    kf__file_abandon();                 /* another thread may begin a write while the process ends */
    assert_int_equal(kf__file_replace("file", "late", 4, NULL), KF_ERR_IO);
    assert_int_equal(entries(), 1);
}

/* ---- beside a model ---------------------------------------------------------------------------------------------- */

static kf_status beside(const char *model, const char *location, kf_error *err) {
    char four[5] = "", path[64];
    const char *slash = strrchr(model, '/');
    snprintf(path, sizeof path, "%.*s%s", slash ? (int)(slash + 1 - model) : 0, model, location);
    kf_status st = kf__file_read_beside(model, path, 2, four, 4, err);
    if (st == KF_OK) assert_string_equal(four, "cdef");
    return st;
}

static void inside_and_outside(void **state) {
    (void)state;
    static const char *const LINKS[][2] = {{"w", "m/in"},
                                           {"../out", "m/out"},
                                           {"../m/w", "m/round"},
                                           {"../other", "m/folder"},
                                           {"/dev/zero", "m/device"},
                                           {"../m", "alias"},
                                           {"../mm/w", "m/prefix"}};
    kf_error err;
    assert_true(mkdir("m", 0700) == 0 && mkdir("m/sub", 0700) == 0 && mkdir("other", 0700) == 0 &&
                mkdir("mm", 0700) == 0);
    const char *const FILES[] = {"m/w", "m/sub/w", "out", "other/w", "m/model", "mm/w"};
    for (size_t i = 0; i < KF_COUNT(FILES); i++) make(FILES[i], "abcdefgh", 8);
    for (size_t i = 0; i < KF_COUNT(LINKS); i++) assert_int_equal(symlink(LINKS[i][0], LINKS[i][1]), 0);
    assert_int_equal(unlink("alias"), 0);
    assert_int_equal(symlink("m", "alias"), 0);
    assert_int_equal(mkfifo("m/pipe", 0600), 0);
    const char *const GOOD[] = {"w", "sub/w", "in", "round"}, *const BAD[] = {"out", "folder/w", "device", "prefix"};
    for (size_t i = 0; i < KF_COUNT(GOOD); i++) assert_int_equal(beside("m/model", GOOD[i], &err), KF_OK);
    for (size_t i = 0; i < KF_COUNT(BAD); i++) {
        assert_int_equal(beside("m/model", BAD[i], &err), KF_ERR_FORMAT);
        assert_non_null(strstr(err.text, "a link leads out of the model's folder"));
    }
    assert_int_equal(beside("alias/model", "in", &err), KF_OK);
    assert_int_equal(beside("m/model", "pipe", &err), KF_ERR_IO);
    assert_non_null(strstr(err.text, "not a regular file"));
    assert_int_equal(beside("m/model", "absent", &err), KF_ERR_IO);
    assert_int_equal(chdir("m"), 0);
    assert_int_equal(beside("model", "in", &err), KF_OK);
    assert_int_equal(beside("model", "out", &err), KF_ERR_FORMAT);
    assert_int_equal(chdir(".."), 0);
    make("m/short", "abcde", 5);
    assert_int_equal(beside("m/model", "short", &err), KF_ERR_FORMAT);
    assert_non_null(strstr(err.text, "has 5 bytes; 4 from offset 2 are needed"));
    assert_int_equal(kf__file_read_beside("m/model", "m/w", UINT64_MAX - 1, NULL, 4, &err), KF_ERR_FORMAT);
}

/* A cache keeps model and data in a store and links both; a data file elsewhere is refused all the same. */
static void linked_store(void **state) {
    (void)state;
    kf_error err;
    assert_true(mkdir("blobs", 0700) == 0 && mkdir("snapshot", 0700) == 0 && mkdir("elsewhere", 0700) == 0);
    make("blobs/1", "model", 5);
    make("blobs/2", "abcdefgh", 8);
    make("elsewhere/3", "abcdefgh", 8);
    assert_true(symlink("../blobs/1", "snapshot/model") == 0 && symlink("../blobs/2", "snapshot/data") == 0 &&
                symlink("../elsewhere/3", "snapshot/bad") == 0);
    assert_int_equal(beside("snapshot/model", "data", &err), KF_OK);
    assert_int_equal(beside("snapshot/model", "bad", &err), KF_ERR_FORMAT);
    make("snapshot/plain", "abcdefgh", 8);
    assert_int_equal(beside("snapshot/model", "plain", &err), KF_OK);
}

static void public_calls(void **state) {
    (void)state;
    kf_error err;
    void *data;
    size_t n;
    uint64_t bytes;
    int fd;
    assert_int_equal(kf_file_write("file", "abc", 3, 0, &err), KF_OK);
    assert_int_equal(kf_file_check("file", &err), KF_OK);
    assert_int_equal(kf_file_read("file", 3, &data, &n, &err), KF_OK);
    assert_true(n == 3 && strcmp(data, "abc") == 0);
    free(data);
    assert_int_equal(kf_file_open("file", &fd, &bytes, &err), KF_OK);
    assert_true(bytes == 3 && close(fd) == 0);
    assert_int_equal(kf_file_read("file", 2, &data, &n, &err), KF_ERR_LIMIT);
    assert_null(data);
    assert_int_equal(kf_file_open("absent", &fd, &bytes, &err), KF_ERR_IO);
    assert_int_equal(fd, -1);
    assert_int_equal(kf_file_read(NULL, 2, &data, &n, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_file_open("file", NULL, &bytes, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_file_write("file", NULL, 1, 0, &err), KF_ERR_ARGUMENT);
    assert_int_equal(kf_file_check(NULL, &err), KF_ERR_ARGUMENT);
    assert_int_equal(entries(), 1);
}

/* A kind is told by content, and only about the content; what the loader reads itself keeps its own words. */
static void kinds(void **state) {
    (void)state;
    static const char POINTER[] = "version https://git-lfs.github.com/spec/v1\n";
    const char header[] = {(char)0x80, 3, 0, 0, 0, 0, 0, 0, '{', '"'}; /* a length that looks like a pickle */
    kf_error err = {KF_OK, "as it was"};
    assert_null(kf_file_recognize(NULL, 0));
    assert_null(kf_file_recognize("\1\2", 2));
    assert_int_equal(kf_file_recognize(header, sizeof header)->reads, KF_FILE_SAFETENSORS);
    assert_int_equal(kf_file_recognize("a\nb\n", 4)->reads, KF_FILE_TEXT);
    assert_int_equal(kf_file_recognize(POINTER, sizeof POINTER - 1)->reads, 0);
    assert_int_equal(kf_file_write("pointer", POINTER, sizeof POINTER - 1, 0, &err), KF_OK);
    assert_int_equal(kf_file_explain(NULL, 0, KF_ERR_FORMAT, &err), KF_ERR_FORMAT);
    assert_int_equal(kf_file_explain("pointer", 0, KF_ERR_IO, &err), KF_ERR_IO);
    assert_int_equal(kf_file_explain("pointer", 0, KF_OK, &err), KF_OK);
    assert_int_equal(kf_file_explain("nothing there", 0, KF_ERR_FORMAT, &err), KF_ERR_FORMAT);
    assert_int_equal(kf_file_explain(".", 0, KF_ERR_FORMAT, &err), KF_ERR_FORMAT);
    assert_string_equal(err.text, "as it was");
    assert_int_equal(kf_file_explain("pointer", 0, KF_ERR_FORMAT, NULL), KF_ERR_FORMAT);
    assert_int_equal(kf_file_explain("pointer", KF_FILE_ONNX, KF_ERR_FORMAT, &err), KF_ERR_FORMAT);
    assert_non_null(strstr(err.text, "pointer: this is a Git LFS pointer"));
    unlink("pointer");
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, enter, leave)
        T(changed),
        T(other_kinds),
        T(dropped),
        T(modes_and_links),
        T(refused),
        T(through_a_pipe),
        T(through_descriptor_1),
        T(no_room),
        T(bad_disk),
        T(public_calls),
        T(kinds),
        T(inside_and_outside),
        T(linked_store),
        T(ended) /* the last: nothing is written after it */};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
