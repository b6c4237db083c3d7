/* One file over http, https or from a file: URL: resumed, retried, checked, then renamed into place.
 * Owner rule: borrows everything; libcurl is loaded on first use, since linking it costs every start. */
#ifndef KITFOX_FETCH_H
#define KITFOX_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kitfox/compile.h"

/** What to fetch and how patient to be. */
typedef struct cli_fetch {
    const char *url, *path; /**< from, and the final name; "path.part" and "path.part.tag" live beside it meanwhile */
    uint64_t max_bytes;     /**< refuse more */
    int tries, wait_ms;     /**< attempts in all; first pause (doubles, at most 30 s) */
    int stall_s;            /**< seconds without a connection, or below `slowest`, that end an attempt */
    long slowest;           /**< bytes a second; 1: only a server that sends nothing is given up */
    const char *sha256;     /**< 64 lower-case hexadecimal digits that the content has to have; NULL: not known */
    bool progress;          /**< bar on standard error */
    /** Judges the complete file before it gets its name; may be NULL. */
    kf_status (*check)(const char *path, const char *url, kf_error *err);
} cli_fetch;

/** What happened. */
typedef struct cli_fetched {
    int fd; /**< the locked part between cli_fetch_part and cli_fetch_name; else -1 */
    uint64_t bytes;
    char sha256[65];
    int tries;
    bool resumed, missing,
        offline; /**< some bytes were kept from before; the server has no such file; it could not be reached */
} cli_fetched;

/** Fetch one file as far as "path.part", complete and checked; `f->path` is untouched. What was got is ended by
 * cli_fetch_name or cli_fetch_forget. After a failure nothing needs ending; a part remains only when a later call can
 * go on with it. Errors: UNSUPPORTED without a libcurl that can be limited to http, https and file; IO for the network
 * and the disk; CORRUPT when the content is not what was promised; LIMIT when too large; MEMORY. */
kf_status cli_fetch_part(const cli_fetch *f, cli_fetched *out, kf_error *err);
/** Give the part its name, in place of what had it. Errors: IO. */
kf_status cli_fetch_name(const cli_fetch *f, cli_fetched *got, kf_error *err);
/** Remove the part; nothing to do when there is none (fd -1). */
void cli_fetch_forget(const cli_fetch *f, cli_fetched *got);

#endif
