/* Two streams in front of those of the process. Names of others reach people through printf in many places; here is
 * the one place that all of them pass.
 * Owner rule: see terminal.h. */
#include "common/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/cli.h"

enum { NARROW = 100, TABLE = 64, LEAST = 20, INDENT = 4 };

/* ---- the terminal ------------------------------------------------------------------------------------------------ */

bool cli_terminal_is_dumb(void) {
    const char *kind = getenv("TERM");
    return kind && strcmp(kind, "dumb") == 0;
}

size_t cli_terminal_columns(int fd) {
    struct winsize size;
    if (!isatty(fd) || ioctl(fd, TIOCGWINSZ, &size) != 0) return 0;
    return size.ws_col;
}

/* Whole, or false with errno. */
static bool put(int fd, const char *text, size_t n) {
    while (n) {
        ssize_t done = write(fd, text, n);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        text += done, n -= (size_t)done;
    }
    return true;
}

void cli_terminal_green(bool on) {
    const char *text = on ? "\033[32m" : "\033[0m";
    if (!isatty(STDOUT_FILENO) || getenv("NO_COLOR") || cli_terminal_is_dumb()) return;
    fflush(stdout);
    put(STDOUT_FILENO, text, strlen(text));
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

typedef struct sink {
    int fd;
    size_t columns; /* 0: lines do not fold */
    size_t column;  /* where the next character goes */
    char cut[4];    /* the beginning of a character whose end comes with the next call */
    size_t n_cut;
} sink;

/* Characters of n bytes. */
static size_t width_of(const char *s, size_t n) {
    size_t width = 0;
    for (size_t i = 0; i < n; i++) width += ((unsigned char)s[i] & 0xc0) != 0x80;
    return width;
}

static size_t line_length(const char *s, size_t n) {
    const char *end = memchr(s, '\n', n);
    return end ? (size_t)(end - s) : n;
}

/* One word and the spaces before it; a line that has to break does so in the spaces. Long runs of them shrink where the
 * terminal is too narrow for columns of a table. */
static bool fold_word(sink *k, const char *s, size_t spaces, size_t n) {
    static const char BREAK[] = "\n    ", SPACES[] = "                                ";
    bool shrink = k->columns < TABLE && k->column;
    size_t gap = spaces > 2 && shrink ? 2 : spaces, width = width_of(s + spaces, n - spaces);
    if (k->column > INDENT && k->column + gap + width > k->columns) {
        if (!put(k->fd, BREAK, sizeof BREAK - 1)) return false;
        k->column = INDENT, gap = 0;
    }
    k->column += gap + width;
    for (size_t n_put; gap; gap -= n_put) {
        n_put = gap < sizeof SPACES - 1 ? gap : sizeof SPACES - 1;
        if (!put(k->fd, SPACES, n_put)) return false;
    }
    return put(k->fd, s + spaces, n - spaces);
}

static bool fold_line(sink *k, const char *s, size_t n) {
    if (!n || k->column + width_of(s, n) <= k->columns) {
        k->column += width_of(s, n);
        return put(k->fd, s, n);
    }
    for (size_t at = 0; at < n;) {
        size_t spaces = 0, word;
        while (at + spaces < n && s[at + spaces] == ' ') spaces++;
        word = spaces;
        while (at + word < n && s[at + word] != ' ') word++;
        if (!fold_word(k, s + at, spaces, word)) return false;
        at += word;
    }
    return true;
}

static bool fold(sink *k, const char *s, size_t n) {
    for (size_t at = 0; at < n;) {
        size_t length = line_length(s + at, n - at);
        if (!fold_line(k, s + at, length)) return false;
        at += length;
        if (at == n) break;
        if (!put(k->fd, "\n", 1)) return false;
        k->column = 0, at++;
    }
    return true;
}

/* Bytes at the end that begin a character and do not end it. */
static size_t cut_at_end(const char *s, size_t n) {
    for (size_t back = 1; back < 4 && back <= n; back++) {
        unsigned char c = (unsigned char)s[n - back];
        if ((c & 0xc0) == 0x80) continue;
        size_t need = 1 + (c >= 0xc0) + (c >= 0xe0) + (c >= 0xf0);
        return need > back ? back : 0;
    }
    return 0;
}

static volatile sig_atomic_t busy; /* a status line stands */

static bool write_all(sink *k, const char *text, size_t n, char *shown) {
    size_t bytes = cli_show(text, n, "\n\t", shown);
    if (busy && !put(STDERR_FILENO, "\r\033[K", 4)) return false;
    busy = 0;
    return k->columns ? fold(k, shown, bytes) : put(k->fd, shown, bytes);
}

static ssize_t write_shown(void *cookie, const char *text, size_t n) {
    sink *k = cookie;
    size_t all = k->n_cut + n;
    char *joined = malloc((CLI_SHOWN + 1) * all + 2);
    if (!joined) {
        errno = ENOMEM;
        return 0;
    }
    memcpy(joined, k->cut, k->n_cut);
    memcpy(joined + k->n_cut, text, n);
    k->n_cut = cut_at_end(joined, all);
    memcpy(k->cut, joined + all - k->n_cut, k->n_cut);
    bool done = write_all(k, joined, all - k->n_cut, joined + all);
    free(joined);
    return done ? (ssize_t)n : 0;
}

static FILE *stream(sink *k, int fd, int buffering) {
    size_t columns = cli_terminal_columns(fd);
    *k = (sink){.fd = fd};
    if (columns >= LEAST && columns < NARROW) k->columns = columns;
    FILE *f = fopencookie(k, "w", (cookie_io_functions_t){.write = write_shown});
    if (f) setvbuf(f, NULL, buffering, BUFSIZ);
    return f;
}

/* argp folds its own text; a name of 40 columns leaves no room beside it. */
static void tell_argp(size_t columns) {
    char format[80];
    if (columns < LEAST || columns >= 80) return;
    snprintf(format, sizeof format, "rmargin=%zu,opt-doc-col=%d", columns - 1, columns < 60 ? 8 : 29);
    setenv("ARGP_HELP_FMT", format, 0);
}

#ifdef __GLIBC__ /* whose standard streams are variables */
void cli_terminal_install(void) {
    static sink out, err;
    FILE *a = stream(&out, STDOUT_FILENO, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF);
    FILE *b = stream(&err, STDERR_FILENO, _IOLBF);
    if (a) stdout = a;
    if (b) stderr = b;
    tell_argp(cli_terminal_columns(STDOUT_FILENO));
}
#else
void cli_terminal_install(void) { tell_argp(cli_terminal_columns(STDOUT_FILENO)); }
#endif

/* ---- progress ---------------------------------------------------------------------------------------------------- */

bool cli_terminal_busy(void) { return busy; }

static void status_line(const char *text) {
    static double last = -1e9;
    char line[200];
    if (!*text || cli_now_ms() - last < 10e3) return;
    last = cli_now_ms();
    put(STDERR_FILENO, line, (size_t)snprintf(line, sizeof line, "%.190s\n", text));
}

void cli_terminal_status(const char *text) {
    char line[260];
    size_t columns = cli_terminal_columns(STDERR_FILENO);
    if (!isatty(STDERR_FILENO) || (!*text && !busy)) return;
    if (cli_terminal_is_dumb()) {
        status_line(text);
        return;
    }
    int most = columns && columns < 200 ? (int)columns - 1 : 100;
    fflush(stderr);
    put(STDERR_FILENO, line, (size_t)snprintf(line, sizeof line, "\r%.*s\033[K", most, text));
    busy = *text != '\0';
}
