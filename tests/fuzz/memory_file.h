/* Bytes under a path, for parsers that open files.
 * A memory file, reached through /proc; nothing touches the disk.
 * Owner rule: close_memory_file releases it. */
#ifndef KITFOX_MEMORY_FILE_H
#define KITFOX_MEMORY_FILE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct memory_file {
    int fd;
    char path[40];
} memory_file;

static memory_file open_memory_file(const uint8_t *data, size_t n) {
    memory_file m = {.fd = memfd_create("fuzz", MFD_CLOEXEC)};
    if (m.fd < 0 || (n && write(m.fd, data, n) != (ssize_t)n)) {
        perror("memfd_create");
        exit(1);
    }
    snprintf(m.path, sizeof m.path, "/proc/self/fd/%d", m.fd);
    if (access(m.path, R_OK) != 0) {
        fputs("SKIP: no /proc here\n", stderr);
        exit(77);
    }
    return m;
}

static void close_memory_file(memory_file *m) { close(m->fd); }

#endif
