
/*
 * Copyright (C) Delta contributors
 */

#ifndef _UPSTREAM_PROFILE_H_INCLUDED_
#define _UPSTREAM_PROFILE_H_INCLUDED_


#include "upstream.h"


/*
 * Sends the event that was made about the caller to all who may see it: to
 * friends and members of a common guild who do not follow, through their
 * inboxes, and to user:{id}.
 */
void profile_send(upstream_request_t *r);


#endif /* _UPSTREAM_PROFILE_H_INCLUDED_ */
