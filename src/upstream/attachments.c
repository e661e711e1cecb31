
/*
 * Copyright (C) Delta contributors
 */

#include "body.h"
#include "delta_utf8.h"
#include "entity.h"
#include "files.h"
#include "handlers.h"
#include "outbox.h"
#include "rights.h"


#define ATTACHMENTS_MAX    10               /* of one message */
#define ATTACHMENTS_TOTAL  1073741824       /* bytes */


static int attachment_name(upstream_request_t *r, char *name, size_t size);
static int attachment_type(upstream_request_t *r, char *type, size_t size);
static int attachment_own(upstream_request_t *r, unsigned right);


/* The body is the file; ?filename= its name, Content-Type its type. */

int
upstream_attachment_create(upstream_request_t *r)
{
    int                status;
    char               id[32], name[256], type[130];
    upstream_store_t  *store;

    store = r->upstream->store;

    if (attachment_own(r, 0) != 0) {
        return upstream_error(r, 403, "forbidden", "%s is not a message of "
                              "yours", r->params[2]);
    }

    status = attachment_name(r, name, sizeof(name));

    if (status == 0) {
        status = attachment_type(r, type, sizeof(type));
    }

    if (status) {
        return status;
    }

    if (r->len == 0) {
        return upstream_error(r, 400, "bad_request", "the file is empty: the "
                              "body must hold it");
    }

    if (store_number(store, 0, "SELECT count(*) FROM attachments "
                     "WHERE message_id = ?", "s", r->params[2])
        >= ATTACHMENTS_MAX)
    {
        return upstream_error(r, 409, "conflict", "%s has %d attachments: "
                              "send another message", r->params[2],
                              ATTACHMENTS_MAX);
    }

    if (store_number(store, 0, "SELECT sum(size) FROM attachments", "")
        + (int64_t) r->len
        > ATTACHMENTS_TOTAL)
    {
        return upstream_error(r, 409, "conflict", "all attachments together "
                              "are at most %d MB: delete some",
                              ATTACHMENTS_TOTAL >> 20);
    }

    store_id(store, "a", id, sizeof(id));

    status = files_write(r, id);
    if (status) {
        return status;
    }

    store_exec(store, "INSERT INTO attachments (id, message_id, filename, "
               "media_type, size) VALUES (?, ?, ?, ?, ?)", "ssssi", id,
               r->params[2], name, type, (int64_t) r->len);

    snprintf(r->location, sizeof(r->location), "/api/guilds/%s/channels/%s"
             "/messages/%s/attachments/%s", r->params[0], r->params[1],
             r->params[2], id);

    outbox_make(r, attachment_create, .guild_id = r->params[0],
                .channel_id = r->params[1], .message_id = r->params[2],
                .attachment_id = id, .filename = name, .media_type = type,
                .size = r->len, .url = r->location, .actor_user_id = r->user);
    outbox_send(r, "channel:%s", r->params[1]);

    return upstream_answer(r, 201, json_pack("{s:s, s:s, s:s, s:I, s:s}",
                           "attachment_id", id, "filename", name,
                           "media_type", type, "size", (json_int_t) r->len,
                           "url", r->location));
}


int
upstream_attachment_get(upstream_request_t *r)
{
    if (store_number(r->upstream->store, 0, "SELECT 1 FROM attachments "
                     "WHERE id = ? AND message_id = ?", "ss", r->params[3],
                     r->params[2])
        == 0)
    {
        return upstream_error(r, 404, "not_found", "there is no attachment %s",
                              r->params[3]);
    }

    return files_answer(r, r->params[3]);
}


int
upstream_attachment_delete(upstream_request_t *r)
{
    if (attachment_own(r, RIGHT_DELETE) != 0) {
        return upstream_error(r, 403, "forbidden", "%s is not a message of "
                              "yours", r->params[2]);
    }

    if (store_exec(r->upstream->store, "DELETE FROM attachments "
                   "WHERE id = ? AND message_id = ?", "ss", r->params[3],
                   r->params[2])
        == 0)
    {
        return upstream_error(r, 404, "not_found", "there is no attachment %s",
                              r->params[3]);
    }

    files_remove(r, r->params[3]);

    outbox_make(r, attachment_delete, .guild_id = r->params[0],
                .channel_id = r->params[1], .message_id = r->params[2],
                .attachment_id = r->params[3]);
    outbox_send(r, "channel:%s", r->params[1]);

    return 204;
}


static int
attachment_name(upstream_request_t *r, char *name, size_t size)
{
    int       n;
    char     *p;
    uint32_t  state;

    n = body_query(r, "filename", name, size);
    state = 0;

    for (p = name; n > 0 && *p; p++) {

        if ((uint8_t) *p < ' ' || *p == 0x7f || *p == '/' || *p == '\\') {
            n = -1;
        }
    }

    if (n <= 0 || delta_utf8_check(&state, (uint8_t *) name, n) != 0
        || state != 0)
    {
        return upstream_error(r, 400, "bad_request", "?filename= must be the "
                              "file's name, 1 to 255 bytes of UTF-8 without "
                              "slashes");
    }

    return 0;
}


/* What is said to be an image that is shown must be that one. */

static int
attachment_type(upstream_request_t *r, char *type, size_t size)
{
    char         *p;
    size_t        n;
    unsigned      slashes;
    const char   *said, *image;

    said = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND,
                                       "Content-Type");
    said = said ? said : "application/octet-stream";

    n = strcspn(said, "; \t");
    slashes = 0;

    if (n < size) {
        snprintf(type, size, "%.*s", (int) n, said);

        for (p = type; *p; p++) {
            *p |= *p >= 'A' && *p <= 'Z' ? 0x20 : 0;
            slashes += *p == '/';
        }
    }

    if (n >= size || slashes != 1
        || strspn(type, "abcdefghijklmnopqrstuvwxyz0123456789.+-/") != n
        || type[0] == '/' || type[n - 1] == '/'
        || strchr(type, '/') - type > 64 || n - (strchr(type, '/') - type) > 65)
    {
        return upstream_error(r, 400, "bad_request", "Content-Type must be "
                              "the file's type, as image/png");
    }

    image = files_image(r->body, r->len);

    if (strncmp(type, "image/", 6) == 0
        && (image == NULL || strcmp(image, type) != 0))
    {
        return upstream_error(r, 415, "unsupported_media_type", "the file is "
                              "not %s: png, jpeg, gif and webp are images "
                              "here, send others as "
                              "application/octet-stream", type);
    }

    return 0;
}


static int
attachment_own(upstream_request_t *r, unsigned right)
{
    return r->rights & right
           || store_number(r->upstream->store, 0, "SELECT 1 FROM messages "
                           "WHERE id = ? AND author_id = ?", "ss",
                           r->params[2], r->user) ? 0 : -1;
}
