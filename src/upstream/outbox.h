
/*
 * Copyright (C) Delta contributors
 *
 * What a transaction wants Redis to know, written within that transaction.
 * The relay carries the rows out in the order of their ids.
 */

#ifndef _UPSTREAM_OUTBOX_H_INCLUDED_
#define _UPSTREAM_OUTBOX_H_INCLUDED_


#include "store.h"


/*
 * An event {"t":type,"d":data} on a channel, and the request's answer waits
 * for its id.  Takes the reference to data; failures are the store's.
 */
void outbox_event(upstream_request_t *r, const char *channel,
    const char *type, json_t *data);

/*
 * A patch event on the channel, for an entity "user", "guild" or "member";
 * the ids of a member's guild and user follow (else NULL).  diff is only read.
 */
void outbox_patch(upstream_request_t *r, const char *channel,
    const char *type, const char *id, json_t *diff, const char *guild,
    const char *user);

/*
 * user:{user}:{set} gets or loses the member, after INCR delta:gen:{user};
 * then "grant" or "revoke" of "<scope>:<member>" goes to the user's control
 * channel, for each of the scopes (ends with NULL).
 */
void outbox_join(upstream_request_t *r, const char *user, const char *set,
    const char *member, const char *const *scopes);
void outbox_leave(upstream_request_t *r, const char *user, const char *set,
    const char *member, const char *const *scopes);


extern const char *const  outbox_follow_scopes[];
extern const char *const  outbox_guild_scopes[];


#endif /* _UPSTREAM_OUTBOX_H_INCLUDED_ */
