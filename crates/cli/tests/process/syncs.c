/* Logs writes and syncs of a database's log, in their order: for synced.rs, by LD_PRELOAD. A kill does
 * not show a missing fsync, since the kernel keeps what was written; this does. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static void note(char what, int fd) {
    char link[64], path[512];
    const char *log = getenv("SYNC_LOG");
    if (log == NULL) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = 0;
    /* SQLite's write-ahead log, and the folder of PostgreSQL's. */
    if (strstr(path, "-wal") == NULL && strstr(path, "/pg_wal/") == NULL) return;
    int out = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (out < 0) return;
    static ssize_t (*real)(int, const void *, size_t);
    if (real == NULL) real = dlsym(RTLD_NEXT, "write");
    real(out, &what, 1);
    close(out);
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (real == NULL) real = dlsym(RTLD_NEXT, #name)

int fsync(int fd) {
    REAL(int, fsync, int);
    int done = real(fd);
    if (done == 0) note('s', fd);
    return done;
}

int fdatasync(int fd) {
    REAL(int, fdatasync, int);
    int done = real(fd);
    if (done == 0) note('s', fd);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    REAL(ssize_t, write, int, const void *, size_t);
    note('w', fd);
    return real(fd, bytes, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    note('w', fd);
    return real(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    note('w', fd);
    return real(fd, bytes, count, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    REAL(ssize_t, pwritev, int, const struct iovec *, int, off_t);
    note('w', fd);
    return real(fd, parts, count, at);
}
