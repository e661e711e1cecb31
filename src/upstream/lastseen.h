
/*
 * Copyright (C) Delta contributors
 *
 * When users were last seen: written behind.  A thread moves what the
 * presence functions keep in Redis into the table last_seen, once a second of
 * users with a session that has ended, and now and then of all.  What it has
 * read goes from Redis only when it is committed, and the later time wins, so
 * that it may die anywhere.
 */

#ifndef _UPSTREAM_LASTSEEN_H_INCLUDED_
#define _UPSTREAM_LASTSEEN_H_INCLUDED_


#include "upstream.h"


#define UPSTREAM_LASTSEEN_MAX  86400    /* seconds */


/*
 * publisher is its own from here on; prefix is that of the channels, or NULL.
 * Returns NULL after a line in the log.
 */
upstream_lastseen_t *lastseen_start(const char *file,
    delta_publisher_t *publisher, const char *prefix, unsigned seconds);

/* Moves everything once more, if Redis is there.  NULL is allowed. */
void lastseen_stop(upstream_lastseen_t *seen);


#endif /* _UPSTREAM_LASTSEEN_H_INCLUDED_ */
