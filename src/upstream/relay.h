
/*
 * Copyright (C) Delta contributors
 *
 * The thread that carries the outbox to Redis, strictly by row id, each event
 * once: source/n is the database's id and the row's.  While Redis is away it
 * retries with backoff; what Redis will never take goes to dead_letter, and a
 * resync event to its channel.  When Redis is without the sets of this
 * database (it is new, or came back empty or older) all of them are written
 * first, and the users told.
 */

#ifndef _UPSTREAM_RELAY_H_INCLUDED_
#define _UPSTREAM_RELAY_H_INCLUDED_


#include "upstream.h"


/*
 * publisher is the relay's from here on.  It writes to the descriptor wake
 * (an eventfd) whenever rows were published.  Returns NULL after a line in
 * the log.
 */
upstream_relay_t *relay_start(const char *file, delta_publisher_t *publisher,
    int wake);
void relay_stop(upstream_relay_t *relay);

/* There are new rows. */
void relay_notify(upstream_relay_t *relay);

/*
 * What became of a row: 1 and its id, 0 not published yet, -1 it has no id or
 * is not worth waiting for.
 */
int relay_result(upstream_relay_t *relay, int64_t row,
    char id[DELTA_PUBLISH_ID]);

int relay_connected(upstream_relay_t *relay);


#endif /* _UPSTREAM_RELAY_H_INCLUDED_ */
