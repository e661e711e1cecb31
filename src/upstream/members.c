
/*
 * Copyright (C) Delta contributors
 */

#include "bans.h"
#include "body.h"
#include "entity.h"
#include "handlers.h"
#include "outbox.h"
#include "rights.h"


#define MEMBER_SELECT                                                         \
    "SELECT guild_id, user_id, nick, "                                        \
    "CASE user_id WHEN owner_id THEN 'owner' ELSE role END AS role "          \
    "FROM members JOIN guilds ON guilds.id = guild_id "


static json_t *member_read(upstream_request_t *r, const char *guild,
    const char *user, int *status);
static int member_enter(upstream_request_t *r, const char *user);
static int member_target(upstream_request_t *r, rights_t *rights);
static void member_remove(upstream_request_t *r, const char *user);
static int member_promote(upstream_request_t *r, const json_t *body);


static const entity_field_t  member_nick[] = {
    { "nick", 128, 0 },
    { NULL, 0, 0 }
};

static const body_field_t  member_fields[] = {
    { "role", BODY_WORD, 0, 0, "member moderator" },
    { "nick", BODY_TEXT, BODY_NULL, 128, NULL },
    { NULL, 0, 0, 0, NULL }
};

static const body_field_t  member_ban[] = {
    { "reason", BODY_TEXT, BODY_NULL, 512, NULL },
    { NULL, 0, 0, 0, NULL }
};


int
upstream_member_list(upstream_request_t *r)
{
    size_t             i;
    json_t            *members, *member, *names;
    upstream_store_t  *store;

    store = r->upstream->store;

    members = store_array(store, MEMBER_SELECT "WHERE guild_id = ? "
                          "ORDER BY user_id", "s", r->params[0]);

    json_array_foreach(members, i, member) {
        names = store_object(store, "SELECT coalesce(json_group_array("
                             "role_id), '[]') AS roles FROM member_roles "
                             "WHERE guild_id = ? AND user_id = ?", "ss",
                             r->params[0], entity_text(member, "user_id"));

        json_object_set_new(member, "role_ids",
                            json_loads(entity_text(names, "roles"), 0, NULL));
        json_decref(names);
    }

    return upstream_answer_list(r, "members", members);
}


/* What the caller is, and may. */

int
upstream_member_me(upstream_request_t *r)
{
    int      status;
    json_t  *member;

    member = member_read(r, r->params[0], r->user, &status);
    json_object_set_new(member, "permissions", rights_json(r->rights));

    return upstream_answer(r, 200, member);
}


int
upstream_member_join(upstream_request_t *r)
{
    int                status;
    json_t            *guild;
    const char        *id;
    upstream_store_t  *store;

    id = r->params[0];
    store = r->upstream->store;

    guild = store_object(store, "SELECT visibility FROM guilds WHERE id = ?",
                         "s", id);

    if (guild == NULL || (strcmp(entity_text(guild, "visibility"), "public")
                          != 0
                          && store_number(store, 0, "SELECT 1 FROM members "
                                          "WHERE guild_id = ? AND user_id = ?",
                                          "ss", id, r->user)
                             == 0))
    {
        json_decref(guild);
        return upstream_error(r, 404, "not_found", "there is no guild %s that "
                              "anybody may join", id);
    }

    json_decref(guild);

    if (bans_apply(r, id, r->user)) {
        return upstream_error(r, 403, "forbidden", "you are banned from %s",
                              id);
    }

    status = member_enter(r, r->user);

    return status ? status
                  : upstream_answer(r, 200, member_read(r, id, r->user,
                                                        &status));
}


int
upstream_member_add(upstream_request_t *r)
{
    int                status;
    const char        *user;
    upstream_store_t  *store;

    user = r->params[1];
    store = r->upstream->store;

    if (store_number(store, 0, "SELECT 1 FROM users WHERE id = ?", "s", user)
        == 0)
    {
        return upstream_error(r, 404, "not_found", "there is no user %s",
                              user);
    }

    if (store_number(store, 0, "SELECT 1 FROM bans WHERE guild_id = ? "
                     "AND user_id = ?", "ss", r->params[0], user))
    {
        return upstream_error(r, 409, "conflict", "%s is banned: lift the ban "
                              "first", user);
    }

    status = member_enter(r, user);

    return status ? status
                  : upstream_answer(r, 201, member_read(r, r->params[0], user,
                                                        &status));
}


static int
member_enter(upstream_request_t *r, const char *user)
{
    const char  *id;

    id = r->params[0];

    if (store_exec(r->upstream->store, "INSERT OR IGNORE INTO members "
                   "(guild_id, user_id) VALUES (?, ?)", "ss", id, user)
        == 0)
    {
        return upstream_error(r, 409, "conflict",
                              "%s is a member of %s already", user, id);
    }

    rights_refresh(r, id, user, NULL);
    outbox_join(r, user, "guilds", id, outbox_guild_scopes);

    outbox_make(r, workspace_member_add, .guild_id = id, .user_id = user);
    outbox_send(r, "guild:%s", id);

    return 0;
}


int
upstream_member_nick(upstream_request_t *r)
{
    int          status;
    char         channel[DELTA_NAME_SEGMENT + 32];
    char         member[2 * DELTA_NAME_SEGMENT + 2];
    json_t      *before, *after, *diff;
    const char  *id;

    id = r->params[0];

    before = member_read(r, id, r->user, &status);
    if (before == NULL) {
        return status;
    }

    status = entity_merge(r, member_nick, before, &after, &diff);
    json_decref(before);

    if (status) {
        return status;
    }

    if (diff) {
        store_exec(r->upstream->store, "UPDATE members SET nick = ? "
                   "WHERE guild_id = ? AND user_id = ?", "sss",
                   entity_text(after, "nick"), id, r->user);

        snprintf(channel, sizeof(channel), "guild:%s", id);
        snprintf(member, sizeof(member), "%s/%s", id, r->user);
        outbox_patch(r, channel, "member", member, diff, id, r->user);
    }

    json_decref(diff);

    return upstream_answer(r, 200, after);
}


int
upstream_member_patch(upstream_request_t *r)
{
    int                status;
    json_t            *body, *before, *after;
    rights_t           target;
    const char        *id, *user;
    upstream_store_t  *store;

    id = r->params[0];
    user = r->params[1];
    store = r->upstream->store;

    status = member_target(r, &target);
    if (status) {
        return status;
    }

    body = body_read(r, member_fields, &status);
    if (body == NULL) {
        return status;
    }

    before = member_read(r, id, user, &status);

    if (body_changes(body, before) == 0) {
        json_decref(body);
        return upstream_answer(r, 200, before);
    }

    json_decref(before);

    status = member_promote(r, body);
    if (status) {
        json_decref(body);
        return status;
    }

    if (json_object_get(body, "role")) {
        store_exec(store, "UPDATE members SET role = ? WHERE guild_id = ? "
                   "AND user_id = ?", "sss", entity_text(body, "role"), id,
                   user);
    }

    if (json_object_get(body, "nick")) {
        store_exec(store, "UPDATE members SET nick = ? WHERE guild_id = ? "
                   "AND user_id = ?", "sss", entity_text(body, "nick"), id,
                   user);
    }

    after = member_read(r, id, user, &status);

    outbox_make(r, workspace_member_update, .guild_id = id, .user_id = user,
                .role = entity_text(after, "role"),
                .nick = body_text(body, "nick"));
    outbox_send(r, "guild:%s", id);

    json_decref(body);

    return upstream_answer(r, 200, after);
}


/* A moderator is of rank 1 at least. */

static int
member_promote(upstream_request_t *r, const json_t *body)
{
    if (json_object_get(body, "role") == NULL) {
        return 0;
    }

    if (r->rank <= 1 || (r->rights & RIGHT_MODERATOR) != RIGHT_MODERATOR) {
        return upstream_error(r, 403, "forbidden", "only those above "
                              "moderators, with all their rights, make some");
    }

    return 0;
}


int
upstream_member_kick(upstream_request_t *r)
{
    int       status;
    rights_t  target;

    status = member_target(r, &target);
    if (status) {
        return status;
    }

    member_remove(r, r->params[1]);

    return 204;
}


/* Who is not a member can be banned as well, and cannot join then. */

int
upstream_member_ban(upstream_request_t *r)
{
    int                status;
    json_t            *body;
    rights_t           target;
    const char        *id, *user;
    upstream_store_t  *store;

    id = r->params[0];
    user = r->params[1];
    store = r->upstream->store;

    if (store_number(store, 0, "SELECT 1 FROM users WHERE id = ?", "s", user)
        == 0)
    {
        return upstream_error(r, 404, "not_found", "there is no user %s",
                              user);
    }

    if (rights_of(r, id, user, &target) == 0) {
        status = member_target(r, &target);
        if (status) {
            return status;
        }
    }

    body = body_read(r, member_ban, &status);
    if (body == NULL) {
        return status;
    }

    if (store_exec(store, "INSERT OR IGNORE INTO bans (guild_id, user_id, "
                   "reason, actor_id) VALUES (?, ?, ?, ?)", "ssss", id, user,
                   entity_text(body, "reason"), r->user)
        == 0)
    {
        json_decref(body);
        return upstream_error(r, 409, "conflict", "%s is banned already",
                              user);
    }

    if (rights_of(r, id, user, &target) == 0) {
        member_remove(r, user);
    }

    outbox_make(r, workspace_member_ban, .guild_id = id, .user_id = user,
                .reason = entity_text(body, "reason"),
                .actor_user_id = r->user);
    rights_tell_those(r, id, RIGHT_BAN);

    json_decref(body);

    return 204;
}


int
upstream_member_leave(upstream_request_t *r)
{
    rights_t  rights;

    if (rights_of(r, r->params[0], r->user, &rights) != 0) {
        return upstream_error(r, 404, "not_found", "%s is not a member of %s",
                              r->user, r->params[0]);
    }

    if (rights.rank == RIGHTS_OWNER) {
        return upstream_error(r, 409, "conflict",
                              "the owner cannot leave the guild");
    }

    member_remove(r, r->user);

    return 204;
}


/* Whether the caller is above the member who is the second parameter. */

static int
member_target(upstream_request_t *r, rights_t *rights)
{
    if (rights_of(r, r->params[0], r->params[1], rights) != 0) {
        return upstream_error(r, 404, "not_found", "%s is not a member of %s",
                              r->params[1], r->params[0]);
    }

    if (rights->rank == RIGHTS_OWNER
        && strcmp(r->route->method, "PATCH") != 0)
    {
        return upstream_error(r, 409, "conflict",
                              "the owner cannot leave the guild");
    }

    if (rights->rank >= r->rank) {
        return upstream_error(r, 403, "forbidden", "%s is not below you in "
                              "%s", r->params[1], r->params[0]);
    }

    return 0;
}


/* The guild is closed to the user by then, who has but the inbox. */

static void
member_remove(upstream_request_t *r, const char *user)
{
    const char  *id;

    id = r->params[0];

    store_exec(r->upstream->store, "DELETE FROM members WHERE guild_id = ? "
               "AND user_id = ?", "ss", id, user);

    rights_refresh(r, id, user, NULL);
    outbox_leave(r, user, "guilds", id, outbox_guild_scopes);

    outbox_make(r, workspace_member_remove, .guild_id = id, .user_id = user);

    if (strcmp(user, r->user) == 0) {
        outbox_send(r, "guild:%s", id);
        outbox_send(r, "user:%s:inbox", user);

    } else {
        outbox_send(r, "user:%s:inbox", user);
        outbox_send(r, "guild:%s", id);
    }
}


static json_t *
member_read(upstream_request_t *r, const char *guild, const char *user,
    int *status)
{
    json_t  *member;

    member = store_object(r->upstream->store, MEMBER_SELECT
                          "WHERE guild_id = ? AND user_id = ?", "ss", guild,
                          user);

    if (member == NULL) {
        *status = upstream_error(r, 404, "not_found",
                                 "%s is not a member of %s", user, guild);
    }

    return member;
}
