
/*
 * Copyright (C) Delta contributors
 */

#ifndef _UPSTREAM_HANDLERS_H_INCLUDED_
#define _UPSTREAM_HANDLERS_H_INCLUDED_


#include "upstream.h"


int upstream_health(upstream_request_t *r);
int upstream_login(upstream_request_t *r);

int upstream_user_me(upstream_request_t *r);
int upstream_user_get(upstream_request_t *r);
int upstream_user_patch(upstream_request_t *r);
int upstream_follow(upstream_request_t *r);
int upstream_unfollow(upstream_request_t *r);

int upstream_guild_create(upstream_request_t *r);
int upstream_guild_get(upstream_request_t *r);
int upstream_guild_patch(upstream_request_t *r);

int upstream_member_join(upstream_request_t *r);
int upstream_member_list(upstream_request_t *r);
int upstream_member_patch(upstream_request_t *r);
int upstream_member_kick(upstream_request_t *r);
int upstream_member_leave(upstream_request_t *r);


#endif /* _UPSTREAM_HANDLERS_H_INCLUDED_ */
