/* Signals that end the program, and progress that they stop.
 * SIGINT in work that asks is told to the work, which ends cleanly; elsewhere it ends the program at once, after its
 * temporary files are gone. SIGTERM and SIGHUP always do the latter. Owner rule: nothing is kept. */
#ifndef KITFOX_CANCEL_H
#define KITFOX_CANCEL_H

#include <stdbool.h>
#include <stddef.h>

/** From now on SIGINT, SIGTERM and SIGHUP remove temporary files before they end the program, where they were not
 * ignored; SIGINT says so in one line. A file that grows past RLIMIT_FSIZE is an error and no signal. */
void cli_signals_install(void);
/** Files that belong together get their names: one such signal waits until cli_signals_go. A second one does not. */
void cli_signals_wait(void);
void cli_signals_go(void);

/** Around work that calls cli_progress or cli_cancelled: a first SIGINT makes them return 1, a second one ends the
 * program at once. cli_cancel_off comes when the work is over, however it ended: there the program ends by the signal,
 * if one came. */
void cli_cancel_on(void);
void cli_cancel_off(void);
/** 1: stop. */
int cli_cancelled(void);
/** The same as `progress` of options. */
int cli_stop(void *user, size_t done, size_t total);
/** ", 12 s left", if `ms` were spent on `done` of `all`; empty in the first second, and where nothing can be told. */
void cli_time_left(double ms, double done, double all, char text[40]);
/** "WHAT: done of total, 12 s left" where standard error is a terminal; cli_cancelled. For progress callbacks. `total`
 * 0: "WHAT ...", before the first step. */
int cli_progress(const char *what, size_t done, size_t total);

#endif
