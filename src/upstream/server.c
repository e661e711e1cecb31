
/*
 * Copyright (C) Delta contributors
 */

#include <unistd.h>
#include "files.h"
#include "relay.h"
#include "rights.h"
#include "router.h"
#include "server.h"
#include "store.h"


#define SERVER_TIMEOUT  75u     /* seconds; nginx's keepalive ends before */


struct upstream_server_s {
    upstream_t          *upstream;
    struct MHD_Daemon   *daemon;
    upstream_request_t  *waiting;
    int                  epoll;
};


static enum MHD_Result server_access(void *data,
    struct MHD_Connection *connection, const char *path, const char *method,
    const char *version, const char *body, size_t *size, void **state);
static enum MHD_Result server_open(upstream_server_t *server,
    struct MHD_Connection *connection, const char *path, const char *method,
    void **state);
static size_t server_body_max(const upstream_request_t *r);
static void server_body(upstream_request_t *r, const char *body, size_t n);
static void server_dispatch(upstream_request_t *r);
static int server_identify(upstream_request_t *r);
static int server_handle(upstream_request_t *r,
    const upstream_route_t *route);
static int server_wait(upstream_server_t *server, upstream_request_t *r);
static int server_waited(upstream_server_t *server, upstream_request_t *r);
static enum MHD_Result server_send(upstream_request_t *r);
static void server_headers(upstream_request_t *r,
    struct MHD_Response *response);
static size_t server_unescape(void *data, struct MHD_Connection *connection,
    char *text);
static void server_completed(void *data, struct MHD_Connection *connection,
    void **state, enum MHD_RequestTerminationCode how);


upstream_server_t *
server_start(upstream_t *upstream, int fd)
{
    upstream_server_t           *server;
    const union MHD_DaemonInfo  *info;

    server = calloc(1, sizeof(upstream_server_t));
    if (server == NULL) {
        return NULL;
    }

    server->upstream = upstream;

    server->daemon = MHD_start_daemon(MHD_USE_EPOLL|MHD_ALLOW_SUSPEND_RESUME,
                         0, NULL, NULL, server_access, server,
                         MHD_OPTION_LISTEN_SOCKET, fd,
                         MHD_OPTION_CONNECTION_TIMEOUT, SERVER_TIMEOUT,
                         MHD_OPTION_NOTIFY_COMPLETED, server_completed, server,
                         MHD_OPTION_UNESCAPE_CALLBACK, server_unescape, NULL,
                         MHD_OPTION_END);

    info = server->daemon ? MHD_get_daemon_info(server->daemon,
                                                MHD_DAEMON_INFO_EPOLL_FD)
                          : NULL;
    if (info == NULL) {
        upstream_log("cannot start the HTTP server");
        free(server);
        return NULL;
    }

    server->epoll = info->epoll_fd;

    return server;
}


void
server_stop(upstream_server_t *server)
{
    upstream_request_t  *r;

    while (server->waiting) {
        r = server->waiting;
        server->waiting = r->next;
        MHD_resume_connection(r->connection);
    }

    MHD_run(server->daemon);
    MHD_stop_daemon(server->daemon);
    free(server);
}


int
server_descriptor(const upstream_server_t *server)
{
    return server->epoll;
}


int
server_timeout(const upstream_server_t *server)
{
    uint64_t                   now, left;
    unsigned long long         timeout;
    const upstream_request_t  *r;

    left = UINT64_MAX;

    if (MHD_get_timeout(server->daemon, &timeout) == MHD_YES) {
        left = timeout;
    }

    now = upstream_now();

    for (r = server->waiting; r; r = r->next) {

        if (r->deadline <= now) {
            return 0;
        }

        if (r->deadline - now < left) {
            left = r->deadline - now;
        }
    }

    return left > 60000 ? (left == UINT64_MAX ? -1 : 60000) : (int) left;
}


void
server_run(upstream_server_t *server)
{
    upstream_request_t  *r, **next;

    next = &server->waiting;

    while (*next) {
        r = *next;

        if (!server_waited(server, r)) {
            next = &r->next;
            continue;
        }

        *next = r->next;
        MHD_resume_connection(r->connection);
    }

    MHD_run(server->daemon);
}


/*
 * Called first with the headers, then for each piece of the body, then with
 * an empty piece, and once more after a suspended request was resumed.
 */

static enum MHD_Result
server_access(void *data, struct MHD_Connection *connection, const char *path,
    const char *method, const char *version, const char *body, size_t *size,
    void **state)
{
    upstream_server_t   *server = data;
    upstream_request_t  *r = *state;

    (void) version;

    if (r == NULL) {
        return server_open(server, connection, path, method, state);
    }

    if (*size) {
        server_body(r, body, *size);
        *size = 0;
        return MHD_YES;
    }

    if (r->status == 0) {
        server_dispatch(r);

        if (r->row && server_wait(server, r)) {
            return MHD_YES;
        }
    }

    return server_send(r);
}


static enum MHD_Result
server_open(upstream_server_t *server, struct MHD_Connection *connection,
    const char *path, const char *method, void **state)
{
    upstream_request_t  *r;

    r = calloc(1, sizeof(upstream_request_t));
    if (r == NULL) {
        return MHD_NO;
    }

    r->upstream = server->upstream;
    r->connection = connection;
    r->route = upstream_route(r, method, path, &r->no_route);
    *state = r;

    return MHD_YES;
}


/* The whole body is taken, however long: the answer comes behind it. */

static void
server_body(upstream_request_t *r, const char *body, size_t n)
{
    char    *p;
    size_t   max;

    if (r->too_big) {
        return;
    }

    max = server_body_max(r);
    p = n <= max - r->len ? realloc(r->body, r->len + n) : NULL;

    if (p == NULL) {
        r->too_big = 1;
        return;
    }

    memcpy(p + r->len, body, n);
    r->body = p;
    r->len += n;
}


static size_t
server_body_max(const upstream_request_t *r)
{
    return r->route && r->route->access & UPSTREAM_UPLOAD ? UPSTREAM_FILE_MAX
                                                          : UPSTREAM_BODY_MAX;
}


static void
server_dispatch(upstream_request_t *r)
{
    const upstream_route_t  *route;

    route = r->route;

    if (route == NULL && r->no_route == 404) {
        r->status = upstream_error(r, 404, "not_found",
                                   "there is nothing here");

    } else if (route == NULL) {
        r->status = upstream_error(r, 405, "method_not_allowed",
                                   "use one of: %s", r->allow);

    } else if (r->too_big) {
        r->status = upstream_error(r, 413, "too_large", "the body is over "
                                   "%zu bytes: send less",
                                   server_body_max(r));

    } else if (route->access & UPSTREAM_USER && !server_identify(r)) {
        r->status = upstream_error(r, 401, "unauthorized",
                                   "nobody known is logged in");

    } else {
        r->status = server_handle(r, route);
    }
}


static int
server_identify(upstream_request_t *r)
{
    const char  *user;

    user = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND,
                                       "X-User");

    if (user == NULL || !delta_name_segment(user, strlen(user))) {
        return 0;
    }

    snprintf(r->user, sizeof(r->user), "%s", user);

    return store_number(r->upstream->store, 0,
                        "SELECT 1 FROM users WHERE id = ?", "s", r->user)
           != 0;
}


static int
server_handle(upstream_request_t *r, const upstream_route_t *route)
{
    int                status, writes;
    upstream_store_t  *store;

    store = r->upstream->store;
    store->failed = 0;
    writes = strcmp(route->method, "GET") != 0;

    if (writes && store_begin(store) != 0) {
        return upstream_error(r, 503, "unavailable", "the database is busy");
    }

    status = rights_check(r, route->access);

    if (status == 0) {
        status = route->handler(r);
    }

    if ((writes && store_end(store, status < 300) != 0 && status < 300)
        || store->failed)
    {
        r->row = 0;
        r->location[0] = '\0';
        files_settle(r, 0);
        return upstream_error(r, 500, "internal", "the database failed");
    }

    if (status >= 300) {
        r->row = 0;
    }

    files_settle(r, status < 300);

    if (r->row) {
        relay_notify(r->upstream->relay);
    }

    return status;
}


static int
server_wait(upstream_server_t *server, upstream_request_t *r)
{
    r->deadline = upstream_now() + server->upstream->wait;

    if (server_waited(server, r)) {
        return 0;
    }

    r->next = server->waiting;
    server->waiting = r;
    MHD_suspend_connection(r->connection);

    return 1;
}


static int
server_waited(upstream_server_t *server, upstream_request_t *r)
{
    return relay_result(server->upstream->relay, r->row, r->cursor) != 0
           || upstream_now() >= r->deadline;
}


static enum MHD_Result
server_send(upstream_request_t *r)
{
    char                 *text;
    size_t                n;
    enum MHD_Result       rc;
    struct MHD_Response  *response;

    text = r->file;
    n = r->file_len;
    r->file = NULL;

    if (text == NULL && r->answer) {
        text = json_dumps(r->answer, JSON_COMPACT);

        if (text == NULL) {
            return MHD_NO;
        }

        n = strlen(text);
    }

    response = MHD_create_response_from_buffer(n, text, MHD_RESPMEM_MUST_FREE);

    if (response == NULL) {
        free(text);
        return MHD_NO;
    }

    server_headers(r, response);

    rc = MHD_queue_response(r->connection, r->status, response);
    MHD_destroy_response(response);

    return rc;
}


/* What users have uploaded shall run nowhere, whatever it is. */

static void
server_headers(upstream_request_t *r, struct MHD_Response *response)
{
    size_t  i;

    const struct {
        const char  *name;
        const char  *value;
    } headers[] = {
        { "Content-Type", r->file_type ? r->file_type
                          : r->answer ? "application/json" : "" },
        { "Content-Disposition", r->file_type == NULL ? ""
                                 : strncmp(r->file_type, "image/", 6) == 0
                                 ? "inline" : "attachment" },
        { "X-Content-Type-Options", r->file_type ? "nosniff" : "" },
        { "Content-Security-Policy", r->file_type
                                     ? "default-src 'none'; sandbox" : "" },
        { "Cache-Control", r->file_type ? "private, no-cache" : "no-store" },
        { "Allow", r->status == 405 ? r->allow : "" },
        { "Location", r->location },
        { "Delta-Cursor", r->cursor },
    };

    for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {

        if (headers[i].value[0]) {
            MHD_add_response_header(response, headers[i].name,
                                    headers[i].value);
        }
    }
}


/* The router decodes each segment by itself: an id may not hold a slash. */

static size_t
server_unescape(void *data, struct MHD_Connection *connection, char *text)
{
    (void) data;
    (void) connection;

    return strlen(text);
}


static void
server_completed(void *data, struct MHD_Connection *connection, void **state,
    enum MHD_RequestTerminationCode how)
{
    upstream_request_t  *r = *state;

    (void) data;
    (void) connection;
    (void) how;

    if (r == NULL) {
        return;
    }

    json_decref(r->answer);
    free(r->body);
    free(r->file);
    free(r);
    *state = NULL;
}


int
upstream_answer(upstream_request_t *r, int status, json_t *answer)
{
    if (answer == NULL) {
        return upstream_error(r, 500, "internal", "there is no answer");
    }

    json_decref(r->answer);
    r->answer = answer;

    return status;
}


int
upstream_answer_list(upstream_request_t *r, const char *name, json_t *rows)
{
    return upstream_answer(r, 200, json_pack("{s:o}", name, rows));
}


int
upstream_error(upstream_request_t *r, int status, const char *code,
    const char *format, ...)
{
    char     message[256];
    va_list  args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);

    json_decref(r->answer);
    r->answer = json_pack("{s:{s:s, s:s}}", "error", "code", code, "message",
                          message);

    return status;
}
