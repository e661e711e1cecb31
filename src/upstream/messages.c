
/*
 * Copyright (C) Delta contributors
 */

#include "body.h"
#include "entity.h"
#include "files.h"
#include "handlers.h"
#include "outbox.h"
#include "rights.h"


#define MESSAGES_PAGE   50
#define MESSAGES_PAGES  100     /* at most */
#define MESSAGE_EMOJIS  64      /* different ones of one message */

#define MESSAGE_COLUMNS                                                       \
    "id AS message_id, channel_id, author_id, content, created_at, edited_at"


static json_t *message_read(upstream_request_t *r, const char *id);
static void message_details(upstream_request_t *r, json_t *message);
static int message_own(upstream_request_t *r, unsigned right);
static int reaction_changed(upstream_request_t *r, int changed);


static const body_field_t  message_create[] = {
    { "content", BODY_TEXT, BODY_REQUIRED, 8192, NULL },
    { "nonce", BODY_TEXT, 0, 64, NULL },
    { NULL, 0, 0, 0, NULL }
};

static const body_field_t  message_content[] = {
    { "content", BODY_TEXT, BODY_REQUIRED, 8192, NULL },
    { NULL, 0, 0, 0, NULL }
};


/* A page that ends with the newest, or before the message ?before=. */

int
upstream_message_list(upstream_request_t *r)
{
    int                more;
    char               text[DELTA_NAME_SEGMENT + 1];
    size_t             i;
    json_t            *rows, *list, *message;
    int64_t            before, limit;
    upstream_store_t  *store;

    store = r->upstream->store;
    before = INT64_MAX;
    limit = MESSAGES_PAGE;

    if (body_query(r, "limit", text, sizeof(text)) >= 0) {
        limit = strspn(text, "0123456789") == strlen(text)
                && strlen(text) < 4 ? atoi(text) : 0;

        if (limit < 1 || limit > MESSAGES_PAGES) {
            return upstream_error(r, 400, "bad_request", "limit must be a "
                                  "number from 1 to %d", MESSAGES_PAGES);
        }
    }

    if (body_query(r, "before", text, sizeof(text)) >= 0) {
        before = store_number(store, 0, "SELECT number FROM messages "
                              "WHERE id = ? AND channel_id = ?", "ss", text,
                              r->params[1]);
        if (before == 0) {
            return upstream_error(r, 400, "bad_request", "before is not a "
                                  "message of %s: begin with the newest page",
                                  r->params[1]);
        }
    }

    rows = store_array(store, "SELECT " MESSAGE_COLUMNS " FROM messages "
                       "WHERE channel_id = ? AND number < ? "
                       "ORDER BY number DESC LIMIT ?", "sii", r->params[1],
                       before, limit + 1);

    more = (int64_t) json_array_size(rows) > limit;
    json_array_remove(rows, limit);

    list = json_array();

    for (i = json_array_size(rows); i > 0; i--) {
        message = json_array_get(rows, i - 1);
        message_details(r, message);
        json_array_append(list, message);
    }

    json_decref(rows);

    return upstream_answer(r, 200, json_pack("{s:o, s:b}", "messages", list,
                                             "has_more", more));
}


int
upstream_message_create(upstream_request_t *r)
{
    int                status;
    char               id[32];
    json_t            *body, *message;
    upstream_store_t  *store;

    store = r->upstream->store;

    body = body_read(r, message_create, &status);
    if (body == NULL) {
        return status;
    }

    store_id(store, "m", id, sizeof(id));
    store_exec(store, "INSERT INTO messages (id, channel_id, author_id, "
               "content) VALUES (?, ?, ?, ?)", "ssss", id, r->params[1],
               r->user, entity_text(body, "content"));

    message = message_read(r, id);

    outbox_make(r, message_create, .guild_id = r->params[0],
                .channel_id = r->params[1], .message_id = id,
                .author_id = r->user, .content = entity_text(body, "content"),
                .created_at = entity_text(message, "created_at"),
                .nonce = entity_text(body, "nonce"));
    outbox_send(r, "channel:%s", r->params[1]);

    json_decref(body);

    return upstream_answer(r, 201, message);
}


int
upstream_message_patch(upstream_request_t *r)
{
    int                status;
    json_t            *body, *message, *now;
    upstream_store_t  *store;

    store = r->upstream->store;

    status = message_own(r, 0);
    if (status) {
        return status;
    }

    body = body_read(r, message_content, &status);
    if (body == NULL) {
        return status;
    }

    message = message_read(r, r->params[2]);

    if (body_changes(body, message)) {
        now = store_now(store);

        store_exec(store, "UPDATE messages SET content = ?, edited_at = ? "
                   "WHERE id = ?", "sss", entity_text(body, "content"),
                   entity_text(now, "now"), r->params[2]);

        outbox_make(r, message_update, .guild_id = r->params[0],
                    .channel_id = r->params[1], .message_id = r->params[2],
                    .author_id = entity_text(message, "author_id"),
                    .content = entity_text(body, "content"),
                    .edited_at = entity_text(now, "now"));
        outbox_send(r, "channel:%s", r->params[1]);

        json_decref(now);
    }

    json_decref(message);
    json_decref(body);

    return upstream_answer(r, 200, message_read(r, r->params[2]));
}


int
upstream_message_delete(upstream_request_t *r)
{
    int                status;
    size_t             i;
    json_t            *files, *file;
    upstream_store_t  *store;

    store = r->upstream->store;

    status = message_own(r, RIGHT_DELETE);
    if (status) {
        return status;
    }

    files = store_array(store, "SELECT id FROM attachments "
                        "WHERE message_id = ?", "s", r->params[2]);

    json_array_foreach(files, i, file) {
        files_remove(r, entity_text(file, "id"));
    }

    json_decref(files);

    store_exec(store, "DELETE FROM messages WHERE id = ?", "s", r->params[2]);

    outbox_make(r, message_delete, .guild_id = r->params[0],
                .channel_id = r->params[1], .message_id = r->params[2]);
    outbox_send(r, "channel:%s", r->params[1]);

    return 204;
}


int
upstream_reaction_add(upstream_request_t *r)
{
    upstream_store_t  *store;

    store = r->upstream->store;

    if (store_number(store, 0, "SELECT count(DISTINCT emoji) FROM reactions "
                     "WHERE message_id = ? AND emoji <> ?", "ss",
                     r->params[2], r->params[3])
        >= MESSAGE_EMOJIS)
    {
        return upstream_error(r, 409, "conflict", "%s has %d emojis: use one "
                              "of them", r->params[2], MESSAGE_EMOJIS);
    }

    return reaction_changed(r, store_exec(store, "INSERT OR IGNORE INTO "
                            "reactions (message_id, emoji, user_id) "
                            "VALUES (?, ?, ?)", "sss", r->params[2],
                            r->params[3], r->user));
}


int
upstream_reaction_remove(upstream_request_t *r)
{
    int  changed;

    changed = store_exec(r->upstream->store, "DELETE FROM reactions WHERE "
                         "message_id = ? AND emoji = ? AND user_id = ?",
                         "sss", r->params[2], r->params[3], r->user);

    if (changed == 0) {
        return upstream_error(r, 404, "not_found", "there is no such reaction "
                              "of yours");
    }

    return reaction_changed(r, changed);
}


static int
reaction_changed(upstream_request_t *r, int changed)
{
    int64_t  count;

    count = store_number(r->upstream->store, 0, "SELECT count(*) "
                         "FROM reactions WHERE message_id = ? AND emoji = ?",
                         "ss", r->params[2], r->params[3]);

    if (changed > 0) {
        outbox_make(r, message_reaction, .guild_id = r->params[0],
                    .channel_id = r->params[1], .message_id = r->params[2],
                    .emoji = r->params[3], .count = count,
                    .actor_user_id = r->user);
        outbox_send(r, "channel:%s", r->params[1]);
    }

    return upstream_answer(r, 200, json_pack("{s:s, s:s, s:I}", "message_id",
                           r->params[2], "emoji", r->params[3], "count",
                           (json_int_t) count));
}


static json_t *
message_read(upstream_request_t *r, const char *id)
{
    return store_object(r->upstream->store, "SELECT " MESSAGE_COLUMNS
                        " FROM messages WHERE id = ?", "s", id);
}


static void
message_details(upstream_request_t *r, json_t *message)
{
    const char        *id;
    upstream_store_t  *store;

    id = entity_text(message, "message_id");
    store = r->upstream->store;

    json_object_set_new(message, "reactions",
                        store_array(store, "SELECT emoji, count(*) AS count, "
                                    "max(user_id = ?) AS me FROM reactions "
                                    "WHERE message_id = ? GROUP BY emoji "
                                    "ORDER BY emoji", "ss", r->user, id));
    json_object_set_new(message, "attachments",
                        store_array(store, "SELECT id AS attachment_id, "
                                    "filename, media_type, size "
                                    "FROM attachments WHERE message_id = ? "
                                    "ORDER BY id", "s", id));
}


/* 0 if it is the caller's own, or the caller has the right. */

static int
message_own(upstream_request_t *r, unsigned right)
{
    if (r->rights & right
        || store_number(r->upstream->store, 0, "SELECT 1 FROM messages "
                        "WHERE id = ? AND author_id = ?", "ss", r->params[2],
                        r->user))
    {
        return 0;
    }

    return upstream_error(r, 403, "forbidden", "%s is not a message of yours",
                          r->params[2]);
}
