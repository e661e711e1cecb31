
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

int upstream_last_seen(upstream_request_t *r);

int upstream_guild_create(upstream_request_t *r);
int upstream_guild_get(upstream_request_t *r);
int upstream_guild_patch(upstream_request_t *r);

int upstream_member_join(upstream_request_t *r);
int upstream_member_list(upstream_request_t *r);
int upstream_member_patch(upstream_request_t *r);
int upstream_member_kick(upstream_request_t *r);
int upstream_member_leave(upstream_request_t *r);

int upstream_guild_list(upstream_request_t *r);
int upstream_guild_settings(upstream_request_t *r);
int upstream_member_me(upstream_request_t *r);
int upstream_member_nick(upstream_request_t *r);
int upstream_member_add(upstream_request_t *r);
int upstream_member_ban(upstream_request_t *r);
int upstream_ban_list(upstream_request_t *r);
int upstream_ban_lift(upstream_request_t *r);
int upstream_ip_ban_list(upstream_request_t *r);
int upstream_ip_ban_create(upstream_request_t *r);
int upstream_ip_ban_delete(upstream_request_t *r);

int upstream_role_list(upstream_request_t *r);
int upstream_role_create(upstream_request_t *r);
int upstream_role_reorder(upstream_request_t *r);
int upstream_role_patch(upstream_request_t *r);
int upstream_role_delete(upstream_request_t *r);
int upstream_role_assign(upstream_request_t *r);
int upstream_role_unassign(upstream_request_t *r);

int upstream_channel_list(upstream_request_t *r);
int upstream_channel_create(upstream_request_t *r);
int upstream_channel_reorder(upstream_request_t *r);
int upstream_channel_patch(upstream_request_t *r);
int upstream_channel_delete(upstream_request_t *r);
int upstream_override_list(upstream_request_t *r);
int upstream_override_set(upstream_request_t *r);

int upstream_message_list(upstream_request_t *r);
int upstream_message_create(upstream_request_t *r);
int upstream_message_patch(upstream_request_t *r);
int upstream_message_delete(upstream_request_t *r);
int upstream_reaction_add(upstream_request_t *r);
int upstream_reaction_remove(upstream_request_t *r);
int upstream_attachment_create(upstream_request_t *r);
int upstream_attachment_get(upstream_request_t *r);
int upstream_attachment_delete(upstream_request_t *r);

int upstream_profile_patch(upstream_request_t *r);
int upstream_profile_avatar(upstream_request_t *r);
int upstream_avatar(upstream_request_t *r);
int upstream_friend_list(upstream_request_t *r);
int upstream_request_list(upstream_request_t *r);
int upstream_request_create(upstream_request_t *r);
int upstream_request_delete(upstream_request_t *r);
int upstream_request_accept(upstream_request_t *r);
int upstream_friend_remove(upstream_request_t *r);


#endif /* _UPSTREAM_HANDLERS_H_INCLUDED_ */
