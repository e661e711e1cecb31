
/*
 * Copyright (C) Delta contributors
 */

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "lastseen.h"
#include "relay.h"
#include "server.h"
#include "store.h"
#include "token.h"
#include "space.h"
#include "world.h"


typedef struct {
    const char  *name;
    const char  *env;
    const char  *help;
    const char  *value;         /* its default */
} upstream_option_t;


static int main_options(int argc, char **argv);
static void main_usage(FILE *out);
static const char *main_option(const char *name);
static int main_start(upstream_t *upstream, int *wake);
static int main_files(upstream_t *upstream);
static int main_lastseen(upstream_t *upstream);
static int main_world(upstream_world_conf_t *conf);
static int main_number(const char *name, unsigned max, unsigned *number);
static int main_listen(const char *address);
static int main_bind(const struct addrinfo *info);
static int main_loopback(const struct sockaddr *address);
static int main_loop(upstream_t *upstream, int wake);
static void main_stop(upstream_t *upstream);


static upstream_option_t  main_table[] = {
    { "listen", "DELTA_LISTEN", "ADDRESS:PORT", "127.0.0.1:8081" },
    { "db", "DELTA_DB", "FILE of the SQLite database", NULL },
    { "files", "DELTA_FILES", "DIRECTORY of uploads, the database's name "
      "with .files else", NULL },
    { "redis", "DELTA_REDIS", "URL, redis:// or unix:",
      "redis://127.0.0.1:6379" },
    { "jwks", "DELTA_JWKS", "FILE with an oct key, for the demo's login",
      NULL },
    { "prefix", "DELTA_PREFIX", "TEXT before every channel name", NULL },
    { "audience", "DELTA_AUDIENCE", "TEXT, the claim aud of tokens", NULL },
    { "issuer", "DELTA_ISSUER", "TEXT, the claim iss of tokens", NULL },
    { "last-seen", "DELTA_LAST_SEEN", "SECONDS until it is known when users "
      "were there", "300" },
    { "wait", "DELTA_WAIT", "MS that an answer waits for its event's position",
      "200" },
    { "world", "DELTA_WORLD", "NAME of the demo's world, if it shall tick",
      NULL },
    { "npcs", "DELTA_NPCS", "NUMBER of those who walk about in it", "100" },
    { "tick", "DELTA_TICK", "MS, the length of a tick", "100" },
    { "snapshot-ttl", "DELTA_SNAPSHOT_TTL", "SECONDS a snapshot lives",
      "600" },
    { "archive-interval", "DELTA_ARCHIVE_INTERVAL",
      "TICKS between whole states", "100" },
    { "archive-keep", "DELTA_ARCHIVE_KEEP", "ROWS of whole states, 0 is all",
      "1000" },
    { "backlog", "DELTA_BACKLOG", "TICKS kept while Redis is away", "128" },
    { "max-event", "DELTA_MAX_EVENT", "BYTES of a tick's event, as the "
      "gateway's delta_max_event", "65536" },
};

#define MAIN_OPTIONS  (sizeof(main_table) / sizeof(main_table[0]))


int
main(int argc, char **argv)
{
    int         rc, wake;
    sigset_t    signals;
    upstream_t  upstream;

    memset(&upstream, 0, sizeof(upstream_t));

    rc = main_options(argc, argv);
    if (rc >= 0) {
        return rc;
    }

    /* before the relay's thread, which inherits them blocked */

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    rc = main_start(&upstream, &wake);

    if (rc == 0) {
        rc = main_loop(&upstream, wake);
    }

    main_stop(&upstream);

    return rc == 0 ? 0 : 1;
}


/* -1 to go on, else the exit status. */

static int
main_options(int argc, char **argv)
{
    int            rc, found;
    size_t         i;
    const char    *value;
    struct option  options[MAIN_OPTIONS + 2];

    memset(options, 0, sizeof(options));

    for (i = 0; i < MAIN_OPTIONS; i++) {
        options[i].name = main_table[i].name;
        options[i].has_arg = required_argument;

        value = getenv(main_table[i].env);
        if (value && value[0]) {
            main_table[i].value = value;
        }
    }

    options[i].name = "help";

    while ((rc = getopt_long(argc, argv, "", options, &found)) == 0) {

        if (found == MAIN_OPTIONS) {
            main_usage(stdout);
            return 0;
        }

        main_table[found].value = optarg;
    }

    if (rc != -1 || optind < argc || main_option("db") == NULL) {
        main_usage(stderr);
        return 2;
    }

    return -1;
}


static void
main_usage(FILE *out)
{
    size_t                    i;
    const upstream_option_t  *option;

    fprintf(out, "usage: delta-upstream --db FILE [options]\n\n");

    for (i = 0; i < MAIN_OPTIONS; i++) {
        option = &main_table[i];

        fprintf(out, "  --%-17s %s (%s%s%s)\n", option->name, option->help,
                option->env, option->value ? ", " : "",
                option->value ? option->value : "");
    }
}


static const char *
main_option(const char *name)
{
    size_t  i;

    for (i = 0; strcmp(main_table[i].name, name) != 0; i++) {
        /* void */
    }

    return main_table[i].value;
}


static int
main_start(upstream_t *upstream, int *wake)
{
    int                    fd;
    char                   error[128];
    delta_publisher_t     *publisher;
    upstream_world_conf_t  world;

    if (main_option("world") && main_world(&world) != 0) {
        return -1;
    }

    if (main_number("wait", UPSTREAM_WAIT_MAX, &upstream->wait) != 0) {
        return -1;
    }

    if (main_option("jwks")) {
        upstream->token = token_open(main_option("jwks"),
                                     main_option("audience"),
                                     main_option("issuer"));
        if (upstream->token == NULL) {
            return -1;
        }
    }

    if (main_files(upstream) != 0) {
        return -1;
    }

    upstream->store = store_open(main_option("db"));
    if (upstream->store == NULL || space_prepare(upstream->store) != 0) {
        return -1;
    }

    publisher = delta_publisher_create(main_option("redis"),
                                       main_option("prefix"), error,
                                       sizeof(error));
    if (publisher == NULL) {
        upstream_log("--redis or --prefix: %s", error);
        return -1;
    }

    fd = main_listen(main_option("listen"));
    *wake = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

    if (fd == -1 || *wake == -1) {
        delta_publisher_free(publisher);
        return -1;
    }

    upstream->relay = relay_start(main_option("db"), publisher, *wake);
    if (upstream->relay == NULL) {
        return -1;
    }

    if (main_option("world")) {
        publisher = delta_publisher_create(main_option("redis"),
                                           main_option("prefix"), error,
                                           sizeof(error));

        upstream->world = publisher ? world_start(main_option("db"),
                                                  publisher, &world)
                                    : NULL;
        if (upstream->world == NULL) {
            return -1;
        }
    }

    if (main_lastseen(upstream) != 0) {
        return -1;
    }

    upstream->server = server_start(upstream, fd);

    return upstream->server ? 0 : -1;
}


static int
main_files(upstream_t *upstream)
{
    size_t       n;
    const char  *db;

    db = main_option("db");
    n = strlen(db) + sizeof(".files");

    upstream->files = main_option("files") ? strdup(main_option("files"))
                                           : malloc(n);
    if (upstream->files == NULL) {
        return -1;
    }

    if (main_option("files") == NULL) {
        snprintf(upstream->files, n, "%s.files", db);
    }

    return 0;
}


static int
main_lastseen(upstream_t *upstream)
{
    char                error[128];
    unsigned            seconds;
    delta_publisher_t  *publisher;

    if (main_number("last-seen", UPSTREAM_LASTSEEN_MAX, &seconds) != 0) {
        return -1;
    }

    publisher = delta_publisher_create(main_option("redis"), NULL, error,
                                       sizeof(error));
    if (publisher == NULL) {
        return -1;
    }

    upstream->lastseen = lastseen_start(main_option("db"), publisher,
                                        main_option("prefix"), seconds);

    return upstream->lastseen ? 0 : -1;
}


static int
main_world(upstream_world_conf_t *conf)
{
    char                    error[256];
    delta_snapshot_conf_t  *snapshot;

    memset(conf, 0, sizeof(upstream_world_conf_t));

    snapshot = &conf->snapshot;
    delta_snapshot_defaults(snapshot);
    snapshot->world = main_option("world");

    if (main_number("npcs", UPSTREAM_WORLD_NPCS, &conf->npcs) != 0
        || main_number("archive-keep", 1000000, &conf->keep) != 0
        || main_number("tick", 3600000, &snapshot->tick) != 0
        || main_number("snapshot-ttl", 31536000, &snapshot->ttl) != 0
        || main_number("archive-interval", 1000000, &snapshot->archive) != 0
        || main_number("backlog", 100000, &snapshot->backlog) != 0
        || main_number("max-event", 16777216, &snapshot->event) != 0)
    {
        return -1;
    }

    if (delta_snapshot_check(snapshot, error, sizeof(error)) != 0) {
        upstream_log("--snapshot-ttl %u, --archive-interval %u, --tick %u: %s",
                     snapshot->ttl, snapshot->archive, snapshot->tick, error);
        return -1;
    }

    return 0;
}


static int
main_number(const char *name, unsigned max, unsigned *number)
{
    size_t              n;
    const char         *text;
    unsigned long long  value;

    text = main_option(name);
    n = strlen(text);
    value = n && n <= 9 && strspn(text, "0123456789") == n
            ? strtoull(text, NULL, 10) : ULLONG_MAX;

    if (value > max) {
        upstream_log("--%s %s: a number up to %u is due", name, text, max);
        return -1;
    }

    *number = value;

    return 0;
}


static int
main_listen(const char *address)
{
    int               fd, rc;
    char              host[256];
    const char       *colon;
    struct addrinfo   hints, *info;

    colon = strrchr(address, ':');

    if (colon == NULL || colon == address
        || (size_t) (colon - address) >= sizeof(host))
    {
        upstream_log("--listen %s: ADDRESS:PORT is due", address);
        return -1;
    }

    rc = colon[-1] == ']' && address[0] == '[';
    snprintf(host, sizeof(host), "%.*s", (int) (colon - address - 2 * rc),
             address + rc);

    memset(&hints, 0, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST|AI_NUMERICSERV|AI_PASSIVE;

    rc = getaddrinfo(host, colon + 1, &hints, &info);
    if (rc != 0) {
        upstream_log("--listen %s: %s", address, gai_strerror(rc));
        return -1;
    }

    fd = main_bind(info);

    if (fd == -1) {
        upstream_log("cannot listen on %s: %s", address, strerror(errno));

    } else if (!main_loopback(info->ai_addr)) {
        upstream_log("%s is not a loopback address, and whoever reaches it "
                     "can be any user: keep all but nginx away", address);
    }

    freeaddrinfo(info);

    return fd;
}


static int
main_bind(const struct addrinfo *info)
{
    int        fd, one;
    char       host[64], port[16];
    socklen_t  len;

    struct sockaddr_storage  bound;

    fd = socket(info->ai_family, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);
    if (fd == -1) {
        return -1;
    }

    one = 1;
    len = sizeof(bound);

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0
        || bind(fd, info->ai_addr, info->ai_addrlen) != 0
        || listen(fd, 511) != 0
        || getsockname(fd, (struct sockaddr *) &bound, &len) != 0
        || getnameinfo((struct sockaddr *) &bound, len, host, sizeof(host),
                       port, sizeof(port), NI_NUMERICHOST|NI_NUMERICSERV)
           != 0)
    {
        close(fd);
        return -1;
    }

    upstream_log("listens on %s port %s", host, port);

    return fd;
}


static int
main_loopback(const struct sockaddr *address)
{
    char  host[64];

    if (getnameinfo(address, address->sa_family == AF_INET6
                             ? sizeof(struct sockaddr_in6)
                             : sizeof(struct sockaddr_in),
                    host, sizeof(host), NULL, 0, NI_NUMERICHOST)
        != 0)
    {
        return 0;
    }

    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}


static int
main_loop(upstream_t *upstream, int wake)
{
    int            n;
    uint64_t       count;
    sigset_t       signals;
    struct pollfd  polls[3];

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);

    memset(polls, 0, sizeof(polls));

    polls[0].fd = signalfd(-1, &signals, SFD_CLOEXEC);
    polls[0].events = POLLIN;
    polls[1].fd = wake;
    polls[1].events = POLLIN;
    polls[2].fd = server_descriptor(upstream->server);
    polls[2].events = POLLIN;

    if (polls[0].fd == -1) {
        upstream_log("signalfd() failed: %s", strerror(errno));
        return -1;
    }

    for ( ;; ) {
        n = poll(polls, 3, server_timeout(upstream->server));

        if (n == -1 && errno != EINTR) {
            upstream_log("poll() failed: %s", strerror(errno));
            close(polls[0].fd);
            return -1;
        }

        if (polls[0].revents) {
            close(polls[0].fd);
            return 0;
        }

        if (polls[1].revents
            && read(wake, &count, sizeof(count)) == -1 && errno != EAGAIN)
        {
            upstream_log("read() failed: %s", strerror(errno));
        }

        server_run(upstream->server);
    }
}


static void
main_stop(upstream_t *upstream)
{
    if (upstream->server) {
        server_stop(upstream->server);
    }

    world_stop(upstream->world);
    lastseen_stop(upstream->lastseen);

    if (upstream->relay) {
        relay_stop(upstream->relay);
    }

    store_close(upstream->store);
    token_close(upstream->token);
    free(upstream->files);
}


void
upstream_log(const char *format, ...)
{
    char     line[1024];
    va_list  args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);

    fprintf(stderr, "delta-upstream: %s\n", line);
}


uint64_t
upstream_now(void)
{
    struct timespec  now;

    clock_gettime(CLOCK_MONOTONIC, &now);

    return (uint64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
