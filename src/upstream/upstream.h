
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
#define UPSTREAM_PARAMS     2       /* in a route's pattern */
#define UPSTREAM_WAIT_MS    200     /* for the id of a mutation's event */


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
} upstream_t;


/* Answers with the HTTP status, 2xx commits what it wrote. */
typedef int (*upstream_handler_pt)(upstream_request_t *r);


struct upstream_route_s {
    const char           *method;
    const char           *pattern;      /* "/api/users/{id}" */
    upstream_handler_pt   handler;
    unsigned              identified;   /* needs X-User */
};


struct upstream_request_s {
    upstream_t             *upstream;
    struct MHD_Connection  *connection;
    upstream_request_t     *next;       /* of those that wait */

    char                    user[DELTA_NAME_SEGMENT + 1];   /* "": nobody */
    char                    params[UPSTREAM_PARAMS][DELTA_NAME_SEGMENT + 1];

    char                   *body;
    size_t                  len;

    int                     status;     /* 0: not handled yet */
    json_t                 *answer;     /* owned; NULL: no content */
    char                    allow[64];  /* of a 405 */
    char                    location[DELTA_NAME_SEGMENT + 32];

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

void upstream_log(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

uint64_t upstream_now(void);            /* ms, monotonic */


#endif /* _UPSTREAM_H_INCLUDED_ */
