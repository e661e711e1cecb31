
/*
 * Copyright (C) Delta contributors
 *
 * What a transaction wants Redis to know, written within that transaction.
 * The relay carries the rows out in the order of their ids.
 */

#ifndef _UPSTREAM_OUTBOX_H_INCLUDED_
#define _UPSTREAM_OUTBOX_H_INCLUDED_


#include "delta_events.h"
#include "store.h"


/*
 * Makes an event of the contract, by its typed constructor, to be sent by what
 * follows: outbox_make(r, message_delete, .guild_id = "42", ...).
 */
#define outbox_make(r, type, ...)                                             \
    ((r)->upstream->len = delta_events_##type((r)->upstream->event,           \
        UPSTREAM_EVENT_MAX, &(delta_events_##type##_t) { __VA_ARGS__ }))

/*
 * Sends it on a channel, or to the inboxes of objects with a user_id, the
 * caller's last: the request's answer waits for the last one's id, which is
 * best one that the caller will see.  Failures are the store's.
 */
void outbox_send(upstream_request_t *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void outbox_send_inboxes(upstream_request_t *r, const json_t *users);

/*
 * An event {"t":type,"d":data} as it is, for what the contract does not have:
 * the control channels.  Takes the reference to data.
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

/* Only makes it. */
void outbox_patch_make(upstream_request_t *r, const char *type,
    const char *id, json_t *diff, const char *guild, const char *user);

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
extern const char *const  outbox_channel_scopes[];


#endif /* _UPSTREAM_OUTBOX_H_INCLUDED_ */
