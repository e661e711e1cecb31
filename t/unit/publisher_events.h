
/*
 * Copyright (C) Delta contributors
 *
 * Made of conf/events.json by make contract.
 */


static ssize_t
example_resync(char *out, size_t size)
{
    return delta_events_resync(out, size,
        &(delta_events_resync_t) {
            .channel = "guild:42",
            .reason = "history_gap",
            .cursor = "1735689000.1735689600000",
        });
}


static ssize_t
example_patch(char *out, size_t size)
{
    return delta_events_patch(out, size,
        &(delta_events_patch_t) {
            .entity_type = "user",
            .entity_id = "ada",
            .diff =
                "{\"avatar_url\":\"new_url.png\",\"bio\":"
                "null}",
        });
}


static ssize_t
example_message_create(char *out, size_t size)
{
    return delta_events_message_create(out, size,
        &(delta_events_message_create_t) {
            .guild_id = "42",
            .channel_id = "7",
            .message_id = "m1001",
            .author_id = "ada",
            .content = "Hello, \"world\" \342\234\223",
            .created_at = "2025-07-28T10:30:16.123Z",
            .attachments = (delta_events_attachment_t[]) {
                {
                    .attachment_id = "a5",
                    .filename = "plan.pdf",
                    .media_type = "application/pdf",
                    .size = 48213,
                },
            },
            .attachments_n = 1,
        });
}


static ssize_t
example_message_update(char *out, size_t size)
{
    return delta_events_message_update(out, size,
        &(delta_events_message_update_t) {
            .guild_id = "42",
            .channel_id = "7",
            .message_id = "m1001",
            .author_id = "ada",
            .content = "Hello, all",
            .edited_at = "2025-07-28T10:31:02Z",
        });
}


static ssize_t
example_message_delete(char *out, size_t size)
{
    return delta_events_message_delete(out, size,
        &(delta_events_message_delete_t) {
            .guild_id = "42",
            .channel_id = "7",
            .message_id = "m1001",
        });
}


static ssize_t
example_message_reaction(char *out, size_t size)
{
    return delta_events_message_reaction(out, size,
        &(delta_events_message_reaction_t) {
            .guild_id = "42",
            .channel_id = "7",
            .message_id = "m1001",
            .emoji = "\360\237\221\215",
            .count = 3,
            .actor_user_id = "ben",
        });
}


static ssize_t
example_attachment_create(char *out, size_t size)
{
    return delta_events_attachment_create(out, size,
        &(delta_events_attachment_create_t) {
            .guild_id = "42",
            .channel_id = "7",
            .message_id = "m1001",
            .attachment_id = "a6",
            .filename = "map.png",
            .media_type = "image/png",
            .size = 90112,
            .actor_user_id = "ada",
        });
}


static ssize_t
example_attachment_delete(char *out, size_t size)
{
    return delta_events_attachment_delete(out, size,
        &(delta_events_attachment_delete_t) {
            .guild_id = "42",
            .channel_id = "7",
            .message_id = "m1001",
            .attachment_id = "a6",
        });
}


static ssize_t
example_channel_create(char *out, size_t size)
{
    return delta_events_channel_create(out, size,
        &(delta_events_channel_create_t) {
            .guild_id = "42",
            .channel_id = "8",
            .name = "plans",
            .kind = "text",
            .position = &(int64_t) { 2 },
            .actor_user_id = "ada",
        });
}


static ssize_t
example_channel_update(char *out, size_t size)
{
    return delta_events_channel_update(out, size,
        &(delta_events_channel_update_t) {
            .guild_id = "42",
            .channel_id = "8",
            .name = "roadmap",
            .topic = delta_events_null,
            .actor_user_id = "ada",
        });
}


static ssize_t
example_channel_delete(char *out, size_t size)
{
    return delta_events_channel_delete(out, size,
        &(delta_events_channel_delete_t) {
            .guild_id = "42",
            .channel_id = "8",
            .actor_user_id = "ada",
        });
}


static ssize_t
example_channel_reorder(char *out, size_t size)
{
    return delta_events_channel_reorder(out, size,
        &(delta_events_channel_reorder_t) {
            .guild_id = "42",
            .channel_ids = (const char *[]) {
                "8",
                "7",
                NULL,
            },
            .channel_ids_n = 2,
            .actor_user_id = "ada",
        });
}


static ssize_t
example_workspace_update(char *out, size_t size)
{
    return delta_events_workspace_update(out, size,
        &(delta_events_workspace_update_t) {
            .guild_id = "42",
            .name = "New name",
            .visibility = "private",
            .actor_user_id = "ada",
        });
}


static ssize_t
example_workspace_member_add(char *out, size_t size)
{
    return delta_events_workspace_member_add(out, size,
        &(delta_events_workspace_member_add_t) {
            .guild_id = "42",
            .user_id = "ben",
            .role = "member",
            .joined_at = "2025-07-28T10:30:16Z",
        });
}


static ssize_t
example_workspace_member_update(char *out, size_t size)
{
    return delta_events_workspace_member_update(out, size,
        &(delta_events_workspace_member_update_t) {
            .guild_id = "42",
            .user_id = "ben",
            .role = "moderator",
        });
}


static ssize_t
example_workspace_member_remove(char *out, size_t size)
{
    return delta_events_workspace_member_remove(out, size,
        &(delta_events_workspace_member_remove_t) {
            .guild_id = "42",
            .user_id = "ben",
        });
}


static ssize_t
example_workspace_member_ban(char *out, size_t size)
{
    return delta_events_workspace_member_ban(out, size,
        &(delta_events_workspace_member_ban_t) {
            .guild_id = "42",
            .user_id = "ben",
            .reason = "spam",
            .actor_user_id = "ada",
        });
}


static ssize_t
example_workspace_role_create(char *out, size_t size)
{
    return delta_events_workspace_role_create(out, size,
        &(delta_events_workspace_role_create_t) {
            .guild_id = "42",
            .role_id = "r3",
            .name = "Helpers",
            .color = &(int64_t) { 3447003 },
            .permissions = (const char *[]) {
                "delete_message",
                NULL,
            },
            .permissions_n = 1,
            .position = 1,
        });
}


static ssize_t
example_workspace_role_update(char *out, size_t size)
{
    return delta_events_workspace_role_update(out, size,
        &(delta_events_workspace_role_update_t) {
            .guild_id = "42",
            .role_id = "r3",
            .permissions = (const char *[]) {
                "delete_message",
                "kick_member",
                NULL,
            },
            .permissions_n = 2,
        });
}


static ssize_t
example_workspace_role_delete(char *out, size_t size)
{
    return delta_events_workspace_role_delete(out, size,
        &(delta_events_workspace_role_delete_t) {
            .guild_id = "42",
            .role_id = "r3",
        });
}


static ssize_t
example_workspace_role_reorder(char *out, size_t size)
{
    return delta_events_workspace_role_reorder(out, size,
        &(delta_events_workspace_role_reorder_t) {
            .guild_id = "42",
            .role_ids = (const char *[]) {
                "r1",
                "r3",
                "r2",
                NULL,
            },
            .role_ids_n = 3,
        });
}


static ssize_t
example_workspace_role_assignment_add(char *out, size_t size)
{
    return delta_events_workspace_role_assignment_add(out, size,
        &(delta_events_workspace_role_assignment_add_t) {
            .guild_id = "42",
            .role_id = "r3",
            .user_id = "ben",
        });
}


static ssize_t
example_workspace_role_assignment_remove(char *out, size_t size)
{
    return delta_events_workspace_role_assignment_remove(out, size,
        &(delta_events_workspace_role_assignment_remove_t) {
            .guild_id = "42",
            .role_id = "r3",
            .user_id = "ben",
        });
}


static ssize_t
example_workspace_channel_override_update(char *out, size_t size)
{
    return delta_events_workspace_channel_override_update(out, size,
        &(delta_events_workspace_channel_override_update_t) {
            .guild_id = "42",
            .channel_id = "8",
            .role_id = "r3",
            .allow = (const char *[]) {
                "view_channel",
                NULL,
            },
            .allow_n = 1,
            .deny = (const char *[]) {
                NULL,
            },
            .deny_n = 0,
        });
}


static ssize_t
example_workspace_ip_ban_sync(char *out, size_t size)
{
    return delta_events_workspace_ip_ban_sync(out, size,
        &(delta_events_workspace_ip_ban_sync_t) {
            .guild_id = "42",
            .count = 4,
            .action = "add",
            .ban_id = "b9",
            .actor_user_id = "ada",
        });
}


static ssize_t
example_profile_update(char *out, size_t size)
{
    return delta_events_profile_update(out, size,
        &(delta_events_profile_update_t) {
            .user_id = "ada",
            .display_name = "Ada L.",
            .bio = delta_events_null,
        });
}


static ssize_t
example_profile_avatar_update(char *out, size_t size)
{
    return delta_events_profile_avatar_update(out, size,
        &(delta_events_profile_avatar_update_t) {
            .user_id = "ada",
            .avatar_url = "/avatars/ada",
            .avatar_version = 5,
        });
}


static ssize_t
example_friend_request_create(char *out, size_t size)
{
    return delta_events_friend_request_create(out, size,
        &(delta_events_friend_request_create_t) {
            .request_id = "f12",
            .user_id = "cleo",
            .direction = "incoming",
            .created_at = "2025-07-28T10:30:16Z",
        });
}


static ssize_t
example_friend_request_update(char *out, size_t size)
{
    return delta_events_friend_request_update(out, size,
        &(delta_events_friend_request_update_t) {
            .request_id = "f12",
            .user_id = "cleo",
            .state = "accepted",
        });
}


static ssize_t
example_friend_request_delete(char *out, size_t size)
{
    return delta_events_friend_request_delete(out, size,
        &(delta_events_friend_request_delete_t) {
            .request_id = "f12",
            .user_id = "cleo",
        });
}


static ssize_t
example_friend_remove(char *out, size_t size)
{
    return delta_events_friend_remove(out, size,
        &(delta_events_friend_remove_t) {
            .user_id = "cleo",
        });
}


static ssize_t
example_presence_update(char *out, size_t size)
{
    return delta_events_presence_update(out, size,
        &(delta_events_presence_update_t) {
            .id = "ada",
            .s = "coding",
            .p = "delta",
        });
}


static ssize_t
example_space_delta(char *out, size_t size)
{
    return delta_events_space_delta(out, size,
        &(delta_events_space_delta_t) {
            .created =
                "[{\"id\":\"i7\",\"author_id\":\"ada\",\"con"
                "tent\":\"hi\"}]",
            .updated = "[]",
            .deleted = (const char *[]) {
                "i3",
                NULL,
            },
            .deleted_n = 1,
            .timestamp = "2025-07-28T10:30:16Z",
        });
}


static ssize_t
example_snapshot(char *out, size_t size)
{
    return delta_events_snapshot(out, size,
        &(delta_events_snapshot_t) {
            .tick = 1042,
            .changes =
                "{\"entityMoved\":[{\"id\":\"npc1\",\"posi"
                "tion\":{\"x\":3.5,\"y\":-2}}],\"entityRe"
                "moved\":[\"npc4\"]}",
            .checksum = "ec3720f0",
        });
}


#define EXAMPLE(type)  { #type, example_##type }

static const struct {
    const char  *type;
    ssize_t    (*make)(char *out, size_t size);
} examples[] = {
    EXAMPLE(resync),
    EXAMPLE(patch),
    EXAMPLE(message_create),
    EXAMPLE(message_update),
    EXAMPLE(message_delete),
    EXAMPLE(message_reaction),
    EXAMPLE(attachment_create),
    EXAMPLE(attachment_delete),
    EXAMPLE(channel_create),
    EXAMPLE(channel_update),
    EXAMPLE(channel_delete),
    EXAMPLE(channel_reorder),
    EXAMPLE(workspace_update),
    EXAMPLE(workspace_member_add),
    EXAMPLE(workspace_member_update),
    EXAMPLE(workspace_member_remove),
    EXAMPLE(workspace_member_ban),
    EXAMPLE(workspace_role_create),
    EXAMPLE(workspace_role_update),
    EXAMPLE(workspace_role_delete),
    EXAMPLE(workspace_role_reorder),
    EXAMPLE(workspace_role_assignment_add),
    EXAMPLE(workspace_role_assignment_remove),
    EXAMPLE(workspace_channel_override_update),
    EXAMPLE(workspace_ip_ban_sync),
    EXAMPLE(profile_update),
    EXAMPLE(profile_avatar_update),
    EXAMPLE(friend_request_create),
    EXAMPLE(friend_request_update),
    EXAMPLE(friend_request_delete),
    EXAMPLE(friend_remove),
    EXAMPLE(presence_update),
    EXAMPLE(space_delta),
    EXAMPLE(snapshot),
};
