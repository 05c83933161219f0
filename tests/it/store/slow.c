/* A disk that hangs: what $GATED names waits, for files of the state, until the FIFO $GATE is
   opened for writing. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int gated(const char *what, long call, int fd, int operation) {
    char link[64], path[4096] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    readlink(link, path, sizeof path - 1);
    const char *gate = getenv("GATE"), *wanted = getenv("GATED");
    if (gate && wanted && strcmp(wanted, what) == 0 && strstr(path, "/state"))
        close(open(gate, O_RDONLY));
    return syscall(call, fd, operation);
}

int fsync(int fd) { return gated("sync", SYS_fsync, fd, 0); }
int fdatasync(int fd) { return gated("sync", SYS_fdatasync, fd, 0); }
int flock(int fd, int operation) { return gated("lock", SYS_flock, fd, operation); }
