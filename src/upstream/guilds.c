
/*
 * Copyright (C) Delta contributors
 */

#include "body.h"
#include "entity.h"
#include "handlers.h"
#include "outbox.h"
#include "rights.h"


#define GUILD_COLUMNS                                                         \
    "id, owner_id, name, icon_url, description, visibility"


static json_t *guild_read(upstream_request_t *r, const char *id);


static const entity_field_t  guild_fields[] = {
    { "name", 128, 1 },
    { "icon_url", 2048, 0 },
    { "description", 4096, 0 },
    { NULL, 0, 0 }
};

static const body_field_t  guild_settings[] = {
    { "name", BODY_TEXT, 0, 128, NULL },
    { "visibility", BODY_WORD, 0, 0, "private public" },
    { "icon_url", BODY_TEXT, BODY_NULL|BODY_EMPTY, 2048, NULL },
    { "description", BODY_TEXT, BODY_NULL|BODY_EMPTY, 4096, NULL },
    { NULL, 0, 0, 0, NULL }
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

    store_exec(store, "INSERT INTO roles (id, guild_id, name, position, "
               "permissions) VALUES (?1, ?1, 'everyone', 0, ?2)", "si", id,
               (int64_t) RIGHT_MEMBER);
    store_exec(store, "INSERT INTO members (guild_id, user_id) VALUES (?, ?)",
               "ss", id, r->user);

    outbox_join(r, r->user, "guilds", id, outbox_guild_scopes);

    snprintf(r->location, sizeof(r->location), "/api/guilds/%s", id);

    return upstream_answer(r, 201, guild_read(r, id));
}


/* Of a private guild only its members know. */

int
upstream_guild_get(upstream_request_t *r)
{
    json_t    *guild;
    rights_t   rights;

    guild = guild_read(r, r->params[0]);

    if (guild == NULL
        || (strcmp(entity_text(guild, "visibility"), "public") != 0
            && rights_of(r, r->params[0], r->user, &rights) != 0))
    {
        json_decref(guild);
        return upstream_error(r, 404, "not_found", "there is no guild %s",
                              r->params[0]);
    }

    return upstream_answer(r, 200, guild);
}


int
upstream_guild_list(upstream_request_t *r)
{
    return upstream_answer_list(r, "guilds",
        store_array(r->upstream->store, "SELECT "
                    GUILD_COLUMNS " FROM guilds "
                    "WHERE id IN (SELECT guild_id "
                    "FROM members WHERE user_id = ?) "
                    "ORDER BY number", "s", r->user));
}


int
upstream_guild_patch(upstream_request_t *r)
{
    int      status;
    char     channel[DELTA_NAME_SEGMENT + 32];
    json_t  *before, *after, *diff;

    before = guild_read(r, r->params[0]);
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

        snprintf(channel, sizeof(channel), "guild:%s", r->params[0]);
        outbox_patch(r, channel, "guild", r->params[0], diff, NULL, NULL);
    }

    json_decref(diff);

    return upstream_answer(r, 200, after);
}


int
upstream_guild_settings(upstream_request_t *r)
{
    int      status;
    json_t  *body, *before;

    body = body_read(r, guild_settings, &status);
    if (body == NULL) {
        return status;
    }

    before = guild_read(r, r->params[0]);

    if (body_changes(body, before)) {
        body_store(r, "guilds", r->params[0], body);

        outbox_make(r, workspace_update, .guild_id = r->params[0],
                    .name = body_text(body, "name"),
                    .visibility = body_text(body, "visibility"),
                    .icon_url = body_text(body, "icon_url"),
                    .description = body_text(body, "description"),
                    .actor_user_id = r->user);
        outbox_send(r, "guild:%s", r->params[0]);
    }

    json_decref(before);
    json_decref(body);

    return upstream_answer(r, 200, guild_read(r, r->params[0]));
}


static json_t *
guild_read(upstream_request_t *r, const char *id)
{
    return store_object(r->upstream->store, "SELECT " GUILD_COLUMNS
                        " FROM guilds WHERE id = ?", "s", id);
}
