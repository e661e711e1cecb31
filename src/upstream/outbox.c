
/*
 * Copyright (C) Delta contributors
 */

#include "outbox.h"


static void outbox_membership(upstream_request_t *r, const char *command,
    const char *type, const char *user, const char *set, const char *member,
    const char *const *scopes);


const char *const  outbox_follow_scopes[] = { "user", "presence", NULL };
const char *const  outbox_guild_scopes[] = { "guild", NULL };


void
outbox_event(upstream_request_t *r, const char *channel, const char *type,
    json_t *data)
{
    char              *event;
    json_t            *root;
    upstream_store_t  *store;

    store = r->upstream->store;

    root = json_pack("{s:s, s:o}", "t", type, "d", data);
    event = root ? json_dumps(root, JSON_COMPACT) : NULL;

    if (event == NULL) {
        store->failed = 1;

    } else if (store_exec(store, "INSERT INTO outbox (channel, event) "
                          "VALUES (?, ?)", "ss", channel, event)
               == 1)
    {
        r->row = sqlite3_last_insert_rowid(store->db);
    }

    free(event);
    json_decref(root);
}


void
outbox_patch(upstream_request_t *r, const char *channel, const char *type,
    const char *id, json_t *diff, const char *guild, const char *user)
{
    outbox_event(r, channel, "patch",
                 json_pack("{s:s, s:s, s:s*, s:s*, s:O}", "entity_type", type,
                           "entity_id", id, "guild_id", guild, "user_id",
                           user, "diff", diff));
}


void
outbox_join(upstream_request_t *r, const char *user, const char *set,
    const char *member, const char *const *scopes)
{
    outbox_membership(r, "SADD", "grant", user, set, member, scopes);
}


void
outbox_leave(upstream_request_t *r, const char *user, const char *set,
    const char *member, const char *const *scopes)
{
    outbox_membership(r, "SREM", "revoke", user, set, member, scopes);
}


static void
outbox_membership(upstream_request_t *r, const char *command,
    const char *type, const char *user, const char *set, const char *member,
    const char *const *scopes)
{
    char  control[DELTA_NAME_SEGMENT + 32];
    char  channel[DELTA_NAME_SEGMENT + 32];

    snprintf(control, sizeof(control), "user:%s:%s", user, set);

    store_exec(r->upstream->store, "INSERT INTO outbox "
               "(user_id, command, name, member) VALUES (?, ?, ?, ?)",
               "ssss", user, command, control, member);

    snprintf(control, sizeof(control), "user:%s:control", user);

    for (/* void */; *scopes; scopes++) {
        snprintf(channel, sizeof(channel), "%s:%s", *scopes, member);
        outbox_event(r, control, type, json_pack("{s:s}", "channel", channel));
    }
}
