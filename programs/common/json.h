/* JSON on its way out: one object a line, and never a line that vanishes. docs/JSON.md says what lines there are.
 * Owner rule: cli_print_json releases its object; the makers return new ones. */
#ifndef KITFOX_JSON_H
#define KITFOX_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "kitfox/kitfox.h"

/** A text; each byte that is not UTF-8 becomes U+FFFD. NULL becomes null. */
json_t *cli_text(const char *s);
/** A number; null where it is not finite. */
json_t *cli_real(double x);
/** The list of a shape. */
json_t *cli_shape(const int64_t *extents, int rank);
/** An object like json_pack's, which gives up where this does not: texts as cli_text makes them, numbers as cli_real
 *  does, null for a NULL. Of the formats: "{s:s,s:s?,s:i,s:I,s:f,s:b,s:o}", "o" taking the reference. Never NULL. */
json_t *cli_pack(const char *format, ...);
/** One object as one line; releases it. NULL prints nothing. */
void cli_print_json(json_t *object);
/** The same, with all digits of its numbers. */
void cli_print_json_exactly(json_t *object);
/** Where lines go from now on: standard error, where results are written to standard output as `path` says. NULL:
 *  standard output. */
void cli_json_beside(const char *path);
/** The command line has --json: from now on errors are lines, too. */
void cli_json_on(void);
bool cli_json_wanted(void);
/** {"status", "text"}, the value of the key "error". */
json_t *cli_error_json(kf_status status, const char *text);
/** With --json: a line of kind "error"; else nothing. */
void cli_print_error(kf_status status, const char *text);

#endif
