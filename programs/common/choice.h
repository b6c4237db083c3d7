/* Which pictures of a folder a verb takes, and what becomes of those that cannot be read: one rule for all verbs.
 * Owner rule: strings belong to the command line. */
#ifndef KITFOX_CHOICE_H
#define KITFOX_CHOICE_H

#include "common/cli.h"

/** What --list, --limit and --strict say. */
typedef struct cli_choice {
    const char *list; /**< NULL: all pictures of the folder */
    size_t limit;     /**< 0: no limit */
    bool strict;      /**< the first picture that cannot be read ends the verb */
} cli_choice;

/** Child parser; its input is a cli_choice, with defaults. */
extern const struct argp cli_choice_argp;

#endif
