
/*
 * Copyright (C) Delta contributors
 *
 * Whom and what a user belongs to, as gateways read it: sets in Redis,
 * user:{user}:{name}, which the relay keeps and writes anew, and the answer
 * to a gateway that asks for them.
 */

#ifndef _UPSTREAM_MEMBERSHIP_H_INCLUDED_
#define _UPSTREAM_MEMBERSHIP_H_INCLUDED_


#include "upstream.h"


/* The member of a set in Redis by which it is known to be whole. */
#define MEMBERSHIP_WHOLE  "(whole)"


typedef struct {
    const char  *name;
    const char  *sql;       /* ids of a user's; NULL: there are none yet */
} membership_set_t;         /* a list ends with a NULL name */

extern const membership_set_t  membership_sets[];


/* GET /internal/membership, never led through to clients. */
int upstream_membership(upstream_request_t *r);


#endif /* _UPSTREAM_MEMBERSHIP_H_INCLUDED_ */
