
/*
 * Copyright (C) Delta contributors
 *
 * Made of conf/events.json by make contract.
 */

#include "delta_events.h"


#define FIELD(event, kind, name, required)                                    \
    { #name, DELTA_EVENTS_##kind, required,                                   \
      offsetof(delta_events_##event##_t, name), 0, NULL }

#define LIST(event, kind, name, required, shape)                              \
    { #name, DELTA_EVENTS_##kind, required,                                   \
      offsetof(delta_events_##event##_t, name),                               \
      offsetof(delta_events_##event##_t, name##_n), shape }

#define SHAPE(event)                                                          \
    static const delta_events_shape_t  delta_events_shape_##event = {         \
        delta_events_fields_##event,                                          \
        sizeof(delta_events_fields_##event) / sizeof(delta_events_field_t),   \
        sizeof(delta_events_##event##_t)                                      \
    }

#define EVENT(event)                                                          \
    SHAPE(event);                                                             \
    ssize_t                                                                   \
    delta_events_##event(char *out, size_t size,                              \
        const delta_events_##event##_t *d)                                    \
    {                                                                         \
        return delta_events_write(out, size, #event,                          \
                                  &delta_events_shape_##event, d);            \
    }

#define FIELDS(event)                                                         \
    static const delta_events_field_t  delta_events_fields_##event[]


FIELDS(attachment) = {
    FIELD(attachment, STRING, attachment_id, 1),
    FIELD(attachment, STRING, filename, 1),
    FIELD(attachment, STRING, media_type, 1),
    FIELD(attachment, INTEGER, size, 1),
    FIELD(attachment, STRING, url, 0),
};

SHAPE(attachment);

FIELDS(resync) = {
    FIELD(resync, STRING, channel, 0),
    FIELD(resync, STRING, reason, 0),
    FIELD(resync, STRING, cursor, 0),
    FIELD(resync, INTEGER_AT, after_ms, 0),
    FIELD(resync, INTEGER_AT, tick, 0),
    FIELD(resync, INTEGER_AT, from, 0),
    FIELD(resync, INTEGER_AT, to, 0),
};

EVENT(resync)

FIELDS(patch) = {
    FIELD(patch, STRING, entity_type, 1),
    FIELD(patch, STRING, entity_id, 1),
    FIELD(patch, STRING, guild_id, 0),
    FIELD(patch, STRING, user_id, 0),
    FIELD(patch, JSON, diff, 1),
};

EVENT(patch)

FIELDS(message_create) = {
    FIELD(message_create, STRING, guild_id, 1),
    FIELD(message_create, STRING, channel_id, 1),
    FIELD(message_create, STRING, message_id, 1),
    FIELD(message_create, STRING, author_id, 1),
    FIELD(message_create, STRING, content, 1),
    FIELD(message_create, STRING, created_at, 1),
    FIELD(message_create, STRING, nonce, 0),
    LIST(message_create, OBJECTS, attachments, 0,
         &delta_events_shape_attachment),
};

EVENT(message_create)

FIELDS(message_update) = {
    FIELD(message_update, STRING, guild_id, 1),
    FIELD(message_update, STRING, channel_id, 1),
    FIELD(message_update, STRING, message_id, 1),
    FIELD(message_update, STRING, author_id, 1),
    FIELD(message_update, STRING, content, 1),
    FIELD(message_update, STRING, edited_at, 1),
};

EVENT(message_update)

FIELDS(message_delete) = {
    FIELD(message_delete, STRING, guild_id, 1),
    FIELD(message_delete, STRING, channel_id, 1),
    FIELD(message_delete, STRING, message_id, 1),
};

EVENT(message_delete)

FIELDS(message_reaction) = {
    FIELD(message_reaction, STRING, guild_id, 1),
    FIELD(message_reaction, STRING, channel_id, 1),
    FIELD(message_reaction, STRING, message_id, 1),
    FIELD(message_reaction, STRING, emoji, 1),
    FIELD(message_reaction, INTEGER, count, 1),
    FIELD(message_reaction, STRING, actor_user_id, 1),
};

EVENT(message_reaction)

FIELDS(attachment_create) = {
    FIELD(attachment_create, STRING, guild_id, 1),
    FIELD(attachment_create, STRING, channel_id, 1),
    FIELD(attachment_create, STRING, message_id, 1),
    FIELD(attachment_create, STRING, attachment_id, 1),
    FIELD(attachment_create, STRING, filename, 1),
    FIELD(attachment_create, STRING, media_type, 1),
    FIELD(attachment_create, INTEGER, size, 1),
    FIELD(attachment_create, STRING, url, 0),
    FIELD(attachment_create, STRING, actor_user_id, 1),
};

EVENT(attachment_create)

FIELDS(attachment_delete) = {
    FIELD(attachment_delete, STRING, guild_id, 1),
    FIELD(attachment_delete, STRING, channel_id, 1),
    FIELD(attachment_delete, STRING, message_id, 1),
    FIELD(attachment_delete, STRING, attachment_id, 1),
};

EVENT(attachment_delete)

FIELDS(channel_create) = {
    FIELD(channel_create, STRING, guild_id, 1),
    FIELD(channel_create, STRING, channel_id, 1),
    FIELD(channel_create, STRING, name, 1),
    FIELD(channel_create, STRING, kind, 1),
    FIELD(channel_create, STRING, topic, 0),
    FIELD(channel_create, INTEGER_AT, position, 0),
    FIELD(channel_create, STRING, created_at, 0),
    FIELD(channel_create, STRING, actor_user_id, 1),
};

EVENT(channel_create)

FIELDS(channel_update) = {
    FIELD(channel_update, STRING, guild_id, 1),
    FIELD(channel_update, STRING, channel_id, 1),
    FIELD(channel_update, STRING, name, 0),
    FIELD(channel_update, STRING, topic, 0),
    FIELD(channel_update, STRING, actor_user_id, 1),
};

EVENT(channel_update)

FIELDS(channel_delete) = {
    FIELD(channel_delete, STRING, guild_id, 1),
    FIELD(channel_delete, STRING, channel_id, 1),
    FIELD(channel_delete, STRING, actor_user_id, 1),
};

EVENT(channel_delete)

FIELDS(channel_reorder) = {
    FIELD(channel_reorder, STRING, guild_id, 1),
    LIST(channel_reorder, STRINGS, channel_ids, 1, NULL),
    FIELD(channel_reorder, STRING, actor_user_id, 1),
};

EVENT(channel_reorder)

FIELDS(workspace_update) = {
    FIELD(workspace_update, STRING, guild_id, 1),
    FIELD(workspace_update, STRING, name, 0),
    FIELD(workspace_update, STRING, visibility, 0),
    FIELD(workspace_update, STRING, icon_url, 0),
    FIELD(workspace_update, STRING, description, 0),
    FIELD(workspace_update, STRING, actor_user_id, 1),
};

EVENT(workspace_update)

FIELDS(workspace_member_add) = {
    FIELD(workspace_member_add, STRING, guild_id, 1),
    FIELD(workspace_member_add, STRING, user_id, 1),
    FIELD(workspace_member_add, STRING, role, 0),
    FIELD(workspace_member_add, STRING, nick, 0),
    LIST(workspace_member_add, STRINGS, role_ids, 0, NULL),
    FIELD(workspace_member_add, STRING, joined_at, 0),
};

EVENT(workspace_member_add)

FIELDS(workspace_member_update) = {
    FIELD(workspace_member_update, STRING, guild_id, 1),
    FIELD(workspace_member_update, STRING, user_id, 1),
    FIELD(workspace_member_update, STRING, role, 1),
    FIELD(workspace_member_update, STRING, nick, 0),
};

EVENT(workspace_member_update)

FIELDS(workspace_member_remove) = {
    FIELD(workspace_member_remove, STRING, guild_id, 1),
    FIELD(workspace_member_remove, STRING, user_id, 1),
};

EVENT(workspace_member_remove)

FIELDS(workspace_member_ban) = {
    FIELD(workspace_member_ban, STRING, guild_id, 1),
    FIELD(workspace_member_ban, STRING, user_id, 1),
    FIELD(workspace_member_ban, STRING, reason, 0),
    FIELD(workspace_member_ban, STRING, actor_user_id, 1),
};

EVENT(workspace_member_ban)

FIELDS(workspace_role_create) = {
    FIELD(workspace_role_create, STRING, guild_id, 1),
    FIELD(workspace_role_create, STRING, role_id, 1),
    FIELD(workspace_role_create, STRING, name, 1),
    FIELD(workspace_role_create, INTEGER_AT, color, 0),
    LIST(workspace_role_create, STRINGS, permissions, 1, NULL),
    FIELD(workspace_role_create, INTEGER, position, 1),
};

EVENT(workspace_role_create)

FIELDS(workspace_role_update) = {
    FIELD(workspace_role_update, STRING, guild_id, 1),
    FIELD(workspace_role_update, STRING, role_id, 1),
    FIELD(workspace_role_update, STRING, name, 0),
    FIELD(workspace_role_update, INTEGER_AT, color, 0),
    LIST(workspace_role_update, STRINGS, permissions, 0, NULL),
};

EVENT(workspace_role_update)

FIELDS(workspace_role_delete) = {
    FIELD(workspace_role_delete, STRING, guild_id, 1),
    FIELD(workspace_role_delete, STRING, role_id, 1),
};

EVENT(workspace_role_delete)

FIELDS(workspace_role_reorder) = {
    FIELD(workspace_role_reorder, STRING, guild_id, 1),
    LIST(workspace_role_reorder, STRINGS, role_ids, 1, NULL),
};

EVENT(workspace_role_reorder)

FIELDS(workspace_role_assignment_add) = {
    FIELD(workspace_role_assignment_add, STRING, guild_id, 1),
    FIELD(workspace_role_assignment_add, STRING, role_id, 1),
    FIELD(workspace_role_assignment_add, STRING, user_id, 1),
};

EVENT(workspace_role_assignment_add)

FIELDS(workspace_role_assignment_remove) = {
    FIELD(workspace_role_assignment_remove, STRING, guild_id, 1),
    FIELD(workspace_role_assignment_remove, STRING, role_id, 1),
    FIELD(workspace_role_assignment_remove, STRING, user_id, 1),
};

EVENT(workspace_role_assignment_remove)

FIELDS(workspace_channel_override_update) = {
    FIELD(workspace_channel_override_update, STRING, guild_id, 1),
    FIELD(workspace_channel_override_update, STRING, channel_id, 1),
    FIELD(workspace_channel_override_update, STRING, role_id, 1),
    LIST(workspace_channel_override_update, STRINGS, allow, 1, NULL),
    LIST(workspace_channel_override_update, STRINGS, deny, 1, NULL),
};

EVENT(workspace_channel_override_update)

FIELDS(workspace_ip_ban_sync) = {
    FIELD(workspace_ip_ban_sync, STRING, guild_id, 1),
    FIELD(workspace_ip_ban_sync, INTEGER, count, 1),
    FIELD(workspace_ip_ban_sync, STRING, action, 1),
    FIELD(workspace_ip_ban_sync, STRING, ban_id, 0),
    FIELD(workspace_ip_ban_sync, STRING, actor_user_id, 1),
};

EVENT(workspace_ip_ban_sync)

FIELDS(profile_update) = {
    FIELD(profile_update, STRING, user_id, 1),
    FIELD(profile_update, STRING, display_name, 0),
    FIELD(profile_update, STRING, bio, 0),
    FIELD(profile_update, STRING, status_text, 0),
};

EVENT(profile_update)

FIELDS(profile_avatar_update) = {
    FIELD(profile_avatar_update, STRING, user_id, 1),
    FIELD(profile_avatar_update, STRING, avatar_url, 0),
    FIELD(profile_avatar_update, INTEGER, avatar_version, 1),
};

EVENT(profile_avatar_update)

FIELDS(friend_request_create) = {
    FIELD(friend_request_create, STRING, request_id, 1),
    FIELD(friend_request_create, STRING, user_id, 1),
    FIELD(friend_request_create, STRING, direction, 1),
    FIELD(friend_request_create, STRING, created_at, 1),
};

EVENT(friend_request_create)

FIELDS(friend_request_update) = {
    FIELD(friend_request_update, STRING, request_id, 1),
    FIELD(friend_request_update, STRING, user_id, 1),
    FIELD(friend_request_update, STRING, state, 1),
};

EVENT(friend_request_update)

FIELDS(friend_request_delete) = {
    FIELD(friend_request_delete, STRING, request_id, 1),
    FIELD(friend_request_delete, STRING, user_id, 1),
};

EVENT(friend_request_delete)

FIELDS(friend_remove) = {
    FIELD(friend_remove, STRING, user_id, 1),
};

EVENT(friend_remove)

FIELDS(presence_update) = {
    FIELD(presence_update, STRING, id, 1),
    FIELD(presence_update, STRING, s, 1),
    FIELD(presence_update, STRING, p, 0),
};

EVENT(presence_update)

FIELDS(space_delta) = {
    FIELD(space_delta, JSON, created, 0),
    FIELD(space_delta, JSON, updated, 0),
    LIST(space_delta, STRINGS, deleted, 0, NULL),
    FIELD(space_delta, STRING, timestamp, 0),
};

EVENT(space_delta)

FIELDS(snapshot) = {
    FIELD(snapshot, INTEGER, tick, 1),
    FIELD(snapshot, JSON, changes, 1),
    FIELD(snapshot, STRING, checksum, 0),
};

EVENT(snapshot)
