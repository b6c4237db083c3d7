/* Files: read-only maps and atomic replacement.
 * Owner rule: kf__file_map_close releases what kf__file_map_open made. */
#ifndef KF_FILE_H
#define KF_FILE_H

#include "base/base.h"

typedef struct kf__file_map {
    const void *data; /* NULL for an empty file */
    size_t size;
} kf__file_map;

/** Map a regular file read-only. IO when missing, unreadable or a directory; LIMIT when larger than max_bytes. The error
 *  text begins with the path. */
kf_status kf__file_map_open(const char *path, size_t max_bytes, kf__file_map *out, kf_error *err);
void kf__file_map_close(kf__file_map *map);
/** Give the pages of a part of a map back: they count no more as memory in use, and are read from the file again when touched. Whole pages
 *  around the part; any address inside a read-only file map will do. Advice only. */
void kf__file_map_drop(const void *data, size_t bytes);
/** Whether something has that name; a file that exists but cannot be read counts, so that opening it reports why. */
bool kf__file_exists(const char *path);
/** Write the whole file under a temporary name in the same folder, sync, then rename over `path`: readers see the old file
 *  or the new one, never a part. */
kf_status kf__file_replace(const char *path, const void *data, size_t bytes, kf_error *err);

#endif
