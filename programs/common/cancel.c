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

static volatile sig_atomic_t state, waited;

static void say(const char *text) {
    if (write(STDERR_FILENO, text, strlen(text)) < 0) return; /* nobody reads it */
}

/* Async-signal-safe. */
static void end(int number) {
    kf_file_abandon();
    if (number == SIGINT) {
        if (cli_terminal_busy()) say("\n");
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
    cli_terminal_status("");
    leave();
}

void cli_time_left(double ms, double done, double all, char text[40]) {
    double left = done > 0 ? ms * (all - done) / done / 1e3 : 0;
    *text = '\0';
    if (ms < 1000 || done <= 0 || done >= all) return;
    if (left < 100) snprintf(text, 40, ", %.0f s left", left < 1 ? 1 : left);
    else snprintf(text, 40, ", %.0f min left", left / 60);
}

int cli_progress(const char *what, size_t done, size_t total) {
    static const char *last;
    static double begun;
    static size_t before; /* what was done when the count began */
    char text[160], left[40];
    if (what != last || done < before) last = what, begun = cli_now_ms(), before = done;
    cli_time_left(cli_now_ms() - begun, (double)(done - before), (double)(total - before), left);
    if (total) snprintf(text, sizeof text, "%s: %zu of %zu%s", what, done, total, left);
    else snprintf(text, sizeof text, "%s ...", what);
    cli_terminal_status(text);
    return cli_cancelled();
}
