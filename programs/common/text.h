/* Text of others (file names, labels, names in models) on its way to people and programs: never a control character,
 * never a byte that is not UTF-8.
 * Owner rule: each function says who frees what. */
#ifndef KITFOX_TEXT_H
#define KITFOX_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The character at `s`, of `n` > 0 bytes, and its length in *bytes; -1 and 1 where it is not UTF-8 (RFC 3629). */
int32_t cli_utf8(const char *s, size_t n, size_t *bytes);
/** C0, DEL and C1 controls. */
bool cli_is_control(int32_t character);
/** Longest form of one byte of input in cli_show. */
enum { CLI_SHOWN = 4 };
/** Write `n` bytes so that a terminal shows them: a control character as \n, \t, \r or \x1b, another byte that is not
 *  UTF-8 as \xff. Characters that `keep` holds stay. `out` has room for CLI_SHOWN * n + 1; returns the length. */
size_t cli_show(const char *s, size_t n, const char *keep, char *out);
/** The same for a whole text, in one of four buffers in turn; a longer one is cut. Not thread safe. */
const char *cli_shown(const char *s);
/** How many changes (insert, drop, replace, swap of neighbours) make `b` of `a`; names of up to 63 bytes. */
size_t cli_distance(const char *a, const char *b);
/** Is `b` what someone may have meant by `a`? A third of the characters may differ. */
bool cli_resembles(const char *a, const char *b, size_t *distance);

#endif
