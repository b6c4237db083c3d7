/* Files of the program: inputs that are read whole, outputs that are checked before the work, `-` for the standard
 * streams. Owner rule: each function says who frees what. */
#ifndef KITFOX_FILES_H
#define KITFOX_FILES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/cancel.h"
#include "kitfox/lab.h"

/** Largest JSON inputs in bytes: the parser takes up to 45 times as much memory. */
#define CLI_MAX_JSON ((size_t)8 << 20)

/** A regular file as a stream, or standard input for "-". Never waits for a pipe. NULL and `err` filled on failure. */
FILE *cli_open(const char *path, kf_error *err);
/** fclose, but for standard input. NULL does nothing. */
void cli_close(FILE *f);
/** A JSON file of at most CLI_MAX_JSON bytes; NULL when it cannot be read or is none. */
json_t *cli_read_json(const char *path);

/** Is it "-", or another name of what standard output writes to? */
bool cli_is_stdout(const char *path);
/** The name for calls of the library: one of standard output for "-". */
const char *cli_output_name(const char *path);
/** Text for people where results go to `path`: standard error when that is standard output. */
FILE *cli_talk(const char *path);
/** Write whole, to standard output for "-"; see kf_file_write. */
kf_status cli_write(const char *path, const void *data, size_t bytes, kf_error *err);
/** Close a stream of open_memstream and write what it holds; `*text` and `*bytes` are its own. MEMORY where it failed.
 */
kf_status cli_write_stream(const char *path, FILE *f, char **text, size_t *bytes, kf_error *err);

/** An output to check before the work. */
typedef struct cli_output {
    const char *path;   /**< NULL: none */
    const char *option; /**< for messages */
    bool stream;        /**< may go to standard output */
} cli_output;
/** Before the work: can each be written, may it be standard output, is it none of the inputs (cli_output_apart) and no
 * other output? ARGUMENT, IO. */
kf_status cli_outputs_check(const cli_output *o, size_t n, const char *const *inputs, size_t n_inputs, kf_error *err);
/** Is it one of these inputs, by device and inode? ARGUMENT then. NULL entries, "-" and names that lead nowhere are
 * passed over. */
kf_status cli_output_apart(const cli_output *o, const char *const *inputs, size_t n, kf_error *err);
/** Is one of the `n` outputs a picture of `data`? ARGUMENT then. */
kf_status cli_outputs_apart(const cli_output *o, size_t n, const kf_dataset *data, kf_error *err);

#endif
