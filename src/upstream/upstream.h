
/*
 * Copyright (C) Delta contributors
 *
 * The reference upstream: REST on SQLite, events through an outbox.  One
 * thread serves requests (main.c, server.c), so handlers need no locks; a
 * second one, the relay, carries the outbox to Redis (relay.c), and the world
 * ticks in one of its own (world.c).
 *
 * It trusts the header X-User, which nginx sets from a verified identity, and
 * must be reachable by nginx alone.
 */

#ifndef _UPSTREAM_H_INCLUDED_
#define _UPSTREAM_H_INCLUDED_


#include <jansson.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "delta_name.h"
#include "delta_publish.h"


#define UPSTREAM_BODY_MAX   65536
#define UPSTREAM_FILE_MAX   1048576     /* of an upload */
#define UPSTREAM_EVENT_MAX  65536       /* as the gateway's delta_max_event */
#define UPSTREAM_PARAMS     4           /* in a route's pattern */
#define UPSTREAM_WAIT_MAX   60000       /* ms, for a mutation's event's id */


/*
 * Who may: anybody (0), a user, or a member of the guild that is the first
 * parameter, with these rights (rights.h) there, or in the channel that is the
 * second one; a third one is a message of it.
 */
#define UPSTREAM_USER       0x01
#define UPSTREAM_GUILD      0x02
#define UPSTREAM_CHANNEL    0x04
#define UPSTREAM_MESSAGE    0x08
#define UPSTREAM_UPLOAD     0x10        /* the body is a file */

#define UPSTREAM_RIGHTS     8           /* they are from this bit on */

#define UPSTREAM_IN_GUILD(rights)                                             \
    (UPSTREAM_USER|UPSTREAM_GUILD|((rights) << UPSTREAM_RIGHTS))
#define UPSTREAM_IN_CHANNEL(rights)                                           \
    (UPSTREAM_IN_GUILD(rights)|UPSTREAM_CHANNEL)
#define UPSTREAM_ON_MESSAGE(rights)                                           \
    (UPSTREAM_IN_CHANNEL(rights)|UPSTREAM_MESSAGE)


typedef struct upstream_lastseen_s  upstream_lastseen_t;
typedef struct upstream_relay_s    upstream_relay_t;
typedef struct upstream_request_s  upstream_request_t;
typedef struct upstream_route_s    upstream_route_t;
typedef struct upstream_server_s   upstream_server_t;
typedef struct upstream_store_s    upstream_store_t;
typedef struct upstream_token_s    upstream_token_t;
typedef struct upstream_world_s    upstream_world_t;


typedef struct {
    upstream_store_t   *store;
    upstream_relay_t   *relay;
    upstream_token_t   *token;      /* NULL: no key, no login */
    upstream_server_t  *server;
    upstream_world_t   *world;      /* NULL: none */
    char               *files;      /* the directory of uploads */
    ssize_t             len;        /* of the event that is being sent */
    char                event[UPSTREAM_EVENT_MAX];
    upstream_lastseen_t  *lastseen;
    unsigned            wait;       /* ms, for the id of a mutation's event */
} upstream_t;


/* Answers with the HTTP status, 2xx commits what it wrote. */
typedef int (*upstream_handler_pt)(upstream_request_t *r);


struct upstream_route_s {
    const char           *method;
    const char           *pattern;      /* "/api/users/{id}" */
    upstream_handler_pt   handler;
    unsigned              access;
};


struct upstream_request_s {
    upstream_t             *upstream;
    const upstream_route_t *route;      /* NULL: none */
    struct MHD_Connection  *connection;
    upstream_request_t     *next;       /* of those that wait */

    char                    user[DELTA_NAME_SEGMENT + 1];   /* "": nobody */
    char                    params[UPSTREAM_PARAMS][DELTA_NAME_SEGMENT + 1];

    unsigned                rights;     /* where the route is */
    int64_t                 rank;       /* and among the members */

    char                   *body;
    size_t                  len;

    char                   *file;       /* instead of an answer */
    size_t                  file_len;
    const char             *file_type;  /* and names of files: */
    json_t                 *file_old;   /* to go with the commit, */
                                        /* and to go without it */
    char                    file_new[DELTA_NAME_SEGMENT + 64];

    int                     status;     /* 0: not handled yet */
    int                     no_route;   /* the status, if there is none */
    json_t                 *answer;     /* owned; NULL: no content */
    char                    allow[64];  /* of a 405 */
    char                    location[4 * DELTA_NAME_SEGMENT + 64];

    int64_t                 row;        /* its last one in the outbox, or 0 */
    uint64_t                deadline;   /* ms, of waiting for the row */
    char                    cursor[DELTA_PUBLISH_ID];

    unsigned                too_big:1;  /* the body was */
};


/* {"error":{"code":...,"message":...}}; returns the status. */
int upstream_error(upstream_request_t *r, int status, const char *code,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Takes the reference; returns the status, or 500 if answer is NULL. */
int upstream_answer(upstream_request_t *r, int status, json_t *answer);

/* 200 and an object with these rows, which are its own. */
int upstream_answer_list(upstream_request_t *r, const char *name, json_t *rows);

void upstream_log(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

uint64_t upstream_now(void);            /* ms, monotonic */


#endif /* _UPSTREAM_H_INCLUDED_ */
