
/*
 * Copyright (C) Delta contributors
 *
 * Preloaded into Redis by t/72-clock.t: its clock is off by as many ms as the
 * file $DELTA_CLOCK says (eight bytes), which can change while it runs.  With
 * $DELTA_CLOCK_ALL all of its clocks are, as if that much time had passed.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>


static const volatile int64_t  *clock_offset;
static int                      clock_all;


__attribute__((constructor)) static void
clock_open(void)
{
    int    fd;
    char  *name;
    void  *p;

    clock_all = (getenv("DELTA_CLOCK_ALL") != NULL);
    name = getenv("DELTA_CLOCK");
    fd = name ? open(name, O_RDONLY) : -1;

    if (fd == -1) {
        return;
    }

    p = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);

    if (p != MAP_FAILED) {
        clock_offset = p;
    }

    close(fd);
}


int
clock_gettime(clockid_t id, struct timespec *ts)
{
    int64_t  ms;

    if (syscall(SYS_clock_gettime, id, ts) != 0) {
        return -1;
    }

    if ((id == CLOCK_REALTIME || clock_all) && clock_offset) {
        ms = ts->tv_sec * 1000 + ts->tv_nsec / 1000000 + *clock_offset;
        ts->tv_nsec = ms % 1000 * 1000000 + ts->tv_nsec % 1000000;
        ts->tv_sec = ms / 1000;
    }

    return 0;
}


int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec  ts;

    (void) zone;

    if (clock_gettime(CLOCK_REALTIME, &ts) != 0) {
        return -1;
    }

    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;

    return 0;
}


time_t
time(time_t *at)
{
    struct timespec  ts;

    clock_gettime(CLOCK_REALTIME, &ts);

    if (at) {
        *at = ts.tv_sec;
    }

    return ts.tv_sec;
}
