
/*
 * Copyright (C) Delta contributors
 *
 * A tracked world in Redis: a snapshot of each tick with a life, the latest
 * tick, now and then the whole state, and an event on channel world:{world},
 * all of a tick in one transaction.  A thread of its own talks to Redis, so
 * that ticks go on without it: a number of them is kept for later.  When
 * these are too many, or Redis refuses them, they are a gap, which is told
 * to the clients by a resync event, and listed; the next tick then brings
 * the whole state.
 */

#ifndef _DELTA_SNAPSHOT_H_INCLUDED_
#define _DELTA_SNAPSHOT_H_INCLUDED_


#include "delta_publish.h"
#include "delta_tracker.h"


#define DELTA_SNAPSHOT_GAPS   16            /* the last ones are listed */
#define DELTA_SNAPSHOT_BYTES  (32u << 20)   /* of what is kept for later */


typedef struct delta_snapshot_s  delta_snapshot_t;


typedef struct {
    const char  *world;         /* a channel segment, "default" */
    const char  *source;        /* of source/n, one for each tick count */
    unsigned     ttl;           /* seconds, 600 */
    unsigned     archive;       /* ticks between whole states, 100 */
    unsigned     tick;          /* ms, the length of one; 100 */
    unsigned     backlog;       /* ticks kept for later, 128 */
    unsigned     event;         /* bytes of an event, 65536 */

    /*
     * Takes a whole state (NUL-terminated) to permanent storage every archive
     * ticks; called by the thread that ticks.  Not 0: it is called again with
     * the next tick.  NULL: there is none.
     */
    int        (*archived)(void *data, uint64_t tick, const char *state,
                           size_t len);

    void       (*log)(const char *line);    /* NULL: no log; any thread */
    void        *data;
} delta_snapshot_conf_t;


typedef struct {
    uint64_t   from;
    uint64_t   to;
} delta_snapshot_gap_t;


typedef struct {
    uint64_t               tick;        /* the last one made */
    uint64_t               published;   /* the last one in Redis, or 0 */
    unsigned               connected;
    size_t                 pending;
    uint64_t               lost;        /* ticks in gaps, since the start */
    size_t                 ngaps;
    delta_snapshot_gap_t   gaps[DELTA_SNAPSHOT_GAPS];   /* oldest first */
} delta_snapshot_status_t;


void delta_snapshot_defaults(delta_snapshot_conf_t *conf);

/*
 * 0, or -1 and a sentence: a setting is out of range, or snapshots live for a
 * shorter time than it takes until the next whole state, so that a client
 * could not get from one to the other.
 */
int delta_snapshot_check(const delta_snapshot_conf_t *conf, char *error,
    size_t size);

/* What latest_tick:{world} is, or 0; DELTA_PUBLISH_*. */
int delta_snapshot_latest(delta_publisher_t *publisher, const char *world,
    uint64_t *tick);

/*
 * The publisher is its own from here on, and freed also when it fails (NULL
 * and a sentence).  The strings of conf must stay.
 */
delta_snapshot_t *delta_snapshot_start(const delta_snapshot_conf_t *conf,
    delta_publisher_t *publisher, char *error, size_t size);

/*
 * Ends the tracker's tick.  The number is at least 1 and rises by one, but
 * for gaps.  Returns 0, or -1 without memory: this tick is a gap then, and
 * its changes may be in the next one.
 */
int delta_snapshot_tick(delta_snapshot_t *s, delta_tracker_t *tracker,
    uint64_t tick, uint64_t timestamp);

/*
 * The ticks from..to will not be published: the state is another one than
 * clients have made of the ticks before (after a crash, as it may be).
 */
void delta_snapshot_gap(delta_snapshot_t *s, uint64_t from, uint64_t to);

void delta_snapshot_status(delta_snapshot_t *s,
    delta_snapshot_status_t *status);

/*
 * What is pending is sent unless Redis is away, and behind it the whole state
 * as it is now, so that it can be loaded when the snapshots have expired.
 */
void delta_snapshot_stop(delta_snapshot_t *s, delta_tracker_t *tracker,
    uint64_t timestamp);


#endif /* _DELTA_SNAPSHOT_H_INCLUDED_ */
