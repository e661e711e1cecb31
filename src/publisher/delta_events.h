
/*
 * Copyright (C) Delta contributors
 *
 * Made of conf/events.json by make contract.
 *
 * A function for each event that a backend may publish.  It writes
 * {"t":...,"d":{...}} for delta_publish() from
 * a struct, which is best filled by names:
 *
 *     n = delta_events_message_delete(buf, sizeof(buf),
 *             &(delta_events_message_delete_t) {
 *                 .guild_id = "42", .channel_id = "7", .message_id = "m1" });
 *
 * Strings are UTF-8 with a NUL; bytes that are not become U+FFFD.  NULL leaves
 * an optional member out, delta_events_null (delta_events_null_integer) writes
 * null.  A list has its length beside it.
 *
 * Returns the bytes of the event, without a NUL, of which nothing can be used
 * if they are more than size (out may be NULL then); -1 if a required pointer
 * is NULL or JSON is not what it must be.  How long texts may be, and what
 * ids are made of, is left to delta_contract_check().
 */

#ifndef _DELTA_EVENTS_H_INCLUDED_
#define _DELTA_EVENTS_H_INCLUDED_


#include "delta_events_write.h"


typedef struct {
    const char        *attachment_id;
    const char        *filename;
    const char        *media_type;
    int64_t            size;
    const char        *url;                    /* or null, optional */
} delta_events_attachment_t;

typedef struct {
    const char        *channel;                /* or null, optional */
    const char        *reason;                 /* optional */
    const char        *cursor;                 /* optional */
    const int64_t     *after_ms;               /* optional */
    const int64_t     *tick;                   /* optional */
    const int64_t     *from;                   /* optional */
    const int64_t     *to;                     /* optional */
} delta_events_resync_t;

typedef struct {
    const char        *entity_type;
    const char        *entity_id;
    const char        *guild_id;               /* optional */
    const char        *user_id;                /* optional */
    const char        *diff;                   /* JSON: object */
} delta_events_patch_t;

typedef struct {
    const char        *guild_id;
    const char        *channel_id;
    const char        *message_id;
    const char        *author_id;
    const char        *content;
    const char        *created_at;
    const char        *nonce;                  /* optional */
    const delta_events_attachment_t *attachments; /* optional */
    size_t             attachments_n;
} delta_events_message_create_t;

typedef struct {
    const char        *guild_id;
    const char        *channel_id;
    const char        *message_id;
    const char        *author_id;
    const char        *content;
    const char        *edited_at;
} delta_events_message_update_t;

typedef struct {
    const char        *guild_id;
    const char        *channel_id;
    const char        *message_id;
} delta_events_message_delete_t;

typedef struct {
    const char        *guild_id;
    const char        *channel_id;
    const char        *message_id;
    const char        *emoji;
    int64_t            count;
    const char        *actor_user_id;
} delta_events_message_reaction_t;

typedef struct {
    const char        *guild_id;
    const char        *channel_id;
    const char        *message_id;
    const char        *attachment_id;
    const char        *filename;
    const char        *media_type;
    int64_t            size;
    const char        *url;                    /* or null, optional */
    const char        *actor_user_id;
} delta_events_attachment_create_t;

typedef struct {
    const char        *guild_id;
    const char        *channel_id;
    const char        *message_id;
    const char        *attachment_id;
} delta_events_attachment_delete_t;

typedef struct {
    const char        *guild_id;
    const char        *channel_id;
    const char        *name;
    const char        *kind;
    const char        *topic;                  /* or null, optional */
    const int64_t     *position;               /* optional */
    const char        *created_at;             /* optional */
    const char        *actor_user_id;
} delta_events_channel_create_t;

typedef struct {
    const char        *guild_id;
    const char        *channel_id;
    const char        *name;                   /* optional */
    const char        *topic;                  /* or null, optional */
    const char        *actor_user_id;
} delta_events_channel_update_t;

typedef struct {
    const char        *guild_id;
    const char        *channel_id;
    const char        *actor_user_id;
} delta_events_channel_delete_t;

typedef struct {
    const char        *guild_id;
    const char *const *channel_ids;
    size_t             channel_ids_n;
    const char        *actor_user_id;
} delta_events_channel_reorder_t;

typedef struct {
    const char        *guild_id;
    const char        *name;                   /* optional */
    const char        *visibility;             /* optional */
    const char        *icon_url;               /* or null, optional */
    const char        *description;            /* or null, optional */
    const char        *actor_user_id;
} delta_events_workspace_update_t;

typedef struct {
    const char        *guild_id;
    const char        *user_id;
    const char        *role;                   /* optional */
    const char        *nick;                   /* or null, optional */
    const char *const *role_ids;               /* optional */
    size_t             role_ids_n;
    const char        *joined_at;              /* optional */
} delta_events_workspace_member_add_t;

typedef struct {
    const char        *guild_id;
    const char        *user_id;
    const char        *role;
    const char        *nick;                   /* or null, optional */
} delta_events_workspace_member_update_t;

typedef struct {
    const char        *guild_id;
    const char        *user_id;
} delta_events_workspace_member_remove_t;

typedef struct {
    const char        *guild_id;
    const char        *user_id;
    const char        *reason;                 /* or null, optional */
    const char        *actor_user_id;
} delta_events_workspace_member_ban_t;

typedef struct {
    const char        *guild_id;
    const char        *role_id;
    const char        *name;
    const int64_t     *color;                  /* or null, optional */
    const char *const *permissions;
    size_t             permissions_n;
    int64_t            position;
} delta_events_workspace_role_create_t;

typedef struct {
    const char        *guild_id;
    const char        *role_id;
    const char        *name;                   /* optional */
    const int64_t     *color;                  /* or null, optional */
    const char *const *permissions;            /* optional */
    size_t             permissions_n;
} delta_events_workspace_role_update_t;

typedef struct {
    const char        *guild_id;
    const char        *role_id;
} delta_events_workspace_role_delete_t;

typedef struct {
    const char        *guild_id;
    const char *const *role_ids;
    size_t             role_ids_n;
} delta_events_workspace_role_reorder_t;

typedef struct {
    const char        *guild_id;
    const char        *role_id;
    const char        *user_id;
} delta_events_workspace_role_assignment_add_t;

typedef struct {
    const char        *guild_id;
    const char        *role_id;
    const char        *user_id;
} delta_events_workspace_role_assignment_remove_t;

typedef struct {
    const char        *guild_id;
    const char        *channel_id;
    const char        *role_id;
    const char *const *allow;
    size_t             allow_n;
    const char *const *deny;
    size_t             deny_n;
} delta_events_workspace_channel_override_update_t;

typedef struct {
    const char        *guild_id;
    int64_t            count;
    const char        *action;
    const char        *ban_id;                 /* optional */
    const char        *actor_user_id;
} delta_events_workspace_ip_ban_sync_t;

typedef struct {
    const char        *user_id;
    const char        *display_name;           /* optional */
    const char        *bio;                    /* or null, optional */
    const char        *status_text;            /* or null, optional */
} delta_events_profile_update_t;

typedef struct {
    const char        *user_id;
    const char        *avatar_url;             /* or null, optional */
    int64_t            avatar_version;
} delta_events_profile_avatar_update_t;

typedef struct {
    const char        *request_id;
    const char        *user_id;
    const char        *direction;
    const char        *created_at;
} delta_events_friend_request_create_t;

typedef struct {
    const char        *request_id;
    const char        *user_id;
    const char        *state;
} delta_events_friend_request_update_t;

typedef struct {
    const char        *request_id;
    const char        *user_id;
} delta_events_friend_request_delete_t;

typedef struct {
    const char        *user_id;
} delta_events_friend_remove_t;

typedef struct {
    const char        *id;
    const char        *s;
    const char        *p;                      /* or null, optional */
} delta_events_presence_update_t;

typedef struct {
    const char        *created;                /* JSON: array, optional */
    const char        *updated;                /* JSON: array, optional */
    const char *const *deleted;                /* optional */
    size_t             deleted_n;
    const char        *timestamp;              /* optional */
} delta_events_space_delta_t;

typedef struct {
    int64_t            tick;
    const char        *changes;                /* JSON: object */
    const char        *checksum;               /* optional */
} delta_events_snapshot_t;


ssize_t delta_events_resync(char *out, size_t size,
    const delta_events_resync_t *d);
ssize_t delta_events_patch(char *out, size_t size,
    const delta_events_patch_t *d);
ssize_t delta_events_message_create(char *out, size_t size,
    const delta_events_message_create_t *d);
ssize_t delta_events_message_update(char *out, size_t size,
    const delta_events_message_update_t *d);
ssize_t delta_events_message_delete(char *out, size_t size,
    const delta_events_message_delete_t *d);
ssize_t delta_events_message_reaction(char *out, size_t size,
    const delta_events_message_reaction_t *d);
ssize_t delta_events_attachment_create(char *out, size_t size,
    const delta_events_attachment_create_t *d);
ssize_t delta_events_attachment_delete(char *out, size_t size,
    const delta_events_attachment_delete_t *d);
ssize_t delta_events_channel_create(char *out, size_t size,
    const delta_events_channel_create_t *d);
ssize_t delta_events_channel_update(char *out, size_t size,
    const delta_events_channel_update_t *d);
ssize_t delta_events_channel_delete(char *out, size_t size,
    const delta_events_channel_delete_t *d);
ssize_t delta_events_channel_reorder(char *out, size_t size,
    const delta_events_channel_reorder_t *d);
ssize_t delta_events_workspace_update(char *out, size_t size,
    const delta_events_workspace_update_t *d);
ssize_t delta_events_workspace_member_add(char *out, size_t size,
    const delta_events_workspace_member_add_t *d);
ssize_t delta_events_workspace_member_update(char *out, size_t size,
    const delta_events_workspace_member_update_t *d);
ssize_t delta_events_workspace_member_remove(char *out, size_t size,
    const delta_events_workspace_member_remove_t *d);
ssize_t delta_events_workspace_member_ban(char *out, size_t size,
    const delta_events_workspace_member_ban_t *d);
ssize_t delta_events_workspace_role_create(char *out, size_t size,
    const delta_events_workspace_role_create_t *d);
ssize_t delta_events_workspace_role_update(char *out, size_t size,
    const delta_events_workspace_role_update_t *d);
ssize_t delta_events_workspace_role_delete(char *out, size_t size,
    const delta_events_workspace_role_delete_t *d);
ssize_t delta_events_workspace_role_reorder(char *out, size_t size,
    const delta_events_workspace_role_reorder_t *d);
ssize_t delta_events_workspace_role_assignment_add(char *out, size_t size,
    const delta_events_workspace_role_assignment_add_t *d);
ssize_t delta_events_workspace_role_assignment_remove(char *out, size_t size,
    const delta_events_workspace_role_assignment_remove_t *d);
ssize_t delta_events_workspace_channel_override_update(char *out, size_t size,
    const delta_events_workspace_channel_override_update_t *d);
ssize_t delta_events_workspace_ip_ban_sync(char *out, size_t size,
    const delta_events_workspace_ip_ban_sync_t *d);
ssize_t delta_events_profile_update(char *out, size_t size,
    const delta_events_profile_update_t *d);
ssize_t delta_events_profile_avatar_update(char *out, size_t size,
    const delta_events_profile_avatar_update_t *d);
ssize_t delta_events_friend_request_create(char *out, size_t size,
    const delta_events_friend_request_create_t *d);
ssize_t delta_events_friend_request_update(char *out, size_t size,
    const delta_events_friend_request_update_t *d);
ssize_t delta_events_friend_request_delete(char *out, size_t size,
    const delta_events_friend_request_delete_t *d);
ssize_t delta_events_friend_remove(char *out, size_t size,
    const delta_events_friend_remove_t *d);
ssize_t delta_events_presence_update(char *out, size_t size,
    const delta_events_presence_update_t *d);
ssize_t delta_events_space_delta(char *out, size_t size,
    const delta_events_space_delta_t *d);
ssize_t delta_events_snapshot(char *out, size_t size,
    const delta_events_snapshot_t *d);


#endif /* _DELTA_EVENTS_H_INCLUDED_ */
