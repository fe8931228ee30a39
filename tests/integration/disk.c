/* A disk that fails: the n-th call of a kind, on a file below a folder, is answered with an error, half done,
 * or interrupted. Loaded before the C library. What touches the folder after a failed sync is written down.
 *
 * DISK_CALL   fsync, fdatasync, write: EIO; short: half of a write; EINTR: a write that was interrupted
 * DISK_NTH    which call, from 1
 * DISK_UNDER  the folder
 * DISK_LOG    the file of what came after the failure; begins with the failure itself
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static long calls;
static int has_failed;

static int is_under(const char *path) {
    const char *under = getenv("DISK_UNDER");
    return under && strncmp(path, under, strlen(under)) == 0;
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return 0 < length;
}

static void note(const char *call, const char *path) {
    char line[PATH_MAX + 64];
    const char *log = getenv("DISK_LOG");
    if (!log || !is_under(path)) return;
    int length = snprintf(line, sizeof line, "%s %s\n", call, path);
    int fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (fd < 0) return;
    syscall(SYS_write, fd, line, length);
    syscall(SYS_close, fd);
}

/* Whether this call is the one that fails. */
static int fails(const char *call, int fd) {
    char path[PATH_MAX];
    const char *wanted = getenv("DISK_CALL"), *nth = getenv("DISK_NTH");
    if (!wanted || !nth || !path_of(fd, path) || !is_under(path)) return 0;
    if (__atomic_load_n(&has_failed, __ATOMIC_SEQ_CST)) note(call, path);
    if (strcmp(wanted, call) != 0) return 0;
    if (__atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) != atol(nth)) return 0;
    note("failed", path);
    if (call[0] == 'f') __atomic_store_n(&has_failed, 1, __ATOMIC_SEQ_CST);
    return 1;
}

int fsync(int fd) {
    if (fails("fsync", fd)) return errno = EIO, -1;
    return syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    if (fails("fdatasync", fd)) return errno = EIO, -1;
    return syscall(SYS_fdatasync, fd);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    if (fails("write", fd)) return errno = EIO, -1;
    if (fails("EINTR", fd)) return errno = EINTR, -1;
    if (1 < length && fails("short", fd)) length /= 2;
    return syscall(SYS_write, fd, bytes, length);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) {
    if (fails("write", fd)) return errno = EIO, -1;
    if (fails("EINTR", fd)) return errno = EINTR, -1;
    if (1 < length && fails("short", fd)) length /= 2;
    return syscall(SYS_pwrite64, fd, bytes, length, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    return pwrite64(fd, bytes, length, at);
}

int rename(const char *from, const char *to) {
    if (__atomic_load_n(&has_failed, __ATOMIC_SEQ_CST)) note("rename", to);
    return syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    if (__atomic_load_n(&has_failed, __ATOMIC_SEQ_CST)) note("link", to);
    return syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
}
