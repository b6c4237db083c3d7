/* What a terminal is told: no control characters but ours, lines that fold where it is narrow, progress on one line.
 * Owner rule: nothing is kept but the two streams, until the program ends. */
#ifndef KITFOX_TERMINAL_H
#define KITFOX_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/** From now on what goes to standard output and standard error as text is shown by cli_show, and on a terminal of
 *  fewer than 100 columns lines fold between words. Files that the library writes are not text, and stay. */
void cli_terminal_install(void);
/** A terminal without cursor and colours (TERM is dumb). */
bool cli_terminal_is_dumb(void);
/** Columns of the terminal at this descriptor; 0: it is none, or does not say. */
size_t cli_terminal_columns(int fd);
/** Colour on standard output, if it is a terminal that has some and NO_COLOR is not set. */
void cli_terminal_green(bool on);
/** Replace the line of progress on standard error by `text`; "" wipes it. Nothing where that is no terminal. A dumb one
 *  gets lines, one in ten seconds. */
void cli_terminal_status(const char *text);
/** A status line stands. Async-signal-safe. */
bool cli_terminal_busy(void);

#endif
