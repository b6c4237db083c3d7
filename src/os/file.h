/* Files: read whole into memory, written whole beside their name and then renamed. All files that a user names are
 * opened here, so that nothing waits for a pipe and no device is read.
 * Owner rule: kf__file_free releases what kf__file_read made. */
#ifndef KF_FILE_H
#define KF_FILE_H

#include "base/base.h"

/* ---- reading (file.c) ------------------------------------------------------------------------------------------- */

typedef struct kf__file {
    void *data; /* never NULL after a successful read; one zero byte follows the last; aligned to KF_ALIGN */
    size_t size;
} kf__file;

/** Open a regular file for reading and tell its size. It never waits: a pipe, a device or a directory is an IO error.
 *  The caller closes *fd. */
kf_status kf__file_open(const char *path, int *fd, uint64_t *bytes, kf_error *err);
/** Read a regular file whole. It is a copy, so that what is checked is what is used, whatever others do to the file.
 *  IO: missing, unreadable, not a regular file, or changed while it was read (cut, longer, or written to). LIMIT:
 * larger than max_bytes. MEMORY. The error text begins with the path. */
kf_status kf__file_read(const char *path, size_t max_bytes, kf__file *out, kf_error *err);
void kf__file_free(kf__file *file);
/** Read `bytes` bytes at `at` of an open file; IO if the file ends before. The error text begins with `path`. */
kf_status kf__file_read_at(int fd, const char *path, uint64_t at, void *to, size_t bytes, kf_error *err);
/** A part of a read file is no longer needed: returns its whole pages to the system. Their contents are lost. */
void kf__file_drop(const void *data, size_t bytes);

/* ---- writing, in libkitfoxc alone (file_write.c) --------------------------------------------------------------- */

/** Whether something has that name; a file that exists but cannot be read counts, so that opening it reports why. */
bool kf__file_exists(const char *path);
/** Write the whole file under a temporary name in the same folder, then rename it over `path`: readers see the old file
 *  or the new one, never a part, and a failure leaves the old one. A link is followed and stays; a file that is
 * replaced keeps its mode, and its owner where that is allowed; a new one has the mode that umask leaves. A pipe or a
 * character device is written through, and so is what descriptor 1 writes to; a directory, a block device and a socket
 * are refused. With `sync` the bytes are on the disk before the rename. IO. */
kf_status kf__file_write(const char *path, const void *data, size_t bytes, bool sync, kf_error *err);
/** kf__file_write with `sync`. */
kf_status kf__file_replace(const char *path, const void *data, size_t bytes, kf_error *err);
/** Could kf__file_write begin? Tries a temporary file and removes it. IO, in the words of kf__file_write. */
kf_status kf__file_check(const char *path, kf_error *err);
/** Remove the temporary files of writes that are going on, now and until the process ends. Async-signal-safe. */
void kf__file_abandon(void);

/* ---- files beside a model, in libkitfoxc alone (beside.c) -------------------------------------------------------- */

/** Read `bytes` bytes at `at` of the file `path`. It has to lie in the folder of the file `model` or below it once
 * links are followed, or in the folder where `model` itself lies once links are followed: a cache may link both to its
 * store. FORMAT: it lies elsewhere, or is too short. IO. The error text begins with the path. */
kf_status kf__file_read_beside(const char *model, const char *path, uint64_t at, void *to, size_t bytes, kf_error *err);

#endif
