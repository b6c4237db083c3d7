/* One flag and one handler; whoever waits for the signal decides when it ends the program.
 * Owner rule: see cancel.h. */
#include "common/cancel.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cli.h"

/* What a signal meets. */
enum { ENDS = 0, TOLD = 1, WAITS = 2 };

static volatile sig_atomic_t state, waited, line_open;

static void say(const char *text) {
    if (write(STDERR_FILENO, text, strlen(text)) < 0) return; /* nobody reads it */
}

/* Async-signal-safe. */
static void end(int number) {
    kf_file_abandon();
    if (number == SIGINT) {
        if (line_open) say("\n");
        say(cli_program);
        say(": stopped by Ctrl-C\n");
    }
    signal(number, SIG_DFL);
    raise(number); /* blocked until the handler returns */
}

static void on_signal(int number) {
    bool later = state == WAITS || (state == TOLD && number == SIGINT);
    if (later && !waited) waited = number;
    else end(number);
}

void cli_signals_install(void) {
    static const int NUMBERS[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction old, new = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&new.sa_mask);
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++)
        if (sigaction(NUMBERS[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) sigaction(NUMBERS[i], &new, NULL);
    signal(SIGXFSZ, SIG_IGN);
}

static void leave(void) {
    state = ENDS;
    if (waited) end(waited);
}

void cli_signals_wait(void) { state = WAITS; }
void cli_signals_go(void) { leave(); }
void cli_cancel_on(void) { state = TOLD; }
int cli_cancelled(void) { return waited != 0; }

int cli_stop(void *user, size_t done, size_t total) {
    (void)user, (void)done, (void)total;
    return cli_cancelled();
}

void cli_cancel_off(void) {
    if (line_open) fprintf(stderr, "\r%60s\r", "");
    line_open = 0;
    leave();
}

int cli_progress(const char *what, size_t done, size_t total) {
    if (isatty(STDERR_FILENO)) {
        line_open = 1;
        fprintf(stderr, "\r%s: %zu of %zu", what, done, total);
    }
    return cli_cancelled();
}
