
/*
 * Copyright (C) Delta contributors
 *
 * ticks-client PORT COUNT TICKS: that many event streams of /events, for
 * t/bench/ticks.  Says "open" when all have been answered; when each has so
 * many events, or a line comes on stdin, "<events> <p50> <p99> <max>" in ms
 * since what each has as "at", in microseconds of the monotonic clock.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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


#define TICKS_PATTERN  "\"at\":"
#define TICKS_REQUEST  "GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n"          \
                       "Accept: text/event-stream\r\n\r\n"


typedef struct {
    int       fd;
    unsigned  matched;              /* of the pattern */
    uint64_t  at;
    unsigned  answered:1;
} ticks_client_t;


static size_t    ticks_got;
static size_t    ticks_wanted;
static double   *ticks_latency;     /* ms */


static uint64_t
ticks_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


static void
ticks_fail(const char *what)
{
    fprintf(stderr, "ticks-client: %s: %s\n", what, strerror(errno));
    exit(1);
}


static void
ticks_open(ticks_client_t *client, int port, int epoll)
{
    struct epoll_event  ev;
    struct sockaddr_in  addr;

    memset(&addr, 0, sizeof(addr));
    addr.sin_family = AF_INET;
    addr.sin_port = htons(port);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    client->fd = socket(AF_INET, SOCK_STREAM, 0);

    if (client->fd == -1
        || connect(client->fd, (struct sockaddr *) &addr, sizeof(addr)) == -1
        || write(client->fd, TICKS_REQUEST, sizeof(TICKS_REQUEST) - 1)
           != sizeof(TICKS_REQUEST) - 1
        || fcntl(client->fd, F_SETFL, O_NONBLOCK) == -1)
    {
        ticks_fail("connect");
    }

    ev.events = EPOLLIN;
    ev.data.ptr = client;

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &ev) == -1) {
        ticks_fail("epoll_ctl");
    }
}


/* Whatever the pieces it comes in. */

static void
ticks_parse(ticks_client_t *client, const char *p, size_t n, uint64_t now)
{
    unsigned  len;

    len = sizeof(TICKS_PATTERN) - 1;

    for (/* void */; n; p++, n--) {

        if (client->matched < len) {
            client->matched = *p == TICKS_PATTERN[client->matched]
                              ? client->matched + 1 : *p == '"';
            continue;
        }

        if (*p >= '0' && *p <= '9') {
            client->at = client->at * 10 + (*p - '0');
            continue;
        }

        if (ticks_got < ticks_wanted) {
            ticks_latency[ticks_got++] = (now - client->at) / 1000.0;
        }

        client->matched = 0;
        client->at = 0;
    }
}


static int
ticks_read(ticks_client_t *client)
{
    int          first;
    char         buf[65536];
    ssize_t      n;

    n = read(client->fd, buf, sizeof(buf));

    if (n <= 0) {
        ticks_fail("a stream has ended");
    }

    first = !client->answered;
    client->answered = 1;

    ticks_parse(client, buf, n, ticks_now());

    return first;
}


static int
ticks_compare(const void *a, const void *b)
{
    double  x = *(const double *) a, y = *(const double *) b;

    return (x > y) - (x < y);
}


int
main(int argc, char **argv)
{
    int                  i, n, epoll, count, answered;
    struct rlimit        files = { 65536, 65536 };
    ticks_client_t      *clients;
    struct epoll_event   ev, events[256];

    if (argc != 4) {
        fprintf(stderr, "usage: ticks-client PORT COUNT TICKS\n");
        return 1;
    }

    (void) setrlimit(RLIMIT_NOFILE, &files);

    count = atoi(argv[2]);
    ticks_wanted = (size_t) count * atoi(argv[3]);
    clients = calloc(count, sizeof(ticks_client_t));
    ticks_latency = calloc(ticks_wanted + 1, sizeof(double));
    epoll = epoll_create1(0);

    if (clients == NULL || ticks_latency == NULL || epoll == -1) {
        ticks_fail("start");
    }

    for (i = 0; i < count; i++) {
        ticks_open(&clients[i], atoi(argv[1]), epoll);
    }

    ev.events = EPOLLIN;
    ev.data.ptr = NULL;
    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &ev);

    for (answered = 0, i = 0; ticks_got < ticks_wanted && i == 0; /* void */) {
        n = epoll_wait(epoll, events, 256, -1);

        while (n-- > 0) {

            if (events[n].data.ptr == NULL) {
                i = 1;

            } else if (ticks_read(events[n].data.ptr)
                       && ++answered == count)
            {
                printf("open\n");
                fflush(stdout);
            }
        }
    }

    qsort(ticks_latency, ticks_got, sizeof(double), ticks_compare);

    printf("%zu %.2f %.2f %.2f\n", ticks_got, ticks_latency[ticks_got / 2],
           ticks_latency[ticks_got * 99 / 100],
           ticks_latency[ticks_got ? ticks_got - 1 : 0]);

    return 0;
}
