
/*
 * Copyright (C) Delta contributors
 *
 * HTTP: libmicrohttpd driven by the loop in main.c.
 */

#ifndef _UPSTREAM_SERVER_H_INCLUDED_
#define _UPSTREAM_SERVER_H_INCLUDED_


#include "upstream.h"


/* fd listens and is the server's from here on; NULL after a log line. */
upstream_server_t *server_start(upstream_t *upstream, int fd);
void server_stop(upstream_server_t *server);

/* To be polled for reading. */
int server_descriptor(const upstream_server_t *server);

/* How long the loop may sleep, in ms; -1 for ever. */
int server_timeout(const upstream_server_t *server);

/*
 * Serves what is there, and answers requests whose rows have been published
 * or have waited long enough.
 */
void server_run(upstream_server_t *server);


#endif /* _UPSTREAM_SERVER_H_INCLUDED_ */
