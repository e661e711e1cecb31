
/*
 * Copyright (C) Delta contributors
 */

#include "body.h"
#include "entity.h"
#include "files.h"
#include "handlers.h"
#include "outbox.h"
#include "rights.h"


#define CHANNELS_MAX  500       /* of one guild */

#define CHANNEL_COLUMNS                                                       \
    "id AS channel_id, guild_id, name, kind, topic, position, created_at"


static int channel_hide(upstream_request_t *r, const char *id,
    const json_t *body);
static json_t *channel_read(upstream_request_t *r, const char *id);
static void channel_orders(upstream_request_t *r, const json_t *before);
static void channel_order_tell(upstream_request_t *r, const char *user);
static int channel_role(upstream_request_t *r, const char *role, int below);
static int channel_override(upstream_request_t *r, int64_t allow,
    int64_t deny);


static const body_field_t  channel_create[] = {
    { "name", BODY_TEXT, BODY_REQUIRED, 128, NULL },
    { "kind", BODY_WORD, 0, 0, "text voice" },
    { "topic", BODY_TEXT, BODY_NULL|BODY_EMPTY, 1024, NULL },
    { "hidden", BODY_FLAG, 0, 0, NULL },
    { "role_ids", BODY_IDS, 0, 64, NULL },
    { NULL, 0, 0, 0, NULL }
};

static const body_field_t  channel_settings[] = {
    { "name", BODY_TEXT, 0, 128, NULL },
    { "topic", BODY_TEXT, BODY_NULL|BODY_EMPTY, 1024, NULL },
    { NULL, 0, 0, 0, NULL }
};

static const body_field_t  channel_order[] = {
    { "channel_ids", BODY_IDS, BODY_REQUIRED, CHANNELS_MAX, NULL },
    { NULL, 0, 0, 0, NULL }
};

static const body_field_t  channel_overrides[] = {
    { "allow", BODY_RIGHTS, BODY_REQUIRED, 0, NULL },
    { "deny", BODY_RIGHTS, BODY_REQUIRED, 0, NULL },
    { NULL, 0, 0, 0, NULL }
};


int
upstream_channel_list(upstream_request_t *r)
{
    size_t     i;
    json_t    *channels, *channel;
    rights_t   rights;

    channels = store_array(r->upstream->store, "SELECT " CHANNEL_COLUMNS
                           " FROM channels WHERE guild_id = ?1 AND id IN "
                           "(SELECT channel_id FROM viewers WHERE "
                           "guild_id = ?1 AND user_id = ?2) "
                           "ORDER BY position, id", "ss", r->params[0],
                           r->user);

    rights.rights = r->rights;
    rights.rank = r->rank;

    json_array_foreach(channels, i, channel) {
        json_object_set_new(channel, "permissions",
                            rights_json(rights_in(r, r->params[0],
                                        entity_text(channel, "channel_id"),
                                        r->user, &rights)));
    }

    return upstream_answer_list(r, "channels", channels);
}


int
upstream_channel_create(upstream_request_t *r)
{
    int                status;
    char               id[32];
    json_t            *body, *channel, *set;
    int64_t            position;
    const char        *kind;
    upstream_store_t  *store;

    store = r->upstream->store;

    body = body_read(r, channel_create, &status);
    if (body == NULL) {
        return status;
    }

    if (store_number(store, 0, "SELECT count(*) FROM channels "
                     "WHERE guild_id = ?", "s", r->params[0])
        >= CHANNELS_MAX)
    {
        json_decref(body);
        return upstream_error(r, 409, "conflict", "there are %d channels: "
                              "delete one first", CHANNELS_MAX);
    }

    position = store_number(store, 0, "SELECT max(position) FROM channels "
                            "WHERE guild_id = ?", "s", r->params[0]) + 1;
    kind = entity_text(body, "kind");

    store_id(store, "c", id, sizeof(id));
    store_exec(store, "INSERT INTO channels (id, guild_id, name, kind, topic, "
               "position) VALUES (?, ?, ?, ?, ?, ?)", "sssssi", id,
               r->params[0], entity_text(body, "name"), kind ? kind : "text",
               entity_text(body, "topic"), position);

    status = channel_hide(r, id, body);
    json_decref(body);

    if (status) {
        return status;
    }

    channel = channel_read(r, id);
    set = json_object();

    rights_refresh(r, r->params[0], NULL, id);
    rights_viewers(r, id, set);

    outbox_make(r, channel_create, .guild_id = r->params[0], .channel_id = id,
                .name = entity_text(channel, "name"),
                .kind = entity_text(channel, "kind"),
                .topic = entity_text(channel, "topic"), .position = &position,
                .created_at = entity_text(channel, "created_at"),
                .actor_user_id = r->user);
    rights_tell(r, r->params[0], set);

    snprintf(r->location, sizeof(r->location), "/api/guilds/%s/channels/%s",
             r->params[0], id);

    return upstream_answer(r, 201, channel);
}


/* Hidden is what all are denied to view, and these roles are not. */

static int
channel_hide(upstream_request_t *r, const char *id, const json_t *body)
{
    int         status;
    size_t      i;
    json_t     *role;
    rights_t    rights;

    if (!json_is_true(json_object_get(body, "hidden"))) {
        return json_object_get(body, "role_ids")
               ? upstream_error(r, 400, "bad_field", "role_ids say who sees a "
                                "hidden channel: set hidden, too")
               : 0;
    }

    store_exec(r->upstream->store, "INSERT INTO overrides (channel_id, "
               "role_id, allow, deny) VALUES (?, ?, 0, ?)", "ssi", id,
               r->params[0], (int64_t) RIGHT_VIEW);

    json_array_foreach(json_object_get(body, "role_ids"), i, role) {
        status = channel_role(r, json_string_value(role), 0);
        if (status) {
            return status;
        }

        store_exec(r->upstream->store, "INSERT OR REPLACE INTO overrides "
                   "(channel_id, role_id, allow, deny) VALUES (?, ?, ?, 0)",
                   "ssi", id, json_string_value(role), (int64_t) RIGHT_VIEW);
    }

    rights.rights = r->rights;
    rights.rank = r->rank;

    if (!rights_in(r, r->params[0], id, r->user, &rights)) {
        return upstream_error(r, 400, "bad_request", "you could not view it "
                              "yourself: add a role of yours to role_ids");
    }

    return 0;
}


int
upstream_channel_patch(upstream_request_t *r)
{
    int          status;
    json_t      *body, *before, *set;
    const char  *id;

    id = r->params[1];

    body = body_read(r, channel_settings, &status);
    if (body == NULL) {
        return status;
    }

    before = channel_read(r, id);

    if (body_changes(body, before)) {
        set = json_object();
        body_store(r, "channels", id, body);
        rights_viewers(r, id, set);

        outbox_make(r, channel_update, .guild_id = r->params[0],
                    .channel_id = id, .name = body_text(body, "name"),
                    .topic = body_text(body, "topic"),
                    .actor_user_id = r->user);
        rights_tell(r, r->params[0], set);
    }

    json_decref(before);
    json_decref(body);

    return upstream_answer(r, 200, channel_read(r, id));
}


int
upstream_channel_delete(upstream_request_t *r)
{
    size_t             i;
    json_t            *set, *files, *file;
    const char        *id;
    upstream_store_t  *store;

    id = r->params[1];
    store = r->upstream->store;

    set = json_object();
    rights_viewers(r, id, set);

    files = store_array(store, "SELECT id FROM attachments WHERE message_id "
                        "IN (SELECT id FROM messages WHERE channel_id = ?)",
                        "s", id);

    json_array_foreach(files, i, file) {
        files_remove(r, entity_text(file, "id"));
    }

    json_decref(files);

    store_exec(store, "DELETE FROM channels WHERE id = ?", "s", id);
    rights_refresh(r, r->params[0], NULL, id);

    outbox_make(r, channel_delete, .guild_id = r->params[0], .channel_id = id,
                .actor_user_id = r->user);
    rights_tell(r, r->params[0], set);

    return 204;
}


/*
 * All channels that the caller may view, none else; those that are hidden
 * from the caller keep their places.
 */

int
upstream_channel_reorder(upstream_request_t *r)
{
    int                status;
    size_t             i;
    json_t            *body, *ids, *before, *row, *wanted;
    upstream_store_t  *store;

    store = r->upstream->store;

    body = body_read(r, channel_order, &status);
    if (body == NULL) {
        return status;
    }

    ids = json_object_get(body, "channel_ids");
    before = store_array(store, "SELECT id, position FROM channels WHERE id "
                         "IN (SELECT channel_id FROM viewers WHERE "
                         "guild_id = ? AND user_id = ?) "
                         "ORDER BY position, id", "ss", r->params[0], r->user);

    wanted = json_object();

    json_array_foreach(ids, i, row) {
        json_object_set_new(wanted, json_string_value(row), json_true());
    }

    json_array_foreach(before, i, row) {

        if (json_object_del(wanted, entity_text(row, "id")) != 0) {
            break;
        }
    }

    if (i < json_array_size(before) || json_object_size(wanted)) {
        status = upstream_error(r, 400, "bad_field", "channel_ids must be all "
                                "channels that you view: fetch them anew");
    }

    json_decref(wanted);

    for (i = 0; status == 0 && i < json_array_size(before); i++) {
        row = json_array_get(before, i);
        store_exec(store, "UPDATE channels SET position = ? WHERE id = ?",
                   "is",
                   (int64_t) json_integer_value(json_object_get(row,
                                                                "position")),
                   json_string_value(json_array_get(ids, i)));
    }

    if (status == 0) {
        channel_orders(r, before);
    }

    json_decref(before);
    json_decref(body);

    return status ? status : upstream_channel_list(r);
}


/* Each order goes to those who see that one. */

static void
channel_orders(upstream_request_t *r, const json_t *before)
{
    size_t             i;
    json_t            *users, *user, *now;
    int64_t            hidden;
    upstream_store_t  *store;

    store = r->upstream->store;

    now = store_array(store, "SELECT id FROM channels WHERE id IN "
                      "(SELECT channel_id FROM viewers WHERE guild_id = ? "
                      "AND user_id = ?) ORDER BY position, id", "ss",
                      r->params[0], r->user);

    json_array_foreach(before, i, user) {

        if (strcmp(entity_text(user, "id"),
                   entity_text(json_array_get(now, i), "id"))
            != 0)
        {
            break;
        }
    }

    json_decref(now);

    if (i == json_array_size(before)) {
        return;
    }

    hidden = store_number(store, 1, "SELECT (SELECT count(*) FROM channels "
                          "WHERE guild_id = ?1) * (SELECT count(*) "
                          "FROM members WHERE guild_id = ?1) "
                          "- (SELECT count(*) FROM viewers "
                          "WHERE guild_id = ?1)", "s", r->params[0]);

    if (hidden == 0) {
        channel_order_tell(r, NULL);
        return;
    }

    users = store_array(store, "SELECT user_id FROM members "
                        "WHERE guild_id = ? ORDER BY user_id = ?", "ss",
                        r->params[0], r->user);

    json_array_foreach(users, i, user) {
        channel_order_tell(r, entity_text(user, "user_id"));
    }

    json_decref(users);
}


static void
channel_order_tell(upstream_request_t *r, const char *user)
{
    size_t        i, n;
    json_t       *rows, *row;
    const char   *ids[CHANNELS_MAX];

    rows = store_array(r->upstream->store, "SELECT id FROM channels "
                       "WHERE guild_id = ?1 AND (?2 IS NULL OR id IN "
                       "(SELECT channel_id FROM viewers WHERE user_id = ?2)) "
                       "ORDER BY position, id", "ss", r->params[0], user);
    n = 0;

    json_array_foreach(rows, i, row) {

        if (n < CHANNELS_MAX) {
            ids[n++] = entity_text(row, "id");
        }
    }

    outbox_make(r, channel_reorder, .guild_id = r->params[0],
                .channel_ids = ids, .channel_ids_n = n,
                .actor_user_id = r->user);

    if (user == NULL) {
        outbox_send(r, "guild:%s", r->params[0]);

    } else if (n) {
        outbox_send(r, "user:%s:inbox", user);
    }

    json_decref(rows);
}


int
upstream_override_list(upstream_request_t *r)
{
    size_t   i;
    json_t  *rows, *row, *bits;

    rows = store_array(r->upstream->store, "SELECT role_id, allow, deny "
                       "FROM overrides WHERE channel_id = ? ORDER BY role_id",
                       "s", r->params[1]);

    json_array_foreach(rows, i, row) {
        bits = json_object_get(row, "allow");
        json_object_set_new(row, "allow",
                            rights_json(json_integer_value(bits)));
        bits = json_object_get(row, "deny");
        json_object_set_new(row, "deny",
                            rights_json(json_integer_value(bits)));
    }

    return upstream_answer_list(r, "overrides", rows);
}


int
upstream_override_set(upstream_request_t *r)
{
    int      status;
    json_t  *body;
    int64_t  allow, deny;

    status = channel_role(r, r->params[2], 1);
    if (status) {
        return status;
    }

    body = body_read(r, channel_overrides, &status);
    if (body == NULL) {
        return status;
    }

    allow = rights_parse(json_object_get(body, "allow"));
    deny = rights_parse(json_object_get(body, "deny"));
    json_decref(body);

    if (allow & deny) {
        return upstream_error(r, 400, "bad_field",
                              "what is allowed cannot be denied, too");
    }

    if ((allow | deny) & ~r->rights) {
        return upstream_error(r, 403, "forbidden",
                              "nobody gives or takes rights that they lack");
    }

    return channel_override(r, allow, deny);
}


/* Told to those who may view the channel, or could until now. */

static int
channel_override(upstream_request_t *r, int64_t allow, int64_t deny)
{
    size_t             na, nd;
    json_t            *set;
    const char        *id, *role, *allows[RIGHTS_N], *denies[RIGHTS_N];
    upstream_store_t  *store;

    id = r->params[1];
    role = r->params[2];
    store = r->upstream->store;

    na = rights_list(allow, allows);
    nd = rights_list(deny, denies);

    if (store_number(store, 0, "SELECT allow << 16 | deny FROM overrides "
                     "WHERE channel_id = ? AND role_id = ?", "ss", id, role)
        != (allow << 16 | deny))
    {
        set = json_object();
        rights_viewers(r, id, set);

        store_exec(store, "DELETE FROM overrides WHERE channel_id = ? "
                   "AND role_id = ?", "ss", id, role);

        if (allow | deny) {
            store_exec(store, "INSERT INTO overrides (channel_id, role_id, "
                       "allow, deny) VALUES (?, ?, ?, ?)", "ssii", id, role,
                       allow, deny);
        }

        rights_refresh(r, r->params[0], NULL, id);
        rights_viewers(r, id, set);

        outbox_make(r, workspace_channel_override_update,
                    .guild_id = r->params[0], .channel_id = id,
                    .role_id = role, .allow = allows, .allow_n = na,
                    .deny = denies, .deny_n = nd);
        rights_tell(r, r->params[0], set);
    }

    return upstream_answer(r, 200, json_pack("{s:s, s:s, s:o, s:o}",
                           "channel_id", id, "role_id", role, "allow",
                           rights_json(allow), "deny", rights_json(deny)));
}


static json_t *
channel_read(upstream_request_t *r, const char *id)
{
    return store_object(r->upstream->store, "SELECT " CHANNEL_COLUMNS
                        " FROM channels WHERE id = ?", "s", id);
}


/* 0 if the role is of this guild and, if that matters, below the caller. */

static int
channel_role(upstream_request_t *r, const char *role, int below)
{
    int64_t  position;

    position = store_number(r->upstream->store, -1, "SELECT position "
                            "FROM roles WHERE id = ? AND guild_id = ?", "ss",
                            role, r->params[0]);

    if (position < 0) {
        return upstream_error(r, 404, "not_found", "there is no role %s in "
                              "%s", role, r->params[0]);
    }

    if (below && position >= r->rank) {
        return upstream_error(r, 403, "forbidden", "the role %s is not below "
                              "you", role);
    }

    return 0;
}
