/* A bar on standard error for transfers.
 * Owner rule: plain memory of the caller. */
#ifndef KITFOX_BAR_H
#define KITFOX_BAR_H

#include <stdbool.h>
#include <stdint.h>

/** Zeroed, except for `shown`. */
typedef struct cli_bar {
    bool shown;    /**< false: nothing is drawn */
    bool drawn;    /**< there is something to wipe */
    double begun;  /**< ms; when `from` bytes were there */
    double last;   /**< ms; of the last drawing */
    uint64_t from; /**< bytes that an earlier attempt left */
} cli_bar;

/** `done` of `total` bytes are there; both 0: nothing yet, a new attempt begins. Drawn ten times a second at most. */
void cli_bar_bytes(cli_bar *bar, uint64_t done, uint64_t total);
/** Wipe it. */
void cli_bar_end(cli_bar *bar);

#endif
