
/*
 * Copyright (C) Delta contributors
 */

#include "entity.h"
#include "handlers.h"
#include "outbox.h"


#define GUILD_COLUMNS  "id, owner_id, name, icon_url, description"

#define MEMBER_SELECT                                                         \
    "SELECT guild_id, user_id, nick, "                                        \
    "CASE user_id WHEN owner_id THEN 'owner' ELSE 'member' END AS role "      \
    "FROM members JOIN guilds ON guilds.id = guild_id "


static json_t *guild_read(upstream_request_t *r, const char *id, int *status);
static int guild_owner(upstream_request_t *r, const json_t *guild);
static void guild_channel(char *channel, size_t size, const char *id);
static json_t *member_read(upstream_request_t *r, const char *guild,
    const char *user, int *status);
static int member_remove(upstream_request_t *r, const json_t *guild,
    const char *user);
static json_t *member_ids(const char *guild, const char *user);


static const entity_field_t  guild_fields[] = {
    { "name", 128, 1 },
    { "icon_url", 2048, 0 },
    { "description", 4096, 0 },
    { NULL, 0, 0 }
};

static const entity_field_t  member_fields[] = {
    { "nick", 128, 0 },
    { NULL, 0, 0 }
};


int
upstream_guild_create(upstream_request_t *r)
{
    int                status;
    char               id[32];
    json_t            *none, *guild, *diff;
    int64_t            number;
    upstream_store_t  *store;

    store = r->upstream->store;

    none = json_object();
    status = entity_merge(r, guild_fields, none, &guild, &diff);
    json_decref(none);
    json_decref(diff);

    if (status) {
        return status;
    }

    if (entity_text(guild, "name") == NULL) {
        json_decref(guild);
        return upstream_error(r, 400, "bad_field", "name is missing");
    }

    number = store_number(store, 0, "SELECT max(number) FROM guilds", "") + 1;
    snprintf(id, sizeof(id), "g%lld", (long long) number);

    store_exec(store, "INSERT INTO guilds (number, id, owner_id, name, "
               "icon_url, description) VALUES (?, ?, ?, ?, ?, ?)", "isssss",
               number, id, r->user, entity_text(guild, "name"),
               entity_text(guild, "icon_url"),
               entity_text(guild, "description"));
    json_decref(guild);

    store_exec(store, "INSERT INTO members (guild_id, user_id) VALUES (?, ?)",
               "ss", id, r->user);

    outbox_join(r, r->user, "guilds", id, outbox_guild_scopes);

    snprintf(r->location, sizeof(r->location), "/api/guilds/%s", id);

    return upstream_answer(r, 201, guild_read(r, id, &status));
}


int
upstream_guild_get(upstream_request_t *r)
{
    int      status;
    json_t  *guild;

    guild = guild_read(r, r->params[0], &status);

    return guild ? upstream_answer(r, 200, guild) : status;
}


int
upstream_guild_patch(upstream_request_t *r)
{
    int      status;
    char     channel[DELTA_NAME_SEGMENT + 32];
    json_t  *before, *after, *diff;

    before = guild_read(r, r->params[0], &status);
    if (before == NULL) {
        return status;
    }

    if (!guild_owner(r, before)) {
        json_decref(before);
        return upstream_error(r, 403, "forbidden",
                              "only the owner may change the guild");
    }

    status = entity_merge(r, guild_fields, before, &after, &diff);
    json_decref(before);

    if (status) {
        return status;
    }

    if (diff) {
        store_exec(r->upstream->store, "UPDATE guilds SET name = ?, "
                   "icon_url = ?, description = ? WHERE id = ?", "ssss",
                   entity_text(after, "name"), entity_text(after, "icon_url"),
                   entity_text(after, "description"), r->params[0]);

        guild_channel(channel, sizeof(channel), r->params[0]);
        outbox_patch(r, channel, "guild", r->params[0], diff, NULL, NULL);
    }

    json_decref(diff);

    return upstream_answer(r, 200, after);
}


int
upstream_member_join(upstream_request_t *r)
{
    int          status;
    char         channel[DELTA_NAME_SEGMENT + 32];
    json_t      *guild;
    const char  *id;

    id = r->params[0];

    guild = guild_read(r, id, &status);
    if (guild == NULL) {
        return status;
    }

    json_decref(guild);

    if (store_exec(r->upstream->store, "INSERT OR IGNORE INTO members "
                   "(guild_id, user_id) VALUES (?, ?)", "ss", id, r->user)
        == 0)
    {
        return upstream_error(r, 409, "conflict",
                              "%s is a member of %s already", r->user, id);
    }

    outbox_join(r, r->user, "guilds", id, outbox_guild_scopes);

    guild_channel(channel, sizeof(channel), id);
    outbox_event(r, channel, "workspace_member_add", member_ids(id, r->user));

    return upstream_answer(r, 200, member_read(r, id, r->user, &status));
}


int
upstream_member_list(upstream_request_t *r)
{
    int      status;
    json_t  *guild, *member;

    guild = guild_read(r, r->params[0], &status);
    if (guild == NULL) {
        return status;
    }

    json_decref(guild);

    member = member_read(r, r->params[0], r->user, &status);
    if (member == NULL) {
        return upstream_error(r, 403, "forbidden",
                              "only members may see the members");
    }

    json_decref(member);

    return upstream_answer(r, 200, json_pack("{s:o}", "members",
                           store_array(r->upstream->store, MEMBER_SELECT
                                       "WHERE guild_id = ? ORDER BY user_id",
                                       "s", r->params[0])));
}


int
upstream_member_patch(upstream_request_t *r)
{
    int          status;
    char         channel[DELTA_NAME_SEGMENT + 32];
    char         member[2 * DELTA_NAME_SEGMENT + 2];
    json_t      *guild, *before, *after, *diff;
    const char  *id, *user;

    id = r->params[0];
    user = strcmp(r->params[1], "me") == 0 ? r->user : r->params[1];

    guild = guild_read(r, id, &status);
    if (guild == NULL) {
        return status;
    }

    if (strcmp(user, r->user) != 0 && !guild_owner(r, guild)) {
        json_decref(guild);
        return upstream_error(r, 403, "forbidden", "only the owner may "
                              "change other members");
    }

    json_decref(guild);

    before = member_read(r, id, user, &status);
    if (before == NULL) {
        return status;
    }

    status = entity_merge(r, member_fields, before, &after, &diff);
    json_decref(before);

    if (status) {
        return status;
    }

    if (diff) {
        store_exec(r->upstream->store, "UPDATE members SET nick = ? "
                   "WHERE guild_id = ? AND user_id = ?", "sss",
                   entity_text(after, "nick"), id, user);

        guild_channel(channel, sizeof(channel), id);
        snprintf(member, sizeof(member), "%s/%s", id, user);
        outbox_patch(r, channel, "member", member, diff, id, user);
    }

    json_decref(diff);

    return upstream_answer(r, 200, after);
}


int
upstream_member_kick(upstream_request_t *r)
{
    int      status;
    json_t  *guild;

    guild = guild_read(r, r->params[0], &status);
    if (guild == NULL) {
        return status;
    }

    status = guild_owner(r, guild)
             ? member_remove(r, guild, r->params[1])
             : upstream_error(r, 403, "forbidden",
                              "only the owner may kick members");

    json_decref(guild);

    return status;
}


int
upstream_member_leave(upstream_request_t *r)
{
    int      status;
    json_t  *guild;

    guild = guild_read(r, r->params[0], &status);
    if (guild == NULL) {
        return status;
    }

    status = member_remove(r, guild, r->user);

    json_decref(guild);

    return status;
}


static json_t *
guild_read(upstream_request_t *r, const char *id, int *status)
{
    json_t  *guild;

    guild = store_object(r->upstream->store, "SELECT " GUILD_COLUMNS
                         " FROM guilds WHERE id = ?", "s", id);

    if (guild == NULL) {
        *status = upstream_error(r, 404, "not_found", "there is no guild %s",
                                 id);
    }

    return guild;
}


static int
guild_owner(upstream_request_t *r, const json_t *guild)
{
    return strcmp(entity_text(guild, "owner_id"), r->user) == 0;
}


static void
guild_channel(char *channel, size_t size, const char *id)
{
    snprintf(channel, size, "guild:%s", id);
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


static int
member_remove(upstream_request_t *r, const json_t *guild, const char *user)
{
    char         channel[DELTA_NAME_SEGMENT + 32];
    const char  *id;

    id = r->params[0];

    if (strcmp(user, entity_text(guild, "owner_id")) == 0) {
        return upstream_error(r, 409, "conflict",
                              "the owner cannot leave the guild");
    }

    if (store_exec(r->upstream->store, "DELETE FROM members "
                   "WHERE guild_id = ? AND user_id = ?", "ss", id, user)
        == 0)
    {
        return upstream_error(r, 404, "not_found",
                              "%s is not a member of %s", user, id);
    }

    outbox_leave(r, user, "guilds", id, outbox_guild_scopes);

    guild_channel(channel, sizeof(channel), id);
    outbox_event(r, channel, "workspace_member_remove", member_ids(id, user));

    return 204;
}


static json_t *
member_ids(const char *guild, const char *user)
{
    return json_pack("{s:s, s:s}", "guild_id", guild, "user_id", user);
}
