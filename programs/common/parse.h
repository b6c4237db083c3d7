/* Parsing of a verb's command line: argp's, with words of our own for what it does not know, and errors as JSON.
 * Owner rule: nothing is kept after a call. */
#ifndef KITFOX_PARSE_H
#define KITFOX_PARSE_H

#include <argp.h>
#include <stddef.h>

/** argp_parse without flags. An option that is unknown, ambiguous, or lacks its argument is told, with the nearest one;
 *  EINVAL then: the verb returns EXIT_USAGE. With --json anywhere on the line such errors, and those of argp_error, are
 *  lines of kind "error" too (cli_json_on). */
error_t cli_parse(const struct argp *argp, int argc, char **argv, void *input);
/** A usage error without argp: "PROGRAM VERB: text", and how to get help; returns EXIT_USAGE. */
int cli_usage(const char *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
