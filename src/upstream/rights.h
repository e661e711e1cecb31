
/*
 * Copyright (C) Delta contributors
 *
 * Who may do what.  The owner may all.  Of the others, each has the rights of
 * the role that all members have (its id is the guild's), of the roles that
 * they were given, and RIGHT_MODERATOR as a moderator.  In a channel, what is
 * denied to all is taken away and what is allowed to all is added, and then
 * the same for the roles that they were given; who may not view a channel may
 * nothing there.
 *
 * A member's rank is the highest position of these roles, of a moderator at
 * least 1, and the owner's is above all.  Nobody changes a member or a role
 * of their own rank or above it, and nobody gives rights that they lack.
 */

#ifndef _UPSTREAM_RIGHTS_H_INCLUDED_
#define _UPSTREAM_RIGHTS_H_INCLUDED_


#include "upstream.h"


#define RIGHTS(X)                                                             \
    X(0, VIEW, "view_channel")                                                \
    X(1, SEND, "send_message")                                                \
    X(2, REACT, "add_reaction")                                               \
    X(3, ATTACH, "attach_file")                                               \
    X(4, DELETE, "delete_message")                                            \
    X(5, CHANNELS, "manage_channels")                                         \
    X(6, WORKSPACE, "manage_workspace")                                       \
    X(7, ROLES, "manage_roles")                                               \
    X(8, ADD, "add_member")                                                   \
    X(9, KICK, "kick_member")                                                 \
    X(10, BAN, "ban_member")

enum {
#define X(bit, name, word)  RIGHT_##name = 1 << bit,
    RIGHTS(X)
#undef X
    RIGHTS_N = 11,
    RIGHTS_ALL = (1 << RIGHTS_N) - 1
};

#define RIGHT_MEMBER     (RIGHT_VIEW|RIGHT_SEND|RIGHT_REACT|RIGHT_ATTACH)
#define RIGHT_MODERATOR  (RIGHT_DELETE|RIGHT_ADD|RIGHT_KICK|RIGHT_BAN)

#define RIGHTS_OWNER     INT64_MAX      /* the owner's rank */


typedef struct {
    unsigned  rights;
    int64_t   rank;
} rights_t;


extern const char  rights_words[];      /* all of them */


/* 0 with r->rights and r->rank, or the status of the answer. */
int rights_check(upstream_request_t *r, unsigned access);

/* -1: no member. */
int rights_of(upstream_request_t *r, const char *guild, const char *user,
    rights_t *rights);

/* The rights that remain in a channel. */
unsigned rights_in(upstream_request_t *r, const char *guild,
    const char *channel, const char *user, const rights_t *rights);

/* A list of words, or -1; and back, the words in no more than RIGHTS_N. */
int rights_parse(const json_t *list);
size_t rights_list(unsigned rights, const char *words[RIGHTS_N]);
json_t *rights_json(unsigned rights);

/*
 * Brings what members may view up to date, after a change that can matter to
 * the user (NULL: all) and the channel (NULL: all): their sets and their
 * subscriptions.
 */
void rights_refresh(upstream_request_t *r, const char *guild,
    const char *user, const char *channel);

/* Adds to a set, an object, who may view the channel. */
void rights_viewers(upstream_request_t *r, const char *channel, json_t *set);

/*
 * Sends the event that was made through the guild if the set has all members,
 * else to the inboxes of those in it; takes the reference.
 */
void rights_tell(upstream_request_t *r, const char *guild, json_t *set);

/* Sends it to the inbox of each member with the right. */
void rights_tell_those(upstream_request_t *r, const char *guild,
    unsigned right);


#endif /* _UPSTREAM_RIGHTS_H_INCLUDED_ */
