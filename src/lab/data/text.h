/* Text files that the workbench reads whole, line by line or as a stream.
 * Owner rule: each function says who frees what. */
#ifndef KITFOX_LAB_TEXT_H
#define KITFOX_LAB_TEXT_H

#include <stdio.h>

#include "kitfox/lab.h"

/** Largest text inputs in bytes. Labels are JSON: the parser takes up to 45 times as much memory; ImageNet's 21841
 *  names have 1.1 MiB. Lists of pictures have a line for each. */
#define KF__MAX_LABELS ((size_t)8 << 20)
#define KF__MAX_LIST ((size_t)64 << 20)

/** A regular file as a stream, or standard input for "-". Never waits for a pipe. IO, MEMORY. */
kf_status kf__text_open(const char *path, FILE **out, kf_error *err);
/** fclose, but not of standard input. NULL does nothing. */
void kf__text_close(FILE *f);
/** A file as text with a zero after it, or standard input for "-". The caller frees *text. IO, LIMIT, MEMORY. */
kf_status kf__text_read(const char *path, size_t max_bytes, char **text, size_t *bytes, kf_error *err);
/** The next line of a text, its line end cut off; NULL after the last. *at moves on. *bytes is the length of the line,
 *  so that a zero byte inside it shows. */
char *kf__text_line(char **at, char *end, size_t *bytes);
/** "file: out of memory", MEMORY. */
kf_status kf__no_memory(const char *path, kf_error *err);
/** Bytes of the UTF-8 character at `text`, 1 for ASCII; 0 if it is none: over-long forms, surrogates and what is above
 *  U+10FFFF are none. */
size_t kf__utf8(const char *text);
/** Close a stream of open_memstream; `*text` and `*bytes` are its own. The caller releases *out with free(). MEMORY
 *  where it failed; *out is NULL then. */
kf_status kf__stream_take(FILE *f, char **text, const size_t *bytes, void **out, size_t *out_bytes, kf_error *err);
/** Is the file that will be written none of these, by device and inode? NULL entries and names that lead nowhere are
 *  passed over. ARGUMENT. */
kf_status kf__output_apart(const char *path, const char *const *inputs, size_t n, kf_error *err);

#endif
