
/*
 * Copyright (C) Delta contributors
 *
 * storm-client PORT COUNT: that many WebSocket clients of one channel, for
 * t/bench/storm.  Lines on stdin say what to do, each is answered by one line:
 *
 *   open                    all connect, a hundred at a time: "open <seconds>"
 *   lost                    waits until all have been cut: "lost"
 *   return <n> <first> <ids...>  all reconnect at once, each with one of these
 *                           ids as its position, the first being that of event
 *                           <first>, and read up to event <n>
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


#define STORM_TAIL   64             /* a pattern is shorter */
#define STORM_IDS    256
#define STORM_LINE   16384
#define STORM_PATCH  "\"t\":\"patch\""
#define STORM_RESYNC "\"t\":\"resync\""
#define STORM_READY  "\"t\":\"ready\""


typedef struct {
    int       fd;                   /* -1: none */
    double    due;                  /* to be connected then, 0: it is */
    double    done;                 /* when it had all, 0: not yet */
    unsigned  sent:1;
    unsigned  answered:1;
    unsigned  patches;
    unsigned  expected;
    size_t    tail;
    char      bytes[STORM_TAIL];
} storm_client_t;


static int             storm_epoll;
static int             storm_port;
static int             storm_count;
static int             storm_open;      /* connections */
static int             storm_busy;      /* handshakes on their way */
static int             storm_done;
static int             storm_refused;
static int             storm_resyncs;
static int             storm_nids;
static char           *storm_ids[STORM_IDS];
static storm_client_t *storm_clients;


static double storm_now(void);
static void storm_connect(storm_client_t *c);
static void storm_request(storm_client_t *c);
static void storm_read(storm_client_t *c);
static void storm_scan(storm_client_t *c, char *p, size_t len);
static unsigned storm_times(const char *p, size_t len, size_t tail,
    const char *pattern);
static void storm_drop(storm_client_t *c, double due);
static void storm_run(int connections, int goal, int limit);
static void storm_return(char *line);
static int storm_compare(const void *one, const void *two);


int
main(int argc, char **argv)
{
    int            i;
    char          *line;
    double         start;
    struct rlimit  rl;

    if (argc != 3) {
        return 1;
    }

    alarm(600);

    storm_port = atoi(argv[1]);
    storm_count = atoi(argv[2]);

    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);

    storm_epoll = epoll_create1(EPOLL_CLOEXEC);
    storm_clients = calloc(storm_count, sizeof(storm_client_t));
    line = malloc(STORM_LINE);

    if (storm_epoll < 0 || storm_clients == NULL || line == NULL
        || rl.rlim_cur < (rlim_t) storm_count + 16)
    {
        fprintf(stderr, "more files are needed: ulimit -n %d\n",
                storm_count + 16);
        return 1;
    }

    for (i = 0; i < storm_count; i++) {
        storm_clients[i].fd = -1;
    }

    while (fgets(line, STORM_LINE, stdin)) {
        start = storm_now();

        if (strncmp(line, "open", 4) == 0) {

            for (i = 0; i < storm_count; i++) {
                storm_clients[i].due = start;
                storm_clients[i].expected = 0;
            }

            storm_run(storm_count, storm_count, 100);
            printf("open %.3f\n", storm_now() - start);

        } else if (strncmp(line, "lost", 4) == 0) {
            storm_run(0, 0, 0);
            printf("lost\n");

        } else {
            storm_return(line);
        }

        fflush(stdout);
    }

    return 0;
}


static double
storm_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec + ts.tv_nsec / 1e9;
}


static void
storm_return(char *line)
{
    int     i, n, first;
    char   *p;
    double  start, *times;

    (void) strtok(line, " \n");
    n = atoi(strtok(NULL, " \n"));
    first = atoi(strtok(NULL, " \n"));

    storm_nids = 0;

    while (storm_nids < STORM_IDS && (p = strtok(NULL, " \n")) != NULL) {
        storm_ids[storm_nids++] = p;
    }

    storm_done = 0;
    storm_refused = 0;
    storm_resyncs = 0;
    start = storm_now();

    for (i = 0; i < storm_count; i++) {
        storm_clients[i].due = start;
        storm_clients[i].done = 0;
        storm_clients[i].expected = n - first - i % storm_nids;
    }

    storm_run(storm_count, storm_count, storm_count);

    times = malloc(storm_count * sizeof(double));
    if (times == NULL) {
        exit(1);
    }

    for (i = 0; i < storm_count; i++) {
        times[i] = storm_clients[i].done - start;
    }

    qsort(times, storm_count, sizeof(double), storm_compare);

    printf("return %.3f %.3f %d %d\n", times[storm_count / 2],
           times[storm_count - 1], storm_refused, storm_resyncs);
    free(times);
}


static int
storm_compare(const void *one, const void *two)
{
    double  a = *(const double *) one, b = *(const double *) two;

    return a < b ? -1 : a > b;
}


/* Until so many are connected and have had all. */

static void
storm_run(int connections, int goal, int limit)
{
    int                 i, n, waiting;
    double              now;
    storm_client_t     *c;
    struct epoll_event  events[512];

    for ( ;; ) {
        waiting = 0;
        now = storm_now();

        for (i = 0; i < storm_count && limit; i++) {
            c = &storm_clients[i];

            if (c->due && c->due <= now && storm_busy < limit) {
                storm_connect(c);
            }

            waiting += c->due != 0;
        }

        if (storm_open == connections && waiting == 0
            && (goal == 0 || (storm_done >= goal && storm_busy == 0)))
        {
            return;
        }

        n = epoll_wait(storm_epoll, events, 512, waiting ? 5 : 1000);

        for (i = 0; i < n; i++) {
            c = events[i].data.ptr;

            if ((events[i].events & EPOLLOUT) && !c->sent) {
                storm_request(c);
            }

            if (c->fd != -1
                && (events[i].events & (EPOLLIN|EPOLLERR|EPOLLHUP)))
            {
                storm_read(c);
            }
        }
    }
}


static void
storm_connect(storm_client_t *c)
{
    struct sockaddr_in  sin;
    struct epoll_event  event;

    if (c->fd != -1) {
        storm_drop(c, 0);
    }

    c->fd = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);
    if (c->fd == -1) {
        perror("socket");
        exit(1);
    }

    c->due = 0;
    c->sent = 0;
    c->answered = 0;
    c->patches = 0;
    c->tail = 0;
    storm_open++;
    storm_busy++;

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons(storm_port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    event.events = EPOLLIN|EPOLLOUT|EPOLLET;
    event.data.ptr = c;

    if ((connect(c->fd, (struct sockaddr *) &sin, sizeof(sin)) == -1
         && errno != EINPROGRESS)
        || epoll_ctl(storm_epoll, EPOLL_CTL_ADD, c->fd, &event) == -1)
    {
        storm_drop(c, storm_now() + 0.2);
    }
}


static void
storm_request(storm_client_t *c)
{
    int   n, i;
    char  buf[512], at[128];

    i = c - storm_clients;
    at[0] = '\0';

    if (storm_nids) {
        snprintf(at, sizeof(at), "&at=space:one=%s",
                 storm_ids[i % storm_nids]);
    }

    n = snprintf(buf, sizeof(buf),
                 "GET /gateway?user=u%d%s HTTP/1.1\r\n"
                 "Host: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                 i, at, storm_port);

    c->sent = 1;

    if (write(c->fd, buf, n) != n) {
        storm_drop(c, storm_now() + 0.2);
    }
}


static void
storm_read(storm_client_t *c)
{
    char     buf[STORM_TAIL + 65536];
    ssize_t  n;

    while (c->fd != -1) {
        memcpy(buf, c->bytes, c->tail);
        n = read(c->fd, buf + c->tail, 65536);

        if (n == -1 && errno == EAGAIN) {
            return;
        }

        if (n <= 0) {
            /* cut: it waits to be told, unless it was still to come in */
            storm_drop(c, c->answered ? 0 : storm_now() + 0.2);
            return;
        }

        storm_scan(c, buf, c->tail + n);
    }
}


static void
storm_scan(storm_client_t *c, char *p, size_t len)
{
    char  *after;

    if (!c->answered) {

        if (c->tail == 0 && len >= 13
            && strncmp(p, "HTTP/1.1 101 ", 13) != 0)
        {
            after = memmem(p, len, "Retry-After: ", 13);
            storm_refused++;
            storm_drop(c, storm_now() + (after ? atoi(after + 13) : 1));
            return;
        }

        if (storm_times(p, len, c->tail, STORM_READY)) {
            c->answered = 1;
            storm_busy--;
        }
    }

    storm_resyncs += storm_times(p, len, c->tail, STORM_RESYNC);
    c->patches += storm_times(p, len, c->tail, STORM_PATCH);

    if (c->answered && c->done == 0 && c->patches >= c->expected) {
        c->done = storm_now();
        storm_done++;
    }

    c->tail = len < STORM_TAIL ? len : STORM_TAIL;
    memcpy(c->bytes, p + len - c->tail, c->tail);
}


/* How often, but for those that lie in the tail: they have been counted. */

static unsigned
storm_times(const char *p, size_t len, size_t tail, const char *pattern)
{
    size_t       size;
    unsigned     n;
    const char  *last;

    size = strlen(pattern);
    last = p + len;
    n = 0;

    if (tail >= size) {
        p += tail - size + 1;
    }

    while ((p = memmem(p, last - p, pattern, size)) != NULL) {
        p += size;
        n++;
    }

    return n;
}


static void
storm_drop(storm_client_t *c, double due)
{
    close(c->fd);
    c->fd = -1;
    c->due = due;
    storm_open--;

    if (!c->answered) {
        storm_busy--;
    }
}
