
/*
 * Copyright (C) Delta contributors
 *
 * Spaces, and the intentions in them (seed 001): messages that are created,
 * edited and deleted, told on channel space:{id} as space_delta.
 */

#ifndef _UPSTREAM_SPACE_H_INCLUDED_
#define _UPSTREAM_SPACE_H_INCLUDED_


#include "store.h"


#define SPACE_MISSED  50        /* more than that are fetched anew */


/* Makes the tables that are not there; 0, or -1 after a line in the log. */
int space_prepare(upstream_store_t *store);

int upstream_space_create(upstream_request_t *r);
int upstream_space_get(upstream_request_t *r);
int upstream_space_join(upstream_request_t *r);
int upstream_space_leave(upstream_request_t *r);

int upstream_intention_list(upstream_request_t *r);
int upstream_intention_create(upstream_request_t *r);
int upstream_intention_patch(upstream_request_t *r);
int upstream_intention_delete(upstream_request_t *r);

/*
 * GET /internal/intentions?spaceId=&since=, never led through to clients:
 * what is new in a space since then, or its newest intentions.
 */
int upstream_intentions_since(upstream_request_t *r);


#endif /* _UPSTREAM_SPACE_H_INCLUDED_ */
