
/*
 * Copyright (C) Delta contributors
 *
 * A world to look at: people who walk about and get hungry, trees and stones
 * that are used up, houses that are built and torn down.  It ticks in a
 * thread of its own, on the tracker and the snapshots of src/publisher, and
 * its state is archived in SQLite.
 */

#ifndef _UPSTREAM_WORLD_H_INCLUDED_
#define _UPSTREAM_WORLD_H_INCLUDED_


#include "delta_snapshot.h"
#include "upstream.h"


#define UPSTREAM_WORLD_NPCS  10000      /* at most */


typedef struct {
    delta_snapshot_conf_t  snapshot;
    unsigned               npcs;
    unsigned               keep;        /* rows of the archive; 0: all */
} upstream_world_conf_t;


/*
 * publisher is the world's from here on.  It goes on with the state of the
 * archive, and behind every tick that was published.  Returns NULL after a
 * line in the log.
 */
upstream_world_t *world_start(const char *file,
    delta_publisher_t *publisher, const upstream_world_conf_t *conf);
void world_stop(upstream_world_t *world);

/* Of ticks, for /healthz. */
json_t *world_status(upstream_world_t *world);


#endif /* _UPSTREAM_WORLD_H_INCLUDED_ */
